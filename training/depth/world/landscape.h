// Land at the scale of kilometres: valleys, summits, hills, plains before ranges, dunes, mesas, canyons, coasts.
#pragma once
#include "distance.h"

enum Layout { VALLEY, SUMMIT, HILLS, RANGES, DUNES, MESAS, CANYON, COAST, LAYOUTS };

struct Land {
    Layout kind;
    int seed;
    float amp, wave, ridge;        // metres of height, metres from ridge to ridge, 0 hills to 1 sharp ridges
    float off, wide, slope, end;   // of a valley, canyon or coast: metres from its axis to the eye, half the floor, the flank, to its end
    float bend, turn, phase;       // how its axis winds: metres, metres, radians
    float sx, sz, levels, bumps;
};
inline float relief(const Land &l, float x, float z, float cell) {
    float u = x / l.wave + l.sx, v = z / l.wave + l.sz, f = 0.0f, g = 0.0f;
    if (l.ridge < 1.0f) f = fbm2(u, v, l.seed, octaves(l.wave, cell, 6));
    if (l.ridge > 0.0f) g = 1.25f * alps(u * 0.8f + 7.0f, v * 0.8f, l.seed + 9, octaves(l.wave * 1.2f, cell, 7));
    return mix(f, g, l.ridge);
}
inline float axis_at(const Land &l, float z) {  // x of the axis; the eye is `off` beside it
    auto wind = [&](float q) { return l.bend * (sinf(q / l.turn + l.phase) + 0.4f * sinf(2.3f * q / l.turn + 2.0f * l.phase)); };
    return wind(z) - wind(0.0f) - l.off;
}
inline float terraced(float x, float levels, float edge) {
    float k = x * levels, i = floorf(k);
    return (i + smooth(0.5f - edge, 0.5f + edge, k - i)) / levels;
}
inline float height_of(const Land &l, float x, float z, float cell) {
    float r = sqrtf(x * x + z * z), h = 0.0f;
    switch (l.kind) {
        case VALLEY: {
            float d = fabsf(x - axis_at(l, z)), f = smooth(l.wide, l.wide + l.slope, d), g = relief(l, x, z, cell);
            f = fmaxf(f, 0.9f * smooth(0.6f * l.end, l.end, -z));
            h = l.amp * f * (0.3f + 1.3f * g) + 0.03f * l.amp * g;
            break;
        }
        case SUMMIT: h = l.amp * relief(l, x, z, cell) * (1.0f - 0.35f * smooth(0.0f, 2.0f * l.wave, r)); break;
        case HILLS: h = l.amp * relief(l, x, z, cell); break;
        case RANGES: {
            float g = relief(l, x, z, cell);
            h = l.amp * (0.02f * g + smooth(l.wide, l.wide + l.slope, r) * (0.1f + g) * (1.0f + 0.8f * smooth(l.end, 2.0f * l.end, r)));
            break;
        }
        case DUNES: {
            float u = x / l.wave, v = z / l.wave, q = fbm2(u * 0.3f + l.sx, v * 0.3f, l.seed, 3), k = fractf(u * cosf(l.phase) + v * sinf(l.phase) + 2.5f * q);
            float crest = k < 0.68f ? k / 0.68f : (1.0f - k) / 0.32f;
            h = l.amp * (powf(crest, 1.3f) * (0.25f + 1.1f * fbm2(u * 0.7f, v * 0.7f + l.sz, l.seed + 4, 2)) + 1.5f * q);
            h = mix(h, 0.3f * l.amp * crest, smooth(0.2f, 0.5f, cell / l.wave));
            break;
        }
        case MESAS: {
            float g = saturate(1.7f * relief(l, x, z, cell) - 0.4f);
            h = l.amp * mix(0.06f * g, terraced(g, l.levels, 0.14f), smooth(0.6f * l.wide, l.wide, r)) + 0.02f * l.amp * g;
            break;
        }
        case CANYON: {
            float d = fabsf(x - axis_at(l, z)) * (0.75f + 0.5f * fbm2(x / l.slope, z / l.slope, l.seed + 3, octaves(l.slope, cell, 5)));
            float f = saturate((d - l.wide) / l.slope);
            h = l.amp * (terraced(f, l.levels, 0.2f) - 1.0f) + 0.06f * l.amp * relief(l, x, z, cell);
            break;
        }
        default: {  // COAST: the sea is at 0
            float t = x - axis_at(l, z), g = relief(l, x, z, cell);
            if (l.off < 0.0f) t = -t;  // the land on the other side
            t += 0.5f * l.slope * (fbm2(x / l.slope * 0.7f, z / l.slope * 0.7f, l.seed + 3, octaves(l.slope, cell, 5)) - 0.5f);
            h = mix(-0.3f * l.amp - 3.0f, l.amp * (0.55f + 0.9f * g), smooth(0.0f, l.slope, t)) + l.amp * 3.0f * g * smooth(6.0f * l.wide, 40.0f * l.wide, t);
        }
    }
    if (cell < 3.0f) h += l.bumps * (fbm2(x * 0.15f, z * 0.15f, l.seed + 5, 3) - 0.5f) * smooth(0.0f, 9.0f, r);
    if (cell < 0.6f) h += 0.25f * l.bumps * (fbm2(x * 0.9f, z * 0.9f, l.seed + 6, 2) - 0.5f);
    return h;
}
inline Land land_of(Builder &b) {
    Rng &r = b.r;
    Land l{};
    int kinds[LAYOUTS] = {30, 26, 9, 16, 4, 5, 4, 6}, k = r.below(100), i = 0;
    while (k >= kinds[i]) k -= kinds[i++];
    l.kind = (Layout)i, l.seed = (int)(r.u() * 1e5f), l.phase = r.in(0, 6.28f), l.sx = r.in(-90, 90), l.sz = r.in(-90, 90);
    l.wave = r.log_in(500, 5000), l.amp = l.wave * r.log_in(0.2f, 0.75f), l.ridge = r.chance(0.5f) ? r.in(0.7f, 1.0f) : r.u();
    l.levels = (float)r.in_int(2, 5), l.bumps = r.log_in(0.2f, 4.0f);
    l.wide = r.log_in(40, 900), l.slope = l.wave * r.in(0.6f, 1.5f), l.end = l.wave * r.log_in(1.5f, 9.0f), l.bend = l.wide * r.in(0.0f, 2.5f), l.turn = l.wave * r.in(0.4f, 1.5f);
    if (l.kind == VALLEY) l.amp = l.slope * r.log_in(0.25f, 0.9f), l.off = r.sign() * (r.chance(0.5f) ? r.in(0.0f, 0.8f) * l.wide : l.wide + r.in(0.1f, 0.6f) * l.slope);
    if (l.kind == HILLS) l.wave = r.log_in(150, 1500), l.amp = l.wave * r.log_in(0.06f, 0.3f), l.ridge = r.chance(0.7f) ? 0.0f : 0.4f * r.u();
    if (l.kind == RANGES) l.wide = r.log_in(200, 4000), l.slope = l.wide * r.in(0.8f, 3.0f), l.end = l.wide * r.in(2.0f, 4.0f), l.wave = l.wide * r.in(0.7f, 2.0f), l.amp = l.wide * r.log_in(0.12f, 0.7f);
    if (l.kind == DUNES) l.wave = r.log_in(40, 400), l.amp = l.wave * r.in(0.05f, 0.2f), l.bumps = r.in(0.0f, 0.3f);
    if (l.kind == MESAS) l.wave = r.log_in(400, 3000), l.amp = l.wave * r.in(0.1f, 0.35f), l.ridge = r.in(0.0f, 0.3f), l.wide = r.log_in(60, 800);
    if (l.kind == CANYON) l.amp = r.log_in(60, 900), l.slope = l.amp * r.in(0.7f, 2.0f), l.wide = l.amp * r.in(0.1f, 1.0f), l.off = r.sign() * (l.wide + l.slope * r.in(0.75f, 1.1f)), l.bend = l.off * r.in(0.2f, 1.0f), l.turn = 3.0f * fabsf(l.off), l.wave = l.slope, l.ridge *= 0.5f;
    if (l.kind == COAST) l.amp = r.log_in(3, 150), l.slope = l.amp * r.log_in(0.3f, 2.0f), l.wide = l.amp, l.bend = r.log_in(60, 700), l.turn = l.bend * r.in(0.5f, 1.5f), l.off = r.sign() * (l.slope + r.log_in(1.0f, 40.0f)), l.wave = l.turn, l.ridge *= 0.4f;
    if (l.kind == SUMMIT) {  // the eye stands on a height
        float best = -9.0f, x = 0.0f, z = 0.0f;
        for (int t = 0; t < 14; t++) {
            l.sx = r.in(-90, 90), l.sz = r.in(-90, 90);
            float h = relief(l, 0, 0, 60.0f) - 0.6f * relief(l, 0, -0.5f * l.wave, 60.0f) + 0.5f * relief(l, 0, -1.3f * l.wave, 60.0f);  // a valley ahead, heights beyond
            if (h > best) best = h, x = l.sx, z = l.sz;
        }
        l.sx = x, l.sz = z;
    }
    return l;
}
// A level that part of the land ahead lies below, and the eye does not; the least float where there is none.
inline float lake_level(Builder &b, float part) {
    const World &w = b.w;
    std::vector<float> seen;
    for (int j = w.field_n / 4; j < w.field_n * 7 / 8; j += 3)
        for (int i = w.field_n / 4; i < w.field_n * 3 / 4; i += 4) seen.push_back(b.field[j * w.field_n + i]);
    size_t k = (size_t)(part * (seen.size() - 1));
    std::nth_element(seen.begin(), seen.begin() + k, seen.end());
    return fminf(seen[k], ground_at(b, 0, 0) - 0.6f);
}
inline void land_skin(Builder &b, const Land &l, int m) {
    Rng &r = b.r;
    terrain_skin(b, m, l.amp);
    float snow = r.u();
    b.of(m).dirt = l.kind == DUNES || l.kind == MESAS || snow > 0.55f ? 0.0f : snow < 0.08f ? 0.02f * l.amp : l.amp * r.in(0.25f, 0.9f);
    b.of(m).scale = r.chance(0.65f) ? 1.0f : 0.0f;
    if (l.kind == DUNES || l.kind == MESAS || (l.kind == CANYON && r.chance(0.7f))) {
        V3 c = hsv(r.in(0.02f, 0.13f), r.in(0.2f, 0.7f), r.in(0.5f, 0.9f));
        store(b.of(m).a, c), store(b.of(m).b, l.kind == DUNES ? c * r.in(0.75f, 1.0f) : c * v3(r.in(0.7f, 1.1f), r.in(0.5f, 0.9f), r.in(0.4f, 0.8f))), b.of(m).scale = 0.0f;
    } else if (b.of(m).pattern == GRASS && (l.kind == HILLS || l.kind == RANGES || l.kind == VALLEY) && r.chance(0.35f))
        b.of(m).pattern = PLOTS;
}
inline void landscape(Builder &b) {
    weather(b);
    Green g = greens(b);
    Rng &r = b.r;
    int m = meadow(b);
    Land l = land_of(b);
    land_skin(b, l, m);
    float size = r.log_in(10000, 50000), crag = l.kind == DUNES ? 0.0f : l.kind == HILLS ? r.in(0.0f, 0.1f) : r.in(0.05f, 0.35f);
    b.w.field_flat = l.kind == CANYON ? -l.amp : 0.0f;
    raise_land(b, size, r.in(8, 30), 0.8f, crag, m, [&](float x, float z, float cell) { return height_of(l, x, z, cell); });
    bool wet = l.kind == COAST || (l.kind != DUNES && r.chance(0.45f));
    if (wet) {
        b.w.water_mat = shiny(b, b.mat(hsv(r.in(0.42f, 0.62f), r.in(0.2f, 0.85f), r.in(0.06f, 0.5f))), 0.9f, 0.98f);
        b.of(b.w.water_mat).mirror = r.chance(0.5f) ? r.in(0.05f, 0.3f) : r.in(0.4f, 0.9f), b.w.wave = r.log_in(0.005f, 0.3f);
        b.w.water_y = l.kind == COAST ? 0.0f : l.kind == CANYON ? -l.amp * r.in(0.9f, 0.98f) : lake_level(b, r.in(0.02f, 0.3f));
    }
    b.w.fog_density = r.log_in(0.05f, 2.5f) / r.log_in(2000, 20000);
    low_clouds(b, ground_at(b, 0, 0), l.kind == COAST ? 60.0f : l.amp);
    bool bare = l.kind == DUNES || (l.kind == MESAS && r.chance(0.5f));
    bare = bare || r.chance(0.3f);
    grow_on(b, bare ? r.in_int(0, 30) : r.in_int(60, 400), bare ? 12.0f : r.log_in(5, 120), fmaxf(l.wave * 0.6f, 400.0f), g, r.in(0.1f, 0.8f));
    int n = r.in_int(0, 12), people = r.chance(0.25f) ? r.in_int(1, 4) : 0;
    Look k = look_of(b, false);
    for (int i = 0; i < n + people; i++) {
        float a = r.in(-1.0f, 1.0f), d = i < n ? r.log_in(25, 1500) : r.log_in(4, 40), x = sinf(a) * d, z = -cosf(a) * d, y = ground_at(b, x, z);
        if (wet && y < b.w.water_y + 0.3f) continue;
        auto s = b.at(v3(x, y - (i < n ? 0.4f : 0.0f), z), r.in(0, 6.28f));
        if (i >= n) person(b);
        else if (r.chance(0.1f)) tower(b, r.in(1.5f, 3), r.in(8, 22), k);
        else house(b, r.in(2, 6), r.in(2, 6), r.in(2.5f, 6), k, d < 120 ? 1 : 0);
    }
}
