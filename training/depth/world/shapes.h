// Ray against unit shapes. The direction is not of unit length: t is the same in every space.
#pragma once
#include "noise.h"
#include "scene.h"

struct Local {
    V3 o, d;
};
HD V3 to_local(const float *m, V3 p) {
    return v3(m[0] * p.x + m[1] * p.y + m[2] * p.z + m[3], m[4] * p.x + m[5] * p.y + m[6] * p.z + m[7],
              m[8] * p.x + m[9] * p.y + m[10] * p.z + m[11]);
}
HD V3 to_local_dir(const float *m, V3 p) {
    return v3(m[0] * p.x + m[1] * p.y + m[2] * p.z, m[4] * p.x + m[5] * p.y + m[6] * p.z,
              m[8] * p.x + m[9] * p.y + m[10] * p.z);
}
HD V3 normal_to_world(const float *m, V3 n) {
    return norm(v3(m[0] * n.x + m[4] * n.y + m[8] * n.z, m[1] * n.x + m[5] * n.y + m[9] * n.z,
                   m[2] * n.x + m[6] * n.y + m[10] * n.z));
}
// Half sizes of the unit shape in metres.
HD V3 half_of(const float *m) {
    return v3(1.0f / length(v3(m[0], m[1], m[2])), 1.0f / length(v3(m[4], m[5], m[6])),
              1.0f / length(v3(m[8], m[9], m[10])));
}

HD bool hit_slab(V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    float near_t = -1e30f, far_t = 1e30f;
    int near_axis = 0, far_axis = 0;
    const float os[3] = {o.x, o.y, o.z}, ds[3] = {d.x, d.y, d.z};
#pragma unroll
    for (int i = 0; i < 3; i++) {
        float inv = 1.0f / (fabsf(ds[i]) < 1e-12f ? 1e-12f : ds[i]);
        float a = (-1.0f - os[i]) * inv, b = (1.0f - os[i]) * inv;
        float lo = fminf(a, b), hi = fmaxf(a, b);
        if (lo > near_t) near_t = lo, near_axis = i;
        if (hi < far_t) far_t = hi, far_axis = i;
    }
    if (near_t > far_t) return false;
    bool outside = near_t > t0;
    t = outside ? near_t : far_t;
    if (t <= t0 || t >= t1) return false;
    int axis = outside ? near_axis : far_axis;
    float dir = axis == 0 ? d.x : axis == 1 ? d.y : d.z;
    float s = dir > 0.0f ? -1.0f : 1.0f;
    n = v3(axis == 0 ? s : 0.0f, axis == 1 ? s : 0.0f, axis == 2 ? s : 0.0f);
    return true;
}
HD bool hit_ball(V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    float a = dot(d, d), b = dot(o, d);
    V3 q = o - d * (b / a);  // the point nearest to the centre: exact for far rays too
    float h = 1.0f - dot(q, q);
    if (h < 0.0f) return false;
    float s = sqrtf(h / a);
    t = -b / a - s;
    if (t <= t0) t = -b / a + s;
    if (t <= t0 || t >= t1) return false;
    n = o + d * t;
    if (dot(n, d) > 0.0f) n = -n;
    return true;
}
HD bool hit_frustum(V3 o, V3 d, float top, float t0, float t1, float &t, V3 &n) {
    float k = 0.5f * (top - 1.0f), r0 = 1.0f + k * (o.y + 1.0f), dr = k * d.y;
    float a = d.x * d.x + d.z * d.z - dr * dr, b = o.x * d.x + o.z * d.z - r0 * dr;
    float c = o.x * o.x + o.z * o.z - r0 * r0;
    float best = t1;
    if (fabsf(a) > 1e-12f) {
        float h = b * b - a * c;
        if (h >= 0.0f) {
            float s = sqrtf(h);
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float x = (-b + (i ? s : -s)) / a, y = o.y + x * d.y;
                if (x > t0 && x < best && fabsf(y) <= 1.0f && r0 + dr * x >= 0.0f) {
                    best = x;
                    V3 p = o + d * x;
                    n = v3(p.x, -k * (r0 + dr * x), p.z);
                }
            }
        }
    }
    if (fabsf(d.y) > 1e-12f) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float y = i ? 1.0f : -1.0f, r = i ? top : 1.0f, x = (y - o.y) / d.y;
            float px = o.x + d.x * x, pz = o.z + d.z * x;
            if (x > t0 && x < best && px * px + pz * pz <= r * r) best = x, n = v3(0.0f, y, 0.0f);
        }
    }
    if (best >= t1) return false;
    t = best;
    if (dot(n, d) > 0.0f) n = -n;
    return true;
}
// A gable: triangle (-1,-1) (1,-1) (0,1) in xy, along z.
HD bool hit_prism(V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    const V3 planes[5] = {v3(0, -1, 0), v3(2, 1, 0), v3(-2, 1, 0), v3(0, 0, 1), v3(0, 0, -1)};
    float near_t = -1e30f, far_t = 1e30f;
    V3 near_n = v3(0.0f), far_n = v3(0.0f);
#pragma unroll
    for (int i = 0; i < 5; i++) {
        float nd = dot(planes[i], d), gap = 1.0f - dot(planes[i], o);
        if (fabsf(nd) < 1e-12f) {
            if (gap < 0.0f) return false;
            continue;
        }
        float x = gap / nd;
        if (nd < 0.0f) {
            if (x > near_t) near_t = x, near_n = planes[i];
        } else if (x < far_t)
            far_t = x, far_n = planes[i];
    }
    if (near_t > far_t) return false;
    bool outside = near_t > t0;
    t = outside ? near_t : far_t;
    n = outside ? near_n : -far_n;
    return t > t0 && t < t1;
}

