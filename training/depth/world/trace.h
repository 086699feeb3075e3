// The first surface along a ray: bounding volumes, the endless ground, water and the height field.
#pragma once
#include "shapes.h"

const int MISS = -1, PLANE = -2, FIELD = -3, WATER = -4;

struct Hit {
    float t;
    int what;  // a shape's number in its world, or one of the above
    V3 n;      // unit, towards the ray's origin
};

// Height-field coordinates: fine cells near the middle, wide ones far away.
HD float field_coord(float x, float near_m, float size, int n) {
    float k = logf(1.0f + size / near_m), u = logf(1.0f + fabsf(x) / near_m) / k;
    return 0.5f * (n - 1) * (1.0f + (x < 0.0f ? -u : u));
}
HD float field_metres(int i, float near_m, float size, int n) {
    float u = 2.0f * i / (n - 1) - 1.0f, k = logf(1.0f + size / near_m);
    float x = near_m * (expf(fabsf(u) * k) - 1.0f);
    return u < 0.0f ? -x : x;
}
HD float field_height(const World &w, const float *fields, float x, float z) {
    int n = w.field_n;
    float u = clampf(field_coord(x, w.field_near, w.field_size, n), 0.0f, n - 1.001f);
    float v = clampf(field_coord(z, w.field_near, w.field_size, n), 0.0f, n - 1.001f);
    int i = (int)u, j = (int)v;
    const float *f = fields + w.field0 + j * n + i;
    float a = u - i, b = v - j;
    return mix(mix(f[0], f[1], a), mix(f[n], f[n + 1], a), b);
}
HD bool hit_field(const World &w, const float *fields, V3 o, V3 d, float t0, float t1, float &t, V3 &n) {
    float speed = length(d), x = t0, before = t0;
    float limit = fminf(t1, 1.6f * w.field_size / speed);
    float above = o.y + d.y * x - field_height(w, fields, o.x + d.x * x, o.z + d.z * x);
    if (above < 0.0f) return false;
    for (int i = 0; i < 110; i++) {  // level rays over flat ground hurry after a while, or they would end before the hills
        float step = fmaxf(above * 0.45f, 0.02f + (i < 50 ? 0.006f : 0.07f) * x * speed) / speed;
        before = x;
        x += step;
        if (x > limit) return false;
        above = o.y + d.y * x - field_height(w, fields, o.x + d.x * x, o.z + d.z * x);
        if (above < 0.0f) {
            float lo = before, hi = x;
            for (int k = 0; k < 12; k++) {
                float m = 0.5f * (lo + hi);
                if (o.y + d.y * m < field_height(w, fields, o.x + d.x * m, o.z + d.z * m))
                    hi = m;
                else
                    lo = m;
            }
            t = hi;
            float px = o.x + d.x * t, pz = o.z + d.z * t, r = fmaxf(fabsf(px), fabsf(pz));
            float e = 0.5f * (w.field_near + r) * logf(1.0f + w.field_size / w.field_near) * 2.0f / w.field_n;
            n = norm(v3(field_height(w, fields, px - e, pz) - field_height(w, fields, px + e, pz), 2.0f * e,
                        field_height(w, fields, px, pz - e) - field_height(w, fields, px, pz + e)));
            if (dot(n, d) > 0.0f) n = norm(n - d * (1.01f * dot(n, d) / dot(d, d)));
            return true;
        }
    }
    return false;
}

HD bool enter_box(const Node &b, V3 o, V3 inv, float t0, float t1, float &t) {
    float ax = (b.lo[0] - o.x) * inv.x, bx = (b.hi[0] - o.x) * inv.x;
    float ay = (b.lo[1] - o.y) * inv.y, by = (b.hi[1] - o.y) * inv.y;
    float az = (b.lo[2] - o.z) * inv.z, bz = (b.hi[2] - o.z) * inv.z;
    t = fmaxf(fmaxf(fminf(ax, bx), fminf(ay, by)), fmaxf(fminf(az, bz), t0));
    return t <= fminf(fminf(fmaxf(ax, bx), fmaxf(ay, by)), fminf(fmaxf(az, bz), t1));
}
HD float safe_inverse(float x) { return 1.0f / (fabsf(x) < 1e-12f ? (x < 0.0f ? -1e-12f : 1e-12f) : x); }

HD Hit trace(const Scene &s, const World &w, V3 o, V3 d, float t0, float t1, bool any) {
    Hit hit{t1, MISS, v3(0.0f)};
    float t;
    V3 n;
    if (w.plane_mat >= 0 && fabsf(d.y) > 1e-12f) {
        t = -o.y / d.y;
        if (t > t0 && t < hit.t) hit = Hit{t, PLANE, v3(0.0f, d.y < 0.0f ? 1.0f : -1.0f, 0.0f)};
    }
    if (w.water_mat >= 0 && fabsf(d.y) > 1e-12f) {
        t = (w.water_y - o.y) / d.y;
        if (t > t0 && t < hit.t) hit = Hit{t, WATER, v3(0.0f, d.y < 0.0f ? 1.0f : -1.0f, 0.0f)};
    }
    if (any && hit.what != MISS) return hit;
    const Prim *prims = s.prims + w.prim0;
    const Node *nodes = s.nodes + w.node0;
    const Mat *mats = s.mats + w.mat0;
    V3 inv = v3(safe_inverse(d.x), safe_inverse(d.y), safe_inverse(d.z));
    int stack[40], top = 0, node = w.nodes > 0 ? 0 : -1;
    V3 local_n = v3(0.0f);
    if (node == 0 && !enter_box(nodes[0], o, inv, t0, hit.t, t)) node = -1;
    while (node >= 0) {
        const Node &b = nodes[node];
        if (b.count > 0) {
            for (int i = b.first; i < b.first + b.count; i++) {
                const Prim &p = prims[i];
                if (hit_prim(p, mats, o, d, t0, hit.t, t, n)) {
                    hit.t = t;
                    hit.what = i;
                    local_n = n;
                    if (any) return hit;
                }
            }
            node = top > 0 ? stack[--top] : -1;
        } else {
            float ta, tb;
            bool a = enter_box(nodes[b.first], o, inv, t0, hit.t, ta);
            bool c = enter_box(nodes[b.first + 1], o, inv, t0, hit.t, tb);
            if (a && c) {
                bool left = ta <= tb;
                if (top < 40) stack[top++] = left ? b.first + 1 : b.first;
                node = left ? b.first : b.first + 1;
            } else if (a)
                node = b.first;
            else if (c)
                node = b.first + 1;
            else
                node = top > 0 ? stack[--top] : -1;
        }
    }
    if (hit.what >= 0) hit.n = normal_to_world(prims[hit.what].m, local_n);
    if (w.field0 >= 0 && hit_field(w, s.fields, o, d, t0, hit.t, t, n)) hit = Hit{t, FIELD, n};
    return hit;
}
