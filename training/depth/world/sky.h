// The sky of a world: gradient, sun, clouds with relief, heaps above the horizon, streaks, stars.
#pragma once
#include "noise.h"
#include "scene.h"

HD float billows(float x, float y, int seed, int octaves) {
    float sum = 0.0f, amp = 0.5f, all = 0.0f;
    for (int i = 0; i < octaves; i++) {
        float n = fabsf(2.0f * noise2(x, y, seed + i) - 1.0f);
        sum += amp * (1.0f - n * n), all += amp, amp *= 0.55f;
        float t = x * 1.62f - y * 1.2f + 13.7f;
        y = x * 1.2f + y * 1.62f - 7.1f, x = t;
    }
    return sum / all;
}
HD float cloud_mass(const World &w, float x, float y) {
    float f = w.cloud_puff < 1.0f ? fbm2(x, y, 31, 5) : 0.0f;
    return w.cloud_puff > 0.0f ? mix(f, 1.05f * billows(x * 0.8f, y * 0.8f, 41, 4) - 0.2f, w.cloud_puff) : f;
}
HD V3 cloud_layer(const World &w, V3 d, V3 c, V3 sun, float glow, bool fine) {
    float reach = 1.0f / (d.y + 0.07f), s = w.cloud_scale;
    float x = d.x * reach * s + w.seed * 131.0f, y = d.z * reach * s * w.cloud_streak - w.seed * 57.0f;
    float f = cloud_mass(w, x, y), shape = fbm2(x * 0.35f + 5.0f, y * 0.35f, 57, 3);
    float v = 0.65f * f + 0.35f * shape, edge = 0.72f - 0.5f * w.cloud_cover, cover = smooth(edge, edge + w.cloud_soft, v) * smooth(0.0f, w.cloud_from, d.y);
    if (cover <= 0.0f) return c;
    float toward = sqrtf(w.sun[0] * w.sun[0] + w.sun[2] * w.sun[2]) + 1e-3f, k = 0.22f / toward;
    float slope = fine && w.cloud_relief > 0.0f ? f - cloud_mass(w, x + w.sun[0] * k, y + w.sun[2] * k * w.cloud_streak) : 0.0f;  // thinner towards the light: lit
    float thick = smooth(edge, edge + 0.3f, v), dark = thick * (0.4f + 0.6f * shape) * (1.0f - 0.5f * w.cloud_relief) + w.cloud_relief * (0.35f - 1.8f * slope);
    V3 lit = v3(w.cloud_col) + sun * (0.06f * powf(glow, 6.0f) + 0.3f * powf(glow, 12.0f) * (1.0f - thick));
    V3 cloud = mix(lit, v3(w.cloud_dark), saturate(dark));
    if (fine) cloud = cloud * (1.0f + w.cloud_patch * (2.0f * fbm2(x * 0.22f + 3.0f, y * 0.22f, 91, 3) - 1.0f));
    return mix(c, cloud, cover);
}
HD V3 heaps(const World &w, V3 d, V3 c, V3 sun, float glow) {
    float flat = 1.0f / sqrtf(fmaxf(d.x * d.x + d.z * d.z, 1e-4f)), s = w.heap_scale, h = d.y / w.heap;
    V3 q = v3(d.x * flat * s + w.seed * 77.0f, d.y * 1.7f * s, d.z * flat * s);
    float big = noise3(q * 0.5f), v = 0.6f * big + 0.4f * fbm3(q * 1.6f, 5), edge = 0.3f + 0.5f * h;
    float cover = smooth(edge, edge + 0.06f, v) * smooth(0.0f, 0.02f, d.y);
    if (cover <= 0.0f) return c;
    float slope = v - (0.6f * noise3(q * 0.5f + v3(0.12f * w.sun[0], 0.2f, 0.12f * w.sun[2])) + 0.4f * fbm3((q + v3(0.1f * w.sun[0], 0.2f, 0.1f * w.sun[2])) * 1.6f, 4));
    float dark = saturate(0.75f - 0.8f * h - 4.0f * slope);
    V3 cloud = mix(v3(w.cloud_col) * 1.05f + sun * 0.25f * powf(glow, 10.0f), mix(v3(w.cloud_dark), v3(w.horizon), 0.3f), dark);
    return mix(c, cloud, cover);
}
// `fine`: as it is seen; else good enough for the light that comes from it.
HD V3 sky_color(const World &w, V3 dir, bool fine = true) {
    V3 d = norm(dir);
    float up = fmaxf(d.y, 0.0f), k = powf(1.0f - up, 3.5f);
    V3 c = mix(v3(w.zenith), v3(w.horizon), k);
    float toward = dot(d, v3(w.sun));
    V3 sun = v3(w.sun_col);
    float glow = fmaxf(toward, 0.0f);
    c = c + sun * (0.05f * powf(glow, 8.0f) + 0.12f * powf(glow, 90.0f)) * (1.0f - fminf(w.cloud_cover, 1.0f) * 0.7f);
    if (w.sun_size < 0.1f && toward > cosf(w.sun_size)) c = c + sun * 12.0f;  // larger ones are behind clouds
    if (w.stars > 0.0f && d.y > 0.0f) {
        V3 q = d * 160.0f;
        float h = hash01((int)floorf(q.x), (int)floorf(q.y), (int)floorf(q.z));
        if (h > 0.9985f) c = c + v3(w.stars * (h - 0.9985f) * 600.0f);
    }
    if (fine && w.heap > 0.0f && d.y > 0.0f && d.y < 1.4f * w.heap) c = heaps(w, d, c, sun, glow);
    if (w.cloud_cover > 0.0f && d.y > 0.0f) c = cloud_layer(w, d, c, sun, glow, fine);
    if (d.y < 0.0f) c = mix(c, v3(w.below), smooth(0.0f, -0.12f, d.y));
    return c;
}