// The piece of the ray inside the unit box, for shapes found by marching.
HD bool box_span(V3 o, V3 d, float &t0, float &t1) {
    const float os[3] = {o.x, o.y, o.z}, ds[3] = {d.x, d.y, d.z};
#pragma unroll
    for (int i = 0; i < 3; i++) {
        float inv = 1.0f / (fabsf(ds[i]) < 1e-12f ? 1e-12f : ds[i]);
        float a = (-1.0f - os[i]) * inv, b = (1.0f - os[i]) * inv;
        t0 = fmaxf(t0, fminf(a, b));
        t1 = fminf(t1, fmaxf(a, b));
    }
    return t0 < t1;
}
HD float roundbox_sdf(V3 p, V3 half, float r) {
    V3 q = v3(fabsf(p.x) - half.x + r, fabsf(p.y) - half.y + r, fabsf(p.z) - half.z + r);
    V3 out = v3(fmaxf(q.x, 0.0f), fmaxf(q.y, 0.0f), fmaxf(q.z, 0.0f));
    return length(out) + fminf(fmaxf(q.x, fmaxf(q.y, q.z)), 0.0f) - r;
}
HD float torus_sdf(V3 p, V3 half, float tube) {  // ring in xz, half.y = tube radius, half.x = outer radius
    float big = half.x - tube, q = sqrtf(p.x * p.x + p.z * p.z) - big;
    return sqrtf(q * q + p.y * p.y) - tube;
}
HD float marched_sdf(const Prim &s, V3 metric, V3 half) {
    if (s.type == TORUS) return torus_sdf(metric, half, half.y);
    return roundbox_sdf(metric, half, s.p * fminf(half.x, fminf(half.y, half.z)));
}
HD bool hit_marched(const Prim &s, V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    float a = t0, b = t1;
    if (!box_span(o, d, a, b)) return false;
    V3 half = half_of(s.m), mo = o * half, md = d * half;
    float speed = length(md), eps = 2e-4f * maxc(half);
    float x = a;
    for (int i = 0; i < 40; i++) {
        float dist = marched_sdf(s, mo + md * x, half);
        if (dist < eps) {
            V3 p = mo + md * x;
            float h = 4.0f * eps;
            V3 g = v3(marched_sdf(s, p + v3(h, 0, 0), half) - marched_sdf(s, p - v3(h, 0, 0), half),
                      marched_sdf(s, p + v3(0, h, 0), half) - marched_sdf(s, p - v3(0, h, 0), half),
                      marched_sdf(s, p + v3(0, 0, h), half) - marched_sdf(s, p - v3(0, 0, h), half));
            if (dot(g, md) > 0.0f) g = -g;
            n = g * half;  // normal_to_world divides by the half sizes again
            t = x;
            return x > t0;
        }
        x += dist / speed;
        if (x > b) return false;
    }
    return false;
}
// A crown of leaves: clumps of noise inside a ball, with holes that show what is behind.
HD bool hit_leaves(const Prim &s, V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    float a = dot(d, d), b = dot(o, d);
    V3 q = o - d * (b / a);
    float h = 1.0f - dot(q, q);
    if (h < 0.0f) return false;
    float w = sqrtf(h / a), lo = fmaxf(-b / a - w, t0), hi = fminf(-b / a + w, t1);
    if (lo >= hi) return false;
    V3 half = half_of(s.m);
    float size = maxc(half), fine = clampf(size * 0.1f, 0.03f, 0.22f);
    V3 seed = v3((s.id & 255) * 3.7f, (s.id & 127) * 1.3f, (s.id & 63) * 2.1f);
    const int steps = 18;
    float step = (hi - lo) / steps;
    for (int i = 0; i < steps; i++) {
        float x = lo + step * (i + 0.5f);
        V3 p = o + d * x, m = p * half;
        float r2 = dot(p, p);
        float clump = noise3(m * (0.28f / fine) + seed), leaf = noise3(m * (1.0f / fine) + seed * 1.7f);
        float dense = 1.1f * clump + 0.6f * leaf + 0.5f * (1.0f - r2) + 0.22f * s.p;
        if (dense > 1.14f) {
            t = fmaxf(x - step * 0.5f * unit_of(hash3((int)(m.x * 90.0f), (int)(m.y * 90.0f), (int)(m.z * 90.0f))), lo);
            if (t <= t0) return false;
            V3 c = m * (1.6f / fine);
            uint32_t cell = hash3((int)floorf(c.x), (int)floorf(c.y), (int)floorf(c.z));
            n = norm(p) + v3(unit_of(cell) - 0.5f, unit_of(hash32(cell)) - 0.3f, unit_of(hash32(cell + 7u)) - 0.5f) * 1.8f;
            if (dot(n, d) > 0.0f) n = n - d * (1.05f * dot(n, d) / a);
            return true;
        }
    }
    return false;
}

