// Colours of surfaces: patterns over a plane (u, v in metres) or through space, and paint on top of them.
#pragma once
#include "noise.h"
#include "scene.h"
#include "shapes.h"

struct Skin {
    V3 albedo;
    V3 emit;
    float spec, gloss, mirror, bump;
};

HD float line_at(float x, float width) { return fabsf(fractf(x) - 0.5f) > 0.5f - 0.5f * width ? 1.0f : 0.0f; }
HD V3 vivid(uint32_t h) {
    V3 c = v3(unit_of(h), unit_of(hash32(h)), unit_of(hash32(h + 77u)));
    return v3(c.x * c.x, c.y * c.y, c.z * c.z) * 0.9f + v3(0.01f);
}

// Rows of glyph-like strokes inside the unit square [-1, 1].
HD float glyphs(float x, float y, float rows, float seed) {
    float v = (y + 1.0f) * 0.5f * rows, row = floorf(v), fy = v - row;
    float width = 0.35f + 0.6f * hash01((int)row, (int)(seed * 733.0f), 5);
    if (fabsf(x) > width || fy < 0.2f || fy > 0.82f) return 0.0f;
    float u = (x + 1.0f) * rows * 0.9f, col = floorf(u), fx = u - col;
    uint32_t h = hash3((int)col, (int)row, (int)(seed * 733.0f));
    if ((h & 7u) == 0u) return 0.0f;
    float gx = (fx - 0.5f) * 2.6f, gy = (fy - 0.51f) * 3.3f, ink = 0.0f;
    if (h & 8u) ink = fmaxf(ink, fabsf(gx + 0.65f) < 0.25f);
    if (h & 16u) ink = fmaxf(ink, fabsf(gx - 0.65f) < 0.25f);
    if (h & 32u) ink = fmaxf(ink, fabsf(gy) < 0.2f && fabsf(gx) < 0.9f);
    if (h & 64u) ink = fmaxf(ink, fabsf(gy - 0.85f) < 0.2f && fabsf(gx) < 0.9f);
    if (h & 128u) ink = fmaxf(ink, fabsf(gy + 0.85f) < 0.2f && fabsf(gx) < 0.9f);
    if (h & 256u) ink = fmaxf(ink, fabsf(gx - gy * 0.7f) < 0.22f);
    return ink;
}
// Noise of a few pixels' size at any distance, in [0, 1].
HD float pixel_noise(V3 p, float px) {
    float level = log2f(fmaxf(px, 0.004f) * 5.0f), low = floorf(level), s = exp2f(-low);
    return mix(noise3(p * s), noise3(p * (s * 0.5f)), level - low);
}
// Fields of different crops, with furrows.
HD V3 parcels(float x, float y, V3 a, V3 b, float seed, float px) {
    float f1, f2, pitch = 35.0f + 160.0f * fractf(seed * 17.0f), turn = 6.0f * seed;
    uint32_t id;
    cells2((x * cosf(turn) - y * sinf(turn)) / pitch, (x * sinf(turn) + y * cosf(turn)) / (pitch * 2.2f), 5, f1, f2, id);
    float k = unit_of(id), ang = 6.2832f * unit_of(hash32(id)), light = 0.45f + 0.9f * unit_of(hash32(id + 5u));
    V3 c = k < 0.5f ? a : k < 0.75f ? v3(a.x * 1.7f + 0.08f, a.y * 1.25f + 0.05f, a.z * 0.8f) : k < 0.9f ? b : v3(0.16f, 0.1f, 0.06f);
    float furrow = sinf((x * cosf(ang) + y * sinf(ang)) * (0.9f + 2.0f * k));
    c = c * light * (1.0f + 0.18f * furrow * saturate(1.3f - px * 1.2f));
    return c * mix(0.55f, 1.0f, smooth(0.01f, 0.05f, f2 - f1)) * (0.75f + 0.5f * noise2(x * 0.06f, y * 0.06f, 3));
}
// A painted picture or a photograph: gradients, blobs and boxes, with frames of its own perspective.
HD V3 picture(float x, float y, V3 a, V3 b, float seed) {
    int s = (int)(seed * 4093.0f);
    float sky = smooth(-0.6f, 0.9f, y + 0.3f * fbm2(x * 2.0f, y * 2.0f, s, 3));
    V3 c = mix(a, b, sky);
    for (int i = 0; i < 6; i++) {
        uint32_t h = hash3(i, s, 17);
        float cx = 1.8f * unit_of(h) - 0.9f, cy = 1.8f * unit_of(hash32(h)) - 0.9f, r = 0.1f + 0.5f * unit_of(hash32(h + 5u));
        float dx = x - cx, dy = (y - cy) * (0.5f + 1.5f * unit_of(hash32(h + 9u)));
        bool in = (h & 1u) ? fabsf(dx) < r && fabsf(dy) < r : dx * dx + dy * dy < r * r;
        if (in) c = mix(vivid(h), vivid(hash32(h + 3u)), saturate(0.5f + dy / r * 0.5f));
    }
    return c * (0.8f + 0.4f * fbm2(x * 9.0f, y * 9.0f, s + 3, 3));
}

