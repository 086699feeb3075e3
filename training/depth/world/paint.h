// Colours and materials by what they are made of.
#pragma once
#include "build.h"

inline V3 hsv(float h, float s, float v) {
    h = fractf(h) * 6.0f;
    float r = saturate(fabsf(h - 3.0f) - 1.0f), g = saturate(2.0f - fabsf(h - 2.0f)), b = saturate(2.0f - fabsf(h - 4.0f));
    V3 c = mix(v3(1.0f), v3(r, g, b), s) * v;
    return v3(powf(c.x, 2.2f), powf(c.y, 2.2f), powf(c.z, 2.2f));
}
inline V3 gray(float v) { return v3(powf(v, 2.2f)); }
inline V3 any_color(Rng &r) { return hsv(r.u(), powf(r.u(), 0.7f), r.in(0.1f, 0.95f)); }
inline V3 wall_color(Rng &r) {
    float k = r.u();
    if (k < 0.45f) return hsv(r.in(0.05f, 0.17f), r.in(0.0f, 0.2f), r.in(0.75f, 0.97f));
    if (k < 0.7f) return hsv(r.u(), r.in(0.05f, 0.35f), r.in(0.5f, 0.9f));
    return hsv(r.u(), r.in(0.4f, 1.0f), r.in(0.15f, 0.95f));  // saturated walls must not read as sky
}
inline V3 wood_color(Rng &r) { return hsv(r.in(0.04f, 0.11f), r.in(0.25f, 0.75f), r.in(0.15f, 0.8f)); }
inline V3 stone_color(Rng &r) { return hsv(r.in(0.05f, 0.15f) + (r.chance(0.2f) ? 0.5f : 0.0f), r.in(0.0f, 0.3f), r.in(0.3f, 0.8f)); }
inline V3 leaf_color(Rng &r) {
    float k = r.u();
    if (k < 0.8f) return hsv(r.in(0.17f, 0.36f), r.in(0.3f, 0.85f), r.in(0.18f, 0.6f));
    if (k < 0.93f) return hsv(r.in(0.02f, 0.14f), r.in(0.5f, 0.95f), r.in(0.35f, 0.8f));  // autumn
    return hsv(r.u(), r.in(0.1f, 0.7f), r.in(0.5f, 0.9f));                               // blossom
}
inline V3 soil_color(Rng &r) { return hsv(r.in(0.04f, 0.12f), r.in(0.15f, 0.6f), r.in(0.25f, 0.7f)); }
inline V3 grass_color(Rng &r) { return hsv(r.in(0.14f, 0.33f), r.in(0.3f, 0.8f), r.in(0.25f, 0.6f)); }
inline V3 skin_color(Rng &r) { return hsv(r.in(0.03f, 0.08f), r.in(0.25f, 0.65f), r.in(0.25f, 0.95f)); }

