// One pixel of one world, and the filter that smooths its soft light.
#pragma once
#include "shade.h"

struct Planes {  // per image; all (h, w) with the channels last
    float *sharp, *albedo, *soft, *soft2;  // 3 each, linear light
    float *depth;                          // camera z of the pixel's centre, +inf: sky
    float *normal;                         // 3, camera axes (x right, y down, z forward), 0 on the sky
    int *what;                             // 0 sky, 1 shape, 2 endless ground or terrain, 3 water, 4 mirror, 5 lost in haze
};

HD V3 pixel_ray(const World &w, float px, float py, int width, int height) {
    float scale = w.tan_half / (0.5f * (width > height ? width : height));
    return v3(w.fwd) + v3(w.right) * ((px - 0.5f * width) * scale) + v3(w.up) * ((0.5f * height - py) * scale);
}

HD Dice dice_of(const World &w, int x, int y, int turn) {
    return Dice{hash3(x, y, (int)(w.seed * 1e6f) + 7919 * turn)};
}
HD void store3(float *to, V3 c) { to[0] = c.x, to[1] = c.y, to[2] = c.z; }

// The pixel's centre: the label, and the first sample of the colour.
HD void first_pixel(const Scene &s, const World &w, int x, int y, int width, int height, const Planes &out) {
    int i = y * width + x;
    Dice dice = dice_of(w, x, y, 0);
    float px_angle = w.tan_half / (0.5f * (width > height ? width : height));
    Hit h;
    V3 ray = pixel_ray(w, x + 0.5f, y + 0.5f, width, height);
    Sample got = shade(s, w, v3(w.eye), ray, px_angle, dice, h);
    store3(out.sharp + 3 * i, got.sharp);
    store3(out.albedo + 3 * i, got.albedo);
    bool sky = h.what == MISS;
    out.depth[i] = sky ? INFINITY : h.t;
    store3(out.normal + 3 * i, sky ? v3(0.0f) : v3(dot(h.n, v3(w.right)), -dot(h.n, v3(w.up)), dot(h.n, v3(w.fwd))));
    int what = 1;
    if (sky) what = 0;
    else if (h.what == PLANE || h.what == FIELD) what = 2;
    else if (h.what == WATER) what = 3;
    else if (s.mats[w.mat0 + s.prims[w.prim0 + h.what].mat].mirror > 0.8f) what = 4;
    if (!sky && seen_through(w, v3(w.eye), norm(ray), h.t * length(ray)) < 0.03f) what = 5;
    out.what[i] = what;
}
// Whether one sample is too few: an edge of shape, light or pattern runs through here.
HD bool busy_pixel(const Planes &p, int x, int y, int width, int height) {
    int i = y * width + x;
    float z = p.depth[i];
    V3 c = v3(p.sharp + 3 * i) + v3(p.albedo + 3 * i) * 0.5f, n = v3(p.normal + 3 * i);
    float own = maxc(c) + 0.02f;
    const int dx[4] = {1, -1, 0, 0}, dy[4] = {0, 0, 1, -1};
    for (int k = 0; k < 4; k++) {
        int u = x + dx[k], v = y + dy[k];
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        int j = v * width + u;
        bool sky = !(p.depth[j] < 1e30f), sky_here = !(z < 1e30f);
        if (sky != sky_here) return true;
        if (!sky && (fabsf(p.depth[j] - z) > 0.04f * fminf(z, p.depth[j]) || dot(n, v3(p.normal + 3 * j)) < 0.9f)) return true;
        V3 e = c - v3(p.sharp + 3 * j) - v3(p.albedo + 3 * j) * 0.5f;
        if (fmaxf(fabsf(e.x), fmaxf(fabsf(e.y), fabsf(e.z))) > 0.22f * own) return true;
    }
    return false;
}
// More samples for such a pixel.
HD void refine_pixel(const Scene &s, const World &w, int x, int y, int width, int height, int samples, const Planes &out) {
    int i = y * width + x;
    Dice dice = dice_of(w, x, y, 1);
    float px_angle = w.tan_half / (0.5f * (width > height ? width : height));
    V3 sharp = v3(out.sharp + 3 * i), albedo = v3(out.albedo + 3 * i);
    float ceiling = 4.0f;  // so that one bright sample does not win the whole pixel
    sharp = sharp * fminf(1.0f, ceiling / fmaxf(maxc(sharp), 1e-6f));
    for (int k = 1; k < samples; k++) {
        float dx = fractf(0.5f + 0.7549f * k + 0.1f * dice.roll()), dy = fractf(0.5f + 0.5698f * k + 0.1f * dice.roll());
        Hit h;
        Sample got = shade(s, w, v3(w.eye), pixel_ray(w, x + dx, y + dy, width, height), px_angle, dice, h);
        sharp = sharp + got.sharp * fminf(1.0f, ceiling / fmaxf(maxc(got.sharp), 1e-6f));
        albedo = albedo + got.albedo;
    }
    store3(out.sharp + 3 * i, sharp * (1.0f / samples));
    store3(out.albedo + 3 * i, albedo * (1.0f / samples));
}
// Soft light is looked for at one pixel of each 2 x 2, another one in each; elsewhere it is marked as missing.
HD void soft_pixels(const Scene &s, const World &w, int bx, int by, int width, int height, const Planes &out) {
    uint32_t h = hash3(bx, by, 17) & 3u;
    for (int k = 0; k < 4; k++) {
        int x = 2 * bx + (k & 1), y = 2 * by + (k >> 1), i = y * width + x;
        if (x >= width || y >= height) continue;
        store3(out.soft + 3 * i, v3(-1.0f, 0.0f, 0.0f));
    }
    int x = 2 * bx + (int)(h & 1u), y = 2 * by + (int)(h >> 1), i = y * width + x;
    if (x >= width || y >= height || !(out.depth[i] < 1e30f)) return;
    Dice dice = dice_of(w, x, y, 2);
    V3 p = v3(w.eye) + pixel_ray(w, x + 0.5f, y + 0.5f, width, height) * out.depth[i];
    const float *q = out.normal + 3 * i;
    V3 n = norm(v3(w.right) * q[0] - v3(w.up) * q[1] + v3(w.fwd) * q[2]);
    p = p + n * nudge(p);
    V3 light = lamp_light(s, w, p, n, dice) + bounce_light(s, w, p, n, dice);
    if (w.sun_size > SOFT_SUN) light = light + sun_light(s, w, p, n, dice);
    store3(out.soft + 3 * i, light);
}

