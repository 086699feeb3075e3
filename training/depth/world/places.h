// The kinds of worlds, and a camera for each.
#pragma once
#include "closeup.h"

enum Kind { ROOM, HALL, STREET, VILLAGE, FOREST, MOUNTAIN, FIELD_ROAD, WATERSIDE, TABLE_TOP, PEOPLE, SHELVES, ABOVE, GARDEN, CLUTTER, KINDS };
const int SHARES[KINDS] = {20, 7, 11, 8, 6, 10, 7, 9, 9, 5, 1, 2, 4, 1};

// Food, cups and small things on tables, cloth or a carpet with folds; flowers.
inline void close_up(Builder &b, Shot &s) {
    int theme = b.r.below(10);  // 0, 1: flowers; 2 to 4: food; 5: one thing; else small things
    if (theme < 2) return flower_macro(b, s);
    Box2 r{3, 3, 2.7f};
    if (b.r.chance(0.75f)) r = room(b);
    else { weather(b); b.w.plane_mat = b.r.chance(0.6f) ? meadow(b) : road_mat(b); Green g = greens(b); grow_on(b, 30, 3, 40, g, 0.5f); }
    float h = b.r.chance(0.45f) && theme > 4 ? 0.012f : b.r.in(0.4f, 0.76f), half = h < 0.1f ? b.r.in(0.5f, 1.4f) : b.r.in(0.35f, 0.8f);
    V3 c = v3(b.r.in(-0.3f, 0.3f) * r.hx, 0, b.r.in(-0.3f, 0.3f) * r.hz);
    auto t = b.at(c, b.r.in(0, 6.28f));
    V3 a = any_color(b.r);
    bool plain = theme == 5 || b.r.chance(0.2f);
    int cloth = plain ? (b.r.chance(0.5f) ? wood(b) : b.mat(wall_color(b.r))) : b.mat(a, b.r.chance(0.3f) ? a * b.r.in(0.3f, 0.8f) : any_color(b.r), b.r.pick({PLAID, STRIPES, CHECKER, FLORAL, FABRIC, RUG, BLOTCH, WILD, PICTURE, SPECKLE}), b.r.log_in(3.0f, 30.0f));
    b.of(cloth).bump = plain ? 0.0f : b.r.in(0.0f, 0.3f);
    b.box(v3(0, h - 0.006f, 0), v3(half, 0.006f, half * 0.8f), cloth);
    if (h > 0.1f) { int m = wood(b); b.box(v3(0, h - 0.03f, 0), v3(half * 0.98f, 0.017f, half * 0.78f), m), legs(b, half, half * 0.75f, h - 0.04f, 0.03f, m); }
    int folds = b.r.chance(0.6f) && !plain ? b.r.in_int(2, 18) : 0, things = theme == 5 ? b.r.in_int(0, 2) : theme < 5 ? b.r.in_int(1, 10) : b.r.in_int(6, 36);
    for (int i = 0; i < folds; i++) {
        auto k = b.at(v3(b.r.in(-0.8f, 0.8f) * half, h, b.r.in(-0.6f, 0.6f) * half), b.r.in(0, 3.14f));
        b.ball(v3(0.0f), v3(half * b.r.in(0.06f, 0.5f), b.r.in(0.004f, 0.03f), b.r.in(0.01f, 0.05f)), cloth);
    }
    if (b.r.chance(0.2f) && !plain) { auto k = b.at(v3(b.r.in(-0.3f, 0.3f), h, b.r.in(-0.3f, 0.3f))); b.soft(v3(0, 0.05f, 0), v3(b.r.in(0.1f, 0.25f), 0.06f, b.r.in(0.1f, 0.25f)), fabric(b), 1.0f); }
    if (theme < 5)
        for (int i = b.r.in_int(2, 6); i > 0; i--) {
            auto k = b.at(v3(clampf(0.3f * b.r.gauss(), -0.8f, 0.8f) * half, h, clampf(0.3f * b.r.gauss(), -0.65f, 0.65f) * half), b.r.in(0, 6.28f));
            int q = b.r.below(6);
            if (q < 3) dish(b, b.r.in(0.09f, 0.17f)); else if (q < 5) coffee(b, b.r.in(0.07f, 0.13f)); else cutlery(b, b.r.in(0.12f, 0.2f));
        }
    if (theme == 5) {  // before a backdrop, at times
        auto k = b.at(v3(0, h, 0), b.r.in(0, 6.28f));
        if (b.r.chance(0.3f)) animal(b, b.r.in(0.15f, 0.4f)); else if (b.r.chance(0.3f)) coffee(b, b.r.in(0.08f, 0.15f)); else small_thing(b, b.r.in(0.1f, 0.35f));
    }
    for (int i = 0; i < things; i++) {
        auto k = b.at(v3(clampf(0.3f * b.r.gauss(), -0.85f, 0.85f) * half, h, clampf(0.25f * b.r.gauss(), -0.65f, 0.65f) * half), b.r.in(0, 6.28f));
        if (b.r.chance(0.65f)) trinket(b, b.r.log_in(0.02f, 0.08f)); else small_thing(b, b.r.log_in(0.05f, 0.2f));
    }
    if (b.r.chance(0.5f)) b.lamp(v3(b.r.in(-1, 1), h + b.r.in(0.6f, 1.3f), b.r.in(-1, 1)), 0.1f, hsv(b.r.in(0.05f, 0.15f), 0.3f, 1.0f) * b.r.in(0.5f, 3));
    float off = b.r.in(0.2f, 0.5f), low = b.r.chance(0.3f) ? 0.03f : 0.1f;
    s = Shot{c + v3(-off, h + low, off), c + v3(off, h + 0.5f, off + 0.35f), -0.2f, 0.2f, 0, 3.2f, 28, 52, c + v3(b.r.in(-0.1f, 0.1f), h + (theme == 5 ? 0.1f : 0.02f), b.r.in(-0.1f, 0.1f)), true};
}
inline void table_top(Builder &b, Shot &s) {
    if (b.r.chance(0.6f)) return close_up(b, s);
    bool inside = b.r.chance(0.7f);
    Box2 r{3, 3, 2.7f};
    if (inside) r = room(b);
    else { weather(b); b.w.plane_mat = b.r.chance(0.5f) ? meadow(b) : road_mat(b); Green g = greens(b); grow_on(b, 40, 3, 40, g, 0.5f); }
    int m = b.r.chance(0.6f) ? wood(b) : stuff(b);
    float h = 0.74f, half = b.r.in(0.4f, 0.9f);
    V3 c = v3(b.r.in(-0.3f, 0.3f) * r.hx, 0, b.r.in(-0.3f, 0.3f) * r.hz);
    auto t = b.at(c, b.r.in(0, 6.28f));
    b.box(v3(0, h - 0.02f, 0), v3(half, 0.02f, half * 0.7f), m);
    legs(b, half, half * 0.7f, h - 0.04f, 0.03f, m);
    if (b.r.chance(0.4f)) b.decal(v3(0, h, 0), v3(1, 0, 0), v3(0, 0, -1), half * b.r.in(0.3f, 0.8f), half * 0.5f, b.r.pick({PICTURE, TEXT, CHECKER, RUG, STRIPES}), any_color(b.r), any_color(b.r), 1.0f, 0.02f);
    scatter_on(b, half * 0.85f, half * 0.6f, h, b.r.in_int(3, 22), 0.05f, 0.35f);
    if (b.r.chance(0.5f)) b.lamp(v3(b.r.in(-1, 1), h + b.r.in(0.6f, 1.3f), b.r.in(-1, 1)), 0.1f, hsv(b.r.in(0.05f, 0.15f), 0.3f, 1.0f) * b.r.in(0.5f, 3));
    s = Shot{c + v3(-1.1f, h + 0.12f, -1.1f), c + v3(1.1f, h + 0.9f, 1.1f), -0.2f, 0.2f, 0, 3.2f, 25, 65, c + v3(b.r.in(-0.2f, 0.2f), h + 0.06f, b.r.in(-0.2f, 0.2f)), true};
}
inline void people(Builder &b, Shot &s) {
    bool inside = b.r.chance(0.45f);
    float ground = 0;
    if (inside) room(b);
    else if (b.r.chance(0.5f)) { float w; street(b, w); }
    else { weather(b); Green g = greens(b); b.w.plane_mat = meadow(b); grow_on(b, 120, 3, 80, g, 0.5f); }
    int n = b.r.in_int(1, 7);
    V3 c = v3(0.0f);
    for (int i = 0; i < n; i++) {
        auto k = b.at(v3(b.r.gauss() * 0.5f, ground, b.r.gauss() * 0.4f), b.r.in(-0.9f, 0.9f));
        int q = b.r.below(100);
        if (q < 72) person(b, true, true); else if (q < 84) statue(b, inside ? 0.4f : 1.3f); else animal(b, b.r.in(0.5f, 1.6f));
    }
    s = Shot{v3(-1.2f, 0.7f, 1.0f), v3(1.2f, 1.9f, 4.5f), -0.1f, 0.1f, 0, 0.6f, 28, 70, c + v3(0, b.r.in(0.8f, 1.6f), 0), true};
}
inline void shelves(Builder &b, Shot &s) {
    indoor_light(b, false);
    b.w.plane_mat = floor_mat(b);
    int m = room_wall(b);
    b.block(v3(-9, 0, -1.5f), v3(9, 4, -1.3f), m);
    b.block(v3(-9, 2.9f, -1.5f), v3(9, 3.1f, 9), m);
    for (int i = 0; i < 6; i++) { auto k = b.at(v3(-4.2f + 1.7f * i, 0, -1.1f)); shelf(b, 0.8f, b.r.in(1.6f, 2.6f), 0.2f); }
    scatter_on(b, 2.5f, 0.8f, 0, b.r.in_int(0, 7), 0.2f, 0.9f);
    if (b.r.chance(0.5f)) { auto k = b.at(v3(b.r.in(-1, 1), 0, b.r.in(-0.3f, 0.8f)), b.r.in(2, 4)); person(b); }
    for (int i = 0; i < 2; i++) b.lamp(v3(b.r.in(-2, 2), 2.6f, b.r.in(0, 2)), 0.2f, hsv(b.r.in(0.05f, 0.16f), 0.3f, 1.0f) * b.r.in(1, 5));
    s = Shot{v3(-1.8f, 0.7f, 0.2f), v3(1.8f, 2.0f, 3.5f), -0.1f, 0.1f, 0, 0.8f, 35, 80, v3(b.r.in(-1.5f, 1.5f), b.r.in(0.6f, 1.8f), -1.2f), true};
}
inline void clutter(Builder &b, Shot &s) {  // nothing known: shapes in the air or on a plane
    weather(b);
    if (b.r.chance(0.8f)) b.w.plane_mat = stuff(b), b.of(b.w.plane_mat).mirror = 0, b.of(b.w.plane_mat).emit = 0;
    int n = b.r.in_int(15, 160);
    for (int i = 0; i < n; i++) {
        float d = b.r.log_in(1.5f, 30), size = d * b.r.log_in(0.02f, 0.25f);
        V3 p = v3(b.r.gauss() * d * 0.5f, b.r.in(0, 0.7f) * d, -d);
        auto k = b.tilted(p, b.r.in(0, 6.28f), b.r.in(0, 6.28f));
        int m = stuff(b);
        V3 half = v3(size * b.r.in(0.1f, 1), size * b.r.in(0.1f, 1), size * b.r.in(0.1f, 1));
        if (b.r.chance(0.1f)) gadget(b, size);
        else b.put(b.r.pick({BOX, BALL, FRUSTUM, ROUNDBOX, PRISM, TORUS, LEAVES, CARD, FRUSTUM, BOX}), v3(0.0f), half, b.r.chance(0.85f) ? m : cut(b, m, b.r.in_int(1, 10)), b.r.in(0.0f, 1.0f));
    }
    for (int i = 0; i < 12; i++) b.floor_decal(v3(b.r.gauss() * 5, 0, -b.r.in(1, 15)), b.r.in(0, 6.28f), b.r.log_in(0.2f, 3), b.r.log_in(0.2f, 3), b.r.pick({TEXT, PICTURE, SHADE, STRIPES, ARROW, ROUND, CHECKER}), any_color(b.r), any_color(b.r));
    s = Shot{v3(-1, 0.3f, 0), v3(1, 3, 2), -0.5f, 0.2f, 0, 0.4f, 30, 100, v3(0.0f), false};
}

