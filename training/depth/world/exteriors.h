// Streets, villages, landscapes, gardens, seen by day and night.
#pragma once
#include "interiors.h"

inline int road_mat(Builder &b) {
    V3 c = gray(b.r.in(0.2f, 0.5f));
    int m;
    switch (b.r.below(5)) {
        case 0: m = b.mat(stone_color(b.r), stone_color(b.r) * 0.5f, COBBLES, b.r.in(2, 7)); break;
        case 1: m = b.mat(soil_color(b.r), soil_color(b.r), SPECKLE, 1.0f); break;
        case 2: m = b.mat(stone_color(b.r), gray(0.4f), TILES, b.r.in(0.8f, 3.0f)); break;
        default: m = b.mat(c, c * 0.7f, SPECKLE, b.r.in(1, 4));
    }
    if (b.r.chance(0.15f)) shiny(b, m, 0.6f, 0.8f), b.of(m).mirror = b.r.in(0.05f, 0.35f);  // wet
    b.of(m).dirt = b.r.in(0.0f, 0.4f);
    return m;
}
inline void road_paint(Builder &b, float half, float length) {
    V3 white = gray(b.r.in(0.7f, 0.95f)), c = b.r.chance(0.25f) ? v3(0.75f, 0.5f, 0.03f) : white;
    if (b.r.chance(0.75f)) b.floor_decal(v3(0, 0, 0), 0, 0.07f, length, b.r.chance(0.7f) ? LANES : SOLID, c, c);
    for (int i = 0; i < 2; i++)
        if (b.r.chance(0.5f)) b.floor_decal(v3((i ? 1 : -1) * half * 0.9f, 0, 0), 0, 0.08f, length, SOLID, white, white);
    int n = b.r.in_int(1, 9);
    for (int i = 0; i < n; i++) {
        float z = b.r.in(-0.7f, 0.7f) * length * 0.5f, x = b.r.in(-0.8f, 0.8f) * half;
        switch (b.r.below(8)) {
            case 0: b.floor_decal(v3(0, 0, z), 0, half * 0.9f, b.r.in(1.2f, 2.0f), STRIPES, white, white); break;
            case 1: b.floor_decal(v3(x, 0, z), b.r.chance(0.5f) ? 0 : 3.14f, 0.3f, 1.6f, ARROW, white, white); break;
            case 2: b.floor_decal(v3(x, 0, z), b.r.in(-0.1f, 0.1f), 1.1f, 1.8f, TEXT, white, white); break;
            case 3: b.floor_decal(v3(x, 0, z), 0, 0.32f, 0.32f, MANHOLE, gray(0.3f), gray(0.2f)); break;
            case 4: b.floor_decal(v3(x, 0, z), b.r.in(0, 3), b.r.in(0.5f, 2.5f), b.r.in(0.5f, 2.5f), PUDDLE, gray(0.1f), gray(0.1f), 0.8f); break;
            case 5: b.floor_decal(v3(x, 0, z), b.r.in(0, 3), b.r.in(0.5f, 2.0f), b.r.in(0.5f, 3.0f), SHADE, gray(0.1f), gray(0.1f), b.r.in(0.3f, 1.0f)); break;
            case 6: b.floor_decal(v3(x, 0, z), b.r.in(0, 3), b.r.in(0.5f, 3.0f), b.r.in(0.5f, 3.0f), CRACK, gray(0.1f), gray(0.1f)); break;
            default: b.floor_decal(v3(x, 0, z), b.r.in(0, 3), b.r.in(0.6f, 2.0f), b.r.in(0.6f, 2.0f), b.r.pick({LEAF, SOLID, ROUND, CHECKER, PICTURE}), any_color(b.r), any_color(b.r), b.r.in(0.4f, 1.0f));
        }
    }
}
inline void street(Builder &b, float &half_road) {
    bool night = weather(b);
    float half = b.r.log_in(1.6f, 8.0f), walk = b.r.in(0.8f, 4.0f), len = 70;
    half_road = half + walk * 0.6f;
    b.w.plane_mat = road_mat(b);
    int pave = b.mat(stone_color(b.r), gray(0.45f), b.r.pick({TILES, SPECKLE, COBBLES, BRICK}), b.r.in(0.8f, 3.0f));
    bool kerb = b.r.chance(0.8f);
    if (kerb)
        for (int i = 0; i < 2; i++) {
            float s = i ? 1.0f : -1.0f;
            b.box(v3(s * (half + walk), 0.06f, 0), v3(walk, 0.065f, len * 2), pave);
            b.box(v3(s * (half + 0.07f), 0.065f, 0), v3(0.08f, 0.07f, len * 2), b.mat(gray(b.r.in(0.4f, 0.8f))));
        }
    road_paint(b, half, len);
    Look k = look_of(b, night), k2 = look_of(b, night);
    Green g = greens(b);
    bool houses = b.r.chance(0.35f);
    float base = houses ? b.r.in(3, 6) : b.r.log_in(5, 30);
    for (int i = 0; i < 2; i++) {
        float s = i ? 1.0f : -1.0f, z = -len, setback = b.r.chance(0.7f) ? 0.0f : b.r.in(1, 8);
        while (z < len) {
            float hz = b.r.in(3.5f, 10.0f), hx = b.r.in(3.5f, 8.0f);
            if (b.r.chance(0.08f)) {
                z += b.r.in(2, 8);
                continue;
            }
            auto t = b.at(v3(s * (half + 2 * walk + hx + setback), 0, z + hz), 0.0f);
            int detail = fabsf(z) < 22 ? 2 : fabsf(z) < 42 ? 1 : 0;
            const Look &look = b.r.chance(0.5f) ? k : k2;
            Look mine = look;
            if (b.r.chance(0.5f)) mine.wall = b.r.chance(0.5f) ? plaster(b) : masonry(b);
            if (houses)
                house(b, hx * 0.8f, hz * 0.8f, base * b.r.in(0.7f, 1.4f), mine, detail);
            else
                facade_block(b, hx, hz, base * b.r.in(0.6f, 1.6f), mine, detail);
            z += 2 * hz + (houses ? b.r.in(0.5f, 5) : 0.02f);
            if (b.prims.size() > 3600) break;
        }
        float park = half - b.r.in(0.7f, 1.2f), gap = b.r.in(1, 8);
        bool parked = b.r.chance(0.65f);
        for (float y = -40; y < 40; y += b.r.in(5, 6) + gap * b.r.u()) {
            if (!parked || b.r.chance(0.25f) || half < 2.4f) continue;
            auto q = b.at(v3(s * park, 0, y), (b.r.chance(0.9f) == (i == 0) ? 3.14159f : 0.0f) + b.r.in(-0.05f, 0.05f));
            if (b.r.chance(0.9f)) car(b); else if (b.r.chance(0.5f)) truck(b); else motorbike(b);
        }
        bool trees = b.r.chance(0.4f), lamps = b.r.chance(0.7f);
        float step = b.r.in(6, 14);
        for (float y = -36; y < 36; y += step) {
            if (trees) { auto q = b.at(v3(s * (half + 0.7f), 0, y + b.r.in(-1, 1))); tree(b, b.r.in(3, 9), g, fabsf(y) < 16 ? 1 : 0); }
            if (lamps && b.r.chance(0.7f)) { auto q = b.at(v3(s * (half + 0.4f), 0, y + step * 0.5f), s > 0 ? -1.5708f : 1.5708f); street_lamp(b, night); }
        }
        int n = b.r.in_int(2, 14);
        for (int j = 0; j < n; j++) {
            auto q = b.at(v3(s * (half + walk * b.r.in(0.3f, 1.8f)), 0.12f * kerb, b.r.in(-22, 22)), b.r.in(0, 6.28f));
            if (b.r.chance(0.55f)) person(b); else street_thing(b);
        }
    }
    int n = b.r.in_int(0, 8);
    for (int j = 0; j < n; j++) {
        auto q = b.at(v3(b.r.in(-0.7f, 0.7f) * half, 0, b.r.in(-30, 30)), b.r.chance(0.7f) ? (b.r.chance(0.5f) ? 0.0f : 3.14f) : b.r.in(0, 6.28f));
        int kind = b.r.below(6);
        if (kind < 2 && half > 2.2f) car(b); else if (kind == 2 && half > 3) truck(b); else if (kind == 3) bicycle(b); else person(b);
    }
    if (b.r.chance(0.4f)) {
        int m = b.mat(gray(0.05f)), count = b.r.in_int(1, 6);
        for (int j = 0; j < count; j++) wire(b, v3(-half - walk, b.r.in(4, 7), b.r.in(-20, 20)), v3(half + walk, b.r.in(4, 7), b.r.in(-20, 20)), b.r.in(0.1f, 0.8f), 0.015f, m);
    }
    if (b.r.chance(0.15f)) { auto q = b.at(v3(0, 0, b.r.sign() * b.r.in(8, 25))); arch(b, half + 0.3f, b.r.in(3, 5), 0.6f, k.wall); }
    if (b.r.chance(0.25f)) for (int j = 0; j < 3; j++) { auto q = b.at(v3(b.r.sign() * (half + walk), 0, b.r.in(-15, 15)), b.r.in(0, 6.28f)); stall(b); }
    if (b.r.chance(0.6f)) {  // the far end
        auto q = b.at(v3(b.r.in(-6, 6), 0, len + 12), 3.14f);
        if (b.r.chance(0.4f)) tower(b, b.r.in(2, 6), b.r.in(15, 50), k); else facade_block(b, 14, 6, base * 1.4f, k, 0);
    }
}
inline int meadow(Builder &b) {
    V3 c = grass_color(b.r);
    int m = b.mat(c, b.r.chance(0.6f) ? c * b.r.in(0.4f, 0.8f) : soil_color(b.r), GRASS, b.r.log_in(0.2f, 1.5f));
    b.of(m).bump = b.r.in(0.1f, 0.5f);
    if (b.r.chance(0.12f)) b.of(m).a[0] = 0.75f, b.of(m).a[1] = 0.78f, b.of(m).a[2] = 0.85f, b.of(m).b[0] = b.of(m).b[1] = 0.7f, b.of(m).b[2] = 0.75f;  // snow
    if (b.r.chance(0.1f)) { V3 s = soil_color(b.r) * 1.3f; store(b.of(m).a, s), store(b.of(m).b, s * 0.8f); b.of(m).pattern = SPECKLE; }  // sand
    return m;
}
const int KNOTS = 192;
inline float ground_at(const Builder &b, float x, float z) { return field_height(b.w, b.field.data(), x, z); }
// Land of the given heights. `focus`: the share of the columns that lie ahead (-z); 0.4616 is the same all around.
template <class Height> inline void raise_land(Builder &b, float size, float near_m, float focus, float rough, int m, Height height) {
    const int n = KNOTS;
    World &w = b.w;
    w.field_n = n, w.field_size = size, w.field_near = near_m, w.field_mat = m, w.field0 = 0;
    w.field_k = (n - 1) / logf(1.0f + size / near_m), w.field_focus = focus, w.field_rough = rough;
    b.field.assign(n * n + n / RINGS * SECTORS, -1e30f);
    for (int j = 0; j < n; j++) {
        float cell = field_cell(w, field_radius(w, (float)j));
        for (int i = 0; i < n; i++) {
            float x, z;
            field_spot(w, i, j, x, z);
            b.field[j * n + i] = height(x, z, cell);
        }
    }
    w.field_top = -1e30f;
    for (int j = 0; j < n / RINGS; j++)
        for (int s = 0; s < SECTORS; s++) {
            int to = std::min(n - 1, RINGS * (j + 1)), right = std::min(n - 1, n / SECTORS * (s + 1));
            float top = -1e30f, far_m = to == n - 1 ? 1.6f * size : field_radius(w, (float)to);
            for (int k = RINGS * j; k <= to; k++)
                for (int i = n / SECTORS * s; i <= right; i++) top = fmaxf(top, b.field[k * n + i]);
            top += rough * field_cell(w, far_m);
            b.field[n * n + j * SECTORS + s] = top, w.field_top = fmaxf(w.field_top, top);
        }
}
// How many octaves of noise, the first of this wavelength, the land's cells can carry.
inline int octaves(float wave, float cell, int most) { return std::max(1, std::min(most, 1 + (int)log2f(fmaxf(wave / cell, 1.0f)))); }
// Ridges and gullies, in [0, 1].
inline float alps(float x, float z, int seed, int n) {
    float sum = 0.0f, amp = 0.5f, all = 0.0f, carry = 1.0f;
    for (int i = 0; i < n; i++) {
        float r = 1.0f - fabsf(2.0f * noise2(x, z, seed + i) - 1.0f);
        r *= r * carry;
        sum += amp * r, all += amp, amp *= 0.5f, carry = fminf(1.0f, 0.25f + r * 1.6f);
        float t = x * 1.62f - z * 1.2f + 13.7f;
        z = x * 1.2f + z * 1.62f - 7.1f, x = t;
    }
    return sum / all;
}
// Hills and mountains all around; flat within `flat` metres of the middle, amplitude and roughness in metres.
inline void terrain(Builder &b, float size, float near_m, float flat, float amp, float rough, float lift, int m) {
    int seed = (int)(b.r.u() * 1e5f);
    float freq = b.r.log_in(1.2f, 4.0f) / size, ridge = b.r.u(), sx = b.r.in(-9, 9), warp = b.r.in(0.0f, 0.6f);
    float end = flat + size * 0.35f * b.r.in(0.1f, 0.7f) + 1.0f, crag = b.r.in(0.0f, 0.3f) * saturate(amp / (0.1f * size));
    b.w.field_flat = lift;
    raise_land(b, size, near_m, 0.4616f, crag, m, [&](float x, float z, float cell) {
        float r = sqrtf(x * x + z * z), u = x * freq + sx, v = z * freq, wave = 0.5f / freq;
        float q = fbm2(u * 2, v * 2, seed + 50, 2);
        u += warp * q, v -= warp * q;
        float big = mix(fbm2(u * 2, v * 2, seed, octaves(wave, cell, 6)), alps(u * 3 + 7, v * 3, seed + 9, octaves(wave * 0.67f, cell, 6)), ridge);
        float small = cell < 3.0f ? fbm2(x * 0.15f, z * 0.15f, seed + 3, 3) - 0.5f : 0.0f, tiny = cell < 0.6f ? fbm2(x * 0.9f, z * 0.9f, seed + 5, 2) - 0.5f : 0.0f;
        return lift + amp * smooth(flat, end, r) * (big - 0.25f) + rough * (small * smooth(0, flat + 4, r) + 0.25f * tiny);
    });
}
inline void terrain_skin(Builder &b, int m, float amp) {
    if (b.r.chance(0.4f)) b.of(m).dirt = amp * b.r.in(0.1f, 0.6f);  // snow line in metres
    b.of(m).scale = b.r.chance(0.5f) ? 1.0f : 0.0f;
    store(b.of(m).b, stone_color(b.r));
    b.of(m).bump = b.r.in(0.2f, 0.6f);
}
inline void grow_on(Builder &b, int n, float from, float to, const Green &g, float trees, float spread_power = 1.0f) {
    int tufts = tuft_mat(b), stone = rock(b);
    for (int i = 0; i < n; i++) {
        float a = b.r.in(0, 6.28f), d = from * powf(to / from, powf(b.r.u(), spread_power)), x = cosf(a) * d, z = sinf(a) * d;
        float y = b.w.field0 >= 0 ? ground_at(b, x, z) : 0.0f;
        if (b.w.water_mat >= 0 && y < b.w.water_y + 0.1f) continue;
        auto s = b.at(v3(x, y - 0.03f, z), b.r.in(0, 6.28f));
        float k = b.r.u();
        if (k < trees) tree(b, b.r.log_in(2.5f, 16), g, d < 14 ? (b.prims.size() < 2500 ? 2 : 1) : d < 50 ? 1 : 0);
        else if (k < trees + 0.2f * (1 - trees)) bush(b, b.r.log_in(0.4f, 2.5f), g);
        else if (k < trees + 0.45f * (1 - trees)) boulder(b, b.r.log_in(0.12f, 2.5f), stone);
        else if (d < 30) tuft(b, b.r.log_in(0.15f, 0.9f), tufts);
        if (b.prims.size() > 4200) break;
    }
}
inline void near_plants(Builder &b, V3 eye, int n, const Green &g) {  // around the camera's feet
    int tufts = tuft_mat(b), stone = rock(b);
    for (int i = 0; i < n; i++) {
        float a = b.r.in(0, 6.28f), d = b.r.log_in(1.2f, 12), x = eye.x + cosf(a) * d, z = eye.z + sinf(a) * d;
        float y = b.w.field0 >= 0 ? ground_at(b, x, z) : 0.0f;
        auto s = b.at(v3(x, y - 0.02f, z), b.r.in(0, 6.28f));
        if (b.r.chance(0.8f)) tuft(b, b.r.log_in(0.08f, 0.6f), tufts);
        else if (b.r.chance(0.5f)) boulder(b, b.r.log_in(0.05f, 0.5f), stone);
        else bush(b, b.r.log_in(0.2f, 0.8f), g);
    }
}
inline void village(Builder &b, float spread) {
    bool night = weather(b);
    Green g = greens(b);
    float amp = b.r.chance(0.5f) ? b.r.in(5, 80) : 0.0f;
    int m = meadow(b);
    if (amp > 0) terrain_skin(b, m, amp), terrain(b, 900, 12, spread, amp, b.r.in(0.2f, 1.2f), 0, m);
    else b.w.plane_mat = m;
    auto y_at = [&](float x, float z) { return b.w.field0 >= 0 ? ground_at(b, x, z) : 0.0f; };
    int looks = b.r.in_int(1, 3);
    std::vector<Look> all;
    for (int i = 0; i < looks; i++) all.push_back(look_of(b, night));
    int paths = b.r.in_int(1, 4);
    for (int i = 0; i < paths; i++) {
        V3 c = stone_color(b.r);
        b.decal(v3(b.r.in(-8, 8), 0, b.r.in(-8, 8)), v3(cosf(i * 1.3f), 0, sinf(i * 1.3f)), v3(sinf(i * 1.3f), 0, -cosf(i * 1.3f)), b.r.in(1, 3), spread, b.r.pick({SHADE, PUDDLE, SOLID, LEAF}), c, c * 0.6f, b.r.in(0.5f, 1.0f), 30.0f);
        if (b.decals.back().pattern == PUDDLE) b.decals.back().pattern = SOLID;
    }
    int n = b.r.in_int(8, 40);
    for (int i = 0; i < n; i++) {
        float a = b.r.in(0, 6.28f), d = spread * b.r.log_in(0.25f, 3.0f), x = cosf(a) * d, z = sinf(a) * d;
        auto s = b.at(v3(x, y_at(x, z) - 0.3f, z), a + 1.57f * b.r.below(4) + b.r.in(-0.3f, 0.3f));
        int detail = d < spread * 0.7f ? 2 : d < spread * 1.5f ? 1 : 0;
        if (b.r.chance(0.08f)) tower(b, b.r.in(1, 3), b.r.in(6, 18), all[b.r.below(looks)]);
        else house(b, b.r.in(2, 5), b.r.in(2, 5), b.r.in(2.3f, 6), all[b.r.below(looks)], detail);
        if (b.prims.size() > 3000) break;
    }
    int people = b.r.in_int(0, 16), things = b.r.in_int(3, 25), fences = b.r.in_int(0, 5);
    for (int i = 0; i < people + things; i++) {
        float x = b.r.gauss() * spread * 0.4f, z = b.r.gauss() * spread * 0.4f;
        auto s = b.at(v3(x, y_at(x, z), z), b.r.in(0, 6.28f));
        if (i < people) person(b);
        else if (b.r.chance(0.1f)) stall(b);
        else if (b.r.chance(0.1f)) car(b);
        else if (b.r.chance(0.1f)) animal(b, b.r.in(0.5f, 2));
        else street_thing(b);
    }
    for (int i = 0; i < fences; i++) {
        float x = b.r.gauss() * spread * 0.5f, z = b.r.gauss() * spread * 0.5f, a = b.r.in(0, 6.28f), l = b.r.in(3, 12);
        fence(b, v3(x, y_at(x, z), z), v3(x + cosf(a) * l, y_at(x, z), z + sinf(a) * l), b.r.in(0.6f, 1.8f));
    }
    grow_on(b, b.r.in_int(30, 160), 6, spread * 6, g, b.r.in(0.2f, 0.7f));
    if (night) for (int i = 0; i < 5; i++) { auto s = b.at(v3(b.r.gauss() * spread * 0.3f, 0, b.r.gauss() * spread * 0.3f)); street_lamp(b, true); }
}
inline void forest(Builder &b) {
    weather(b);
    Green g = greens(b);
    int m = meadow(b);
    if (b.r.chance(0.5f)) { float amp = b.r.in(4, 40); terrain_skin(b, m, amp), b.of(m).dirt = 0, terrain(b, 300, 8, 3, amp, b.r.in(0.3f, 2.0f), 0, m); }
    else b.w.plane_mat = m;
    float path = b.r.chance(0.5f) ? b.r.in(0.6f, 2.5f) : 0;
    if (path > 0) { V3 c = soil_color(b.r); b.decal(v3(0.0f), v3(1, 0, 0), v3(0, 0, -1), path, 60, b.r.chance(0.5f) ? SOLID : LEAF, c, c * 0.6f, 0.8f, 20.0f); }
    int n = b.r.in_int(40, 170);
    bool edge = b.r.chance(0.3f);  // the wood ends here: crowns against the sky
    for (int i = 0; i < n; i++) {
        float x = b.r.gauss() * 22, z = b.r.gauss() * 22;
        if (edge) z = -8 - fabsf(z) * 0.7f, x *= 1.5f;
        if (fabsf(x) < path + 0.6f || x * x + z * z < 6) continue;
        float y = b.w.field0 >= 0 ? ground_at(b, x, z) : 0;
        auto s = b.at(v3(x, y - 0.1f, z), b.r.in(0, 6.28f));
        float d = sqrtf(x * x + z * z);
        tree(b, b.r.log_in(4, 20), g, d < 9 && b.prims.size() < 2200 ? 2 : d < 25 ? 1 : 0);
        if (b.prims.size() > 3600) break;
    }
    grow_on(b, b.r.in_int(40, 150), 2.0f, 30, g, 0.05f);
    if (b.r.chance(0.3f)) for (int i = 0; i < 4; i++) { auto s = b.at(v3(b.r.in(-3, 3), 0.2f, b.r.in(-9, 9)), b.r.in(0, 6.28f)); b.rod(v3(-2, 0, 0), v3(2, b.r.in(0, 0.8f), 0), 0.2f, 0.15f, g.bark); }
    if (b.r.chance(0.3f)) for (int i = 0; i < 3; i++) { auto s = b.at(v3(b.r.in(-2, 2), b.w.field0 >= 0 ? ground_at(b, 0, 0) : 0, b.r.in(-9, 9)), b.r.in(0, 6.28f)); if (b.r.chance(0.5f)) person(b); else animal(b, b.r.in(0.5f, 1.5f)); }
}
inline void field(Builder &b, bool road) {
    weather(b);
    Green g = greens(b);
    b.w.plane_mat = meadow(b);
    if (b.of(b.w.plane_mat).pattern == GRASS && b.r.chance(0.45f)) b.of(b.w.plane_mat).pattern = PLOTS;
    if (b.r.chance(0.2f)) { int m = meadow(b); float amp = b.r.in(20, 300); terrain_skin(b, m, amp), terrain(b, 3000, 60, 80, amp, 0.3f, -1.5f, m); }
    if (road) {
        float half = b.r.in(2, 6);
        float length = b.r.log_in(400, 6000);
        b.box(v3(0, -0.99f, 0), v3(half, 1.0f, length), road_mat(b));
        road_paint(b, half, 200);
        bool rail = b.r.chance(0.4f), poles = b.r.chance(0.5f);
        int m = metal(b), wood_m = wood(b), cable = b.mat(gray(0.05f));
        if (rail) for (int i = 0; i < 2; i++) {
            b.box(v3((i ? 1 : -1) * (half + 0.8f), 0.65f, 0), v3(0.03f, 0.16f, 150), m);
            for (int j = -20; j < 20; j++) b.box(v3((i ? 1 : -1) * (half + 0.85f), 0.35f, 4.0f * j), v3(0.05f, 0.35f, 0.06f), m);
        }
        if (poles) for (int j = -4; j < 6; j++) {
            float x = half + 3, z = 30.0f * j;
            b.rod(v3(x, 0, z), v3(x, 8, z), 0.14f, 0.1f, wood_m), b.box(v3(x, 7.4f, z), v3(0.9f, 0.06f, 0.06f), wood_m);
            for (int c = 0; c < 2; c++) wire(b, v3(x - 0.8f + 1.6f * c, 7.5f, z), v3(x - 0.8f + 1.6f * c, 7.5f, z + 30), 0.9f, 0.02f, cable);
        }
        int n = b.r.in_int(0, 6);
        for (int i = 0; i < n; i++) { auto s = b.at(v3(half * 0.5f * b.r.sign(), 0, b.r.sign() * b.r.log_in(6, 90)), b.r.chance(0.5f) ? 0 : 3.14f); if (b.r.chance(0.8f)) car(b); else truck(b); }
    }
    Look k = look_of(b, false);
    int n = b.r.in_int(0, 8);
    for (int i = 0; i < n; i++) { float x = b.r.sign() * b.r.log_in(14, 120), z = b.r.gauss() * 60; auto s = b.at(v3(x, 0, z), b.r.in(0, 6.28f)); house(b, b.r.in(3, 8), b.r.in(3, 7), b.r.in(2.5f, 6), k, 1); }
    n = b.r.in_int(0, 9);
    for (int i = 0; i < n; i++) { auto s = b.at(v3(b.r.gauss() * 12, 0, b.r.gauss() * 12), b.r.in(0, 6.28f)); if (b.r.chance(0.5f)) animal(b, b.r.in(0.8f, 2.2f)); else if (b.r.chance(0.5f)) person(b); else street_thing(b); }
    if (b.r.chance(0.5f)) for (int i = 0; i < 3; i++) { float x = b.r.in(7, 30) * b.r.sign(); fence(b, v3(x, 0, -30), v3(x + b.r.in(-5, 5), 0, 40), b.r.in(0.8f, 1.5f)); }
    int keep_out = road ? 8 : 3;
    for (int i = 0; i < b.r.in_int(30, 200); i++) {
        float x = b.r.sign() * b.r.log_in(keep_out, 300), z = b.r.gauss() * 90;
        auto s = b.at(v3(x, 0, z), b.r.in(0, 6.28f));
        float d = sqrtf(x * x + z * z);
        if (b.r.chance(0.5f)) tree(b, b.r.log_in(3, 15), g, d < 18 ? 1 : 0); else if (b.r.chance(0.5f)) bush(b, b.r.in(0.4f, 2), g);
        if (b.prims.size() > 3500) break;
    }
}
inline void waterside(Builder &b) {
    weather(b);
    Green g = greens(b);
    int m = meadow(b);
    bool sea = b.r.chance(0.5f);
    float amp = b.r.log_in(4, 400), size = b.r.log_in(300, 5000);
    if (b.r.chance(0.5f)) { V3 s = soil_color(b.r) * 1.4f; store(b.of(m).a, s), store(b.of(m).b, s * 0.7f); }
    terrain_skin(b, m, amp);
    terrain(b, size, 10, b.r.in(1, 30), amp, b.r.in(0.2f, 1.5f), sea ? -0.12f * amp : 0.0f, m);
    b.w.water_mat = shiny(b, b.mat(hsv(b.r.in(0.4f, 0.62f), b.r.in(0.2f, 0.8f), b.r.in(0.08f, 0.5f))), 0.9f, b.r.in(0.93f, 0.99f));
    b.of(b.w.water_mat).mirror = b.r.in(0.03f, 0.4f);
    b.w.water_y = ground_at(b, 0, 0) + b.r.in(-0.8f, 0.3f), b.w.wave = b.r.log_in(0.02f, 0.6f);
    int boats = b.r.in_int(0, 9);
    for (int i = 0; i < boats; i++) { float a = b.r.in(0, 6.28f), d = b.r.log_in(4, 120), x = cosf(a) * d, z = sinf(a) * d; if (ground_at(b, x, z) > b.w.water_y) continue; auto s = b.at(v3(x, b.w.water_y, z), b.r.in(0, 6.28f)); boat(b); }
    if (b.r.chance(0.3f)) {
        int w = wood(b);
        float y = b.w.water_y + 0.5f;
        for (int i = 0; i < 40; i++) b.box(v3(0, y, 0.3f * i), v3(0.8f, 0.03f, 0.13f), w);
        for (int i = 0; i < 8; i++) b.tube(v3(i & 1 ? 0.75f : -0.75f, y - 0.6f, 3.0f * (i / 2)), 0.1f, 1.3f, w);
    }
    Look k = look_of(b, false);
    int n = b.r.in_int(0, 14);
    for (int i = 0; i < n; i++) { float a = b.r.in(0, 6.28f), d = b.r.log_in(8, 150), x = cosf(a) * d, z = sinf(a) * d, y = ground_at(b, x, z); if (y < b.w.water_y) continue; auto s = b.at(v3(x, y - 0.3f, z), b.r.in(0, 6.28f)); int q = b.r.below(5); if (q < 2) house(b, b.r.in(2, 5), b.r.in(2, 5), b.r.in(2.5f, 8), k, d < 30 ? 2 : 1); else if (q == 2) person(b); else if (q == 3) parasol(b); else street_thing(b); }
    grow_on(b, b.r.in_int(40, 200), 2, size * 0.4f, g, b.r.in(0.1f, 0.6f));
}
inline void garden(Builder &b) {
    bool night = weather(b);
    Green g = greens(b);
    b.w.plane_mat = b.r.chance(0.7f) ? meadow(b) : road_mat(b);
    Look k = look_of(b, night);
    { auto s = b.at(v3(b.r.in(-3, 3), 0, -b.r.in(8, 14))); house(b, b.r.in(4, 8), b.r.in(3, 5), b.r.in(2.8f, 6), k, 2); }
    for (int i = 0; i < 3; i++) { float a = 2.1f + 2.1f * i; fence(b, v3(9 * cosf(a), 0, 9 * sinf(a)), v3(9 * cosf(a + 2), 0, 9 * sinf(a + 2)), b.r.in(0.8f, 2.2f)); }
    if (b.r.chance(0.6f)) { int m = b.mat(stone_color(b.r), gray(0.5f), b.r.pick({TILES, PLANKS, COBBLES, BRICK}), b.r.in(1, 5)); b.box(v3(b.r.in(-2, 2), 0.03f, b.r.in(-5, 0)), v3(b.r.in(1.5f, 4), 0.04f, b.r.in(1.5f, 3)), m); }
    if (b.r.chance(0.25f)) { int wmat = shiny(b, b.mat(v3(0.02f, 0.12f, 0.18f)), 0.9f, 0.97f); b.of(wmat).mirror = 0.3f; b.box(v3(3, 0.02f, 2), v3(b.r.in(1, 3), 0.02f, b.r.in(1, 2)), wmat); }
    int n = b.r.in_int(5, 22);
    for (int i = 0; i < n; i++) {
        auto s = b.at(v3(b.r.in(-7, 7), 0, b.r.in(-6, 7)), b.r.in(0, 6.28f));
        switch (b.r.below(10)) {
            case 0: table(b, 0.6f, 0.5f, 0.72f); break;
            case 1: chair(b); break;
            case 2: person(b, true, true); break;
            case 3: animal(b, b.r.in(0.3f, 0.9f)); break;
            case 4: parasol(b); break;
            case 5: bench(b); break;
            case 6: plant(b, b.r.in(0.5f, 1.4f)); break;
            case 7: bicycle(b); break;
            case 8: car(b); break;
            default: street_thing(b);
        }
    }
    grow_on(b, b.r.in_int(30, 120), 2.5f, 60, g, b.r.in(0.1f, 0.45f));
    if (b.r.chance(0.2f)) wire(b, v3(-7, 2.2f, b.r.in(-4, 4)), v3(7, 2.2f, b.r.in(-4, 4)), 0.3f, 0.006f, metal(b));
}
inline void city_from_above(Builder &b) {
    bool night = weather(b);
    Green g = greens(b);
    b.w.plane_mat = b.r.chance(0.6f) ? road_mat(b) : meadow(b);
    std::vector<Look> looks;
    for (int i = 0; i < 4; i++) looks.push_back(look_of(b, night));
    bool suburb = b.r.chance(0.45f);
    float pitch = suburb ? b.r.in(14, 24) : b.r.in(24, 50), street_w = b.r.in(6, 14), turn = b.r.in(0, 1.57f);
    auto s = b.at(v3(0.0f), turn);
    int lawn = meadow(b);
    for (int i = -7; i <= 7; i++)
        for (int j = -7; j <= 7; j++) {
            float d = sqrtf(float(i * i + j * j));
            auto t = b.at(v3(i * pitch, 0, j * pitch));
            float half = 0.5f * (pitch - street_w);
            if (suburb || b.r.chance(0.15f)) {
                b.box(v3(0, 0.05f, 0), v3(half, 0.06f, half), lawn);
                for (int q = 0; q < 3; q++) { auto u = b.at(v3(b.r.in(-half, half), 0, b.r.in(-half, half))); if (d < 5) tree(b, b.r.in(3, 9), g, d < 2 ? 1 : 0); }
                if (suburb && b.r.chance(0.9f)) { auto u = b.at(v3(b.r.in(-0.2f, 0.2f) * half, 0, 0), 1.5708f * b.r.below(4)); house(b, half * 0.6f, half * 0.5f, b.r.in(2.6f, 6), looks[b.r.below(4)], d < 3 ? 1 : 0); }
            } else
                facade_block(b, half * b.r.in(0.6f, 1.0f), half * b.r.in(0.6f, 1.0f), b.r.log_in(6, 60), looks[b.r.below(4)], d < 2 ? 1 : 0);
            if (d < 4 && b.r.chance(0.5f)) { auto u = b.at(v3(half + street_w * 0.3f, 0, b.r.in(-half, half))); car(b); }
        }
    for (int i = -3; i <= 3; i++) b.floor_decal(v3((i + 0.5f) * pitch, 0, 0), 0, 0.15f, 120, LANES, gray(0.9f), gray(0.9f));
}