// u, v: metres on the surface; x, y: -1 to 1 over the object's side; p: metres in the object; amount: 0 where b shows.
HD V3 pattern_color(int pattern, V3 a, V3 b, float scale, float seed, float u, float v, float x, float y, V3 p, float px, float &bump) {
    int s = (int)(seed * 8191.0f);
    float su = u * scale, sv = v * scale;
    float blur = px * scale;  // repeats per pixel: fades what a lens would not resolve
    float keep = saturate(1.7f - 2.2f * blur);
    switch (pattern) {
        case SOLID: return a * (0.96f + 0.08f * fbm3(p * (3.0f * scale) + v3(seed * 91.0f), 2));
        case BLOTCH: return mix(a, b, smooth(0.3f, 0.7f, fbm3(p * scale + v3(seed * 91.0f), 4)));
        case CHECKER: {
            float k = ((int)floorf(su) + (int)floorf(sv)) & 1 ? 1.0f : 0.0f;
            return mix(a, b, mix(0.5f, k, keep));
        }
        case STRIPES: return mix(a, b, mix(0.5f, fractf(su) < 0.5f ? 1.0f : 0.0f, keep));
        case BRICK: {
            float row = floorf(sv * 2.0f), shifted = su + 0.5f * ((int)row & 1);
            float mortar = fmaxf(line_at(shifted, 0.06f), line_at(sv * 2.0f, 0.13f));
            uint32_t h = hash3((int)floorf(shifted), (int)row, s);
            V3 c = a * (0.72f + 0.56f * unit_of(h)) * (0.85f + 0.3f * noise2(su * 7.0f, sv * 7.0f, s));
            bump = 1.0f - mortar;
            return mix(a * 0.95f, mix(c, b, mortar), keep);
        }
        case TILES: {
            float grout = fmaxf(line_at(su, 0.04f), line_at(sv, 0.04f));
            V3 c = a * (0.9f + 0.2f * hash01((int)floorf(su), (int)floorf(sv), s));
            bump = 1.0f - grout;
            return mix(a, mix(c, b, grout), keep);
        }
        case PLANKS: {
            float plank = floorf(su), along = v + 3.0f * hash01((int)plank, 1, s), piece = floorf(along * 0.6f);
            uint32_t h = hash3((int)plank, (int)piece, s);
            float grain = fbm2(su * 9.0f, along * 0.8f + unit_of(h) * 50.0f, s, 3);
            V3 c = mix(a, b, grain * 0.9f) * (0.75f + 0.5f * unit_of(h));
            float gap = fmaxf(line_at(su, 0.03f), line_at(along * 0.6f, 0.008f));
            return mix(mix(a, b, 0.45f), c * (1.0f - 0.8f * gap), keep);
        }
        case WOOD: {
            float g = fbm2(u * scale * 6.0f, v * scale * 0.5f, s, 3);
            return mix(a, b, 0.5f + 0.5f * sinf(g * 25.0f));
        }
        case MARBLE: {
            float g = fbm3(p * scale, 5);
            return mix(a, b, powf(1.0f - fabsf(2.0f * fractf(g * 2.0f + seed) - 1.0f), 6.0f));
        }
        case FABRIC: {
            float weave = noise2(u * 220.0f, v * 40.0f, s) * 0.5f + noise2(u * 40.0f, v * 220.0f, s) * 0.5f;
            return mix(a, b, 0.25f * smooth(0.3f, 0.7f, fbm2(su, sv, s, 2))) * (0.86f + 0.28f * mix(0.5f, weave, saturate(1.0f - px * 60.0f)));
        }
        case PLAID: {
            float h1 = fractf(su) < 0.3f, h2 = fractf(sv) < 0.3f, t1 = fractf(su * 1.0f + 0.6f) < 0.07f, t2 = fractf(sv + 0.6f) < 0.07f;
            V3 c = mix(a, b, 0.5f * (h1 + h2) * keep + 0.25f * (1.0f - keep));
            return mix(c, v3(0.8f), 0.5f * fmaxf(t1, t2) * keep);
        }
        case FLORAL: {
            float f1, f2;
            uint32_t id;
            cells2(su, sv, s, f1, f2, id);
            float petals = f1 + 0.1f * sinf(6.0f * atan2f(fractf(su) - 0.5f, fractf(sv) - 0.5f));
            return mix(a, petals < 0.28f ? (petals < 0.1f ? vivid(id) : b) : a, keep);
        }
        case FACADE: {  // windows painted on a wall
            float fu = fractf(su), fv = fractf(sv);
            int iu = (int)floorf(su), iv = (int)floorf(sv);
            float w = 0.18f + 0.22f * fractf(seed * 7.3f), hgt = 0.2f + 0.2f * fractf(seed * 3.1f);
            bool pane = fabsf(fu - 0.5f) < w && fabsf(fv - 0.5f) < hgt;
            bool frame = fabsf(fu - 0.5f) < w + 0.035f && fabsf(fv - 0.5f) < hgt + 0.035f;
            V3 wall = a * (0.9f + 0.2f * fbm2(u * 2.0f, v * 2.0f, s, 4));
            if (pane) {
                uint32_t h = hash3(iu, iv, s);
                bool mullion = fabsf(fu - 0.5f) < 0.012f || fabsf(fv - 0.5f) < 0.012f;
                bump = -1.0f;  // glass: the caller makes it shine
                if (mullion) return b;
                return mix(v3(0.02f, 0.025f, 0.03f), v3(0.25f, 0.3f, 0.36f), unit_of(h) * 0.6f + 0.3f * noise2(u * 3.0f, v * 3.0f, s));
            }
            return frame ? b : wall;
        }
        case TEXT: return mix(a, b, glyphs(x, y, 2.0f + floorf(9.0f * fractf(seed * 5.7f)), seed));
        case PICTURE: return picture(x, y, a, b, seed);
        case SCREEN: return picture(x, y, a, b, seed);
        case RUG: {
            float ax = fabsf(x), ay = fabsf(y), edge = fmaxf(ax, ay), ring = floorf(edge * 9.0f);
            uint32_t h = hash3((int)ring, s, 3);
            float motif = sinf(ax * 30.0f * (0.5f + fractf(seed * 3.0f))) * sinf(ay * 30.0f);
            V3 c = edge > 0.75f ? mix(b, vivid(h), 0.4f) : mix(a, b, motif > 0.2f ? 0.8f : 0.1f);
            return c * (0.8f + 0.4f * noise2(u * 90.0f, v * 90.0f, s));
        }
        case SPECKLE: return mix(a, b, mix(0.5f, noise3(p * (scale * 12.0f)), saturate(1.0f - blur * 8.0f))) *
                             (0.85f + 0.3f * fbm3(p * (scale * 0.15f), 3));
        case GRASS: {
            float blades = noise2(u * 90.0f, v * 25.0f, s) * 0.5f + 0.5f * noise2(u * 24.0f + v * 8.0f, v * 60.0f, s);
            float k = fbm2(u * 0.5f * scale, v * 0.5f * scale, s, 4);
            V3 c = mix(a, b, smooth(0.3f, 0.75f, k));
            return c * (0.55f + 0.9f * mix(0.5f, blades, saturate(1.0f - px * 25.0f)));
        }
        case BOOKS: {
            float su2 = u * 28.0f, book = floorf(su2 + 0.4f * hash01((int)floorf(su2), 1, s));
            uint32_t h = hash3((int)book, (int)floorf(v * 3.2f), s);
            float title = fabsf(fractf(v * 3.2f) - 0.55f) < 0.12f && (h & 2u) ? 1.0f : 0.0f;
            float gap = fractf(su2) < 0.07f ? 0.25f : 1.0f;
            return mix(vivid(h), vivid(hash32(h + 1u)), title) * gap * (0.7f + 0.3f * (y > 0.75f ? 0.0f : 1.0f));
        }
        case COBBLES: {
            float f1, f2;
            uint32_t id;
            cells2(su, sv, s, f1, f2, id);
            float edge = smooth(0.03f, 0.16f, f2 - f1);
            bump = edge;
            V3 c = mix(a, b, unit_of(id)) * (0.8f + 0.4f * noise2(su * 9.0f, sv * 9.0f, s));
            return mix(mix(a, b, 0.4f), c * (0.25f + 0.75f * edge), keep);
        }
        case BARK: return mix(a, b, fbm2(u * 18.0f * scale, v * 4.0f * scale, s, 4)) * (0.6f + 0.8f * noise2(u * 60.0f, v * 9.0f, s));
        case SHINGLES: {
            float row = floorf(sv * 2.0f), shifted = su * 1.5f + 0.5f * ((int)row & 1), fy = fractf(sv * 2.0f);
            uint32_t h = hash3((int)floorf(shifted), (int)row, s);
            bump = fy;
            V3 c = mix(a, b, unit_of(h)) * (0.55f + 0.5f * fy);
            return mix(mix(a, b, 0.5f) * 0.8f, c * (line_at(shifted, 0.08f) > 0.0f ? 0.5f : 1.0f), keep);
        }
        case WILD: {
            float f = fbm3(p * scale + v3(seed * 37.0f), 5), g = fbm3(p * (scale * 2.3f) - v3(seed * 19.0f), 3);
            return mix(mix(a, b, smooth(0.42f, 0.58f, f)), vivid(hash32((uint32_t)s)), smooth(0.5f, 0.62f, g));
        }
        case PLOTS: return parcels(u, v, a, b, seed, px);
        case ROCK: {
            float strata = fbm3(v3(p.x * 0.7f, p.y * 3.0f, p.z * 0.7f) * scale, 5), crack = fbm3(p * (scale * 3.0f), 4);
            return mix(a, b, strata) * (0.45f + 1.1f * crack * crack * 1.6f);
        }
        case LEAF: {
            V3 q = p * (24.0f * scale);
            float single = hash01((int)floorf(q.x), (int)floorf(q.y), (int)floorf(q.z));
            return mix(a, b, noise3(p * 5.0f * scale)) * (0.35f + 1.2f * mix(0.5f, single, saturate(1.4f - px * 20.0f)));
        }
    }
    return a;
}

