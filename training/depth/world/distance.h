// What is very far: shores beyond water, layers of ridges, the line where plain or sea meets the sky.
#pragma once
#include "exteriors.h"

// Heights: `bed` within `shore` metres of the middle, a bank there, and up to four layers of ridges behind it, each
// farther and often higher. `bay`: the shore comes near on one side. Sees -z from the middle.
inline void far_land(Builder &b, float shore, float size, float bed, float bank, float steep, bool bay, int m) {
    World &w = b.w;
    int seed = (int)(b.r.u() * 1e5f), layers = b.r.in_int(0, 4);
    float r[4], h[4], side = b.r.sign(), at = shore * b.r.in(1.3f, 2.5f), curl = b.r.in(1.5f, 5.0f), wild = b.r.in(0.3f, 1.3f), sharp = b.r.chance(0.5f) ? b.r.u() : 0.0f;
    for (int i = 0; i < 4; i++, at *= b.r.in(1.6f, 3.5f)) r[i] = at, h[i] = i < layers ? at * steep * b.r.in(0.3f, 1.0f) : 0.0f;
    w.field_flat = bank;
    raise_land(b, size, 20, 0.8f, b.r.in(0.0f, 0.25f) * saturate(steep * 5.0f), m, [&](float x, float z, float cell) {
        float q = sqrtf(x * x + z * z) + 1e-3f, u = x / q, v = z / q;
        float s = shore * (0.7f + 0.6f * fbm2(u * curl, v * curl, seed, 3));
        if (bay) s *= mix(1.0f, 0.12f, smooth(0.15f, 0.95f, u * side));
        float k = smooth(0.92f, 1.02f, q / s);
        if (k <= 0.0f) return bed;
        float y = mix(bed, bank * (1.0f + 1.5f * (cell < 40.0f ? fbm2(x * 0.02f, z * 0.02f, seed + 3, 3) - 0.4f : 0.1f)), k);
        for (int l = 0; l < layers; l++) {
            float d = q / r[l];
            if (d <= 0.55f) break;  // the layers go outwards
            if (d > 4.0f) continue;
            float f = 2.0f * fbm2(u * curl * 2.2f + 9.0f * l, v * curl * 2.2f, seed + 7 + l, 5) - 1.0f;
            if (sharp > 0.0f) f = mix(f, 1.6f * alps(x / r[l] * curl * 1.4f, z / r[l] * curl * 1.4f, seed + 20 + l, octaves(r[l] / curl, cell, 5)) - 0.6f, sharp);
            y += k * h[l] * fmaxf(0.0f, 1.0f + wild * f * 1.8f) * smooth(0.55f, 1.0f, d) * (1.0f - smooth(1.0f, 2.6f, d) * 0.75f) * (1.0f - smooth(2.6f, 4.0f, d));
        }
        return y;
    });
}
// Haze that leaves the farthest layer a little of its colour.
inline void far_haze(Builder &b, float metres) { b.w.fog_density = b.r.log_in(0.04f, 2.2f) / metres; }

