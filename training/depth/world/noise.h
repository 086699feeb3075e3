// Hashes and value noise: the same number for the same place, on every machine.
#pragma once
#include "vec.h"

HD uint32_t hash32(uint32_t v) {
    v = v * 747796405u + 2891336453u;
    uint32_t w = ((v >> ((v >> 28) + 4u)) ^ v) * 277803737u;
    return (w >> 22) ^ w;
}
HD uint32_t hash3(int x, int y, int z) {
    uint32_t h = ((uint32_t)x * 0x8da6b343u) ^ ((uint32_t)y * 0xd8163841u) ^ ((uint32_t)z * 0xcb1ab31fu);
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return h ^ (h >> 15);
}
HD float unit_of(uint32_t h) { return (h >> 8) * (1.0f / 16777216.0f); }
HD float hash01(int x, int y, int z) { return unit_of(hash3(x, y, z)); }

// Value noise in [0, 1], one blob per unit of p.
HD float noise3(V3 p) {
    float fx = floorf(p.x), fy = floorf(p.y), fz = floorf(p.z);
    int x = (int)fx, y = (int)fy, z = (int)fz;
    float u = p.x - fx, v = p.y - fy, w = p.z - fz;
    u = u * u * (3.0f - 2.0f * u);
    v = v * v * (3.0f - 2.0f * v);
    w = w * w * (3.0f - 2.0f * w);
    float a = mix(mix(hash01(x, y, z), hash01(x + 1, y, z), u), mix(hash01(x, y + 1, z), hash01(x + 1, y + 1, z), u), v);
    float b = mix(mix(hash01(x, y, z + 1), hash01(x + 1, y, z + 1), u),
                  mix(hash01(x, y + 1, z + 1), hash01(x + 1, y + 1, z + 1), u), v);
    return mix(a, b, w);
}
HD float noise2(float px, float py, int seed) {
    float fx = floorf(px), fy = floorf(py);
    int x = (int)fx, y = (int)fy;
    float u = px - fx, v = py - fy;
    u = u * u * (3.0f - 2.0f * u);
    v = v * v * (3.0f - 2.0f * v);
    return mix(mix(hash01(x, y, seed), hash01(x + 1, y, seed), u),
               mix(hash01(x, y + 1, seed), hash01(x + 1, y + 1, seed), u), v);
}
HD float fbm3(V3 p, int octaves) {
    float sum = 0.0f, amp = 0.5f, all = 0.0f;
    for (int i = 0; i < octaves; i++) {
        sum += amp * noise3(p);
        all += amp;
        amp *= 0.5f;
        p = v3(p.z * 2.03f + 17.1f, p.x * 2.03f - 5.7f, p.y * 2.03f + 3.3f);
    }
    return sum / all;
}
HD float fbm2(float x, float y, int seed, int octaves) {
    float sum = 0.0f, amp = 0.5f, all = 0.0f;
    for (int i = 0; i < octaves; i++) {
        sum += amp * noise2(x, y, seed + i);
        all += amp;
        amp *= 0.5f;
        float t = x * 1.62f - y * 1.2f + 13.7f;  // turned, so that no grid shows
        y = x * 1.2f + y * 1.62f - 7.1f;
        x = t;
    }
    return sum / all;
}
// Distance to the nearest and second nearest random point (F1, F2), with the nearest one's number.
HD void cells2(float x, float y, int seed, float &f1, float &f2, uint32_t &id) {
    int ix = (int)floorf(x), iy = (int)floorf(y);
    f1 = 9.0f;
    f2 = 9.0f;
    id = 0;
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++) {
            uint32_t h = hash3(ix + i, iy + j, seed);
            float dx = ix + i + unit_of(h) - x, dy = iy + j + unit_of(hash32(h)) - y;
            float d = sqrtf(dx * dx + dy * dy);
            if (d < f1) {
                f2 = f1;
                f1 = d;
                id = h;
            } else if (d < f2)
                f2 = d;
        }
}