// Paint: how much of it lies at (x, y) of its square, and its colour.
HD float decal_cover(int pattern, float x, float y, float seed, V3 a, V3 b, V3 &c) {
    c = a * (0.85f + 0.3f * noise2(x * 14.0f, y * 14.0f, 3));
    float worn = smooth(0.16f, 0.4f, fbm2(x * 4.0f + seed * 9.0f, y * 4.0f, (int)(seed * 77.0f), 4));
    switch (pattern) {
        case SOLID: return worn;
        case LANES: return (fractf(y * (1.0f + floorf(8.0f * fractf(seed * 5.0f)))) < 0.5f ? 1.0f : 0.0f) * worn;
        case STRIPES: return (fractf(x * (2.0f + floorf(7.0f * fractf(seed * 5.0f)))) < 0.5f ? 1.0f : 0.0f) * worn;
        case ARROW: {
            bool head = y > 0.1f && fabsf(x) < (1.0f - y) * 1.0f, shaft = y <= 0.1f && fabsf(x) < 0.22f;
            return (head || shaft ? 1.0f : 0.0f) * worn;
        }
        case TEXT: return glyphs(x, y, 1.0f + floorf(4.0f * fractf(seed * 3.0f)), seed) * worn;
        case PUDDLE:
        case SHADE: return smooth(0.95f, 0.55f, sqrtf(x * x + y * y) + 0.7f * (fbm2(x * 2.0f + seed * 31.0f, y * 2.0f, 9, 4) - 0.5f));
        case MANHOLE: {
            float r = sqrtf(x * x + y * y);
            c = a * (fractf(x * 6.0f) < 0.5f || fractf(y * 6.0f) < 0.4f ? 0.7f : 1.1f);
            return r < 1.0f ? (r > 0.88f && r < 0.94f ? 0.5f : 1.0f) : 0.0f;
        }
        case CRACK: return fabsf(x - 0.6f * (fbm2(y * 3.0f, seed * 50.0f, 5, 4) - 0.5f)) < 0.012f + 0.02f * noise2(y * 9.0f, 1.0f, 4) ? 1.0f : 0.0f;
        case CHECKER: c = ((int)floorf(x * 4.0f) + (int)floorf(y * 4.0f)) & 1 ? a : b; return 1.0f;
        case ROUND: return x * x + y * y < 1.0f ? worn : 0.0f;
        case RUG: {
            float dummy = 0.0f;
            c = pattern_color(RUG, a, b, 1.0f, seed, x, y, x, y, v3(x, y, 0.0f), 0.0f, dummy);
            return 1.0f;
        }
        case PICTURE: c = picture(x, y, a, b, seed); return 1.0f;
        case LEAF: {  // fallen leaves
            c = mix(a, b, hash01((int)floorf(x * 18.0f), (int)floorf(y * 18.0f), 5));
            return cut_away(SPRAY, x * 0.99f, y * 0.99f, v3(1.0f), seed) ? 0.0f : 1.0f;
        }
    }
    return 0.0f;
}

