// A camera that sees something: tries places until one is neither inside a thing nor blank.
#pragma once
#include "front.h"
#include "trace.h"

// Height of what is under a point: terrain, plane or water.
inline float ground_under(const Builder &b, float x, float z) {
    const World &w = b.w;
    float ground = 0.0f;
    if (w.field0 >= 0) {
        ground = ground_at(b, x, z);
        if (w.plane_mat >= 0) ground = fmaxf(ground, 0.0f);
    }
    return w.water_mat >= 0 ? fmaxf(ground, w.water_y) : ground;
}
inline bool outside(const World &w) { return !w.indoor && w.kind != TABLE_TOP && w.kind != CLUTTER; }
inline void aim(Builder &b, const Shot &s) {
    World &w = b.w;
    Rng &r = b.r;
    V3 eye = v3(r.in(s.lo.x, s.hi.x), s.lo.y * powf(s.hi.y / s.lo.y, r.u()), r.in(s.lo.z, s.hi.z));
    if (w.kind == ROOM || w.kind == HALL) {  // people stand with their back to a wall
        float to_wall = 1.0f - 0.6f * r.u() * r.u();
        if (r.chance(0.5f)) eye.x = s.hi.x * to_wall * r.sign();
        else eye.z = s.hi.z * to_wall * r.sign();
        if (r.chance(0.6f)) eye.y = fminf(r.in(1.2f, 1.7f), s.hi.y);
    }
    float ground = ground_under(b, eye.x, eye.z);
    if (!s.aim || w.kind == ROOM || w.kind == HALL || w.kind == GARDEN) eye.y += ground;
    float yaw = s.yaw_mid + r.in(-1, 1) * s.yaw_spread, pitch = r.in(s.pitch_lo, s.pitch_hi);
    if (w.kind == ABOVE) pitch = r.chance(0.15f) ? r.in(-1.4f, -0.8f) : r.in(-0.8f, -0.1f);
    V3 d = v3(-sinf(yaw) * cosf(pitch), sinf(pitch), -cosf(yaw) * cosf(pitch));
    if (s.aim) {
        d = s.target - eye;
        if (length(d) < 0.25f) d = v3(0, -0.2f, -1);
        d = norm(norm(d) + v3(r.gauss(), r.gauss(), r.gauss()) * 0.06f);
    } else if (eye.y - ground > 4.0f)
        d = norm(d - v3(0, r.in(0, 0.35f), 0));
    V3 right = norm(cross(d, v3(0, 1, 0))), up = cross(right, d);
    float roll = r.chance(0.65f) ? 0.02f * r.gauss() : r.in(-0.35f, 0.35f);
    V3 r2 = right * cosf(roll) + up * sinf(roll), u2 = up * cosf(roll) - right * sinf(roll);
    float fov = s.fov_lo + (s.fov_hi - s.fov_lo) * 0.5f * (r.u() + r.u());
    if (r.chance(0.25f)) fov = r.in(30, 100);
    if (outside(w) && w.kind != ABOVE) {  // no corners of a room tell the angle there
        float k = r.u();
        if (k < 0.25f) fov = r.in(35, 60);
        else if (k < 0.4f) fov = r.in(80, 100);
    }
    for (int i = 0; i < 3; i++) {
        const V3 v[4] = {eye, r2, u2, d};
        float *to[4] = {w.eye, w.right, w.up, w.fwd};
        for (int k = 0; k < 4; k++) to[k][i] = i == 0 ? v[k].x : i == 1 ? v[k].y : v[k].z;
    }
    w.tan_half = tanf(fov * 0.5f * 0.0174533f);
}
// Whether the eye is inside something solid, of a size to hold it: rays would see its walls from behind.
inline bool buried(const Scene &s, const World &w) {
    V3 eye = v3(w.eye);
    for (int i = 0; i < w.prims; i++) {
        const Prim &p = s.prims[w.prim0 + i];
        if (p.type == LEAVES || p.type == CARD || p.type == TORUS) continue;
        V3 q = to_local(p.m, eye);
        if (fabsf(q.x) < 1.0f && fabsf(q.y) < 1.0f && fabsf(q.z) < 1.0f) {
            V3 half = half_of(p.m);
            if (fminf(half.x, fminf(half.y, half.z)) > 0.15f) return true;
        }
    }
    return false;
}
// How bad the view is: 0 is good. `plain`: views of little are welcome too.
inline float fault(const Scene &s, const World &w, bool plain, float &room) {
    int sky = 0, close = 0, distant = 0, high = 0, n = 0, seen[63], things = 0, most = 0;
    int counts[63] = {0};
    float nearest = 1e9f, sum = 0, sum2 = 0, far[63];
    for (int j = -3; j <= 3; j++)
        for (int i = -4; i <= 4; i++, n++) {
            V3 d = v3(w.fwd) + v3(w.right) * (w.tan_half * i / 4.3f) + v3(w.up) * (w.tan_half * j / 4.3f);
            Hit h = trace(s, w, v3(w.eye), d, 1e-3f, 1e5f, false);
            far[n] = h.what == MISS ? 1e5f : h.t;
            if (h.what == MISS) {
                sky++;
                continue;
            }
            nearest = fminf(nearest, h.t);
            if (h.t < 0.45f) close++;
            if (h.t > 250.0f) distant++;
            if (h.t > 250.0f && d.y > 0.0f) high++;
            float l = logf(h.t);
            sum += l, sum2 += l * l;
            int k = 0;
            while (k < things && seen[k] != h.what) k++;
            if (k == things) seen[things++] = h.what;
            most = std::max(most, ++counts[k]);
        }
    std::nth_element(far, far + n / 4, far + n);
    room = far[n / 4];  // three quarters of the picture are farther
    int m = n - sky;
    float spread = m > 0 ? sqrtf(fmaxf(sum2 / m - (sum / m) * (sum / m), 0.0f)) : 0.0f;
    float f = 0.0f;
    if (sky > n * 0.75f) f += 2.0f + sky;
    if (w.kind != TABLE_TOP && close > n / 12) f += 1.0f + close;
    if (nearest < (w.kind == TABLE_TOP ? 0.06f : 0.12f)) f += 5.0f;
    if (buried(s, w)) f += 40.0f;
    if (spread < 0.12f) f += 1.0f;
    if (plain) return f;
    bool open = w.kind == MOUNTAIN || w.kind == WATERSIDE || w.kind == FIELD_ROAD;
    if (spread < 0.3f) f += 0.6f;
    if (!open && things < 9) f += 0.1f * (9 - things);
    if (open && things < 3 && w.kind != MOUNTAIN) f += 0.2f;
    if (w.kind == MOUNTAIN && distant < n / 3) f += 0.8f;  // the foreground hides the land
    if (w.kind == MOUNTAIN && high < 3) f += 0.4f;         // no height stands against the sky
    if (!open && most > m * 0.55f) f += 0.5f;
    return f;
}
inline int kind_of(Rng &r) {
    int total = 0;
    for (int s : SHARES) total += s;
    int k = r.below(total);
    for (int i = 0; i < KINDS; i++) {
        k -= SHARES[i];
        if (k < 0) return i;
    }
    return ROOM;
}
// kind < 0: drawn by its share.
inline void build_world(Builder &b, int kind) {
    int drawn = kind_of(b.r);
    b.w.kind = kind >= 0 ? kind : drawn;
    Shot shot = place(b, b.w.kind);
    b.grow();
    Scene s{&b.w, b.prims.data(), b.nodes.data(), b.mats.data(), b.decals.data(), b.lamps.data(), b.field.data()};
    b.w.prims = (int)b.prims.size(), b.w.nodes = (int)b.nodes.size(), b.w.mats = (int)b.mats.size();
    b.w.decals = (int)b.decals.size(), b.w.lamps = (int)b.lamps.size();
    World best = b.w;
    float least = 1e30f, free_m = 0, room = 0;
    bool plain = b.r.chance(0.15f) || b.bare;
    for (int i = 0; i < 24 && least > 0.0f; i++) {
        if (i == 10 && b.w.kind == MOUNTAIN) shot.lo.y = 8.0f, shot.hi.y = 200.0f;  // over what hides the land
        aim(b, shot);
        float f = fault(s, b.w, plain, free_m);
        if (f < least) least = f, best = b.w, room = free_m;
    }
    b.w = best;
    stand_in_front(b, room, ground_under(b, b.w.eye[0], b.w.eye[2]));
    b.w.prims = (int)b.prims.size(), b.w.nodes = (int)b.nodes.size(), b.w.mats = (int)b.mats.size(), b.w.lamps = (int)b.lamps.size();
}
