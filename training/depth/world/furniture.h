// Things inside houses. Each stands at the frame's origin, on y = 0, and faces +z.
#pragma once
#include "paint.h"

inline void legs(Builder &b, float hx, float hz, float height, float thick, int m) {
    bool round = b.r.chance(0.5f);
    float splay = b.r.chance(0.4f) ? b.r.in(0.0f, 0.06f) : 0.0f;
    for (int i = 0; i < 4; i++) {
        float x = (i & 1 ? 1 : -1) * (hx - thick), z = (i & 2 ? 1 : -1) * (hz - thick);
        if (round || splay > 0.0f)
            b.rod(v3(x * (1 + splay), 0, z * (1 + splay)), v3(x, height, z), thick * 0.6f, thick, m);
        else
            b.box(v3(x, height * 0.5f, z), v3(thick, height * 0.5f, thick), m);
    }
}
inline void chair(Builder &b) {
    int frame = b.r.chance(0.6f) ? wood(b) : metal(b), seat = b.r.chance(0.5f) ? frame : fabric(b);
    float h = b.r.in(0.4f, 0.5f), w = b.r.in(0.19f, 0.26f), back = b.r.in(0.35f, 0.6f), t = b.r.in(0.012f, 0.03f);
    if (b.r.chance(0.2f)) {  // swivel chair
        b.tube(v3(0, h * 0.5f, 0), 0.03f, h * 0.5f, frame);
        for (int i = 0; i < 5; i++) {
            float a = 1.2566f * i;
            b.rod(v3(0, 0.1f, 0), v3(0.3f * cosf(a), 0.05f, 0.3f * sinf(a)), 0.025f, 0.02f, frame);
            b.ball(v3(0.3f * cosf(a), 0.03f, 0.3f * sinf(a)), 0.03f, frame);
        }
    } else
        legs(b, w, w, h, t, frame);
    b.soft(v3(0, h, 0), v3(w, b.r.in(0.02f, 0.05f), w), seat, 0.7f);
    int style = b.r.below(4);
    if (style == 0)
        b.soft(v3(0, h + back * 0.6f, -w), v3(w, back * 0.42f, 0.03f), seat, 0.6f);
    else {
        for (int i = 0; i < 2; i++) b.rod(v3(i ? w - t : t - w, h, t - w), v3(i ? w - t : t - w, h + back, -w), t, t, frame);
        int bars = b.r.in_int(2, 5);
        for (int i = 0; i < bars; i++) {
            float k = (i + 0.7f) / bars;
            if (style == 1)
                b.box(v3(0, h + back * k, -w), v3(w, 0.025f, 0.01f), frame);
            else
                b.rod(v3(w * (2 * k - 1.1f), h, -w), v3(w * (2 * k - 1.1f), h + back, -w), 0.009f, 0.009f, frame);
        }
        b.box(v3(0, h + back, -w), v3(w, 0.04f, 0.015f), frame);
    }
    if (b.r.chance(0.25f))
        for (int i = 0; i < 2; i++) {
            float x = i ? w : -w;
            b.box(v3(x, h + 0.22f, 0), v3(t, t, w), frame);
            b.box(v3(x, h + 0.11f, w - t), v3(t, 0.11f, t), frame);
        }
}
inline void cup(Builder &b, float s) {
    int m = b.r.chance(0.7f) ? ceramic(b) : b.r.chance(0.5f) ? glassy(b) : clear_glass(b);
    float r = s * b.r.in(0.3f, 0.5f), h = s * b.r.in(0.4f, 0.7f);
    b.tube(v3(0, h, 0), r * b.r.in(0.6f, 1.0f), h, m, b.r.in(0.9f, 1.4f));
    if (b.r.chance(0.5f)) b.ring(v3(r * 1.1f, h, 0), v3(0, 0, 1), h * 0.6f, h * 0.12f, m);
}
inline void bottle(Builder &b, float s) {
    int m = b.r.chance(0.6f) ? b.r.chance(0.6f) ? glassy(b) : clear_glass(b) : plastic(b);
    float r = s * b.r.in(0.25f, 0.4f), h = s * b.r.in(0.8f, 1.3f);
    b.tube(v3(0, h * 0.5f, 0), r, h * 0.5f, m);
    b.tube(v3(0, h * 1.2f, 0), r, h * 0.2f, m, 0.35f);
    b.tube(v3(0, h * 1.55f, 0), r * 0.35f, h * 0.2f, m);
    if (b.r.chance(0.5f)) b.tube(v3(0, h * 0.5f, 0), r * 1.01f, h * 0.25f, b.mat(any_color(b.r), any_color(b.r), TEXT, 1.0f));
}
inline void bowl(Builder &b, float s) {
    b.tube(v3(0, s * 0.2f, 0), s * 0.35f, s * 0.2f, ceramic(b), 1.9f);
    int fruit = shiny(b, b.mat(hsv(b.r.in(0.0f, 0.3f), 0.8f, 0.8f), hsv(b.r.in(0.0f, 0.2f), 0.8f, 0.6f), BLOTCH, 9.0f), 0.4f, 0.5f);
    int n = b.r.in_int(0, 6);
    for (int i = 0; i < n; i++)
        b.ball(v3(s * b.r.in(-0.4f, 0.4f), s * b.r.in(0.42f, 0.6f), s * b.r.in(-0.4f, 0.4f)), v3(s * 0.2f, s * b.r.in(0.17f, 0.22f), s * 0.2f), fruit);
}
inline void goblet(Builder &b, float s) {
    int m = clear_glass(b), rim = shiny(b, b.mat(gray(b.r.in(0.4f, 0.95f))), 0.9f, 0.95f);
    float r = s * b.r.in(0.22f, 0.35f), h = s * b.r.in(0.3f, 0.5f), stem = b.r.chance(0.6f) ? s * b.r.in(0.3f, 0.6f) : s * 0.04f, open = b.r.in(0.8f, 1.5f), t = s * 0.012f;
    b.tube(v3(0, s * 0.015f, 0), r * 0.9f, s * 0.015f, m);
    if (stem > s * 0.1f) b.tube(v3(0, stem * 0.5f, 0), s * 0.035f, stem * 0.5f, m);
    b.tube(v3(0, stem + h, 0), r, h, m, open);
    b.ring(v3(0, stem + 2 * h, 0), v3(0, 1, 0), r * open, t, rim);
    if (b.r.chance(0.5f)) b.tube(v3(0, stem + h * 0.5f, 0), r * 0.94f, h * b.r.in(0.2f, 0.48f), shiny(b, b.mat(hsv(b.r.u(), b.r.in(0.2f, 0.9f), b.r.in(0.2f, 0.9f))), 0.6f, 0.9f), 1.0f + 0.3f * (open - 1.0f));
}
inline void books(Builder &b, float s) {
    float y = 0;
    int n = b.r.in_int(1, 6);
    for (int i = 0; i < n; i++) {
        float t = s * b.r.in(0.05f, 0.2f);
        auto k = b.at(v3(0, y, 0), b.r.in(-0.4f, 0.4f));
        b.box(v3(0, t, 0), v3(s * b.r.in(0.4f, 0.6f), t, s * b.r.in(0.5f, 0.8f)), b.mat(any_color(b.r), any_color(b.r), b.r.chance(0.5f) ? TEXT : SOLID));
        y += 2 * t;
    }
}
inline void plant(Builder &b, float s) {
    int pot = b.r.chance(0.7f) ? ceramic(b) : wood(b), leaf = leaves(b), stem = wood(b);
    float h = s * b.r.in(0.3f, 0.5f);
    b.tube(v3(0, h * 0.5f, 0), s * 0.2f, h * 0.5f, pot, b.r.in(1.0f, 1.5f));
    int kind = b.r.below(3), n = b.r.in_int(9, 34);
    int blade = cut(b, b.mat(v3(b.of(leaf).a), v3(b.of(leaf).b), LEAF, 1.0f), kind == 1 ? FERN : LEAF_SHAPE);
    if (kind == 2) b.put(LEAVES, v3(0, h + s * 0.5f, 0), v3(s * 0.45f, s * 0.5f, s * 0.45f), leaf, b.r.in(0.0f, 0.6f));
    for (int i = 0; i < n; i++) {
        float a = b.r.in(0, 6.283f), lean = b.r.in(0.1f, 0.9f), l = s * b.r.in(0.3f, 0.9f);
        V3 d = norm(v3(cosf(a) * lean, 1.1f - lean * 0.7f, sinf(a) * lean)), from = v3(0, h, 0) + d * (l * b.r.in(0.3f, 0.8f));
        if (b.r.chance(0.5f)) b.rod(v3(0, h * 0.9f, 0), from, s * 0.008f, s * 0.006f, stem);
        V3 up = norm(d - v3(0, b.r.in(0.0f, 1.2f), 0));
        b.card(from + up * (l * 0.25f), v3(-sinf(a), 0, cosf(a)) + v3(0, b.r.in(-0.5f, 0.5f), 0), up, l * b.r.in(0.06f, 0.16f), l * 0.35f, blade);
    }
}
inline void vase(Builder &b, float s) {
    int m = ceramic(b);
    b.tube(v3(0, s * 0.3f, 0), s * 0.2f, s * 0.3f, m, b.r.in(0.4f, 1.6f));
    b.tube(v3(0, s * 0.68f, 0), s * 0.12f, s * 0.1f, m, b.r.in(0.8f, 1.4f));
    int flower = b.mat(any_color(b.r), any_color(b.r), LEAF, 2.0f), stem = b.mat(leaf_color(b.r)), n = b.r.in_int(0, 14);
    for (int i = 0; i < n; i++) {
        V3 p = v3(b.r.in(-0.35f, 0.35f), b.r.in(1.0f, 1.5f), b.r.in(-0.35f, 0.35f)) * s;
        b.rod(v3(0, s * 0.7f, 0), p, s * 0.01f, s * 0.008f, stem);
        b.put(LEAVES, p, v3(s * b.r.in(0.05f, 0.12f)), flower, 1.0f);
    }
}
inline void laptop(Builder &b, float s) {
    int m = metal(b), screen = b.mat(any_color(b.r), any_color(b.r), SCREEN);
    b.of(screen).emit = b.r.in(0.3f, 2.0f);
    b.box(v3(0, s * 0.02f, 0), v3(s * 0.6f, s * 0.02f, s * 0.4f), m);
    auto k = b.tilted(v3(0, s * 0.04f, -s * 0.4f), b.r.in(-0.5f, 0.1f), 0.0f);
    b.box(v3(0, s * 0.38f, 0), v3(s * 0.6f, s * 0.38f, s * 0.015f), m);
    b.card(v3(0, s * 0.38f, s * 0.017f), v3(1, 0, 0), v3(0, 1, 0), s * 0.56f, s * 0.34f, screen);
}
inline void table_lamp(Builder &b, float s) {
    int m = b.r.chance(0.5f) ? metal(b) : ceramic(b);
    V3 c = hsv(b.r.in(0.05f, 0.15f), b.r.in(0.1f, 0.6f), 0.95f);
    bool lit = b.r.chance(0.5f);
    int shade = lit ? glow(b, c, b.r.in(1.0f, 5.0f)) : fabric(b);
    b.tube(v3(0, s * 0.05f, 0), s * 0.25f, s * 0.05f, m, 0.7f);
    b.tube(v3(0, s * 0.5f, 0), s * 0.04f, s * 0.5f, m);
    b.tube(v3(0, s * 1.05f, 0), s * 0.4f, s * 0.25f, shade, b.r.in(0.5f, 0.95f));
    if (lit) b.lamp(v3(0, s * 1.4f, 0), 0.06f, c * b.r.in(0.4f, 2.0f));
}
inline void gadget(Builder &b, float s) {  // many parts, no name
    int n = b.r.in_int(2, 9);
    float y = 0;
    for (int i = 0; i < n; i++) {
        int m = stuff(b);
        float h = s * b.r.in(0.05f, 0.3f), w = s * b.r.in(0.08f, 0.45f);
        V3 c = v3(s * b.r.in(-0.25f, 0.25f), y + h, s * b.r.in(-0.25f, 0.25f));
        switch (b.r.below(6)) {
            case 0: b.box(c, v3(w, h, w * b.r.in(0.3f, 1.0f)), m); break;
            case 1: b.tube(c, w, h, m, b.r.in(0.0f, 1.3f)); break;
            case 2: b.ball(c, v3(w, h, w), m); break;
            case 3: b.ring(c, v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), w, w * b.r.in(0.08f, 0.3f), m); break;
            case 4: b.soft(c, v3(w, h, w * b.r.in(0.4f, 1.0f)), m, b.r.in(0.2f, 1.0f)); break;
            default: b.rod(v3(c.x, 0, c.z), v3(b.r.in(-0.5f, 0.5f), b.r.in(0.4f, 1.4f), b.r.in(-0.5f, 0.5f)) * s, s * 0.03f, s * 0.02f, m);
        }
        if (b.r.chance(0.7f)) y += 2 * h;
    }
}
// Of a hand's breadth and less: what lies about on cloths and carpets.
inline void trinket(Builder &b, float s) {
    int m = stuff(b);
    switch (b.r.below(11)) {
        case 0: return b.tube(v3(0, s * 0.06f, 0), s * 0.4f, s * 0.06f, metal(b));
        case 1: return b.ball(v3(0, s * 0.3f, 0), s * 0.3f, b.r.chance(0.4f) ? clear_glass(b) : m);
        case 2: return b.rod(v3(-s, s * 0.06f, 0), v3(s, s * 0.06f, 0), s * 0.06f, s * b.r.in(0.01f, 0.06f), m);
        case 3: return b.rod(v3(-s, s * 0.05f, 0), v3(s * 0.5f, s * 0.04f, 0), s * 0.04f, s * 0.05f, m), b.ball(v3(s * 0.8f, s * 0.08f, 0), v3(s * 0.32f, s * 0.07f, s * 0.2f), m);
        case 4: return b.soft(v3(0, s * 0.3f, 0), v3(s * 0.3f), m, b.r.in(0.1f, 0.5f));
        case 5: return b.ring(v3(0, s * 0.07f, 0), v3(b.r.in(-0.1f, 0.1f), 1, 0), s * 0.5f, s * b.r.in(0.04f, 0.12f), m);
        case 6: return b.tube(v3(0, s * 0.1f, 0), s * 0.6f, s * 0.1f, ceramic(b), b.r.in(1.0f, 1.5f));
        case 7: {
            auto k = b.at(v3(0.0f), b.r.in(0, 3));
            b.box(v3(0, s * 0.04f, 0), v3(s * 0.7f, s * 0.04f, s * 0.5f), b.mat(any_color(b.r), any_color(b.r), b.r.pick({TEXT, PICTURE, SOLID}), 2.0f));
            return;
        }
        case 8: return b.card(v3(0, s * 0.03f, 0), v3(1, b.r.in(-0.2f, 0.2f), 0), v3(b.r.gauss(), 0.1f, 1), s * 0.4f, s * 0.7f, cut(b, b.mat(leaf_color(b.r), leaf_color(b.r), LEAF, 2.0f), LEAF_SHAPE));
        case 9: return goblet(b, s * 1.5f);
        default: return gadget(b, s);
    }
}
inline void animal(Builder &b, float s) {
    V3 c = b.r.chance(0.7f) ? hsv(b.r.in(0.03f, 0.12f), b.r.in(0.0f, 0.7f), b.r.in(0.1f, 0.9f)) : any_color(b.r);
    int m = b.mat(c, c * b.r.in(0.2f, 0.9f), b.r.pick({BLOTCH, SOLID, WILD}), 4.0f / s);
    float l = s * b.r.in(0.35f, 0.6f), leg = s * b.r.in(0.15f, 0.5f), fat = s * b.r.in(0.13f, 0.24f), top = leg + fat * 0.7f;
    int eye = shiny(b, b.mat(gray(0.06f)), 0.8f, 0.9f);
    b.ball(v3(0, top, 0), v3(fat * 0.9f, fat * 0.85f, l), m), b.ball(v3(0, top + fat * 0.1f, l * 0.5f), v3(fat, fat * 1.1f, l * 0.5f), m), b.ball(v3(0, top + fat * 0.05f, -l * 0.55f), v3(fat, fat, l * 0.45f), m);
    for (int i = 0; i < 4; i++) {
        bool hind = i & 2;
        float x = (i & 1 ? 1 : -1) * fat * 0.6f, z = hind ? -l * 0.7f : l * 0.65f, step = b.r.in(-0.1f, 0.1f) * s;
        V3 hip = v3(x * 0.95f, leg + fat * 0.5f, z), knee = v3(x, leg * 0.5f, z + step * 0.5f + (hind ? -0.12f : 0.05f) * leg), foot = v3(x, fat * 0.12f, z + step);
        b.rod(hip, knee, fat * (hind ? 0.45f : 0.36f), fat * 0.2f, m), b.ball(knee, fat * 0.2f, m), b.rod(knee, foot, fat * 0.19f, fat * 0.13f, m);
        b.ball(foot + v3(0, 0, fat * 0.08f), v3(fat * 0.17f, fat * 0.12f, fat * 0.24f), m);
    }
    V3 head = v3(b.r.in(-0.1f, 0.1f) * s, leg + fat * b.r.in(1.2f, 2.8f), l * b.r.in(0.95f, 1.3f));
    float ear = b.r.in(0.2f, 0.7f), snout = b.r.in(0.3f, 0.9f);
    b.rod(v3(0, leg + fat, l * 0.65f), head, fat * 0.65f, fat * 0.42f, m);
    auto k = b.at(head, b.r.in(-0.6f, 0.6f));
    b.ball(v3(0, 0, fat * 0.2f), v3(fat * 0.5f, fat * 0.48f, fat * 0.55f), m), b.rod(v3(0, -fat * 0.08f, fat * 0.4f), v3(0, -fat * 0.16f, fat * (0.6f + snout)), fat * 0.36f, fat * 0.2f, m);
    b.ball(v3(0, -fat * 0.12f, fat * (0.62f + snout)), fat * 0.12f, eye);
    for (int i = 0; i < 2; i++) {
        float x = (i ? 1 : -1) * fat;
        b.ball(v3(x * 0.3f, fat * 0.18f, fat * 0.58f), fat * 0.08f, eye);
        b.put(FRUSTUM, v3(x * 0.36f, fat * (0.4f + 0.4f * ear), fat * 0.05f), norm(v3(1, 0.3f * x / fat, 0)), norm(v3(-0.3f * x / fat, 1, 0)), v3(0, 0, 1), v3(fat * 0.18f, fat * ear * 0.6f, fat * 0.09f), m, 0.1f);
    }
    b.rod(v3(0, top - head.y + fat * 0.3f, -l * 0.95f - head.z), v3(b.r.in(-0.2f, 0.2f) * s, top - head.y + fat * b.r.in(-0.5f, 2.5f), -l * 1.5f - head.z), fat * 0.15f, fat * 0.05f, m);
}
// Something of about `s` metres that stands on tables, shelves and floors.
inline void small_thing(Builder &b, float s) {
    switch (b.r.below(13)) {
        case 11: return goblet(b, s);
        case 0: return cup(b, s);
        case 1: return bottle(b, s);
        case 2: return bowl(b, s);
        case 3: return books(b, s);
        case 4: return plant(b, s);
        case 5: return vase(b, s);
        case 6: return laptop(b, s * 1.2f);
        case 7: return table_lamp(b, s);
        case 8: return animal(b, s);
        case 9: {
            float w = s * b.r.in(0.2f, 0.6f), h = s * b.r.in(0.15f, 0.5f);
            return b.box(v3(0, h, 0), v3(w, h, s * b.r.in(0.2f, 0.5f)), stuff(b));
        }
        case 10: return b.ball(v3(0, s * 0.4f, 0), s * 0.4f, stuff(b));
        default: return gadget(b, s);
    }
}
inline void scatter_on(Builder &b, float hx, float hz, float y, int n, float lo, float hi) {
    for (int i = 0; i < n; i++) {
        auto k = b.at(v3(b.r.in(-hx, hx), y, b.r.in(-hz, hz)), b.r.in(0, 6.28f));
        small_thing(b, b.r.log_in(lo, hi));
    }
}
inline void table(Builder &b, float hx, float hz, float h) {
    int m = b.r.chance(0.7f) ? wood(b) : b.r.chance(0.5f) ? plastic(b) : shiny(b, b.mat(stone_color(b.r), stone_color(b.r), MARBLE, 2.0f), 0.6f, 0.9f);
    int style = b.r.below(4);
    float t = b.r.in(0.012f, 0.04f);
    if (style == 0) {
        b.tube(v3(0, h - t, 0), hx, t, m);
        b.tube(v3(0, h * 0.5f, 0), 0.05f, h * 0.5f, m);
        b.tube(v3(0, 0.02f, 0), hx * 0.5f, 0.02f, m);
    } else {
        b.box(v3(0, h - t, 0), v3(hx, t, hz), m);
        legs(b, hx * 0.96f, hz * 0.96f, h - 2 * t, b.r.in(0.015f, 0.045f), b.r.chance(0.7f) ? m : metal(b));
        if (style == 1) b.box(v3(0, h - 0.1f, 0), v3(hx * 0.9f, 0.06f, hz * 0.9f), m);
        if (style == 2) b.box(v3(0, h * 0.25f, 0), v3(hx * 0.9f, t, hz * 0.9f), m);
    }
    if (b.r.chance(0.25f)) b.box(v3(0, h + 0.003f, 0), v3(hx * 0.9f, 0.004f, hz * 0.9f), fabric(b));
    scatter_on(b, hx * 0.8f, hz * 0.8f, h, b.r.in_int(0, 7), 0.07f, 0.35f);
}
inline void sofa(Builder &b, float w) {
    int m = b.r.chance(0.5f) ? fabric(b) : leather(b), pillow = fabric(b);
    float seat = b.r.in(0.36f, 0.48f), deep = b.r.in(0.38f, 0.5f), back = b.r.in(0.3f, 0.55f), arm = b.r.in(0.08f, 0.2f), k = b.r.in(0.3f, 0.95f);
    b.soft(v3(0, seat * 0.5f, 0), v3(w, seat * 0.42f, deep), m, 0.4f);
    b.soft(v3(0, seat + back * 0.3f, -deep + 0.1f), v3(w, back * 0.75f, 0.14f), m, k);
    for (int i = 0; i < 2; i++) b.soft(v3((i ? 1 : -1) * (w + arm * 0.5f), seat * 0.75f, 0), v3(arm, seat * 0.75f, deep), m, k);
    int n = b.r.in_int(1, 3);
    for (int i = 0; i < n; i++) {
        float x = w * ((2 * i + 1.0f) / n - 1);
        b.soft(v3(x, seat + 0.04f, 0.06f), v3(w / n * 0.98f, 0.09f, deep * 0.9f), m, 0.8f);
        b.soft(v3(x, seat + back * 0.5f, -deep + 0.26f), v3(w / n * 0.96f, back * 0.5f, 0.1f), m, 0.9f);
    }
    int pillows = b.r.in_int(0, 4);
    for (int i = 0; i < pillows; i++) {
        auto s = b.tilted(v3(b.r.in(-w, w), seat + 0.3f, -deep + b.r.in(0.35f, 0.55f)), b.r.in(-0.6f, 0.0f), b.r.in(-0.5f, 0.5f));
        b.soft(v3(0.0f), v3(0.22f, 0.2f, 0.08f), b.r.chance(0.5f) ? pillow : fabric(b), 1.0f);
    }
    if (b.r.chance(0.2f)) b.soft(v3(b.r.in(-w, w), seat + 0.14f, 0), v3(0.3f, 0.02f, deep), fabric(b), 1.0f);
}
inline void bed(Builder &b) {
    int frame = wood(b), sheet = fabric(b), cover = fabric(b);
    float w = b.r.in(0.45f, 0.95f), h = b.r.in(0.3f, 0.5f);
    b.box(v3(0, h * 0.5f, 0), v3(w + 0.03f, h * 0.3f, 1.05f), frame);
    b.soft(v3(0, h, 0), v3(w, 0.13f, 1.0f), sheet, 0.7f);
    b.soft(v3(0, h + 0.1f, 0.25f), v3(w + 0.06f, 0.1f, 0.75f), cover, 0.9f);
    b.soft(v3(0, h + 0.35f, -1.08f), v3(w + 0.05f, b.r.in(0.3f, 0.7f), 0.05f), b.r.chance(0.5f) ? frame : fabric(b), 0.4f);
    int n = w > 0.65f ? 2 : 1;
    for (int i = 0; i < n; i++) {
        auto k = b.tilted(v3(n == 2 ? (i ? 0.45f : -0.45f) * w : 0, h + 0.2f, -0.75f), -0.5f, b.r.in(-0.1f, 0.1f));
        b.soft(v3(0.0f), v3(0.32f, 0.1f, 0.22f), fabric(b), 1.0f);
    }
}
inline void shelf(Builder &b, float w, float h, float deep) {
    int m = wood(b);
    float t = b.r.in(0.01f, 0.025f);
    for (int i = 0; i < 2; i++) b.box(v3((i ? 1 : -1) * w, h * 0.5f, 0), v3(t, h * 0.5f, deep), m);
    if (b.r.chance(0.6f)) b.box(v3(0, h * 0.5f, -deep), v3(w, h * 0.5f, 0.008f), m);
    int n = std::max(2, (int)(h / b.r.in(0.28f, 0.45f)));
    float gap = h / n;
    float full = b.r.u();
    for (int i = 0; i <= n; i++) {
        float y = i * gap;
        b.box(v3(0, y, 0), v3(w, t, deep), m);
        if (i == n) break;
        if (b.r.chance(full * 0.8f)) {
            float x0 = -w + 0.03f, x1 = b.r.in(-0.2f, 0.95f) * w, bh = gap * b.r.in(0.3f, 0.42f), bd = deep * b.r.in(0.5f, 0.8f);
            if (b.r.chance(0.5f)) {
                int bm = b.mat(gray(0.5f), gray(0.5f), BOOKS);
                if (x1 - x0 > 0.1f) b.block(v3(x0, y + t, -deep + 0.02f), v3(x1, y + t + 2 * bh, -deep + 0.02f + 2 * bd), bm);
            } else
                for (float x = x0; x < x1;) {
                    float bw = b.r.in(0.008f, 0.03f), hh = bh * b.r.in(0.75f, 1.15f);
                    b.box(v3(x + bw, y + t + hh, b.r.in(-0.2f, 0.0f) * deep), v3(bw, hh, bd), b.mat(any_color(b.r), any_color(b.r), SOLID));
                    x += 2 * bw + 0.002f;
                }
            auto k = b.at(v3(0.5f * (x1 + w), y + t, 0));
            if (w - x1 > 0.25f) small_thing(b, gap * b.r.in(0.3f, 0.6f));
        } else {
            int things = b.r.in_int(0, 4);
            for (int j = 0; j < things; j++) {
                auto k = b.at(v3(b.r.in(-0.85f, 0.85f) * w, y + t, b.r.in(-0.4f, 0.4f) * deep), b.r.in(0, 6.28f));
                small_thing(b, gap * b.r.in(0.2f, 0.55f));
            }
        }
    }
}
inline void cabinet(Builder &b, float w, float h, float deep) {
    int m = b.r.chance(0.6f) ? wood(b) : shiny(b, b.mat(wall_color(b.r)), 0.3f, 0.6f), knob = metal(b);
    int rows = b.r.in_int(1, 4), cols = std::max(1, (int)(w * 2 / b.r.in(0.4f, 0.8f)));
    b.box(v3(0, h * 0.5f, 0), v3(w, h * 0.5f, deep), m);
    b.box(v3(0, h + 0.015f, 0), v3(w + 0.02f, 0.015f, deep + 0.02f), b.r.chance(0.5f) ? m : shiny(b, b.mat(stone_color(b.r), stone_color(b.r), SPECKLE, 2.0f), 0.5f, 0.9f));
    for (int i = 0; i < cols; i++)
        for (int j = 0; j < rows; j++) {
            V3 c = v3(w * ((2 * i + 1.0f) / cols - 1), h * (j + 0.5f) / rows, deep);
            b.box(c, v3(w / cols - 0.012f, h / rows * 0.5f - 0.012f, 0.012f), m);
            if (b.r.chance(0.85f)) b.ball(c + v3(b.r.chance(0.5f) ? 0 : w / cols * 0.75f, 0, 0.02f), 0.014f, knob);
        }
    scatter_on(b, w * 0.85f, deep * 0.6f, h + 0.03f, b.r.in_int(0, 6), 0.08f, 0.4f);
}
inline void framed(Builder &b, float hw, float hh, int what, int frame) {  // flat on the wall z = 0
    float t = b.r.in(0.01f, 0.06f), d = b.r.in(0.008f, 0.03f);
    b.card(v3(0, 0, d * 0.6f), v3(1, 0, 0), v3(0, 1, 0), hw, hh, what);
    b.box(v3(0, hh + t * 0.5f, d), v3(hw + t, t, d), frame);
    b.box(v3(0, -hh - t * 0.5f, d), v3(hw + t, t, d), frame);
    b.box(v3(hw + t * 0.5f, 0, d), v3(t, hh, d), frame);
    b.box(v3(-hw - t * 0.5f, 0, d), v3(t, hh, d), frame);
}
inline void television(Builder &b, float s) {
    int screen = b.r.chance(0.6f) ? b.mat(any_color(b.r), any_color(b.r), SCREEN) : shiny(b, b.mat(gray(0.05f)), 0.9f, 0.95f);
    if (b.of(screen).pattern == SCREEN) b.of(screen).emit = b.r.in(0.3f, 2.0f);
    b.box(v3(0, s * 0.6f, 0), v3(s, s * 0.56f, 0.03f), shiny(b, b.mat(gray(0.06f)), 0.5f, 0.8f));
    b.card(v3(0, s * 0.6f, 0.032f), v3(1, 0, 0), v3(0, 1, 0), s * 0.97f, s * 0.53f, screen);
}
inline void floor_lamp(Builder &b) {
    int m = metal(b);
    float h = b.r.in(1.2f, 1.9f);
    V3 c = hsv(b.r.in(0.05f, 0.15f), b.r.in(0.1f, 0.6f), 0.95f);
    b.tube(v3(0, 0.015f, 0), 0.15f, 0.015f, m);
    b.tube(v3(0, h * 0.5f, 0), 0.012f, h * 0.5f, m);
    b.tube(v3(0, h, 0), b.r.in(0.12f, 0.28f), b.r.in(0.1f, 0.2f), glow(b, c, b.r.in(1.0f, 6.0f)), b.r.in(0.4f, 1.0f));
    b.lamp(v3(0, h + 0.25f, 0), 0.1f, c * b.r.in(0.5f, 3.0f));
}
// Hangs from the frame's origin.
inline void ceiling_light(Builder &b, V3 color, float power) {
    int m = metal(b), bulb = glow(b, color, b.r.in(2.0f, 12.0f));
    int style = b.r.below(5);
    float drop = b.r.in(0.1f, 1.0f);
    if (style == 0) {  // flush
        b.ball(v3(0, -0.02f, 0), v3(0.2f, 0.1f, 0.2f), bulb);
        drop = 0.15f;
    } else if (style == 1) {  // pendant
        b.rod(v3(0.0f), v3(0, -drop, 0), 0.006f, 0.006f, m);
        b.tube(v3(0, -drop, 0), b.r.in(0.1f, 0.35f), 0.12f, b.r.chance(0.5f) ? m : bulb, b.r.in(0.2f, 0.6f));
        b.ball(v3(0, -drop - 0.1f, 0), 0.06f, bulb);
    } else if (style == 2) {  // chandelier
        b.rod(v3(0.0f), v3(0, -drop, 0), 0.015f, 0.015f, m);
        int n = b.r.in_int(4, 10);
        float r = b.r.in(0.25f, 0.7f);
        for (int i = 0; i < n; i++) {
            float a = 6.2832f * i / n;
            V3 tip = v3(r * cosf(a), -drop + 0.05f, r * sinf(a)), low = v3(r * 0.55f * cosf(a), -drop - 0.12f, r * 0.55f * sinf(a));
            b.rod(v3(0, -drop, 0), low, 0.01f, 0.01f, m);
            b.rod(low, tip, 0.01f, 0.01f, m);
            b.tube(tip + v3(0, 0.05f, 0), 0.015f, 0.05f, b.mat(gray(0.9f)));
            b.ball(tip + v3(0, 0.12f, 0), v3(0.025f, 0.04f, 0.025f), bulb);
        }
        b.ring(v3(0, -drop - 0.02f, 0), v3(0, 1, 0), r, 0.012f, m);
    } else if (style == 3) {  // fan
        b.rod(v3(0.0f), v3(0, -0.3f, 0), 0.02f, 0.02f, m);
        b.tube(v3(0, -0.33f, 0), 0.1f, 0.06f, m);
        int n = b.r.in_int(3, 5), blade = wood(b);
        float turn = b.r.in(0, 6.28f);
        for (int i = 0; i < n; i++) {
            auto k = b.at(v3(0, -0.33f, 0), turn + 6.2832f * i / n);
            b.soft(v3(0.42f, 0, 0), v3(0.3f, 0.008f, 0.07f), blade, 0.9f);
            b.box(v3(0.12f, 0, 0), v3(0.08f, 0.005f, 0.02f), m);
        }
        b.ball(v3(0, -0.43f, 0), v3(0.13f, 0.09f, 0.13f), bulb);
        drop = 0.55f;
    } else {  // tube light
        b.box(v3(0, -0.04f, 0), v3(b.r.in(0.4f, 0.8f), 0.03f, 0.08f), bulb);
        drop = 0.12f;
    }
    b.lamp(v3(0, -drop - 0.22f, 0), 0.15f, color * power);
}
inline void curtain(Builder &b, float w, float h) {  // hangs on the wall z = 0, y from 0 to h
    int m = fabric(b);
    float folds = b.r.in(0.04f, 0.09f);
    for (float x = -w; x < w; x += folds * 1.5f) b.tube(v3(x + folds * 0.5f, h * 0.5f, 0.06f + b.r.in(0, 0.03f)), folds, h * 0.5f, m, b.r.in(0.7f, 1.0f));
}
inline void piano(Builder &b) {
    int m = shiny(b, b.mat(b.r.chance(0.6f) ? gray(0.07f) : wood_color(b.r)), 0.7f, 0.95f);
    b.box(v3(0, 0.6f, -0.1f), v3(0.75f, 0.6f, 0.2f), m);
    b.box(v3(0, 0.65f, 0.2f), v3(0.75f, 0.04f, 0.17f), m);
    b.box(v3(0, 0.7f, 0.22f), v3(0.68f, 0.012f, 0.08f), b.mat(gray(0.95f), gray(0.1f), STRIPES, 20.0f));
    for (int i = 0; i < 2; i++) b.box(v3(i ? 0.7f : -0.7f, 0.3f, 0.3f), v3(0.04f, 0.3f, 0.04f), m);
}
inline void kitchen_row(Builder &b, float w) {  // along the wall z = 0
    int front = b.r.chance(0.5f) ? wood(b) : shiny(b, b.mat(wall_color(b.r)), 0.4f, 0.7f), m = metal(b);
    int top = shiny(b, b.mat(stone_color(b.r), stone_color(b.r), b.r.chance(0.5f) ? MARBLE : SPECKLE, 2.0f), 0.5f, 0.8f);
    int n = std::max(1, (int)(w * 2 / 0.6f));
    b.block(v3(-w, 0.86f, 0), v3(w, 0.9f, 0.64f), top);
    b.block(v3(-w, 0.1f, 0), v3(w, 0.86f, 0.58f), front);
    bool upper = b.r.chance(0.75f);
    for (int i = 0; i < n; i++) {
        float x0 = -w + 2 * w * i / n + 0.006f, x1 = -w + 2 * w * (i + 1) / n - 0.006f;
        int drawers = b.r.in_int(1, 3);
        for (int j = 0; j < drawers; j++) {
            float y0 = 0.12f + 0.73f * j / drawers, y1 = 0.12f + 0.73f * (j + 1) / drawers - 0.01f;
            b.block(v3(x0, y0, 0.57f), v3(x1, y1, 0.605f), front);
            b.rod(v3(x0 + 0.12f, y1 - 0.06f, 0.63f), v3(x1 - 0.12f, y1 - 0.06f, 0.63f), 0.007f, 0.007f, m);
        }
        if (upper && b.r.chance(0.9f)) b.block(v3(x0, 1.45f, 0), v3(x1, 2.2f, 0.36f), front);
    }
    if (upper) b.block(v3(-w, 0.9f, 0), v3(w, 1.45f, 0.012f), b.mat(wall_color(b.r), gray(0.8f), TILES, b.r.in(5, 12)));
    float x = b.r.in(-0.6f, 0.6f) * w;
    b.rod(v3(x, 0.9f, 0.15f), v3(x, 1.15f, 0.15f), 0.015f, 0.012f, m);
    b.rod(v3(x, 1.15f, 0.15f), v3(x, 1.13f, 0.35f), 0.012f, 0.012f, m);
    auto k = b.at(v3(0, 0, 0.3f));
    scatter_on(b, w * 0.9f, 0.2f, 0.9f, b.r.in_int(2, 9), 0.08f, 0.3f);
}
