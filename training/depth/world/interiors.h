// Rooms and halls.
#pragma once
#include "buildings.h"
#include "weather.h"

inline int floor_mat(Builder &b) {
    V3 w = wood_color(b.r), s = stone_color(b.r);
    int m;
    switch (b.r.below(6)) {
        case 0: m = b.mat(w, w * 0.6f, PLANKS, b.r.in(5, 14)); break;
        case 1: m = b.mat(s, gray(b.r.in(0.2f, 0.8f)), TILES, b.r.log_in(1.2f, 5.0f)); break;
        case 2: m = b.mat(any_color(b.r), any_color(b.r), b.r.chance(0.5f) ? FABRIC : SPECKLE, b.r.in(1, 6)); break;
        case 3: m = b.mat(s, s * b.r.in(0.2f, 0.8f), CHECKER, b.r.in(1, 4)); break;
        case 4: m = b.mat(s, gray(0.9f), MARBLE, 1.0f); break;
        default: m = b.mat(w, w * 0.5f, PLANKS, b.r.in(5, 14));
    }
    if (b.of(m).pattern != FABRIC && b.r.chance(0.7f)) shiny(b, m, b.r.in(0.1f, 0.8f), b.r.in(0.2f, 0.97f));
    if (b.of(m).spec > 0.4f && b.r.chance(0.4f)) b.of(m).mirror = b.r.in(0.05f, 0.3f);
    return m;
}
// One flat colour, as often white or the blue of a sky as any other.
inline int flat_paint(Builder &b) {
    float k = b.r.u();
    V3 c = k < 0.4f ? gray(b.r.in(0.6f, 1.0f)) : k < 0.65f ? hsv(b.r.in(0.5f, 0.66f), b.r.in(0.1f, 0.7f), b.r.in(0.45f, 0.97f)) : wall_color(b.r);
    return b.mat(c, c);
}
// Walls, floor and ceiling of a bare room or corridor: some of them the same.
inline void bare_shell(Builder &b, int &floor, int &ceiling, int &walls) {
    walls = flat_paint(b), ceiling = b.r.chance(0.45f) ? walls : flat_paint(b);
    if (b.r.chance(0.4f)) floor = b.r.chance(0.4f) ? walls : flat_paint(b);
}
inline int room_wall(Builder &b) {
    if (b.r.chance(0.7f)) return plaster(b);
    if (b.r.chance(0.4f)) return masonry(b);
    return b.mat(wall_color(b.r), wall_color(b.r), b.r.pick({STRIPES, FLORAL, PLANKS, PLAID, WOOD, TILES, BLOTCH, PICTURE}), b.r.log_in(1.0f, 8.0f));
}
// A wall of length 2 hw along x at z = 0, facing +z, with a hole for each opening, trim, and what hangs on it.
struct Opening {
    float x, y0, y1, half;
    bool door;
};
// What hides the sky in a window and is bright by itself: frosted panes, blinds, paper, curtains.
inline void covered(Builder &b, float x, float y, float half, float hh) {
    float k = b.r.u();
    if (k < 0.17f) {
        V3 c = b.r.chance(0.7f) ? gray(b.r.in(0.7f, 0.95f)) : hsv(b.r.u(), b.r.in(0.1f, 0.6f), 0.9f);
        int m = b.mat(c, c * 0.9f, b.r.pick({SOLID, SOLID, TILES, SPECKLE}), b.r.in(3, 9));
        b.box(v3(x, y, -0.12f), v3(half, hh, 0.004f), b.r.chance(0.75f) ? backlit(b, m) : m);
    } else if (k < 0.24f) {  // a roller blind, not always down
        V3 c = hsv(b.r.in(0.05f, 0.17f), b.r.in(0.0f, 0.4f), 0.9f);
        float down = hh * b.r.in(0.4f, 1.0f);
        b.box(v3(x, y + hh - down, -0.05f), v3(half, down, 0.003f), backlit(b, b.mat(c, c * 0.8f, b.r.pick({SOLID, FABRIC, STRIPES, FLORAL}), b.r.in(2, 9))));
        b.rod(v3(x - half, y + hh - 2 * down, -0.045f), v3(x + half, y + hh - 2 * down, -0.045f), 0.012f, 0.012f, b.mat(gray(0.8f)));
    } else if (k < 0.31f) {  // slats with light on them
        int m = backlit(b, b.mat(gray(b.r.in(0.6f, 0.95f))));
        bool upright = b.r.chance(0.3f);
        float step = b.r.in(0.035f, 0.07f), open = b.r.in(0.55f, 1.02f), lo = b.r.chance(0.6f) ? -1.0f : b.r.in(-0.8f, 0.5f);
        if (upright) for (float u = -half; u < half; u += 2 * step) b.box(v3(x + u + step, y, -0.06f), v3(step * open, hh, 0.003f), m);
        else for (float v = hh; v > lo * hh; v -= step) b.put(BOX, v3(x, y + v, -0.05f), v3(1, 0, 0), norm(v3(0, 1, 0.5f)), norm(v3(0, -0.5f, 1)), v3(half, 0.5f * step * open, 0.002f), m);
    } else if (k < 0.4f) {  // a white curtain over all of it
        V3 c = b.r.chance(0.8f) ? gray(b.r.in(0.75f, 0.97f)) : any_color(b.r);
        int m = backlit(b, b.mat(c, c * 0.85f, FABRIC, 5.0f));
        float fold = b.r.in(0.03f, 0.08f), gap = b.r.chance(0.4f) ? b.r.in(0.1f, 0.5f) * half : 0.0f;
        for (float u = -half * 1.1f; u < half * 1.1f; u += fold * 1.3f)
            if (fabsf(u) >= gap) b.tube(v3(x + u, y - 0.05f * hh, 0.06f + b.r.in(0, 0.02f)), fold, hh * 1.12f, m, b.r.in(0.8f, 1.0f));
    }
}
// Panels in a ceiling at height h, or a lit board on a wall.
inline void light_panels(Builder &b, float hx, float hz, float h) {
    int m = glow(b, b.r.chance(0.7f) ? gray(b.r.in(0.85f, 1.0f)) : hsv(b.r.in(0.05f, 0.6f), b.r.in(0.05f, 0.3f), 1.0f), b.r.log_in(0.8f, 6.0f)), rim = metal(b), nx = std::max(1, std::min(4, (int)(hx / 0.9f))), nz = std::max(1, std::min(8, (int)(hz / 0.9f)));
    float px = b.r.in(0.28f, 0.6f), pz = b.r.chance(0.5f) ? px : 0.15f;
    for (int i = 0; i < nx; i++)
        for (int j = 0; j < nz; j++) {
            V3 c = v3(hx * ((2 * i + 1.0f) / nx - 1), h, hz * ((2 * j + 1.0f) / nz - 1));
            b.box(c, v3(px, 0.012f, pz), m), b.box(c + v3(0, 0.004f, 0), v3(px + 0.02f, 0.012f, pz + 0.02f), rim);
        }
    V3 c = v3(b.of(m).a) * b.r.in(1, 4);
    for (int i = 0; i < 2; i++) b.lamp(v3(0, h - 0.35f, hz * (i - 0.5f)), 0.3f, c);
}
inline void wall(Builder &b, float hw, float h, int m, const std::vector<Opening> &holes, const Look &k) {
    float t = 0.1f, x = -hw;
    for (const Opening &o : holes) {
        if (o.x - o.half > x) b.block(v3(x, 0, -2 * t), v3(o.x - o.half, h, 0), m);
        if (o.y0 > 0.01f) b.block(v3(o.x - o.half, 0, -2 * t), v3(o.x + o.half, o.y0, 0), m);
        b.block(v3(o.x - o.half, o.y1, -2 * t), v3(o.x + o.half, h, 0), m);
        float f = 0.04f, mid = 0.5f * (o.y0 + o.y1), hh = 0.5f * (o.y1 - o.y0);
        for (int i = 0; i < 2; i++) b.box(v3(o.x + (i ? 1 : -1) * o.half, mid, 0.01f), v3(f, hh, 0.03f), k.trim);
        b.box(v3(o.x, o.y1, 0.01f), v3(o.half + f, f, 0.03f), k.trim);
        if (!o.door) {
            b.box(v3(o.x, o.y0, 0.04f), v3(o.half + 0.08f, 0.02f, 0.08f), k.trim);
            int nx = b.r.below(4), ny = b.r.below(4);
            for (int i = 1; i <= nx; i++) b.box(v3(o.x + o.half * (2.0f * i / (nx + 1) - 1), mid, -0.1f), v3(0.02f, hh, 0.02f), k.trim);
            for (int i = 1; i <= ny; i++) b.box(v3(o.x, o.y0 + 2 * hh * i / (ny + 1), -0.1f), v3(o.half, 0.02f, 0.02f), k.trim);
            if (b.r.chance(0.35f)) {
                auto s = b.at(v3(o.x + (b.r.chance(0.5f) ? 1 : -1) * o.half * 1.1f, fmaxf(o.y0 - 0.6f, 0.02f), 0.04f));
                curtain(b, b.r.in(0.2f, 0.5f), fminf(o.y1 + 0.15f, h) - fmaxf(o.y0 - 0.6f, 0.02f));
            }
            if (b.r.chance(0.2f))  // blinds
                for (float y = o.y1; y > o.y0 + hh * b.r.in(0.0f, 1.0f); y -= 0.05f) b.box(v3(o.x, y, -0.03f), v3(o.half, 0.003f, 0.022f), k.trim);
            covered(b, o.x, mid, o.half, hh);
        } else if (b.r.chance(0.75f)) {
            auto s = b.at(v3(o.x - o.half, 0, -0.05f), b.r.chance(0.6f) ? 0.0f : b.r.in(0.2f, 1.5f));
            int door = wood(b);
            b.box(v3(o.half, mid, 0), v3(o.half, hh, 0.025f), door);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++) b.box(v3(o.half * (i ? 1.45f : 0.55f), o.y0 + 2 * hh * (j ? 0.72f : 0.3f), 0.02f), v3(o.half * 0.32f, hh * 0.3f, 0.012f), door);
            b.ball(v3(o.half * 1.85f, 1.0f, 0.06f), 0.03f, metal(b));
        }
        x = o.x + o.half;
    }
    if (x < hw) b.block(v3(x, 0, -2 * t), v3(hw, h, 0), m);
    if (b.r.chance(0.7f)) b.box(v3(0, 0.05f, 0.01f), v3(hw, b.r.in(0.03f, 0.08f), 0.012f), k.trim);
    if (b.r.chance(0.3f)) b.box(v3(0, h - 0.04f, 0.03f), v3(hw, 0.04f, 0.03f), k.trim);
    if (b.r.chance(0.15f)) b.box(v3(0, 0.45f, 0.0f), v3(hw, 0.45f, 0.015f), b.r.chance(0.5f) ? k.trim : wood(b));
    if (b.r.chance(0.06f)) b.box(v3(0, h * 0.5f, 0.0f), v3(hw, h * 0.5f, 0.008f), mirror(b));
}
inline bool free_of(const std::vector<Opening> &holes, float x, float half) {
    for (const Opening &o : holes)
        if (fabsf(o.x - x) < o.half + half + 0.08f) return false;
    return true;
}
inline void hang_on_wall(Builder &b, float hw, float h, const std::vector<Opening> &holes) {
    int n = b.r.in_int(0, 6);
    for (int i = 0; i < n; i++) {
        float half = b.r.log_in(0.1f, 0.6f), hh = half * b.r.in(0.6f, 1.6f), x = b.r.in(-hw + half, hw - half), y = b.r.in(1.2f, fmaxf(1.3f, h - 0.6f));
        if (!free_of(holes, x, half)) continue;
        auto s = b.at(v3(x, y, 0.0f));
        switch (b.r.below(10)) {
            case 9: framed(b, half, hh, backlit(b, b.mat(gray(0.9f), any_color(b.r), b.r.pick({SOLID, SOLID, TEXT, PICTURE})), false), metal(b)); break;
            case 0: framed(b, half, hh, mirror(b), b.r.chance(0.5f) ? wood(b) : metal(b)); break;
            case 1: framed(b, half, half * 0.4f, b.mat(any_color(b.r), any_color(b.r), TEXT), wood(b)); break;
            case 2: b.card(v3(0, 0, 0.03f), v3(1, 0, 0), v3(0, 1, 0), half, hh * 1.5f, cut(b, b.mat(wood_color(b.r) * 0.4f), SCROLL)); break;
            case 3: {  // a board with things
                b.box(v3(0, 0, 0.1f), v3(half, 0.015f, 0.1f), wood(b));
                auto t = b.at(v3(0, 0.015f, 0.1f));
                scatter_on(b, half * 0.8f, 0.03f, 0, b.r.in_int(1, 5), 0.08f, 0.25f);
                break;
            }
            case 4: {
                auto q = b.tilted(v3(0, 0, 0.03f), 1.5708f, 0.0f);
                b.tube(v3(0.0f), half * 0.6f, 0.03f, plastic(b));
                break;
            }
            case 5: b.decal(v3(0.0f), v3(1, 0, 0), v3(0, 1, 0), half, hh, b.r.pick({PICTURE, TEXT, CHECKER, PUDDLE, CRACK}), any_color(b.r), any_color(b.r), 1.0f, 0.04f); break;
            case 6: {
                V3 c = hsv(b.r.u(), b.r.u(), 1.0f);
                b.soft(v3(0, 0, 0.08f), v3(0.08f, 0.14f, 0.07f), glow(b, c, 4.0f), 0.8f);
                b.lamp(v3(0, 0, 0.28f), 0.07f, c * b.r.in(0.2f, 2.0f));
                break;
            }
            default: framed(b, half, hh, b.mat(any_color(b.r), any_color(b.r), PICTURE), b.r.chance(0.6f) ? wood(b) : metal(b));
        }
    }
}
inline void against_wall(Builder &b, float room, int kind) {  // frame: on the floor, wall behind at z = 0
    float w;
    switch (kind) {
        case 0: { auto s = b.at(v3(0, 0, 0.55f)); return sofa(b, fminf(room, b.r.in(0.5f, 1.1f))); }
        case 1: { auto s = b.at(v3(0, 0, 1.15f)); return bed(b); }
        case 2: w = fminf(room, b.r.in(0.35f, 1.2f)); { auto s = b.at(v3(0, 0, 0.18f)); return shelf(b, w, b.r.in(0.8f, 2.2f), 0.16f); }
        case 3: w = fminf(room, b.r.in(0.4f, 1.1f)); { auto s = b.at(v3(0, 0, 0.28f)); return cabinet(b, w, b.r.in(0.4f, 1.2f), 0.25f); }
        case 4: {
            auto s = b.at(v3(0, 0, 0.3f));
            float h = b.r.in(0.35f, 0.6f);
            b.box(v3(0, h * 0.5f, 0), v3(0.8f, h * 0.5f, 0.22f), wood(b));
            auto t = b.at(v3(0, h, 0));
            return television(b, b.r.in(0.4f, 0.75f));
        }
        case 5: { auto s = b.at(v3(0, 0, 0.4f)); table(b, fminf(room, b.r.in(0.5f, 0.9f)), 0.35f, 0.75f); auto t = b.at(v3(0, 0, 0.55f), 3.14f + b.r.in(-0.5f, 0.5f)); return chair(b); }
        case 6: { auto s = b.at(v3(0, 0, 0.3f)); return piano(b); }
        case 7: return kitchen_row(b, fminf(room, b.r.in(0.9f, 2.2f)));
        case 8: { auto s = b.at(v3(0, 0, 0.3f)); return plant(b, b.r.in(0.6f, 1.6f)); }
        case 9: { auto s = b.at(v3(0, 0, 0.25f)); return floor_lamp(b); }
        case 10: b.box(v3(0, 1.0f, 0.3f), v3(fminf(room, b.r.in(0.4f, 1.0f)), b.r.in(0.9f, 1.15f), 0.29f), b.r.chance(0.6f) ? wood(b) : mirror(b)); return;
        case 11: {  // fireplace or stove
            int m = masonry(b);
            b.block(v3(-0.8f, 0, 0), v3(-0.45f, 1.1f, 0.4f), m), b.block(v3(0.45f, 0, 0), v3(0.8f, 1.1f, 0.4f), m), b.block(v3(-0.9f, 1.1f, 0), v3(0.9f, 1.25f, 0.48f), wood(b));
            b.block(v3(-0.45f, 0, 0), v3(0.45f, 1.1f, 0.06f), b.mat(gray(0.07f)));
            if (b.r.chance(0.4f)) b.ball(v3(0, 0.2f, 0.2f), v3(0.2f, 0.16f, 0.1f), glow(b, v3(1.0f, 0.35f, 0.05f), 5.0f)), b.lamp(v3(0, 0.3f, 0.55f), 0.1f, v3(1.5f, 0.6f, 0.15f));
            scatter_on(b, 0.7f, 0.1f, 1.25f, b.r.in_int(1, 6), 0.1f, 0.4f);
            return;
        }
        default: { auto s = b.at(v3(0, 0, 0.5f), b.r.in(-0.4f, 0.4f)); return chair(b); }
    }
}
inline float wall_need(int kind) {
    const float need[13] = {1.2f, 1.0f, 0.8f, 0.8f, 0.85f, 0.8f, 0.8f, 1.4f, 0.4f, 0.3f, 0.6f, 0.9f, 0.35f};
    return need[kind];
}
struct Box2 {
    float hx, hz, h;
};
inline Box2 room(Builder &b) {
    bool windows = b.r.chance(0.75f);
    b.bare = b.r.chance(0.2f);
    float full = b.bare ? b.r.in(0.0f, 0.4f) : 1.0f;  // how much furniture
    indoor_light(b, windows);
    if (b.bare) b.w.indoor = 2;
    float hx = b.r.log_in(1.3f, 4.5f), hz = b.r.log_in(1.5f, 5.0f), h = b.r.in(2.25f, 3.4f);
    Look k = look_of(b, false);
    int fl = floor_mat(b), ceiling = b.r.chance(0.8f) ? b.mat(gray(b.r.in(0.75f, 0.97f))) : b.r.chance(0.5f) ? room_wall(b) : wood(b);
    int m = room_wall(b), accent = b.r.chance(0.35f) ? room_wall(b) : m;
    if (b.bare) {
        bare_shell(b, fl, ceiling, m);
        accent = b.r.chance(0.7f) ? m : flat_paint(b);
    }
    b.block(v3(-hx - 0.2f, -0.2f, -hz - 0.2f), v3(hx + 0.2f, 0, hz + 0.2f), fl);
    b.block(v3(-hx - 0.2f, h, -hz - 0.2f), v3(hx + 0.2f, h + 0.2f, hz + 0.2f), ceiling);
    for (int side = 0; side < 4; side++) {
        float len = side & 1 ? hz : hx, away = side & 1 ? hx : hz;
        auto s = b.at(v3(0.0f), 1.5708f * side);
        auto t = b.at(v3(0, 0, -away));
        std::vector<Opening> holes;
        float x = -len + b.r.in(0.2f, 1.0f);
        int n = b.r.below(3);
        for (int i = 0; i < n && x < len; i++) {
            bool door = b.r.chance(0.3f);
            float half = door ? b.r.in(0.38f, 0.55f) : b.r.in(0.3f, 1.1f);
            if (x + 2 * half > len - 0.1f) break;
            if (door || windows) holes.push_back(Opening{x + half, door ? 0.0f : b.r.chance(0.15f) ? 0.05f : b.r.in(0.7f, 1.1f), door ? b.r.in(1.95f, 2.15f) : b.r.in(1.8f, h - 0.15f), half, door});
            x += 2 * half + b.r.in(0.3f, 1.5f);
        }
        wall(b, len, h, side == 1 ? accent : m, holes, k);
        if (!b.bare || b.r.chance(full)) hang_on_wall(b, len, h, holes);
        float at = -len + 0.1f;
        int theme = b.r.below(13);
        while (at < len - 0.4f) {
            int kind = b.r.chance(0.3f) ? theme : b.r.below(13);
            float need = wall_need(kind);
            if (at + 2 * need > len) {
                kind = b.r.pick({8, 9, 12}), need = 0.35f;
                if (at + 2 * need > len) break;
            }
            float c = at + need;
            bool blocked = false;
            for (const Opening &o : holes)
                if (o.door && fabsf(o.x - c) < o.half + need) blocked = true;
            if (!blocked && b.r.chance(0.72f * full)) {
                auto q = b.at(v3(c, 0, 0.02f));
                against_wall(b, need - 0.05f, kind);
            }
            at += 2 * need + b.r.in(0.0f, 0.7f);
        }
    }
    // what lies behind the windows and doors
    V3 ground = b.r.chance(0.6f) ? grass_color(b.r) : stone_color(b.r);
    b.box(v3(0, -0.6f - (b.r.chance(0.3f) ? b.r.in(2, 12) : 0.0f), 0), v3(300, 0.2f, 300), b.mat(ground, ground * 0.6f, GRASS, 1.0f));
    Green g = greens(b);
    if (windows)
        for (int i = 0; i < 14; i++) {
            float a = b.r.in(0, 6.28f), d = hx + hz + b.r.log_in(3, 40);
            auto s = b.at(v3(cosf(a) * d, -0.4f, sinf(a) * d), a);
            if (b.r.chance(0.5f)) tree(b, b.r.in(3, 10), g, 1);
            else facade_block(b, b.r.in(3, 8), b.r.in(3, 8), b.r.in(3, 18), k, 0);
        }
    // the middle
    if (b.r.chance(0.55f * full)) b.floor_decal(v3(b.r.in(-0.4f, 0.4f) * hx, 0, b.r.in(-0.4f, 0.4f) * hz), b.r.in(-0.2f, 0.2f), hx * b.r.in(0.3f, 0.7f), hz * b.r.in(0.3f, 0.7f), b.r.pick({RUG, RUG, PICTURE, CHECKER, SOLID, TEXT, ROUND}), any_color(b.r), any_color(b.r));
    int n = (int)(b.r.in_int(0, 6) * full);
    for (int i = 0; i < n; i++) {
        auto s = b.at(v3(b.r.in(-0.6f, 0.6f) * hx, 0, b.r.in(-0.6f, 0.6f) * hz), b.r.in(0, 6.28f));
        switch (b.r.below(9)) {
            case 0: {
                float tx = b.r.in(0.4f, 0.9f), tz = b.r.in(0.35f, 0.6f);
                table(b, tx, tz, b.r.in(0.68f, 0.78f));
                int seats = b.r.in_int(1, 6);
                for (int j = 0; j < seats; j++) {
                    float sx = (j & 1 ? 1 : -1), px = tx * b.r.in(-0.8f, 0.8f);
                    auto q = b.at(v3(px, 0, sx * (tz + b.r.in(0.05f, 0.3f))), (sx > 0 ? 3.14159f : 0.0f) + b.r.in(-0.4f, 0.4f));
                    chair(b);
                }
                break;
            }
            case 1: table(b, b.r.in(0.3f, 0.65f), b.r.in(0.25f, 0.45f), b.r.in(0.32f, 0.5f)); break;
            case 2: sofa(b, b.r.in(0.4f, 1.0f)); break;
            case 3: b.soft(v3(0, 0.2f, 0), v3(b.r.in(0.25f, 0.5f), 0.2f, b.r.in(0.25f, 0.5f)), leather(b), b.r.in(0.2f, 0.9f)); break;
            case 4: person(b, true, true); break;
            case 5: animal(b, b.r.in(0.3f, 0.8f)); break;
            case 6: plant(b, b.r.in(0.4f, 1.4f)); break;
            case 7: small_thing(b, b.r.in(0.2f, 0.6f)); break;
            default: chair(b);
        }
    }
    scatter_on(b, hx * 0.8f, hz * 0.8f, 0.0f, (int)(b.r.in_int(0, 8) * full), 0.08f, 0.4f);
    V3 light = hsv(b.r.in(0.07f, 0.15f), b.r.in(0.0f, 0.4f), 1.0f);
    if (b.r.chance(0.2f)) light = hsv(b.r.u(), b.r.in(0.4f, 1.0f), 1.0f);
    int lights = b.r.in_int(windows ? 0 : 1, 3);
    for (int i = 0; i < lights; i++) {
        auto s = b.at(v3(b.r.in(-0.6f, 0.6f) * hx, h, b.r.in(-0.6f, 0.6f) * hz), b.r.in(0, 6.28f));
        ceiling_light(b, light, b.r.log_in(0.6f, 6.0f));
    }
    if (b.r.chance(0.08f)) light_panels(b, hx, hz, h);
    if (b.r.chance(0.15f))
        for (int i = 0; i < 5; i++) b.box(v3(0, h - 0.08f, hz * (0.4f * i - 0.8f)), v3(hx, 0.08f, 0.08f), k.trim);  // beams
    if (b.r.chance(0.15f)) wire(b, v3(-hx, h - 0.2f, b.r.in(-hz, hz)), v3(hx, h - 0.3f, b.r.in(-hz, hz)), 0.3f, 0.008f, metal(b));
    return Box2{hx, hz, h};
}
// Corridors, churches, stations, warehouses, museums, shops.
inline Box2 hall(Builder &b) {
    bool windows = b.r.chance(0.5f);
    b.bare = b.r.chance(0.2f);
    indoor_light(b, windows);
    if (b.bare) b.w.indoor = 2;
    float hx = b.r.log_in(1.1f, 12.0f), hz = b.r.log_in(6.0f, 35.0f), h = hx < 2.0f ? b.r.in(2.3f, 3.2f) : b.r.in(3.0f, 12.0f);
    Look k = look_of(b, false);
    int fl = floor_mat(b), m = room_wall(b), ceiling = b.r.chance(0.5f) ? m : room_wall(b), post = b.r.chance(0.5f) ? m : masonry(b);
    if (b.bare) bare_shell(b, fl, ceiling, m);
    b.block(v3(-hx - 0.2f, -0.2f, -hz - 0.2f), v3(hx + 0.2f, 0, hz + 0.2f), fl);
    b.block(v3(-hx - 0.2f, h, -hz - 0.2f), v3(hx + 0.2f, h + 0.3f, hz + 0.2f), ceiling);
    int bays = b.r.in_int(3, 9);
    for (int side = 0; side < 4; side++) {
        float len = side & 1 ? hz : hx, away = side & 1 ? hx : hz;
        auto s = b.at(v3(0.0f), 1.5708f * side);
        auto t = b.at(v3(0, 0, -away));
        std::vector<Opening> holes;
        int n = side & 1 ? bays : (int)(len / 2);
        bool door = b.r.chance(0.4f);
        for (int i = 0; i < n; i++)
            if (b.r.chance(0.7f) && (windows || door)) {
                float half = len / n * b.r.in(0.25f, 0.4f);
                if (door) half = fminf(half, 0.9f);
                holes.push_back(Opening{len * ((2 * i + 1.0f) / n - 1), door ? 0.0f : h * 0.3f, door ? fminf(2.2f, h - 0.1f) : h * 0.85f, half, door});
            }
        wall(b, len, h, m, holes, k);
        if (!b.bare) hang_on_wall(b, len, h, holes);
        if (hx > 1.6f && b.r.chance(0.5f) && !b.bare)
            for (float x = -len + 1; x < len - 1; x += b.r.in(1.5f, 4.0f)) {
                auto q = b.at(v3(x, 0, 0.02f));
                if (free_of(holes, x, 0.8f)) against_wall(b, 0.9f, b.r.pick({2, 3, 8, 12, 10, 5}));
            }
    }
    b.box(v3(0, -0.7f, 0), v3(300, 0.2f, 300), b.mat(grass_color(b.r)));
    if (hx > 3.0f && b.r.chance(0.7f))
        for (int i = 0; i < bays; i++)
            for (int j = 0; j < 2; j++) {
                auto s = b.at(v3((j ? 1 : -1) * hx * 0.6f, 0, hz * ((2 * i + 1.0f) / bays - 1)));
                column(b, b.r.in(0.12f, 0.4f), h, post);
            }
    if (b.r.chance(0.3f))
        for (int i = 0; i < bays; i++) {
            auto s = b.at(v3(0, 0, hz * ((2 * i + 1.0f) / bays - 1)));
            arch(b, hx * 0.9f, h * 0.4f, 0.25f, post);
        }
    int kind = b.r.below(5), n = b.bare ? b.r.below(3) : b.r.in_int(3, 40);
    for (int i = 0; i < n; i++) {
        float x = b.r.in(-0.85f, 0.85f) * hx, z = b.r.in(-0.95f, 0.95f) * hz;
        if (fabsf(x) < 0.5f && hx < 2) continue;
        auto s = b.at(v3(x, 0, z), kind == 1 ? 0.0f : b.r.in(0, 6.28f));
        switch (kind) {
            case 0: if (b.r.chance(0.6f)) person(b); else small_thing(b, b.r.in(0.3f, 1.2f)); break;
            case 1: { auto q = b.at(v3(0, 0, -z + floorf(z / 1.1f) * 1.1f)); bench(b); break; }  // pews
            case 2: shelf(b, b.r.in(0.6f, 1.5f), b.r.in(1.2f, 2.2f), 0.25f); break;
            case 3: table(b, 0.5f, 0.4f, 0.74f); { auto q = b.at(v3(0, 0, 0.6f), 3.14f); chair(b); } break;
            default: street_thing(b);
        }
        if (b.prims.size() > 2600) break;
    }
    V3 light = b.r.chance(0.7f) ? hsv(b.r.in(0.07f, 0.15f), b.r.in(0.0f, 0.4f), 1.0f) : hsv(b.r.u(), b.r.in(0.3f, 1.0f), 1.0f);
    int lights = b.r.in_int(2, 7);
    for (int i = 0; i < lights; i++) {
        auto s = b.at(v3(0, h, hz * (1.8f * (i + 0.5f) / lights - 0.9f)), 0.0f);
        ceiling_light(b, light, b.r.in(0.4f, 1.5f) * h * h * 0.5f);
    }
    if (b.r.chance(0.2f)) light_panels(b, hx, hz, h);
    if (b.r.chance(0.3f)) b.floor_decal(v3(0, 0, 0), 0, hx * 0.4f, hz * 0.9f, b.r.pick({RUG, STRIPES, SOLID}), any_color(b.r), any_color(b.r));
    if (b.r.chance(0.3f)) for (int i = 0; i < 5; i++) b.rod(v3(hx * b.r.in(-0.9f, 0.9f), h - 0.15f, -hz), v3(hx * b.r.in(-0.9f, 0.9f), h - 0.15f, hz), 0.05f, 0.05f, metal(b));
    return Box2{hx, hz, h};
}
