// Houses, blocks of flats, towers, ruins, stairs. Each stands at the frame's origin on y = 0.
#pragma once
#include "outdoors.h"

struct Look {  // shared by the houses of one place
    int wall, roof, trim, glass;
};
inline Look look_of(Builder &b, bool night) {
    Look k;
    k.wall = b.r.chance(0.5f) ? plaster(b) : masonry(b);
    V3 c = b.r.chance(0.6f) ? hsv(b.r.in(0.0f, 0.07f), b.r.in(0.3f, 0.8f), b.r.in(0.25f, 0.7f)) : stone_color(b.r) * 0.6f;
    k.roof = b.mat(c, c * b.r.in(0.4f, 0.9f), b.r.chance(0.8f) ? SHINGLES : b.r.pick({PLANKS, SOLID, GRASS}), b.r.in(1.5f, 4.0f));
    k.trim = b.r.chance(0.6f) ? wood(b) : b.mat(gray(b.r.in(0.6f, 0.95f)));
    k.glass = glassy(b);
    if (night && b.r.chance(0.6f)) k.glass = glow(b, hsv(b.r.in(0.05f, 0.15f), b.r.in(0.2f, 0.7f), 1.0f), b.r.in(0.6f, 3.0f));
    return k;
}
inline void window_in(Builder &b, float hw, float hh, const Look &k, int detail) {  // on the wall z = 0
    b.box(v3(0.0f), v3(hw, hh, 0.02f), k.glass);
    if (detail == 0) return;
    float t = 0.05f;
    b.box(v3(0, hh, 0.03f), v3(hw + t, t, 0.05f), k.trim), b.box(v3(0, -hh, 0.05f), v3(hw + t, t, 0.08f), k.trim);
    b.box(v3(hw, 0, 0.03f), v3(t, hh, 0.05f), k.trim), b.box(v3(-hw, 0, 0.03f), v3(t, hh, 0.05f), k.trim);
    b.box(v3(0, 0, 0.025f), v3(0.02f, hh, 0.02f), k.trim);
    if (detail > 1) {
        b.box(v3(0, hh * 0.2f, 0.025f), v3(hw, 0.02f, 0.02f), k.trim);
        if (b.r.chance(0.3f))
            for (int i = 0; i < 2; i++) b.box(v3((i ? 1 : -1) * hw * 1.55f, 0, 0.03f), v3(hw * 0.48f, hh, 0.025f), k.trim);
        if (b.r.chance(0.2f)) {
            b.box(v3(0, -hh - 0.15f, 0.18f), v3(hw, 0.1f, 0.1f), k.trim);
            b.put(LEAVES, v3(0, -hh + 0.05f, 0.2f), v3(hw, 0.2f, 0.16f), leaves(b), 0.8f);
        }
    }
}
inline void door_in(Builder &b, const Look &k) {
    int m = wood(b);
    float h = b.r.in(0.95f, 1.2f);
    b.box(v3(0, h, 0.0f), v3(0.45f, h, 0.05f), m);
    b.box(v3(0, 2 * h + 0.06f, 0.03f), v3(0.55f, 0.06f, 0.07f), k.trim);
    for (int i = 0; i < 2; i++) b.box(v3(i ? 0.5f : -0.5f, h, 0.03f), v3(0.06f, h, 0.07f), k.trim);
    b.ball(v3(0.36f, h, 0.09f), 0.03f, metal(b));
    if (b.r.chance(0.4f)) b.box(v3(0, 0.07f, 0.3f), v3(0.7f, 0.07f, 0.3f), b.mat(stone_color(b.r)));
}
inline void house(Builder &b, float hx, float hz, float h, const Look &k, int detail) {
    b.box(v3(0, h * 0.5f, 0), v3(hx, h * 0.5f, hz), k.wall);
    float rise = b.r.in(0.4f, 1.1f) * fminf(hx, hz);
    bool turned = hx > hz;
    float over = b.r.in(0.1f, 0.45f);
    if (b.r.chance(0.88f)) {
        if (turned)
            b.put(PRISM, v3(0, h + rise, 0), v3(0, 0, 1), v3(0, 1, 0), v3(-1, 0, 0), v3(hz, rise, hx * 0.985f), k.wall);
        else
            b.put(PRISM, v3(0, h + rise, 0), v3(hx, rise, hz * 0.985f), k.wall);
        float span = turned ? hz : hx, len = turned ? hx : hz, slope = sqrtf(span * span + 4 * rise * rise);
        for (int i = 0; i < 2; i++) {  // roof slabs that stand over the walls
            auto t = b.at(v3(0, h + 2 * rise + 0.06f, 0), turned ? (i ? 1.5708f : -1.5708f) : (i ? 0.0f : 3.14159f));
            auto q = b.tilted(v3(0.0f), 0.0f, -atan2f(2 * rise, span));
            b.box(v3(slope * 0.5f + over * 0.5f, 0, 0), v3(slope * 0.5f + over * 0.5f, 0.05f, len + over), k.roof);
        }
        if (b.r.chance(0.6f)) b.box(v3(hx * b.r.in(-0.6f, 0.6f), h + rise * 1.6f, hz * b.r.in(-0.3f, 0.3f)), v3(0.3f, rise * 0.8f + 0.4f, 0.3f), masonry(b));
    } else {
        b.box(v3(0, h + 0.15f, 0), v3(hx + 0.1f, 0.15f, hz + 0.1f), k.trim);
    }
    if (detail == 0) return;
    if (b.r.chance(0.2f) && detail > 1)  // timber frame
        for (int side = 0; side < 2; side++)
            for (int i = 0; i <= 5; i++) b.box(v3(hx * (0.4f * i - 1), h * 0.5f, (side ? 1 : -1) * (hz + 0.02f)), v3(0.07f, h * 0.5f, 0.03f), k.trim);
    int floors = std::max(1, (int)(h / 2.7f));
    for (int side = 0; side < 4; side++) {
        float w = side & 1 ? hz : hx, depth = side & 1 ? hx : hz;
        auto s = b.at(v3(0.0f), 1.5708f * side);
        int n = std::max(1, (int)(w / b.r.in(0.8f, 1.6f))), door = b.r.chance(0.6f) ? b.r.below(n) : -1;
        for (int f = 0; f < floors; f++)
            for (int i = 0; i < n; i++) {
                auto t = b.at(v3(w * ((2 * i + 1.0f) / n - 1), 0, depth));
                if (f == 0 && i == door) {
                    door_in(b, k);
                    continue;
                }
                auto u = b.at(v3(0, h * (f + 0.55f) / floors, 0));
                window_in(b, fminf(0.55f, w / n * 0.42f), fminf(0.65f, h / floors * 0.27f), k, detail);
            }
    }
}
inline void facade_block(Builder &b, float hx, float hz, float h, const Look &k, int detail) {
    V3 c = b.r.chance(0.6f) ? stone_color(b.r) : wall_color(b.r);
    int m = b.mat(c, b.r.chance(0.5f) ? gray(b.r.in(0.2f, 0.9f)) : c * 0.6f, FACADE, b.r.in(0.22f, 0.5f));
    if (detail == 0 || b.r.chance(0.35f)) {  // the windows are only painted on
        b.box(v3(0, h * 0.5f, 0), v3(hx, h * 0.5f, hz), m);
        b.box(v3(0, h + 0.2f, 0), v3(hx + 0.2f, 0.25f, hz + 0.2f), k.trim);
        return;
    }
    b.box(v3(0, h * 0.5f, 0), v3(hx, h * 0.5f, hz), k.wall);
    b.box(v3(0, h + 0.2f, 0), v3(hx + 0.2f, 0.25f, hz + 0.2f), k.trim);
    float storey = b.r.in(2.8f, 3.8f), bay = b.r.in(1.6f, 3.2f);
    int floors = std::min(12, (int)(h / storey));
    bool balcony = b.r.chance(0.35f), shop = b.r.chance(0.6f), strip = b.r.chance(0.4f);
    for (int side = 0; side < 4; side++) {
        float w = side & 1 ? hz : hx, depth = side & 1 ? hx : hz;
        auto s = b.at(v3(0.0f), 1.5708f * side);
        int n = std::min(12, std::max(1, (int)(2 * w / bay)));
        for (int f = 0; f < floors; f++) {
            if (strip) b.box(v3(0, storey * f, depth), v3(w + 0.05f, 0.1f, 0.08f), k.trim);
            if (f == 0 && shop) {
                b.box(v3(0, 1.3f, depth), v3(w * 0.94f, 1.1f, 0.03f), b.r.chance(0.7f) ? k.glass : b.mat(any_color(b.r), any_color(b.r), PICTURE));
                b.box(v3(0, 2.75f, depth + 0.08f), v3(w * 0.94f, 0.3f, 0.08f), b.mat(any_color(b.r), any_color(b.r), TEXT));
                for (int i = 0; i <= n; i++) b.box(v3(w * (2.0f * i / n - 1), 1.4f, depth + 0.02f), v3(0.09f, 1.4f, 0.07f), k.trim);
                if (b.r.chance(0.5f)) {
                    auto t = b.tilted(v3(0, 2.4f, depth), 0.5f, 0.0f);
                    b.box(v3(0, 0, 0.6f), v3(w * 0.8f, 0.02f, 0.7f), fabric(b));
                }
                continue;
            }
            for (int i = 0; i < n; i++) {
                auto t = b.at(v3(w * ((2 * i + 1.0f) / n - 1), storey * (f + 0.52f), depth));
                window_in(b, bay * 0.28f, storey * 0.27f, k, detail > 1 && side != 2 ? 1 : 0);
                if (balcony && side == 0 && f > 0) {
                    b.box(v3(0, -storey * 0.35f, 0.5f), v3(bay * 0.42f, 0.07f, 0.5f), k.trim);
                    int rail = cut(b, b.mat(gray(0.2f)), BARS);
                    b.card(v3(0, -storey * 0.2f, 1.0f), v3(1, 0, 0), v3(0, 1, 0), bay * 0.42f, storey * 0.13f, rail);
                }
            }
        }
    }
}
inline void tower(Builder &b, float r, float h, const Look &k) {
    int style = b.r.below(4);
    if (style < 2) {
        b.tube(v3(0, h * 0.5f, 0), r, h * 0.5f, k.wall, b.r.in(0.75f, 1.0f));
        if (style == 0) b.tube(v3(0, h + r * 1.2f, 0), r * 1.15f, r * 1.2f, k.roof, 0.02f);
        else
            for (int i = 0; i < 10; i++) b.box(v3(r * cosf(0.628f * i), h + 0.3f, r * sinf(0.628f * i)), v3(r * 0.16f, 0.35f, r * 0.16f), k.wall);
    } else {
        b.box(v3(0, h * 0.5f, 0), v3(r, h * 0.5f, r), k.wall);
        if (style == 2) b.tube(v3(0, h + r * 1.6f, 0), r * 1.3f, r * 1.6f, k.roof, 0.02f);
        else b.box(v3(0, h, 0), v3(r * 1.2f, 0.4f, r * 1.2f), k.trim);
    }
    for (int i = 0; i < 4; i++) {
        auto t = b.at(v3(0.0f), 1.57f * i);
        b.box(v3(0, h * b.r.in(0.5f, 0.85f), r), v3(r * 0.14f, r * 0.35f, r * 0.06f), k.glass);
    }
}
inline void stairs(Builder &b, float w, int n, float step_h, float step_d, int m) {
    for (int i = 0; i < n; i++) b.box(v3(0, step_h * (i + 1) * 0.5f, -step_d * i), v3(w, step_h * (i + 1) * 0.5f, step_d * 0.5f), m);
}
inline void column(Builder &b, float r, float h, int m) {
    b.tube(v3(0, h * 0.5f, 0), r, h * 0.5f, m, b.r.in(0.8f, 1.0f));
    b.box(v3(0, 0.1f, 0), v3(r * 1.4f, 0.1f, r * 1.4f), m), b.box(v3(0, h - 0.1f, 0), v3(r * 1.4f, 0.1f, r * 1.4f), m);
}
inline void arch(Builder &b, float span, float h, float deep, int m) {  // round arch over x, standing on z = 0
    for (int i = 0; i < 2; i++) b.box(v3((i ? 1 : -1) * (span + 0.4f), h * 0.5f, 0), v3(0.4f, h * 0.5f, deep), m);
    int n = 9;
    for (int i = 0; i <= n; i++) {
        float a = 3.1416f * i / n;
        auto k = b.tilted(v3((span + 0.4f) * cosf(a), h + (span + 0.4f) * sinf(a), 0), 0.0f, a);
        b.box(v3(0.0f), v3(0.4f, (span + 0.8f) * 1.7f / n, deep), m);
    }
}
