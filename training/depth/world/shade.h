// Light at a hit: the sun, one lamp at a time, one bounce, and mirrors.
#pragma once
#include "sky.h"
#include "texture.h"
#include "trace.h"

const float SOFT_SUN = 0.03f;  // a larger sun's shadows are smoothed with the other soft light

struct Dice {
    uint32_t state;
    HD float roll() {
        state = hash32(state + 0x9e3779b9u);
        return unit_of(state);
    }
};

// Optical depth of the layer of cloud or fog between o and o + unit * metres.
HD float bank_depth(const World &w, V3 o, V3 unit, float metres) {
    if (w.bank_density <= 0.0f) return 0.0f;
    V3 p = o + unit * metres;
    float thick = fminf(w.bank_hi - w.bank_lo, 300.0f), wave = 4.0f / (thick + 60.0f);
    float shift = thick * (fbm2(p.x * wave, p.z * wave, 23, 4) - 0.5f), lo = w.bank_lo + shift, hi = w.bank_hi + shift;
    float part = clampf(p.y, lo, hi) - clampf(o.y, lo, hi), rise = p.y - o.y;
    float inside = fabsf(rise) > 1e-3f ? saturate(part / rise) : o.y > lo && o.y < hi ? 1.0f : 0.0f;
    return w.bank_density * metres * inside;
}
// How much of a surface is seen through haze and clouds.
HD float seen_through(const World &w, V3 o, V3 unit, float metres) {
    return expf(-w.fog_density * metres - bank_depth(w, o, unit, metres));
}
HD V3 fog_over(const World &w, V3 c, V3 o, V3 unit, float metres) {
    if (w.fog_density > 0.0f) {
        float k = 1.0f - expf(-w.fog_density * metres);
        c = mix(c, v3(w.fog) + v3(w.sun_col) * 0.03f * powf(fmaxf(dot(unit, v3(w.sun)), 0.0f), 5.0f), k);
    }
    float bank = bank_depth(w, o, unit, metres);
    if (bank <= 0.0f) return c;
    V3 cloud = w.bank_lo > o.y ? sky_color(w, unit) : v3(w.bank_col);  // what is above is part of the sky
    return mix(c, cloud, 1.0f - expf(-bank));
}
HD float nudge(V3 p) { return 3e-4f + 4e-6f * length(p); }

HD V3 sun_light(const Scene &s, const World &w, V3 p, V3 n, Dice &dice) {
    float facing = dot(n, v3(w.sun));
    if (facing <= 0.0f || maxc(v3(w.sun_col)) <= 0.0f || w.sun[1] < -0.02f) return v3(0.0f);
    V3 a, b;
    frame_of(v3(w.sun), a, b);
    float r = w.sun_size * sqrtf(dice.roll()), ang = 6.2832f * dice.roll();
    V3 d = norm(v3(w.sun) + a * (r * cosf(ang)) + b * (r * sinf(ang)));
    if (trace(s, w, p + n * nudge(p), d, 1e-3f, 1e4f, true).what != MISS) return v3(0.0f);
    return v3(w.sun_col) * facing;
}
// One lamp, chosen by what it could give, weighted so that the mean is right.
HD V3 lamp_light(const Scene &s, const World &w, V3 p, V3 n, Dice &dice) {
    if (w.lamps == 0) return v3(0.0f);
    float total = 0.0f, pick_weight = 0.0f;
    int pick = -1;
    float u = dice.roll();
    for (int i = 0; i < w.lamps; i++) {
        const Lamp &l = s.lamps[w.lamp0 + i];
        V3 d = v3(l.pos) - p;
        float weight = maxc(v3(l.col)) / (dot(d, d) + 0.05f) * (dot(d, n) > -l.radius ? 1.0f : 0.0f);
        total += weight;
        if (weight > 0.0f && u * total < weight) {  // reservoir of one
            pick = i;
            pick_weight = weight;
            u = u * total / weight;
        } else if (weight > 0.0f)
            u = (u * total - weight) / (total - weight);
    }
    if (pick < 0) return v3(0.0f);
    const Lamp &l = s.lamps[w.lamp0 + pick];
    V3 jitter = v3(dice.roll() - 0.5f, dice.roll() - 0.5f, dice.roll() - 0.5f) * (2.0f * l.radius);
    V3 d = v3(l.pos) + jitter - p;
    float dist2 = dot(d, d), facing = dot(n, d) / sqrtf(dist2);
    if (facing <= 0.0f) return v3(0.0f);
    float t_end = fmaxf(0.0f, 1.0f - (l.radius * 1.3f + 0.02f) / sqrtf(dist2));
    if (trace(s, w, p + n * nudge(p), d, 1e-4f, t_end, true).what != MISS) return v3(0.0f);
    return v3(l.col) * (facing / (dist2 + 0.02f) * total / pick_weight);
}
// Light that comes over one other surface or from the sky, for a random direction.
HD V3 bounce_light(const Scene &s, const World &w, V3 p, V3 n, Dice &dice) {
    V3 a, b;
    frame_of(n, a, b);
    float r2 = dice.roll(), r = sqrtf(r2), ang = 6.2832f * dice.roll();
    V3 d = a * (r * cosf(ang)) + b * (r * sinf(ang)) + n * sqrtf(1.0f - r2);
    V3 o = p + n * nudge(p);
    Hit h = trace(s, w, o, d, 1e-3f, 1e4f, false);
    if (h.what == MISS) {
        V3 c = sky_color(w, d, false);
        return c * fminf(1.0f, 3.0f / fmaxf(maxc(c), 1e-6f));  // the sun's disc is sun_light's
    }
    V3 q = o + d * h.t, hn = h.n;
    Skin k = skin_at(s, w, h.what, q, hn, 0.05f + h.t * 0.05f);
    V3 in = v3(w.ambient) + sun_light(s, w, q, h.n, dice) + lamp_light(s, w, q, h.n, dice);
    V3 c = k.albedo * in + k.emit;
    return c * fminf(1.0f, 6.0f / fmaxf(maxc(c), 1e-6f));
}