inline void ridges(Builder &b) {  // behind a plain
    float start = b.r.log_in(300, 3000), size = start * b.r.log_in(6, 20);
    int m = meadow(b);
    terrain_skin(b, m, size * 0.1f);
    far_land(b, start, size, -20.0f - 0.1f * start, 0.5f, b.r.log_in(0.03f, 0.35f), false, m);
    far_haze(b, start * b.r.log_in(2, 12));
}
inline void jetty(Builder &b, float y) {  // leads from the eye's side out over the water
    auto k = b.at(v3(b.r.sign() * b.r.in(0.2f, 4.0f), 0, b.r.in(-4, 2)), b.r.in(-0.7f, 0.7f));
    int m = wood(b), rope = b.mat(gray(b.r.in(0.2f, 0.7f))), planks = b.r.in_int(14, 60);
    float half = b.r.in(0.5f, 1.1f), deck = y + b.r.in(0.2f, 0.6f), post = b.r.in(0.04f, 0.12f), tall = b.r.in(0.1f, 1.1f);
    bool rail = b.r.chance(0.4f);
    for (int i = 0; i < planks; i++) b.box(v3(0, deck, -0.3f * i), v3(half, 0.025f, 0.13f), m);
    for (int i = 0; i <= planks / 7; i++)
        for (int s = 0; s < 2; s++) {
            float x = (s ? 1 : -1) * (half + post), z = -2.1f * i;
            b.rod(v3(x, y - 2, z), v3(x, deck + tall, z), post, post, m);
            if (rail && i > 0) wire(b, v3(x, deck + tall * 0.9f, z + 2.1f), v3(x, deck + tall * 0.9f, z), b.r.in(0.0f, 0.2f), 0.015f, rope);
        }
}
inline void buoy(Builder &b) {
    int m = plastic(b);
    b.ball(v3(0, 0.1f, 0), b.r.in(0.15f, 0.4f), m);
    if (b.r.chance(0.4f)) b.rod(v3(0.0f), v3(0, b.r.in(0.6f, 2.0f), 0), 0.04f, 0.02f, m);
}
// Water from the picture's lower edge to a shore far away; jetties, boats, stones and posts near by.
inline void far_shore(Builder &b) {
    bool night = weather(b);
    Green g = greens(b);
    int m = meadow(b);
    bool sea = b.r.chance(0.3f);
    float shore = sea ? b.r.log_in(600, 6000) : b.r.log_in(35, 500), size = shore * b.r.log_in(8, 40), steep = b.r.log_in(0.02f, 0.3f);
    terrain_skin(b, m, size * 0.1f);
    if (b.r.chance(0.75f)) b.of(m).dirt = 0;
    far_land(b, shore, size, -30.0f - 0.1f * shore, b.r.log_in(0.4f, 3.0f), sea && b.r.chance(0.35f) ? 0.0f : steep, b.r.chance(0.4f), m);
    far_haze(b, shore * b.r.log_in(2, 15));
    V3 c = hsv(b.r.in(0.4f, 0.64f), b.r.in(0.05f, 0.7f), b.r.chance(0.5f) ? b.r.in(0.05f, 0.25f) : b.r.in(0.3f, 0.8f));
    b.w.water_mat = shiny(b, b.mat(c), 0.9f, b.r.in(0.93f, 0.99f)), b.of(b.w.water_mat).mirror = b.r.chance(0.5f) ? b.r.in(0.03f, 0.3f) : b.r.in(0.4f, 0.9f);
    b.w.water_y = 0, b.w.wave = b.r.log_in(0.01f, 0.5f);
    Look look[2] = {look_of(b, night), look_of(b, night)};
    float stop = b.r.in(0.15f, 1.1f), middle = b.r.in(-0.5f, 0.5f);
    int n = sea ? b.r.in_int(0, 20) : b.r.in_int(15, 130), houses = b.r.in_int(0, 30);
    for (int i = 0; i < n; i++) {  // along the shore
        float a = middle + stop * b.r.gauss(), d = shore * b.r.in(0.4f, 1.5f), x = sinf(a) * d, z = -cosf(a) * d;
        for (int k = 0; k < 12 && ground_at(b, x, z) < 0.2f; k++) x *= 1.08f, z *= 1.08f;
        float y = ground_at(b, x, z);
        if (y < 0.1f || y > 60.0f) continue;
        auto s = b.at(v3(x, y - 0.3f, z), -a + b.r.in(-0.5f, 0.5f));
        if (i < houses) { if (b.r.chance(0.07f)) tower(b, b.r.in(1.5f, 4), b.r.in(10, 30), look[0]); else house(b, b.r.in(3, 7), b.r.in(3, 6), b.r.in(2.8f, 9), look[i & 1], shore < 90 ? 1 : 0); }
        else if (b.r.chance(0.75f)) tree(b, b.r.log_in(4, 18), g, shore < 90 ? 1 : 0);
        else b.put(LEAVES, v3(0, 4, 0), v3(b.r.in(5, 30), b.r.in(3, 9), b.r.in(3, 8)), g.leaf, b.r.in(0.0f, 0.8f));  // a wood's edge
    }
    if (b.r.chance(0.35f)) jetty(b, 0.0f);
    int boats = b.r.chance(0.6f) ? b.r.in_int(1, 8) : 0, buoys = b.r.chance(0.25f) ? b.r.in_int(1, 8) : 0, posts = b.r.chance(0.25f) ? b.r.in_int(2, 24) : 0, stones = b.r.chance(0.3f) ? b.r.in_int(2, 20) : 0;
    int stone = rock(b), post = wood(b);
    for (int i = 0; i < boats + buoys + posts + stones; i++) {
        float d = i < boats ? b.r.log_in(4, fminf(shore, 250)) : b.r.log_in(1.5f, 40), a = b.r.in(-0.8f, 0.8f);
        auto s = b.at(v3(sinf(a) * d, 0, -cosf(a) * d), b.r.in(0, 6.28f));
        if (i < boats) boat(b);
        else if (i < boats + buoys) buoy(b);
        else if (i < boats + buoys + posts) b.rod(v3(0, -2, 0), v3(b.r.gauss() * 0.1f, b.r.in(0.3f, 1.8f), 0), b.r.in(0.03f, 0.13f), 0.04f, post);
        else boulder(b, b.r.log_in(0.1f, 1.2f), stone);
    }
}
