// The first surface along a ray: bounding volumes, the endless ground, water and the height field.
#pragma once
#include "field.h"
#include "shapes.h"

const int MISS = -1, PLANE = -2, FIELD = -3, WATER = -4;

struct Hit {
    float t;
    int what;  // a shape's number in its world, or one of the above
    V3 n;      // unit, towards the ray's origin
};

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
    if (w.field0 >= 0 && hit_field(w, s.fields, o, d, t0, hit.t, any, t, n)) hit = Hit{t, FIELD, n};
    return hit;
}