struct Sample {
    V3 sharp;   // light that is final: sun, shine, mirrors, glow, haze
    V3 albedo;  // what the soft light (lamps and one bounce) is multiplied with
};

HD V3 shine(const World &w, const Skin &k, V3 n, V3 d, V3 light) {
    if (k.spec <= 0.0f) return v3(0.0f);
    V3 h = norm(v3(w.sun) - norm(d));
    float power = 4.0f + 400.0f * k.gloss * k.gloss;
    return light * (k.spec * powf(fmaxf(dot(n, h), 0.0f), power) * (power + 8.0f) * 0.03f);
}

// All lamps without their shadows: for what is only seen in a mirror, where one random lamp would sparkle.
HD V3 lamps_unshadowed(const Scene &s, const World &w, V3 p, V3 n) {
    V3 sum = v3(0.0f);
    for (int i = 0; i < w.lamps; i++) {
        const Lamp &l = s.lamps[w.lamp0 + i];
        V3 d = v3(l.pos) - p;
        float dist2 = dot(d, d);
        sum = sum + v3(l.col) * (fmaxf(dot(n, d), 0.0f) / (sqrtf(dist2) * (dist2 + 0.02f)));
    }
    return sum * 0.7f;
}
// Seen in a mirror: no further bounce, only the ambient light.
HD V3 seen(const Scene &s, const World &w, V3 o, V3 d, float px_angle, Dice &dice) {
    Hit h{0.0f, MISS, v3(0.0f)};
    float start = 1e-3f;
    for (int i = 0; i < 4; i++) {  // through the other sides of clear things
        h = trace(s, w, o, d, start, 1e5f, false);
        if (h.what < 0 || s.mats[w.mat0 + s.prims[w.prim0 + h.what].mat].mirror >= 0.0f) break;
        start = h.t + 1e-3f;
    }
    float far_m = length(d) * h.t;
    if (h.what == MISS) return sky_color(w, d);
    V3 q = o + d * h.t, n = h.n;
    Skin k = skin_at(s, w, h.what, q, n, far_m * px_angle);
    V3 in = v3(w.ambient) * (1.2f + 0.5f * n.y) + sun_light(s, w, q, n, dice) + lamps_unshadowed(s, w, q, n);
    return fog_over(w, k.albedo * in + k.emit, o, norm(d), far_m);
}

HD Sample shade(const Scene &s, const World &w, V3 o, V3 d, float px_angle, Dice &dice, Hit &h) {
    Sample out{v3(0.0f), v3(0.0f)};
    h = trace(s, w, o, d, 1e-3f, 1e5f, false);
    if (h.what == MISS) {
        out.sharp = sky_color(w, d);
        return out;
    }
    float far_m = length(d) * h.t;
    V3 p = o + d * h.t, n = h.n;
    V3 unit = norm(d);
    if (h.what == WATER) {  // ripples
        float fade = 1.0f / (1.0f + far_m * 0.02f), f = 1.0f / (0.15f + 0.02f * far_m);
        V3 q = v3(p.x * f, p.z * f * 1.7f, w.seed * 70.0f);
        n = norm(n + v3(fbm3(q, 3) - 0.5f, 0.0f, fbm3(q + v3(19.0f), 3) - 0.5f) * (w.wave * fade));
    }
    Skin k = skin_at(s, w, h.what, p, n, far_m * px_angle);
    V3 direct = w.sun_size > SOFT_SUN ? v3(0.0f) : sun_light(s, w, p, n, dice);
    float facing = fmaxf(dot(n, -unit), 0.0f), fresnel = powf(1.0f - facing, 5.0f);
    bool clear = k.mirror < 0.0f;  // what is behind it, bent a little; the rim reflects
    float mirror = clear ? 0.0f : saturate(k.mirror + (k.spec > 0.0f ? fminf(k.spec, 1.0f) * k.gloss * fresnel : 0.0f));
    V3 c = k.albedo * direct * (1.0f - mirror) + k.emit + shine(w, k, n, d, direct);
    if (clear || mirror > 0.04f) {
        V3 r = norm(unit - n * (0.12f * (1.0f - facing)));
        if (!clear) {
            r = reflect(unit, n);
            float rough = k.mirror > 0.8f ? 0.0f : 0.1f * (1.0f - k.gloss) * (1.0f - k.gloss);
            r = norm(r + v3(dice.roll() - 0.5f, dice.roll() - 0.5f, dice.roll() - 0.5f) * rough);
            if (dot(r, h.n) < 0.0f) r = reflect(r, h.n);
        }
        V3 c2 = seen(s, w, p + h.n * (clear ? -nudge(p) : nudge(p)), r, px_angle, dice);
        if (clear) {
            float rim = saturate(0.06f + 1.2f * powf(1.0f - facing, 3.0f));
            out.sharp = fog_over(w, mix(c2 * -k.mirror, k.albedo * 2.0f + v3(w.ambient) * 0.8f, rim) + shine(w, k, n, d, direct), o, unit, far_m);
            return out;
        }
        V3 tint = k.mirror > 0.3f && k.mirror < 0.8f ? mix(v3(1.0f), k.albedo, 0.5f) : v3(1.0f);
        c = c + c2 * tint * mirror;
    }
    float through = seen_through(w, o, unit, far_m);
    out.sharp = fog_over(w, c, o, unit, far_m);
    out.albedo = k.albedo * (through * (1.0f - mirror));
    return out;
}
