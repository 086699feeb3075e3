// What stands between the camera and the world: thin and see-through things, hanging leaves, tall grass.
// Built when the camera is known; the frame's origin is the eye, -z is where it looks, level with the horizon.
#pragma once
#include "places.h"

struct Front {
    float d, half;  // metres to the thing; half of what the longer side of the picture sees there
    float mid;      // height of the picture's middle there
    float floor;    // what things stand on; below the eye, so negative
    float px;       // metres per pixel there, of 384
    bool high;      // the eye is above head height: things stand on a balcony
};
// Half the thickness of something 1 to 12 pixels thick.
inline float thin(Builder &b, const Front &v, float lo = 1.2f, float hi = 12.0f) { return clampf(0.5f * v.px * b.r.log_in(lo, hi), 0.0015f, 0.15f); }
inline int front_mat(Builder &b) {
    switch (b.r.below(6)) {
        case 0:
        case 1: return wood(b);
        case 2: return metal(b);
        case 3: return b.mat(gray(b.r.in(0.02f, 0.3f)));
        case 4: return b.mat(gray(b.r.in(0.7f, 0.97f)));
        default: return plastic(b);
    }
}
// The upper edge of something that stands on the floor, so that some of it is in the picture.
inline float front_top(Builder &b, const Front &v, float lo, float hi) {
    float top = v.floor + b.r.in(lo, hi);
    if (top < v.mid - 0.5f * v.half || b.r.chance(0.35f)) top = v.mid + b.r.in(-0.3f, 0.9f) * v.half;
    return fmaxf(top, v.floor + 0.25f);
}
inline void balcony(Builder &b, const Front &v, float half) {
    if (v.high && b.r.chance(0.7f)) b.block(v3(-half, v.floor - 0.2f, -0.1f), v3(half, v.floor, v.d + 1.0f), masonry(b));
}
inline void pickets(Builder &b, const Front &v) {
    auto k = b.at(v3(b.r.in(-0.8f, 0.8f) * v.half, 0, -v.d), b.r.chance(0.5f) ? b.r.in(-0.15f, 0.15f) : b.r.in(-1.0f, 1.0f));
    int m = front_mat(b), style = b.r.below(4);
    float r = thin(b, v, 2.0f, 16.0f), half = v.half * b.r.in(0.6f, 1.9f), gap = fmaxf(2 * r * b.r.in(1.25f, 5.0f), half / 45), top = front_top(b, v, 0.6f, 1.7f);
    float mid = 0.5f * (top + v.floor), hh = 0.5f * (top - v.floor), lean = b.r.chance(0.3f) ? 0.04f : 0.0f;
    for (float x = -half; x < half; x += gap) {
        if (b.r.chance(0.05f)) continue;
        float tilt = lean * b.r.gauss(), low = hh * b.r.in(0.96f, 1.0f);
        if (style == 3) b.rod(v3(x, mid - low, 0), v3(x + tilt, mid + low, 0), r, r * b.r.in(0.7f, 1.0f), m);
        else b.put(BOX, v3(x, mid - hh + low, 0), norm(v3(1, tilt, 0)), norm(v3(-tilt, 1, 0)), v3(0, 0, 1), v3(r, low, 0.01f), m);
        if (style == 1) b.put(PRISM, v3(x, mid - hh + 2 * low + r, 0), v3(r, r * 1.3f, 0.01f), m);
    }
    for (int i = 0; i < 2; i++) b.box(v3(0, mid + (i ? 0.7f : -0.6f) * hh, -0.025f), v3(half, fmaxf(r * b.r.in(0.7f, 1.6f), 0.01f), 0.012f), m);
    balcony(b, v, half);
}
inline void railing(Builder &b, const Front &v) {
    auto k = b.at(v3(b.r.in(-0.7f, 0.7f) * v.half, 0, -v.d), b.r.chance(0.5f) ? b.r.in(-0.1f, 0.1f) : b.r.in(-1.1f, 1.1f));
    int m = b.r.chance(0.6f) ? metal(b) : front_mat(b), style = b.r.below(5);
    float r = thin(b, v, 1.5f, 9.0f), half = v.half * b.r.in(0.7f, 2.0f), gap = fmaxf(2 * r * b.r.in(2.0f, 8.0f), half / 40), top = front_top(b, v, 0.8f, 1.2f);
    float low = v.floor + 0.06f, rise = b.r.chance(0.2f) ? b.r.in(-0.6f, 0.6f) : 0.0f;  // along stairs
    if (style == 0) {  // level rods
        int n = b.r.in_int(2, 9);
        for (int i = 0; i < n; i++) b.rod(v3(-half, mix(low, top, (i + 0.5f) / n) - rise * half, 0), v3(half, mix(low, top, (i + 0.5f) / n) + rise * half, 0), r, r, m);
        gap = half / b.r.in(1.2f, 4.0f);
        r *= 1.8f;
    }
    for (float x = -half; x < half; x += gap) {
        float y0 = low + rise * x, y1 = top + rise * x;
        if (style == 1) b.rod(v3(x, y0, 0), v3(x, mix(y0, y1, 0.5f), 0), r * 0.7f, r * 1.5f, m), b.rod(v3(x, mix(y0, y1, 0.5f), 0), v3(x, y1, 0), r * 1.5f, r * 0.7f, m);
        else b.rod(v3(x, y0, 0), v3(x, y1 + (style == 2 ? 0.1f : 0.0f), 0), r, style == 2 ? r * 0.3f : r, m);
        if (style == 3) b.ring(v3(x + 0.5f * gap, mix(y0, y1, 0.85f), 0), v3(0, 0, 1), gap * 0.48f, r * 0.7f, m);
        if (style == 4 && b.r.chance(0.5f)) b.ball(v3(x, mix(y0, y1, b.r.pick({3, 5, 8}) * 0.1f), 0), r * 2.2f, m);
    }
    b.rod(v3(-half, top - rise * half, 0), v3(half, top + rise * half, 0), r * 1.8f, r * 1.8f, m);
    b.rod(v3(-half, low - rise * half, 0), v3(half, low + rise * half, 0), r * 1.2f, r * 1.2f, m);
    balcony(b, v, half);
}
// Wire netting, lattices and ornaments: a card with holes and the posts that hold it.
inline void netting(Builder &b, const Front &v) {
    float half = v.half * b.r.in(0.7f, 1.3f), top = front_top(b, v, 1.0f, 2.4f);
    auto k = b.at(v3(b.r.in(-0.5f, 0.5f) * v.half, 0, -v.d), b.r.in(-0.6f, 0.6f));
    int m = cut(b, b.r.chance(0.6f) ? b.mat(gray(b.r.in(0.05f, 0.8f))) : front_mat(b), b.r.pick({MESH, MESH, LATTICE, LATTICE, SCROLL})), post = front_mat(b);
    float low = fmaxf(v.floor, top - 2.2f * half), hh = 0.5f * (top - low), r = thin(b, v, 5.0f, 18.0f);
    b.card(v3(0, low + hh, 0), v3(1, 0, 0), v3(0, 1, 0), half, hh, m);
    int posts = b.r.in_int(1, 4);
    for (int i = 0; i <= posts; i++) b.rod(v3(half * (2.0f * i / posts - 1), v.floor, 0), v3(half * (2.0f * i / posts - 1), top + 0.05f, 0), r, r, post);
    b.rod(v3(-half, top, 0), v3(half, top, 0), r * 0.6f, r * 0.6f, post);
}
inline void stems(Builder &b, const Front &v) {  // reeds, saplings, bamboo, flowers
    V3 c = b.r.chance(0.6f) ? grass_color(b.r) : wood_color(b.r);
    int m = b.mat(c, c * 0.6f, BLOTCH, 8.0f), blade = cut(b, b.mat(c, c * 0.5f, BLOTCH, 9.0f), LEAF_SHAPE), flower = b.mat(any_color(b.r)), head = b.r.below(4), n = b.r.in_int(6, 42);
    float r = thin(b, v, 1.3f, 7.0f), spread = v.half * b.r.in(0.4f, 1.3f), off = b.r.in(-0.6f, 0.6f) * v.half, wild = b.r.in(0.02f, 0.25f);
    for (int i = 0; i < n; i++) {
        float z = -v.d * b.r.in(0.8f, 1.8f), top = front_top(b, v, 0.5f, 2.5f);
        V3 foot = v3(off + b.r.in(-1, 1) * spread, fmaxf(v.floor, v.mid - 1.6f * v.half), z);
        float h = top - foot.y;
        V3 knee = foot + v3(wild * h * b.r.gauss() * 0.4f, h * 0.55f, wild * h * b.r.gauss() * 0.4f), tip = knee + v3(wild * h * b.r.gauss(), h * 0.45f, wild * h * 0.5f * b.r.gauss());
        b.rod(foot, knee, r, r * 0.85f, m), b.rod(knee, tip, r * 0.85f, r * 0.4f, m);
        for (int j = b.r.below(5); j > 0; j--) {
            V3 p = mix(foot, knee, b.r.in(0.3f, 1.4f)), d = norm(v3(b.r.gauss(), b.r.in(-0.3f, 1.5f), b.r.gauss()));
            float l = h * b.r.in(0.1f, 0.3f);
            b.card(p + d * l, v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), d, fmaxf(l * b.r.in(0.05f, 0.2f), r), l, blade);
        }
        if (head == 0) b.ball(tip, v3(r * 5), flower);
        if (head == 1) b.rod(tip - v3(0, h * 0.12f, 0), tip, r * 2.5f, r * 2.0f, flower);
        if (head == 2) b.put(LEAVES, tip, v3(r * 6, h * 0.08f, r * 6), flower, 0.9f);
    }
}
inline void ropes(Builder &b, const Front &v) {
    int m = b.r.chance(0.5f) ? b.mat(gray(b.r.in(0.02f, 0.3f))) : fabric(b), n = b.r.in_int(1, 6), hung = b.r.below(4);
    int flags[3] = {fabric(b), fabric(b), glow(b, hsv(b.r.u(), 0.3f, 1.0f), b.r.in(0.5f, 4.0f))};
    float r = thin(b, v, 1.2f, 6.0f), slope = b.r.in(-0.7f, 0.7f);
    for (int i = 0; i < n; i++) {
        float y = v.mid + b.r.in(-0.7f, 0.8f) * v.half, z = -v.d * b.r.in(0.8f, 1.5f), w = v.half * 1.7f, sag = b.r.in(0.0f, 0.25f) * v.half;
        V3 from = v3(-w, y - slope * w * b.r.in(0.6f, 1.0f), z * b.r.in(0.8f, 1.6f)), to = v3(w, y + slope * w * b.r.in(0.6f, 1.0f), z);
        wire(b, from, to, sag, r, m);
        int things = hung && i < 3 ? b.r.in_int(6, 16) : 0;
        for (int j = 1; j < things; j++) {
            float k = (float)j / things, s = v.px * b.r.in(6, 16);
            V3 p = mix(from, to, k) - v3(0, 4 * sag * k * (1 - k), 0);
            if (hung == 1) b.put(PRISM, p - v3(0, s, 0), v3(-1, 0, 0), v3(0, -1, 0), v3(0, 0, 1), v3(s * 0.7f, s, 0.002f), flags[j & 1]);
            else if (hung == 2) b.ball(p - v3(0, s * 0.3f, 0), s * 0.35f, flags[2]);
            else b.box(p - v3(0, s * 1.2f, 0), v3(s * b.r.in(0.4f, 1.0f), s * 1.2f, 0.004f), flags[j & 1]);
        }
    }
    if (b.r.chance(0.5f)) { float x = b.r.in(-0.8f, 0.8f) * v.half; b.rod(v3(x, v.floor, -v.d * 1.05f), v3(x, v.mid + 1.6f * v.half, -v.d * 1.05f), r * 4, r * 3.5f, front_mat(b)); }
}
inline void boughs(Builder &b, const Front &v, bool leafy) {  // grow into the picture from outside it
    Green g = greens(b);
    int n = leafy ? b.r.in_int(2, 6) : b.r.in_int(1, 4), side = b.r.below(4), depth = leafy ? 2 : b.r.in_int(2, 3);
    if (leafy && b.r.chance(0.6f)) side = 3;
    for (int i = 0; i < n; i++) {
        float out = side == 3 ? b.r.in(-1.0f, 1.0f) : side == 0 ? -1.15f : side == 1 ? 1.15f : b.r.sign() * 1.15f, z = -v.d * b.r.in(0.8f, 1.6f);
        V3 from = v3(out * v.half, v.mid + (side == 3 ? b.r.in(0.8f, 1.1f) : b.r.in(-0.6f, 0.9f)) * v.half, -v.d) * (-z / v.d);
        V3 to = v3(b.r.in(-0.5f, 0.5f) * v.half, v.mid + b.r.in(-0.3f, 0.6f) * v.half, z * b.r.in(0.9f, 1.3f));
        V3 d = norm(to - from);
        branch(b, from, d, v.half * b.r.in(0.35f, 0.75f), thin(b, v, 6.0f, 26.0f), depth, g, leafy ? b.r.in(1.0f, 2.2f) : 0.0f);
    }
}
inline void leaf_curtain(Builder &b, const Front &v) {  // single leaves on twigs, with gaps of their own size
    V3 c = leaf_color(b.r);
    int shape = b.r.pick({LEAF_SHAPE, LEAF_SHAPE, SPRAY, FERN}), m[2] = {cut(b, b.mat(c, c * 0.6f, LEAF, 1.0f), shape), cut(b, b.mat(c * b.r.in(0.3f, 1.2f), c * 0.4f, LEAF, 1.0f), shape)}, twig = wood(b);
    float size = v.px * b.r.log_in(4.0f, 22.0f) * (shape == LEAF_SHAPE ? 1.0f : 2.0f), top = v.mid + 1.1f * v.half, reach = b.r.in(0.5f, 2.2f) * v.half, off = b.r.in(-0.9f, 0.9f) * v.half, wide = b.r.in(0.3f, 1.2f) * v.half;
    int twigs = b.r.in_int(4, 16), each = b.r.in_int(6, 18);
    for (int i = 0; i < twigs; i++) {
        V3 from = v3(off + b.r.in(-1, 1) * wide, top, -v.d) * b.r.in(0.85f, 2.2f), to = from - v3(b.r.gauss() * 0.4f * reach, reach * b.r.in(0.3f, 1.0f), b.r.gauss() * 0.1f * v.d), mid = mix(from, to, 0.5f) + v3(0.1f * reach * b.r.gauss(), 0, 0);
        b.rod(from, mid, size * 0.09f, size * 0.07f, twig), b.rod(mid, to, size * 0.07f, size * 0.03f, twig);
        for (int j = 0; j < each; j++) {
            float k = b.r.u();
            V3 p = k < 0.5f ? mix(from, mid, 2 * k) : mix(mid, to, 2 * k - 1), d = norm(v3(b.r.gauss(), b.r.gauss() - 0.6f, b.r.gauss()));
            float l = size * b.r.in(0.5f, 1.2f);
            b.card(p + d * l, v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), d, l * (shape == LEAF_SHAPE ? b.r.in(0.3f, 0.7f) : 0.8f), l, m[j & 1]);
        }
    }
}
inline void poles(Builder &b, const Front &v) {
    int n = b.r.in_int(1, 4);
    for (int i = 0; i < n; i++) {
        int m = front_mat(b);
        auto k = b.at(v3(b.r.in(-1, 1) * v.half, v.floor, -v.d * b.r.in(0.8f, 2.0f)), b.r.in(-0.6f, 0.6f));
        float r = thin(b, v, 3.0f, 24.0f), h = fmaxf(b.r.in(1.0f, 3.0f), 0.4f), lean = b.r.chance(0.3f) ? b.r.in(-0.2f, 0.2f) : 0.0f;
        if (b.r.chance(0.5f)) h = v.mid + 2.5f * v.half - v.floor;
        b.rod(v3(0.0f), v3(lean * h, h, 0), r, r * b.r.in(0.6f, 1.0f), m);
        int plates = b.r.chance(0.5f) ? b.r.in_int(1, 3) : 0;
        for (int j = 0; j < plates; j++) {
            int face = b.mat(any_color(b.r), gray(0.9f), b.r.pick({TEXT, SOLID, STRIPES, PICTURE}), 3.0f);
            float s = v.half * b.r.in(0.08f, 0.25f), y = v.mid + b.r.in(-0.4f, 0.7f) * v.half - v.floor;
            if (b.r.chance(0.3f)) cut(b, face, ROUND);
            b.card(v3(lean * y + s * (b.r.chance(0.3f) ? 1.0f : 0.0f), y, r + 0.01f), v3(1, 0, 0), v3(0, 1, 0), s, s * b.r.in(0.25f, 1.0f), face);
        }
        if (b.r.chance(0.25f)) b.rod(v3(0, h * 0.8f, 0), v3(b.r.sign() * h * 0.5f, 0, b.r.in(-0.5f, 0.5f)), r * 0.2f, r * 0.2f, m);
    }
}
inline void wheels(Builder &b, const Front &v) {  // bicycles side on, stands for them, the wheel of a cart
    int n = b.r.in_int(1, 3), m = front_mat(b);
    if (b.r.chance(0.15f)) {
        float r = b.r.in(0.35f, 0.8f), x = b.r.in(-0.6f, 0.6f) * v.half;
        auto k = b.at(v3(x, v.floor + r, -v.d), b.r.in(-0.7f, 0.7f));
        b.ring(v3(0.0f), v3(0, 0, 1), r, r * b.r.in(0.04f, 0.1f), m), b.ball(v3(0.0f), r * 0.14f, m);
        int spokes = b.r.in_int(6, 14);
        for (int i = 0; i < spokes; i++) b.rod(v3(0.0f), v3(cosf(6.2832f * i / spokes), sinf(6.2832f * i / spokes), 0) * (r * 0.95f), r * 0.03f, r * 0.025f, m);
        return;
    }
    for (int i = 0; i < n; i++) {
        auto k = b.at(v3(b.r.in(-0.8f, 0.8f) * v.half, v.floor, -v.d - 0.45f * i), 1.5708f * b.r.sign() + b.r.in(-0.6f, 0.6f));
        bicycle(b);
    }
    if (b.r.chance(0.3f))
        for (int i = 0; i < 5; i++) {
            float x = v.half * (0.4f * i - 0.8f), r = 0.02f;
            b.rod(v3(x, v.floor, -v.d + 0.3f), v3(x, v.floor + 0.75f, -v.d + 0.3f), r, r, m), b.rod(v3(x, v.floor + 0.75f, -v.d + 0.3f), v3(x + 0.5f, v.floor + 0.75f, -v.d + 0.3f), r, r, m), b.rod(v3(x + 0.5f, v.floor, -v.d + 0.3f), v3(x + 0.5f, v.floor + 0.75f, -v.d + 0.3f), r, r, m);
        }
}
inline void trellis(Builder &b, const Front &v) {  // bars both ways, sometimes grown over; also the bars of a window
    auto k = b.at(v3(b.r.in(-0.5f, 0.5f) * v.half, v.mid, -v.d), b.r.in(-0.5f, 0.5f));
    int m = front_mat(b), nx = b.r.in_int(2, 16), ny = b.r.chance(0.8f) ? b.r.in_int(1, 12) : 0;
    float half = v.half * b.r.in(0.6f, 1.3f), hh = v.half * b.r.in(0.5f, 1.2f), r = fminf(thin(b, v, 2.0f, 14.0f), half / nx * 0.35f), slant = b.r.chance(0.3f) ? b.r.in(-1, 1) : 0.0f;
    for (int i = 0; i <= nx; i++) b.rod(v3(half * (2.0f * i / nx - 1) - slant * hh, -hh, 0), v3(half * (2.0f * i / nx - 1) + slant * hh, hh, 0), r, r, m);
    for (int i = 0; i <= ny && ny; i++) b.box(v3(0, hh * (2.0f * i / ny - 1), -r), v3(half, r, fminf(r, 0.02f)), m);
    for (int i = 0; i < 2; i++) b.box(v3(i ? half : -half, 0.5f * (hh + v.floor - v.mid), -0.02f), v3(r * 1.6f, 0.5f * (hh - v.floor + v.mid), fminf(r * 1.6f, 0.04f)), m);
    if (b.r.chance(0.4f)) {
        V3 c = leaf_color(b.r);
        int leaf = cut(b, b.mat(c, c * 0.5f, LEAF, 1.0f), b.r.chance(0.5f) ? LEAF_SHAPE : SPRAY), n = b.r.in_int(20, 110);
        for (int i = 0; i < n; i++) { float s = v.px * b.r.in(8, 26); b.card(v3(half * b.r.in(-1, 1), hh * (2 * powf(b.r.u(), 1.5f) - 1), s * b.r.in(-0.5f, 1)), v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), s * 0.6f, s, leaf); }
    }
}
inline void scaffold(Builder &b, const Front &v) {
    int m = front_mat(b), nx = b.r.in_int(2, 5), rows = b.r.in_int(1, 3);
    float r = thin(b, v, 2.0f, 12.0f), half = v.half * 1.4f, tall = v.mid + 1.5f * v.half, turn = b.r.in(-0.8f, 0.8f);
    auto k = b.at(v3(0, 0, -v.d * 1.3f), turn);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i <= nx; i++) {
            float x = half * (2.0f * i / nx - 1), z = s * -0.8f, x2 = half * (2.0f * (i + 1) / nx - 1);
            b.rod(v3(x, v.floor, z), v3(x, tall, z), r, r, m);
            for (int j = 1; j <= rows && i < nx; j++) {
                float y = mix(v.floor, tall, j / (rows + 1.0f));
                b.rod(v3(x, y, z), v3(x2, y, z), r, r, m);
                if (b.r.chance(0.3f)) b.rod(v3(x, y, z), v3(x2, y + 0.7f * v.half, z), r * 0.8f, r * 0.8f, m);
            }
        }
}
inline void near_chairs(Builder &b, const Front &v) {
    int n = b.r.in_int(1, 3);
    for (int i = 0; i < n; i++) {
        auto k = b.at(v3(b.r.in(-0.7f, 0.7f) * v.half + 0.5f * i, v.floor, -fmaxf(v.d, 0.8f) - 0.2f * i), 3.1416f + b.r.in(-0.9f, 0.9f));
        chair(b);
    }
}
inline void potted(Builder &b, const Front &v) {
    int n = b.r.in_int(1, 3);
    for (int i = 0; i < n; i++) {
        float s = v.half * b.r.in(0.5f, 1.4f);
        auto k = b.at(v3(b.r.in(-0.9f, 0.9f) * v.half, v.mid - v.half * b.r.in(0.5f, 1.1f), -v.d - 0.3f * s), b.r.in(0, 6.28f));
        plant(b, s);
    }
}
// Blades, tufts and stalks 20 to 50 cm high on the ground before the camera, reeds where it is wet.
inline void tall_grass(Builder &b, const Front &v, V3 eye, float ground, float tan_half) {
    int mats[3] = {tuft_mat(b), tuft_mat(b), tuft_mat(b)}, n = b.r.in_int(50, 260), stalk = b.mat(grass_color(b.r)), head = b.mat(any_color(b.r)), stone = rock(b);
    bool reeds = b.w.water_mat >= 0 ? b.r.chance(0.8f) : b.r.chance(0.15f), clump = b.r.chance(0.4f);
    float tall = reeds ? b.r.in(0.7f, 2.0f) : b.r.in(0.18f, 0.5f), wide = tan_half * 1.3f, far_m = b.r.log_in(3, 12), nearest = reeds ? 1.5f : 0.5f, side = b.r.in(-0.8f, 0.8f);
    Frame f = b.f;
    for (int i = 0; i < n; i++) {
        float d = b.r.log_in(nearest, far_m), x = d * wide * (clump ? side + 0.3f * b.r.gauss() : b.r.in(-1, 1)), s = tall * b.r.in(0.5f, 1.2f);
        V3 p = f.at(v3(x, 0, -d));
        p.y = ground;
        if (b.w.field0 >= 0) p.y = ground_at(b, p.x, p.z), p.y = b.w.plane_mat >= 0 ? fmaxf(p.y, 0.0f) : p.y;
        if (b.w.water_mat >= 0) p.y = fmaxf(p.y, b.w.water_y);
        if (p.y > eye.y - 0.1f || p.y < eye.y - 6.0f) continue;
        b.f = Frame();
        auto k = b.at(p - v3(0, 0.02f, 0), b.r.in(0, 6.28f));
        if (b.r.chance(0.08f)) boulder(b, s * b.r.in(0.1f, 0.5f), stone);
        else if (b.r.chance(reeds ? 0.6f : 0.12f)) {
            V3 tip = v3(b.r.gauss() * 0.12f * s, s * 1.2f, b.r.gauss() * 0.12f * s);
            b.rod(v3(0.0f), tip, 0.004f, 0.002f, stalk);
            if (b.r.chance(0.5f)) b.rod(mix(v3(0.0f), tip, 0.85f), tip, 0.012f, 0.008f, head);
        } else tuft(b, s, mats[b.r.below(3)]);
    }
    b.f = f;
}
inline void screen(Builder &b, const Front &v, bool inside) {
    if (inside) switch (b.r.below(12)) {
        case 0:
        case 1:
        case 2:
        case 3: return near_chairs(b, v);
        case 4:
        case 5: return railing(b, v);
        case 6:
        case 7: return potted(b, v);
        case 8: return trellis(b, v);
        case 9: return stems(b, v);
        case 10: return ropes(b, v);
        default: return poles(b, v);
    }
    switch (b.r.below(19)) {
        case 0:
        case 1: return pickets(b, v);
        case 2:
        case 3: return railing(b, v);
        case 4: return netting(b, v);
        case 5:
        case 6: return stems(b, v);
        case 7: return ropes(b, v);
        case 8:
        case 9: return boughs(b, v, false);
        case 10:
        case 11: return boughs(b, v, true);
        case 12:
        case 13: return leaf_curtain(b, v);
        case 14: return poles(b, v);
        case 15: return wheels(b, v);
        case 16: return trellis(b, v);
        case 17: return scaffold(b, v);
        default: return near_chairs(b, v);
    }
}
inline float screen_share(const World &w) {
    switch (w.kind) {
        case ROOM:
        case HALL: return 0.1f;
        case SHELVES: return 0.05f;
        case TABLE_TOP: return 0.06f;
        case CLUTTER: return 0.15f;
        case GARDEN: return 0.36f;
        default: return w.indoor ? 0.1f : 0.24f;
    }
}
// `room`: metres that are free in most of the picture; `ground`: height of what is under the camera.
inline void stand_in_front(Builder &b, float room, float ground) {
    const World &w = b.w;
    bool wanted = b.r.chance(screen_share(w)), grassy = b.r.chance(w.kind == WATERSIDE || w.kind == FIELD_ROAD || w.kind == MOUNTAIN || w.kind == FOREST || w.kind == GARDEN ? 0.17f : 0.05f);
    V3 eye = v3(w.eye);
    float steep = w.fwd[1] / fmaxf(sqrtf(w.fwd[0] * w.fwd[0] + w.fwd[2] * w.fwd[2]), 1e-3f), tall = eye.y - ground;
    if (fabsf(steep) > 0.9f || room < 0.6f || (w.kind == MOUNTAIN && tall > 8.0f)) return;
    auto k = b.at(eye, atan2f(-w.fwd[0], -w.fwd[2]));
    Front v;
    v.d = clampf(b.r.log_in(0.5f, 6.0f), 0.35f, 0.75f * room);
    v.half = w.tan_half * v.d, v.mid = steep * v.d, v.px = v.half / 192.0f, v.high = tall > 2.4f;
    v.floor = v.high ? -b.r.in(0.9f, 1.5f) : -fmaxf(tall, 0.2f) - (w.field0 >= 0 ? 0.1f * v.d : 0.0f);
    size_t from = b.prims.size();
    if (wanted) screen(b, v, w.indoor);
    if (grassy && !w.indoor && !v.high && w.kind != STREET && w.kind != CLUTTER) tall_grass(b, v, eye, ground, w.tan_half);
    b.add_since(from, eye, 0.2f);
}