// Holes of a card, in its unit square; `half` in metres keeps bars equally thick on cards of any size.
HD bool cut_away(int cutout, float x, float y, V3 half, float seed) {
    float r2 = x * x + y * y;
    switch (cutout) {
        case ROUND: return r2 > 1.0f;
        case RING: return r2 > 1.0f || r2 < 0.72f;
        case GRID: {
            float s = 4.0f + 12.0f * seed;
            return fabsf(fractf(x * s) - 0.5f) < 0.4f && fabsf(fractf(y * s * half.y / half.x) - 0.5f) < 0.4f;
        }
        case DIAGONAL: {
            float u = (x * half.x + y * half.y) * (6.0f + 10.0f * seed), v = (x * half.x - y * half.y) * (6.0f + 10.0f * seed);
            return fabsf(fractf(u) - 0.5f) < 0.42f && fabsf(fractf(v) - 0.5f) < 0.42f;
        }
        case BARS: return fabsf(fractf(x * half.x * (5.0f + 6.0f * seed)) - 0.5f) < 0.34f && fabsf(y) < 0.88f;
        case LEAF_SHAPE: {
            float w = (1.0f - y * y) * (0.55f + 0.3f * y);
            return fabsf(x) > w;
        }
        case FERN: {
            float w = 1.0f - 0.5f * (y + 1.0f), tooth = fabsf(fractf((y + fabsf(x) * 0.5f) * (6.0f + 6.0f * seed)) - 0.5f);
            return fabsf(x) > w || (tooth > 0.3f && fabsf(x) > 0.07f);
        }
        case TUFT: {  // blades of grass that lean and end at different heights
            float s = 9.0f + 6.0f * seed;
            for (int i = -1; i <= 1; i++) {
                float base = floorf(x * s) + i;
                float h = hash01((int)base, (int)(seed * 977.0f), 7), lean = (hash01((int)base, 3, 11) - 0.5f) * 2.4f;
                float up = 0.5f * (y + 1.0f), top = 0.35f + 0.65f * h;
                if (up < top && fabsf(x * s - base - 0.5f - lean * up * up) < 0.33f * (1.0f - up / top) + 0.03f) return false;
            }
            return true;
        }
        case SPRAY: {  // many small leaves
            float s = 3.0f + 3.0f * seed;
            for (int j = -1; j <= 1; j++)
                for (int i = -1; i <= 1; i++) {
                    int cx = (int)floorf(x * s) + i, cy = (int)floorf(y * s) + j;
                    uint32_t h = hash3(cx, cy, (int)(seed * 811.0f));
                    float ang = 6.2832f * unit_of(h), dx = x * s - cx - unit_of(hash32(h)),
                          dy = y * s - cy - unit_of(hash32(h + 9u));
                    float u = dx * cosf(ang) + dy * sinf(ang), v = dy * cosf(ang) - dx * sinf(ang);
                    if (u * u * 2.2f + v * v * 12.0f < 0.55f && r2 < 1.0f) return false;
                }
            return true;
        }
        case MESH:
        case LATTICE: {  // wires both ways, equally many on cards of any size; `seed` sets pitch and thickness
            float n = 6.0f + 18.0f * seed, wire = 0.5f - (0.04f + 0.14f * fractf(seed * 13.0f)), k = half.y / half.x;
            float u = cutout == MESH ? (x + y * k) * n : x * n, v = cutout == MESH ? (x - y * k) * n : y * k * n;
            return fabsf(fractf(u) - 0.5f) < wire && fabsf(fractf(v) - 0.5f) < wire;
        }
        case SCROLL: {  // carved ornament
            float v = noise2(fabsf(x) * 6.0f, y * 9.0f, (int)(seed * 997.0f));
            return fabsf(v - 0.5f) > 0.16f && fabsf(x) < 0.9f && fabsf(y) < 0.95f;
        }
    }
    return false;
}