HD void face_coords(V3 p, V3 n, V3 half, float &u, float &v, float &x, float &y) {
    V3 a = v3(fabsf(n.x), fabsf(n.y), fabsf(n.z));
    if (a.y > a.x && a.y > a.z)
        u = p.x, v = p.z, x = p.x / half.x, y = p.z / half.z;
    else if (a.x > a.z)
        u = p.z, v = p.y, x = p.z / half.z, y = p.y / half.y;
    else
        u = p.x, v = p.y, x = p.x / half.x, y = p.y / half.y;
}

// What a hit looks like. `px` is a pixel's width there in metres.
HD Skin skin_at(const Scene &s, const World &w, int what, V3 pos, V3 &n, float px) {
    int index = what == -2 ? w.plane_mat : what == -3 ? w.field_mat : what == -4 ? w.water_mat : s.prims[w.prim0 + what].mat;
    const Mat &m = s.mats[w.mat0 + index];
    V3 p = pos, ln = n, half = v3(1.0f);
    float seed = m.seed;
    if (what >= 0) {
        const Prim &prim = s.prims[w.prim0 + what];
        half = half_of(prim.m);
        p = to_local(prim.m, pos) * half;
        ln = to_local_dir(prim.m, n) * half;
        if (prim.type == FRUSTUM && fabsf(ln.y) < 0.7f) {  // unrolled around the axis
            float angle = atan2f(p.z, p.x);
            V3 q = v3(angle * half.x, p.y, 0.0f);
            half.x *= 3.1416f;
            p = q;
            ln = v3(0.0f, 0.0f, 1.0f);
        }
        if (m.pattern != PLANKS && m.pattern != TILES) seed = fractf(seed + prim.id * 0.381f);
    }
    float u, v, x, y, bump = 0.5f;
    face_coords(p, ln, half, u, v, x, y);
    Skin k;
    k.albedo = pattern_color(m.pattern, v3(m.a), v3(m.b), m.scale, seed, u, v, x, y, p, px, bump);
    k.spec = m.spec;
    k.gloss = m.gloss;
    k.mirror = m.mirror;
    k.bump = m.bump;
    if (m.pattern == FACADE && bump < 0.0f) k.mirror = 0.25f, k.spec = 0.5f, k.bump = 0.0f;
    k.emit = m.emit > 0.0f ? k.albedo * m.emit : v3(0.0f);
    if (what == -3) {  // terrain: rock where steep, snow and meadow by height
        float steep = 1.0f - n.y, rough = fbm3(pos * 0.02f + v3(seed * 50.0f), 4), broad = fbm3(pos * 0.0035f + v3(seed * 31.0f), 3), grain = pixel_noise(pos, px);
        V3 meadow = m.pattern == PLOTS && steep < 0.12f ? parcels(pos.x, pos.z, v3(m.a), v3(m.b), seed, px) : mix(v3(m.a), v3(m.a) * 0.5f + v3(0.03f, 0.02f, 0.0f), rough);
        float bare = smooth(0.12f, 0.4f, steep + 0.35f * (rough - 0.5f) + 0.3f * (broad - 0.5f));
        k.albedo = meadow;
        if (bare > 0.0f) k.albedo = mix(meadow, v3(m.b) * (0.5f + fbm3(v3(pos.x, pos.y * 2.5f, pos.z) * 0.11f, 4)) * (0.7f + 0.6f * fbm3(v3(pos.x * 0.3f, pos.y, pos.z * 0.3f) * 0.03f, 2)), bare);
        if (m.scale > 0.0f) {  // woods, up to where snow is near
            float woods = 0.5f * fbm3(pos * 0.05f + v3(3.0f), 3) + 0.5f * broad, line = m.dirt > 0.0f ? smooth(0.95f, 0.75f, pos.y / m.dirt) : 1.0f;
            float cover = smooth(0.49f, 0.54f, woods) * (1.0f - smooth(0.35f, 0.55f, steep)) * line;
            k.albedo = mix(k.albedo, v3(m.a) * (0.1f + 0.42f * grain * grain + 0.1f * rough), cover);
        }
        if (m.dirt > 0.0f) k.albedo = mix(k.albedo, v3(0.82f, 0.85f, 0.9f), smooth(0.0f, 0.25f, pos.y / m.dirt - 1.0f + 0.8f * (rough - 0.5f) - 0.5f * steep + 0.3f * (grain - 0.5f)));
        float near_detail = saturate(1.0f - px * 6.0f);
        k.albedo = k.albedo * (0.72f + 0.56f * grain);
        if (near_detail > 0.0f) k.albedo = k.albedo * mix(1.0f, 0.5f + noise3(pos * 3.0f) * 0.5f + noise3(pos * 17.0f) * 0.5f, near_detail);
    } else if (m.dirt > 0.0f)
        k.albedo = k.albedo * (1.0f - m.dirt * smooth(0.35f, 0.75f, fbm3(pos * 0.9f + v3(seed * 11.0f), 4)));
    for (int i = 0; i < w.decals; i++) {
        const Decal &dc = s.decals[w.decal0 + i];
        V3 q = to_local(dc.m, pos);
        if (fabsf(q.x) > 1.0f || fabsf(q.y) > 1.0f || fabsf(q.z) > 1.0f) continue;
        if (dot(normal_to_world(dc.m, v3(0.0f, 0.0f, 1.0f)), n) < 0.7f) continue;
        V3 c;
        float cover = decal_cover(dc.pattern, q.x, q.y, fractf(dc.m[3] * 0.173f + dc.m[7] * 0.31f + 7.0f), v3(dc.a), v3(dc.b), c) * dc.alpha;
        if (dc.pattern == SHADE)
            k.albedo = k.albedo * (1.0f - 0.75f * cover);
        else
            k.albedo = mix(k.albedo, c, cover);
        if (dc.pattern == PUDDLE) k.mirror = fmaxf(k.mirror, 0.6f * cover), k.bump *= 1.0f - cover;
    }
    if (k.bump > 0.0f) {
        float f = m.pattern == ROCK || what == -3 ? 1.3f : m.scale * 2.0f + 4.0f;
        float fade = saturate(1.3f - px * f);
        if (fade > 0.0f) {
            V3 q = pos * f, q2 = q * 2.7f;
            V3 g = v3(noise3(q) - 0.5f, noise3(q + v3(31.4f)) - 0.5f, noise3(q + v3(-17.1f)) - 0.5f);
            g = g + v3(noise3(q2) - 0.5f, noise3(q2 + v3(31.4f)) - 0.5f, noise3(q2 + v3(-17.1f)) - 0.5f) * 0.6f;
            n = norm(n + (g - n * dot(g, n)) * (1.7f * k.bump * fade));
        }
    }
    return k;
}
