// Close-ups, from a hand's breadth to a metre: flowers, food, cups, small things on cloth, one thing before a backdrop.
#pragma once
#include "landscape.h"

struct Shot {  // where cameras of this world may stand and look
    V3 lo, hi;          // box of the eye; y above the ground there
    float pitch_lo, pitch_hi;
    float yaw_mid, yaw_spread;
    float fov_lo, fov_hi;  // degrees over the longer side
    V3 target;          // looked at when `aim`
    bool aim;
};

struct Bloom {  // what the flowers of one world look like
    int petal, petal2, middle, stem, leaf, kind, petals;
    float wide, cup;
};
inline Bloom bloom_of(Builder &b) {
    V3 c = any_color(b.r), d = b.r.chance(0.6f) ? c * b.r.in(0.5f, 1.0f) : any_color(b.r), g = leaf_color(b.r);
    if (b.r.chance(0.3f)) c = gray(b.r.in(0.8f, 0.97f));
    Bloom f{b.mat(c, c * b.r.in(0.6f, 0.95f), BLOTCH, 60.0f), b.mat(d), b.mat(hsv(b.r.in(0.03f, 0.2f), b.r.in(0.4f, 1.0f), b.r.in(0.2f, 0.9f)), gray(0.2f), SPECKLE, 40.0f),
            b.mat(g, g * 0.7f, BLOTCH, 40.0f), cut(b, b.mat(g, g * b.r.in(0.4f, 0.8f), STRIPES, 60.0f), LEAF_SHAPE), b.r.below(4), b.r.in_int(5, 17), b.r.in(0.15f, 0.5f), b.r.in(-0.3f, 1.2f)};
    return f;
}
// A flower of radius s whose middle is at p, on a stem from `foot`.
inline void flower(Builder &b, V3 foot, V3 p, float s, const Bloom &f) {
    V3 knee = mix(foot, p, 0.55f) + v3(b.r.gauss(), 0, b.r.gauss()) * (0.06f * length(p - foot)), n = norm(norm(p - knee) + v3(b.r.gauss(), b.r.gauss(), b.r.gauss()) * 0.35f), u, v;
    frame_of(n, u, v);
    b.rod(foot, knee, s * 0.07f, s * 0.06f, f.stem), b.rod(knee, p, s * 0.06f, s * 0.05f, f.stem);
    for (int i = b.r.below(4); i > 0; i--) {
        float a = b.r.in(0, 6.28f), l = s * b.r.in(0.6f, 1.8f);
        V3 d = norm(v3(cosf(a), b.r.in(0.1f, 1.2f), sinf(a)));
        b.card(mix(foot, knee, b.r.in(0.2f, 1.0f)) + d * l, v3(-sinf(a), b.r.in(-0.4f, 0.4f), cosf(a)), d, l * b.r.in(0.15f, 0.45f), l, f.leaf);
    }
    if (f.kind == 3) {  // a tulip or a bud
        b.put(BALL, p + n * (s * 0.5f), u, n, v, v3(s * 0.45f, s * 0.75f, s * 0.45f), f.petal);
        for (int i = 0; i < 5; i++) {
            float a = 1.2566f * i;
            V3 d = u * cosf(a) + v * sinf(a);
            b.put(BALL, p + n * (s * 0.75f) + d * (s * 0.3f), norm(d + n * 0.2f), norm(n - d * 0.25f), norm(cross(d, n)), v3(s * 0.12f, s * 0.7f, s * 0.3f), i & 1 ? f.petal : f.petal2);
        }
        return;
    }
    int rings = f.kind == 2 ? 3 : 1;
    for (int k = 0; k < rings; k++)
        for (int i = 0; i < f.petals; i++) {
            float a = 6.2832f * (i + 0.5f * (k & 1)) / f.petals + 0.08f * b.r.gauss(), l = s * (0.5f - 0.12f * k) * b.r.in(0.85f, 1.1f);
            V3 d = u * cosf(a) + v * sinf(a), out = norm(d + n * (f.cup * (1.0f + k) + 0.1f * b.r.gauss())), side = norm(cross(n, d));
            b.put(BALL, p + out * (l + s * 0.1f), out, norm(cross(side, out)), side, v3(l, s * 0.035f, fminf(l * f.wide * 1.4f, 5.0f * s / f.petals)), k == 1 ? f.petal2 : f.petal);
        }
    b.put(BALL, p + n * (s * 0.08f), u, n, v, v3(s * 0.24f, s * b.r.in(0.08f, 0.2f), s * 0.24f), f.middle);
}
inline void coffee(Builder &b, float s) {
    int m = ceramic(b), drink = shiny(b, b.mat(hsv(b.r.in(0.03f, 0.12f), b.r.in(0.2f, 0.8f), b.r.in(0.1f, 0.9f)), gray(0.9f), b.r.chance(0.5f) ? MARBLE : SOLID, 20.0f), 0.3f, 0.8f);
    float r = s * b.r.in(0.35f, 0.5f), h = s * b.r.in(0.25f, 0.55f), open = b.r.in(1.0f, 1.4f), top = 2 * h + s * 0.06f;
    if (b.r.chance(0.6f)) b.tube(v3(0, s * 0.025f, 0), r * 1.4f, s * 0.025f, m, 1.3f);
    b.tube(v3(0, h + s * 0.05f, 0), r, h, m, open);
    b.ring(v3(0, top - s * 0.01f, 0), v3(0, 1, 0), r * open * 1.02f, s * 0.022f, m);
    b.tube(v3(0, top - s * 0.004f, 0), r * open * 0.93f, s * 0.006f, drink);
    b.ring(v3(r * 1.25f, h + s * 0.05f, 0), v3(0, 0, 1), h * 0.65f, s * 0.04f, m);
}
inline int food_mat(Builder &b) {
    V3 c = b.r.chance(0.75f) ? hsv(b.r.in(0.0f, 0.2f), b.r.in(0.3f, 0.95f), b.r.in(0.3f, 0.95f)) : hsv(b.r.in(0.2f, 0.4f), b.r.in(0.4f, 0.9f), b.r.in(0.3f, 0.8f));
    int m = b.mat(c, b.r.chance(0.6f) ? c * b.r.in(0.3f, 0.9f) : hsv(b.r.in(0.0f, 0.2f), 0.6f, 0.9f), b.r.pick({BLOTCH, BLOTCH, SPECKLE, SOLID, WILD, MARBLE}), b.r.log_in(8.0f, 60.0f));
    b.of(m).bump = b.r.in(0.0f, 0.35f);
    return b.r.chance(0.5f) ? shiny(b, m, b.r.in(0.2f, 0.6f), b.r.in(0.4f, 0.9f)) : m;
}
// A plate or board of radius s with something to eat.
inline void dish(Builder &b, float s) {
    int plate = b.r.chance(0.7f) ? ceramic(b) : wood(b), a = food_mat(b), c = food_mat(b), d = food_mat(b);
    b.tube(v3(0, s * 0.04f, 0), s * 0.7f, s * 0.04f, plate, 1.4f), b.tube(v3(0, s * 0.085f, 0), s * 0.62f, s * 0.006f, plate);
    float y = s * 0.09f;
    switch (b.r.below(6)) {
        case 0: {  // slices of cake
            float r = s * b.r.in(0.35f, 0.55f), h = s * b.r.in(0.12f, 0.25f);
            for (int i = 0; i < 3; i++) b.put(PRISM, v3(0, y + h * (2 * i + 1) * 0.4f, 0), v3(1, 0, 0), v3(0, 0, 1), v3(0, -1, 0), v3(r * 0.55f, r, h * 0.4f), i & 1 ? c : a);
            for (int i = 0; i < 6; i++) b.ball(v3(b.r.in(-0.2f, 0.2f) * r, y + h * 2.45f, b.r.in(-0.8f, 0.3f) * r), s * b.r.in(0.03f, 0.08f), d);
            return;
        }
        case 1: {  // layers: a burger, pancakes, toast
            int n = b.r.in_int(3, 8);
            float r = s * b.r.in(0.3f, 0.5f);
            for (int i = 0; i < n; i++) {
                float t = s * b.r.in(0.02f, 0.08f), k = r * b.r.in(0.85f, 1.12f);
                b.soft(v3(b.r.gauss() * 0.02f * s, y + t, b.r.gauss() * 0.02f * s), v3(k, t, k), i % 3 == 0 ? a : i % 3 == 1 ? c : d, 1.0f);
                y += 1.9f * t;
            }
            b.ball(v3(0, y, 0), v3(r, r * b.r.in(0.3f, 0.6f), r), a);
            return;
        }
        case 2:  // a heap of pieces
            for (int i = b.r.in_int(25, 70); i > 0; i--) {
                float q = b.r.u(), ang = b.r.in(0, 6.28f), r = s * 0.55f * sqrtf(q), k = s * b.r.in(0.03f, 0.11f);
                auto t = b.tilted(v3(cosf(ang) * r, y + k * 0.5f + s * 0.3f * (1 - q) * b.r.u(), sinf(ang) * r), b.r.in(-1, 1), b.r.in(-1, 1));
                int m = i % 3 == 0 ? a : i % 3 == 1 ? c : d;
                if (i & 1) b.ball(v3(0.0f), v3(k, k * b.r.in(0.4f, 1.0f), k * b.r.in(0.5f, 1.4f)), m); else b.soft(v3(0.0f), v3(k, k * 0.4f, k * 0.7f), m, b.r.in(0.2f, 0.9f));
            }
            return;
        case 3:  // noodles and balls
            for (int i = 0; i < 34; i++) b.ring(v3(b.r.gauss() * 0.15f * s, y + s * b.r.in(0.02f, 0.22f), b.r.gauss() * 0.15f * s), v3(b.r.gauss() * 0.5f, 1, b.r.gauss() * 0.5f), s * b.r.in(0.12f, 0.35f), s * b.r.in(0.012f, 0.02f), a);
            for (int i = b.r.in_int(0, 8); i > 0; i--) b.ball(v3(b.r.gauss() * 0.2f * s, y + s * 0.25f, b.r.gauss() * 0.2f * s), s * b.r.in(0.05f, 0.12f), c);
            return;
        case 4:  // fruit
            for (int i = b.r.in_int(2, 9); i > 0; i--) {
                float k = s * b.r.in(0.14f, 0.26f), ang = b.r.in(0, 6.28f), r = s * b.r.in(0.0f, 0.45f);
                V3 p = v3(cosf(ang) * r, y + k, sinf(ang) * r);
                b.ball(p, v3(k, k * b.r.in(0.85f, 1.1f), k), i & 1 ? a : c), b.rod(p + v3(0, k * 0.9f, 0), p + v3(0.1f * k, k * 1.3f, 0), k * 0.05f, k * 0.03f, d);
            }
            return;
        default: {  // soup, a pie, a pizza: round and flat with things on top
            float r = s * b.r.in(0.5f, 0.66f), h = s * b.r.in(0.02f, 0.1f);
            b.tube(v3(0, y + h, 0), r, h, a), b.ring(v3(0, y + 2 * h, 0), v3(0, 1, 0), r, s * 0.05f, c);
            for (int i = b.r.in_int(8, 40); i > 0; i--) {
                float ang = b.r.in(0, 6.28f), q = r * 0.85f * sqrtf(b.r.u()), k = s * b.r.in(0.02f, 0.09f);
                b.tube(v3(cosf(ang) * q, y + 2 * h + k * 0.1f, sinf(ang) * q), k, k * 0.2f, i & 1 ? d : c, 0.9f);
            }
        }
    }
}
inline void cutlery(Builder &b, float s) {
    int m = metal(b), n = b.r.in_int(1, 3);
    for (int i = 0; i < n; i++) {
        auto k = b.at(v3(s * 0.1f * i, 0, 0), b.r.in(-0.1f, 0.1f));
        b.soft(v3(0, 0.003f, 0.3f * s), v3(0.035f * s, 0.003f, 0.5f * s), m, 0.9f);
        if (i == 0) b.soft(v3(0, 0.003f, -0.4f * s), v3(0.06f * s, 0.002f, 0.25f * s), m, 0.9f);
        else if (i == 1) b.ball(v3(0, 0.006f, -0.35f * s), v3(0.09f * s, 0.01f, 0.15f * s), m);
        else for (int j = -1; j < 3; j++) b.rod(v3(0.03f * s * (j - 0.5f), 0.004f, -0.2f * s), v3(0.03f * s * (j - 0.5f), 0.008f, -0.5f * s), 0.008f * s, 0.005f * s, m);
    }
}
// A bed or a bunch of flowers from very near, the garden behind.
inline void flower_macro(Builder &b, Shot &s) {
    weather(b);
    Green g = greens(b);
    b.w.plane_mat = b.r.chance(0.8f) ? meadow(b) : road_mat(b);
    grow_on(b, 50, 2.5f, 50, g, 0.4f);
    Bloom kinds[2] = {bloom_of(b), bloom_of(b)};
    int n = b.r.in_int(1, 26), tufts = tuft_mat(b);
    float size = b.r.log_in(0.015f, 0.07f), tall = size * b.r.in(3.0f, 9.0f), spread = size * b.r.in(3.0f, 12.0f);
    V3 first = v3(0, tall, 0);
    for (int i = 0; i < n && b.prims.size() < 3500; i++) {
        V3 foot = i ? v3(b.r.gauss() * spread, 0, b.r.gauss() * spread - 0.5f * spread) : v3(0.0f), tip = foot + v3(b.r.gauss() * 0.15f * tall, tall * (i ? b.r.in(0.5f, 1.2f) : 1.0f), b.r.gauss() * 0.15f * tall);
        if (i == 0) first = tip;
        flower(b, foot, tip, size * b.r.in(0.7f, 1.1f), kinds[b.r.chance(0.8f) ? 0 : 1]);
    }
    for (int i = b.r.in_int(10, 60); i > 0; i--) { auto k = b.at(v3(b.r.gauss() * 2 * spread, 0, b.r.gauss() * 2 * spread - spread), b.r.in(0, 6.28f)); tuft(b, tall * b.r.in(0.3f, 1.3f), tufts); }
    float d = size * b.r.log_in(4.0f, 14.0f);
    s = Shot{first + v3(-0.6f * d, -0.1f * d, 0.7f * d), first + v3(0.6f * d, 0.7f * d, 1.2f * d), -0.2f, 0.2f, 0, 3.2f, 26, 50, first, true};
    s.lo.y = fmaxf(s.lo.y, 0.03f);
}