HD bool hit_prim(const Prim &s, const Mat *mats, V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    V3 lo = to_local(s.m, o), ld = to_local_dir(s.m, d);
    switch (s.type) {
        case BOX: return hit_slab(lo, ld, t0, t1, t, n);
        case BALL: return hit_ball(lo, ld, t0, t1, t, n);
        case FRUSTUM: return hit_frustum(lo, ld, s.p, t0, t1, t, n);
        case PRISM: return hit_prism(lo, ld, t0, t1, t, n);
        case LEAVES: return hit_leaves(s, lo, ld, t0, t1, t, n);
        case CARD: {
            if (fabsf(ld.z) < 1e-12f) return false;
            t = -lo.z / ld.z;
            if (!(t > t0 && t < t1)) return false;
            float x = lo.x + ld.x * t, y = lo.y + ld.y * t;
            if (fabsf(x) > 1.0f || fabsf(y) > 1.0f) return false;
            const Mat &mat = mats[s.mat];
            if (mat.cutout != WHOLE && cut_away(mat.cutout, x, y, half_of(s.m), fractf(mat.seed + s.id * 0.137f))) return false;
            n = v3(0.0f, 0.0f, ld.z > 0.0f ? -1.0f : 1.0f);
            return true;
        }
        default: return hit_marched(s, lo, ld, t0, t1, t, n);
    }
}