inline int shiny(Builder &b, int m, float spec, float gloss) {
    b.of(m).spec = spec, b.of(m).gloss = gloss;
    return m;
}
inline int wood(Builder &b) {
    V3 c = wood_color(b.r);
    int m = b.mat(c, c * b.r.in(0.4f, 0.8f), b.r.chance(0.7f) ? WOOD : SOLID, b.r.in(0.6f, 2.0f));
    return b.r.chance(0.5f) ? shiny(b, m, b.r.in(0.1f, 0.6f), b.r.in(0.2f, 0.8f)) : m;
}
inline int metal(Builder &b) {
    V3 c = b.r.chance(0.6f) ? gray(b.r.in(0.1f, 0.8f)) : hsv(b.r.in(0.05f, 0.15f), b.r.in(0.2f, 0.7f), b.r.in(0.4f, 0.9f));
    int m = shiny(b, b.mat(c), b.r.in(0.3f, 0.9f), b.r.in(0.3f, 0.95f));
    if (b.r.chance(0.35f)) b.of(m).mirror = b.r.in(0.15f, 0.6f);
    return m;
}
inline int fabric(Builder &b) {
    V3 a = any_color(b.r), c = b.r.chance(0.6f) ? a * b.r.in(0.4f, 0.9f) : any_color(b.r);
    int m = b.mat(a, c, b.r.pick({FABRIC, FABRIC, FABRIC, SOLID, PLAID, STRIPES, FLORAL, BLOTCH}), b.r.log_in(2.0f, 14.0f));
    b.of(m).bump = b.r.in(0.0f, 0.25f);
    return m;
}
inline int leather(Builder &b) {
    V3 c = b.r.chance(0.6f) ? wood_color(b.r) : any_color(b.r);
    return shiny(b, b.mat(c, c * 0.7f, BLOTCH, 3.0f), b.r.in(0.1f, 0.5f), b.r.in(0.2f, 0.7f));
}
inline int plastic(Builder &b) { return shiny(b, b.mat(any_color(b.r)), b.r.in(0.2f, 0.8f), b.r.in(0.3f, 0.95f)); }
inline int ceramic(Builder &b) {
    V3 a = b.r.chance(0.5f) ? gray(b.r.in(0.7f, 0.97f)) : any_color(b.r);
    int m = b.mat(a, any_color(b.r), b.r.pick({SOLID, SOLID, SOLID, STRIPES, FLORAL, BLOTCH}), b.r.log_in(4.0f, 25.0f));
    return shiny(b, m, 0.6f, b.r.in(0.6f, 0.95f));
}
inline int glassy(Builder &b) {
    int m = shiny(b, b.mat(mix(gray(0.1f), any_color(b.r), 0.3f)), 0.9f, 0.97f);
    b.of(m).mirror = b.r.in(0.1f, 0.35f);
    return m;
}
inline int clear_glass(Builder &b) {  // seen by its rim and its shine; its depth is its surface
    int m = shiny(b, b.mat(mix(gray(0.15f), any_color(b.r), 0.2f)), 0.9f, 0.97f);
    b.of(m).mirror = -b.r.in(0.7f, 0.95f);
    return m;
}
inline int mirror(Builder &b) {
    int m = b.mat(gray(0.1f));
    b.of(m).mirror = 0.92f;
    return m;
}
inline int glow(Builder &b, V3 c, float power) {
    int m = b.mat(c);
    b.of(m).emit = power;
    return m;
}
// Cloth, paper or glass with light behind it; by day as bright as the sky, at times brighter.
inline int backlit(Builder &b, int m, bool windows = true) {
    V3 sky = mix(v3(b.w.zenith), v3(b.w.horizon), 0.6f);
    float light = windows ? fmaxf(maxc(sky), 0.03f) : 1.0f;
    b.of(m).emit = fminf(light * b.r.log_in(0.3f, 1.8f) / fmaxf(maxc(v3(b.of(m).a)), 0.15f), 8.0f);
    return m;
}
inline int stuff(Builder &b) {  // whatever
    switch (b.r.below(7)) {
        case 0: return wood(b);
        case 1: return metal(b);
        case 2: return fabric(b);
        case 3: return plastic(b);
        case 4: return ceramic(b);
        case 5: {
            int m = b.mat(any_color(b.r), any_color(b.r), WILD, b.r.log_in(0.5f, 12.0f));
            return m;
        }
        default: return b.mat(any_color(b.r), any_color(b.r), b.r.below(CRACK), b.r.log_in(0.7f, 12.0f));
    }
}
inline int masonry(Builder &b) {
    V3 c = b.r.chance(0.3f) ? hsv(b.r.in(0.0f, 0.06f), b.r.in(0.4f, 0.75f), b.r.in(0.35f, 0.75f)) : stone_color(b.r);
    int pattern = b.r.pick({BRICK, BRICK, SOLID, BLOTCH, COBBLES, TILES, SPECKLE});
    int m = b.mat(c, pattern == BRICK ? gray(b.r.in(0.3f, 0.8f)) : c * b.r.in(0.5f, 0.9f), pattern, b.r.log_in(1.5f, 5.0f));
    b.of(m).dirt = b.r.chance(0.6f) ? b.r.in(0.0f, 0.6f) : 0.0f;
    b.of(m).bump = b.r.in(0.0f, 0.2f);
    return m;
}
inline int plaster(Builder &b) {
    V3 c = wall_color(b.r);
    int m = b.mat(c, c * b.r.in(0.7f, 0.95f), b.r.pick({SOLID, SOLID, BLOTCH, SPECKLE}), b.r.log_in(0.5f, 3.0f));
    b.of(m).dirt = b.r.chance(0.4f) ? b.r.in(0.0f, 0.5f) : 0.0f;
    b.of(m).bump = b.r.chance(0.5f) ? b.r.in(0.0f, 0.12f) : 0.0f;
    return m;
}
inline int rock(Builder &b) {
    V3 c = stone_color(b.r);
    int m = b.mat(c, c * b.r.in(0.3f, 0.7f), ROCK, b.r.log_in(0.6f, 3.0f));
    b.of(m).bump = b.r.in(0.3f, 0.6f);
    return m;
}
inline int leaves(Builder &b) {
    V3 c = leaf_color(b.r);
    return b.mat(c, c * b.r.in(0.25f, 0.8f), LEAF, b.r.log_in(0.7f, 2.0f));
}
inline int cut(Builder &b, int m, int cutout) {
    b.of(m).cutout = cutout;
    return m;
}