inline Shot place(Builder &b, int kind) {
    Shot s{v3(-1, 1.2f, -1), v3(1, 1.8f, 1), -0.35f, 0.15f, 0, 3.14159f, 40, 85, v3(0.0f), false};
    float w = 3;
    switch (kind) {
        case ROOM:
        case HALL: {
            Box2 r = kind == ROOM ? room(b) : hall(b);
            float m = fminf(0.35f, r.hx * 0.2f);
            s.lo = v3(-r.hx + m, 0.4f, -r.hz + m), s.hi = v3(r.hx - m, fminf(2.1f, r.h - 0.3f), r.hz - m);
            s.pitch_lo = -0.5f, s.pitch_hi = 0.2f, s.fov_lo = 45, s.fov_hi = 100;
            s.aim = b.r.chance(0.6f), s.target = v3(b.r.in(-0.5f, 0.5f) * r.hx, b.r.in(0.3f, 1.5f), b.r.in(-0.5f, 0.5f) * r.hz);
            break;
        }
        case STREET:
            street(b, w);
            s.lo = v3(-w, 0.5f, -30), s.hi = v3(w, b.r.chance(0.8f) ? 2.2f : 7.0f, 10), s.yaw_mid = b.r.chance(0.85f) ? 3.14159f : 1.57f, s.yaw_spread = 0.7f;
            s.pitch_lo = -0.25f, s.pitch_hi = 0.25f, s.fov_hi = 100;
            break;
        case VILLAGE:
            village(b, b.r.in(10, 30));
            if (b.w.field0 < 0 && b.r.chance(0.12f)) ridges(b);
            s.lo = v3(-14, 0.6f, -14), s.hi = v3(14, b.r.chance(0.6f) ? 2.0f : 12.0f, 14), s.pitch_lo = -0.35f, s.pitch_hi = 0.12f, s.aim = b.r.chance(0.4f);
            break;
        case FOREST:
            forest(b);
            s.lo = v3(-1.5f, 0.3f, -6), s.hi = v3(1.5f, 2.0f, 6), s.pitch_lo = -0.3f, s.pitch_hi = 0.4f;
            break;
        case MOUNTAIN:
            landscape(b);
            s.lo = v3(-40, 0.8f, -40), s.hi = v3(40, b.r.chance(0.5f) ? 2.0f : b.r.chance(0.6f) ? 20.0f : 120.0f, 40), s.pitch_lo = -0.3f, s.pitch_hi = 0.12f, s.yaw_spread = 0.6f, s.fov_lo = 30;
            break;
        case FIELD_ROAD: {
            bool road = b.r.chance(0.6f);
            field(b, road);
            if (b.w.field0 < 0 && b.r.chance(0.6f)) ridges(b);
            s.lo = v3(road ? -2.0f : -10.0f, 0.5f, -20), s.hi = v3(road ? 2.0f : 10.0f, b.r.chance(0.7f) ? 2.0f : 12.0f, 20), s.pitch_lo = -0.25f, s.pitch_hi = 0.12f, s.fov_lo = 30;
            if (road && b.r.chance(0.7f)) s.yaw_spread = 0.4f;
            break;
        }
        case WATERSIDE:
            if (b.r.chance(0.7f)) {
                far_shore(b);
                s.lo = v3(-2, 0.6f, -2), s.hi = v3(2, b.r.chance(0.8f) ? 2.6f : 8.0f, 2), s.pitch_lo = -0.22f, s.pitch_hi = 0.12f, s.yaw_spread = 0.6f, s.fov_lo = 30, s.fov_hi = 80;
                break;
            }
            waterside(b);
            s.lo = v3(-12, 0.5f, -12), s.hi = v3(12, b.r.chance(0.6f) ? 2.5f : 20.0f, 12), s.pitch_lo = -0.3f, s.pitch_hi = 0.12f;
            break;
        case TABLE_TOP: table_top(b, s); break;
        case PEOPLE: people(b, s); break;
        case SHELVES: shelves(b, s); break;
        case ABOVE:
            city_from_above(b);
            s.lo = v3(-40, 12, -40), s.hi = v3(40, 110, 40), s.pitch_lo = -1.3f, s.pitch_hi = -0.1f;
            break;
        case GARDEN:
            garden(b);
            s.lo = v3(-5, 0.5f, -2), s.hi = v3(5, 2.2f, 8), s.pitch_lo = -0.35f, s.pitch_hi = 0.15f, s.aim = b.r.chance(0.5f), s.target = v3(0, 1, -4);
            break;
        default: clutter(b, s);
    }
    return s;
}
