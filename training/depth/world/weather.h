// Sky, sun, haze and the light that is everywhere.
#pragma once
#include "paint.h"

inline void clear_sky(Builder &b) {
    World &w = b.w;
    V3 zen = hsv(b.r.in(0.55f, 0.63f), b.r.in(0.35f, 0.8f), b.r.in(0.45f, 0.85f)), hor = mix(zen, hsv(b.r.in(0.52f, 0.6f), b.r.in(0.02f, 0.3f), b.r.in(0.8f, 1.0f)), 0.85f);
    float *z = w.zenith, *h = w.horizon;
    z[0] = zen.x, z[1] = zen.y, z[2] = zen.z, h[0] = hor.x, h[1] = hor.y, h[2] = hor.z;
}
inline void store(float *to, V3 c) { to[0] = c.x, to[1] = c.y, to[2] = c.z; }

// Returns true at night.
inline bool weather(Builder &b) {
    World &w = b.w;
    clear_sky(b);
    float kind = b.r.u(), az = b.r.in(0, 6.283f), elev = b.r.in(0.15f, 1.2f);
    V3 sun = v3(1.0f, 0.94f, 0.85f) * b.r.in(1.6f, 3.2f);
    w.sun_size = b.r.chance(0.6f) ? 0.008f : b.r.in(0.01f, 0.06f);
    w.cloud_cover = b.r.chance(0.75f) ? b.r.in(0.15f, 0.75f) : 0.0f;
    w.cloud_scale = b.r.log_in(0.5f, 2.5f), w.cloud_soft = b.r.in(0.04f, 0.35f), w.cloud_streak = b.r.chance(0.25f) ? b.r.in(2.0f, 6.0f) : 1.0f;
    store(w.cloud_col, gray(b.r.in(0.85f, 1.05f)));
    store(w.cloud_dark, gray(b.r.in(0.35f, 0.8f)) * v3(0.9f, 0.95f, 1.05f));
    w.cloud_relief = b.r.chance(0.7f) ? b.r.in(0.0f, 1.0f) : 0.0f, w.cloud_puff = b.r.chance(0.5f) ? b.r.u() : 0.0f, w.cloud_patch = b.r.in(0.0f, 0.3f), w.cloud_from = b.r.in(0.01f, 0.06f);
    w.heap = b.r.chance(0.3f) ? b.r.in(0.1f, 0.55f) : 0.0f, w.heap_scale = b.r.log_in(2.0f, 9.0f);
    bool night = false;
    if (kind < 0.27f) {  // overcast: a blank veil, or dark and structured, at times lit through gaps
        sun = sun * (b.r.chance(0.25f) ? b.r.in(0.15f, 0.7f) : b.r.in(0.0f, 0.15f)), w.cloud_cover = b.r.in(0.7f, 1.2f), w.sun_size = 0.2f, w.cloud_from = 0.004f;
        w.cloud_relief = b.r.chance(0.8f) ? b.r.in(0.2f, 1.2f) : 0.0f, w.cloud_patch = b.r.in(0.0f, 0.6f), w.cloud_soft = b.r.in(0.1f, 0.5f);
        V3 c = gray(b.r.in(0.45f, 0.95f)) * (b.r.chance(0.5f) ? v3(1.0f) : v3(0.88f, 0.96f, 1.1f));
        store(w.zenith, c * b.r.in(0.6f, 1.2f)), store(w.horizon, c * b.r.in(0.8f, 1.5f)), store(w.cloud_col, c * b.r.in(0.9f, 1.5f)), store(w.cloud_dark, c * b.r.in(0.15f, 0.7f));
    } else if (kind < 0.41f) {  // low sun
        elev = b.r.in(0.0f, 0.18f);
        sun = hsv(b.r.in(0.02f, 0.1f), b.r.in(0.4f, 0.8f), 1.0f) * b.r.in(0.8f, 2.5f);
        V3 hor = hsv(b.r.in(0.0f, 0.12f), b.r.in(0.2f, 0.75f), b.r.in(0.7f, 1.0f)), zen = hsv(b.r.in(0.55f, 0.8f), b.r.in(0.2f, 0.6f), b.r.in(0.2f, 0.6f));
        store(w.horizon, hor), store(w.zenith, zen), store(w.cloud_col, mix(hor, gray(0.9f), 0.3f)), store(w.cloud_dark, zen * b.r.in(0.4f, 1.2f));
    } else if (kind < 0.5f) {  // night or dusk
        night = true;
        float k = b.r.log_in(0.01f, 0.25f);
        V3 c = hsv(b.r.in(0.55f, 0.72f), b.r.in(0.2f, 0.8f), 0.8f) * k;
        sun = gray(b.r.chance(0.4f) ? 0.35f : 0.0f), elev = b.r.in(0.3f, 1.2f);
        store(w.zenith, c), store(w.horizon, c * b.r.in(1.0f, 3.0f) + hsv(b.r.in(0.0f, 0.15f), 0.6f, 0.5f) * (0.05f * b.r.u())), store(w.cloud_col, c * 1.5f), store(w.cloud_dark, c * 0.5f);
        w.stars = b.r.chance(0.5f) ? b.r.in(0.2f, 1.0f) : 0.0f;
    } else if (kind < 0.56f) {  // bright and blank
        V3 c = hsv(b.r.in(0.08f, 0.6f), b.r.in(0.0f, 0.12f), 1.0f);
        store(w.zenith, c), store(w.horizon, c * b.r.in(0.9f, 1.2f));
        w.cloud_cover = 0.0f, w.heap = 0.0f, sun = sun * b.r.in(0.0f, 0.6f);
    } else if (kind < 0.6f) {  // painted skies
        store(w.zenith, any_color(b.r)), store(w.horizon, any_color(b.r));
    }
    store(w.sun, norm(v3(cosf(az) * cosf(elev), sinf(elev) + 0.01f, sinf(az) * cosf(elev))));
    store(w.sun_col, sun);
    V3 hor = v3(w.horizon), sky = mix(v3(w.zenith), hor, 0.5f);
    store(w.below, hor * 0.6f);
    store(w.ambient, sky * 0.5f + sun * 0.06f);
    store(w.fog, mix(hor, v3(w.zenith), b.r.chance(0.6f) ? b.r.in(0.0f, 0.25f) : b.r.in(0.2f, 0.7f)));
    w.fog_density = b.r.chance(0.2f) ? b.r.log_in(1e-3f, 3e-2f) : b.r.log_in(2e-5f, 8e-4f);
    return night;
}
// Fog that lies below an eye on this ground, or clouds that hide what is higher.
inline void low_clouds(Builder &b, float ground, float amp) {
    World &w = b.w;
    float k = b.r.u();
    V3 c = mix(v3(w.horizon), v3(w.cloud_col), b.r.u()) * b.r.in(0.8f, 1.1f);
    if (k < 0.1f) w.bank_hi = ground - b.r.log_in(2.0f, fmaxf(0.4f * amp, 3.0f)), w.bank_lo = w.bank_hi - 1e4f, w.bank_density = b.r.log_in(0.001f, 0.1f);
    else if (k < 0.24f) {
        w.bank_lo = ground + b.r.log_in(20.0f, fmaxf(0.7f * amp, 40.0f)), w.bank_hi = 1e5f, w.bank_density = b.r.log_in(0.001f, 0.05f);
        w.cloud_cover = fmaxf(w.cloud_cover, b.r.in(0.8f, 1.2f)), w.cloud_from = 0.004f;
        V3 gray_col = gray(clampf(powf(luminance(v3(w.horizon)), 0.4545f), 0.05f, 1.0f));
        store(w.cloud_col, mix(gray_col, v3(w.horizon), 0.5f) * b.r.in(0.9f, 1.3f)), store(w.cloud_dark, v3(w.cloud_col) * b.r.in(0.3f, 0.8f));
    }
    store(w.bank_col, c);
}
inline void indoor_light(Builder &b, bool windows) {
    World &w = b.w;
    bool night = weather(b);
    w.indoor = 1;
    w.fog_density = b.r.chance(0.04f) ? b.r.in(0.005f, 0.03f) : 0.0f;
    V3 tint = b.r.chance(0.6f) ? hsv(b.r.in(0.07f, 0.15f), b.r.in(0.0f, 0.35f), 1.0f) : b.r.chance(0.6f) ? gray(1.0f) : hsv(b.r.u(), b.r.in(0.3f, 0.9f), 1.0f);
    float level = windows && !night ? b.r.log_in(0.08f, 0.6f) : b.r.log_in(0.03f, 0.4f);
    store(w.ambient, tint * level);
    store(w.sun_col, v3(w.sun_col) * (windows ? 2.0f : 0.0f));
    if (windows && !night) store(w.zenith, v3(w.zenith) * 2.0f), store(w.horizon, v3(w.horizon) * 2.0f);
}