// One pass of an edge-avoiding filter: 5 x 5 taps `step` pixels apart, only over the same surface.
HD void smooth_pixel(const Planes &p, const float *from, float *to, int x, int y, int width, int height, int step) {
    int i = y * width + x;
    float z = p.depth[i];
    V3 n = v3(p.normal + 3 * i), sum = v3(0.0f), plain = v3(0.0f);
    float total = 0.0f, count = 0.0f;
    const float kernel[3] = {0.375f, 0.25f, 0.0625f};
    if (!(z < 1e30f)) {
        store3(to + 3 * i, v3(0.0f));
        return;
    }
    for (int b = -2; b <= 2; b++)
        for (int a = -2; a <= 2; a++) {
            int u = x + a * step, v = y + b * step;
            if (u < 0 || v < 0 || u >= width || v >= height) continue;
            int j = v * width + u;
            float zj = p.depth[j];
            V3 light = v3(from + 3 * j);
            if (!(zj < 1e30f) || light.x < 0.0f) continue;
            float same = fmaxf(dot(n, v3(p.normal + 3 * j)), 0.0f);
            same *= same;
            same *= same;
            same *= same;
            float near_z = a == 0 && b == 0 ? 0.0f : fabsf(zj - z) / (z * 0.014f * step);
            float weight = kernel[a < 0 ? -a : a] * kernel[b < 0 ? -b : b];
            plain = plain + light * weight;
            count += weight;
            weight *= same * expf(-near_z);
            sum = sum + light * weight;
            total += weight;
        }
    if (total > 1e-3f)
        sum = sum * (1.0f / total);
    else  // a thin thing without a sample of its own
        sum = count > 0.0f ? plain * (1.0f / count) : v3(0.0f);
    store3(to + 3 * i, sum);
}
