// The sky of a world: gradient, sun, clouds with dark undersides, streaks, stars.
#pragma once
#include "noise.h"
#include "scene.h"

HD V3 sky_color(const World &w, V3 dir) {
    V3 d = norm(dir);
    float up = fmaxf(d.y, 0.0f), k = powf(1.0f - up, 3.5f);
    V3 c = mix(v3(w.zenith), v3(w.horizon), k);
    float toward = dot(d, v3(w.sun));
    V3 sun = v3(w.sun_col);
    float glow = fmaxf(toward, 0.0f);
    c = c + sun * (0.05f * powf(glow, 8.0f) + 0.12f * powf(glow, 90.0f)) * (1.0f - w.cloud_cover * 0.7f);
    if (toward > cosf(w.sun_size)) c = c + sun * 12.0f;
    if (w.stars > 0.0f && d.y > 0.0f) {
        V3 q = d * 160.0f;
        float h = hash01((int)floorf(q.x), (int)floorf(q.y), (int)floorf(q.z));
        if (h > 0.9985f) c = c + v3(w.stars * (h - 0.9985f) * 600.0f);
    }
    if (w.cloud_cover > 0.0f && d.y > 0.004f) {
        float reach = 1.0f / (d.y + 0.07f), s = w.cloud_scale;
        float x = d.x * reach * s + w.seed * 131.0f, y = d.z * reach * s * w.cloud_streak - w.seed * 57.0f;
        float f = fbm2(x, y, 31, 6), shape = fbm2(x * 0.35f + 5.0f, y * 0.35f, 57, 3);
        float v = 0.65f * f + 0.35f * shape, edge = 0.72f - 0.5f * w.cloud_cover;
        float cover = smooth(edge, edge + w.cloud_soft, v);
        float thick = smooth(edge, edge + 0.3f, v + 0.1f * (fbm2(x * 2.0f + w.sun[0] * 0.6f, y * 2.0f + w.sun[2] * 0.6f, 31, 4) - 0.5f));
        V3 lit = v3(w.cloud_col) + sun * 0.06f * powf(glow, 6.0f);
        V3 cloud = mix(lit, v3(w.cloud_dark), thick * (0.4f + 0.6f * fbm2(x * 1.3f, y * 1.3f, 91, 4)));
        c = mix(c, cloud, cover * smooth(0.0f, 0.05f, d.y));
    }
    if (d.y < 0.0f) c = mix(c, v3(w.below), smooth(0.0f, -0.12f, d.y));
    return c;
}
