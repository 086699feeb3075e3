// Land: heights on rings around the world's middle, finer where the camera will look, with relief between the knots.
// After the n x n heights (one row per ring) come the greatest heights of blocks, which rays pass over in one step.
#pragma once
#include "noise.h"
#include "scene.h"

const int RINGS = 4, SECTORS = 24;      // a block: 4 rings of one of 24 sectors of equally many columns
const float AHEAD = 1.45f;              // radians to both sides of -z that get `field_focus` of the columns
const float PI_F = 3.14159265f;

HD float field_cell(const World &w, float r) { return (w.field_near + r) / w.field_k; }  // metres between rings
HD float field_ring(const World &w, float r) { return w.field_k * logf(1.0f + r / w.field_near); }
HD float field_radius(const World &w, float ring) { return w.field_near * (expf(ring / w.field_k) - 1.0f); }
HD float field_column(const World &w, float x, float z) {
    float a = atan2f(x, -z), b = fabsf(a), s = w.field_focus;
    float u = b < AHEAD ? s * b / AHEAD : s + (1.0f - s) * (b - AHEAD) / (PI_F - AHEAD);
    return 0.5f * (w.field_n - 1) * (1.0f + (a < 0.0f ? -u : u));
}
// Where the knot of a ring and a column is.
HD void field_spot(const World &w, int column, int ring, float &x, float &z) {
    float u = 2.0f * column / (w.field_n - 1) - 1.0f, b = fabsf(u), s = w.field_focus, r = field_radius(w, (float)ring);
    float a = b < s ? b / s * AHEAD : AHEAD + (b - s) / (1.0f - s) * (PI_F - AHEAD);
    x = r * sinf(u < 0.0f ? -a : a), z = -r * cosf(a);
}
HD float field_base(const World &w, const float *fields, float x, float z, float r) {
    int n = w.field_n;
    float u = clampf(field_column(w, x, z), 0.0f, n - 1.001f), v = clampf(field_ring(w, r), 0.0f, n - 1.001f);
    int i = (int)u, j = (int)v;
    const float *f = fields + w.field0 + j * n + i;
    float a = u - i, b = v - j;
    return mix(mix(f[0], f[1], a), mix(f[n], f[n + 1], a), b);
}
HD float crags(float x, float z) {
    float n = noise2(x, z, 71);
    return 0.75f * (1.0f - 2.0f * fabsf(2.0f * n - 1.0f)) + 0.25f * (2.0f * noise2(x * 2.3f + 9.0f, z * 2.3f, 72) - 1.0f);
}
// Relief of about a cell's size, in [-1, 1] of `field_rough` cells: none on level ground.
HD float field_relief(const World &w, float x, float z, float r, float base) {
    float cell = field_cell(w, r), rise = saturate(fabsf(base - w.field_flat) / (2.5f * cell) - 0.05f);
    if (rise <= 0.0f || w.field_rough <= 0.0f) return 0.0f;
    float level = log2f(cell * 0.9f), low = floorf(level), s = exp2f(-low);
    return w.field_rough * cell * rise * mix(crags(x * s, z * s), crags(x * s * 0.5f, z * s * 0.5f), level - low);
}
HD float field_height(const World &w, const float *fields, float x, float z) {
    float r = sqrtf(x * x + z * z), base = field_base(w, fields, x, z, r);
    return base + field_relief(w, x, z, r, base);
}
// Past the block of rings that the ray is in, if nothing of the block reaches up to it: the new t, else the old one.
HD float pass_block(const World &w, const float *fields, V3 o, V3 d, float t, int block, float r) {
    float px = o.x + d.x * t, pz = o.z + d.z * t, a = d.x * d.x + d.z * d.z, b = px * d.x + pz * d.z;
    if (a < 1e-12f || b <= 0.0f) return t;  // not outwards
    float out = field_radius(w, (float)(RINGS * (block + 1))), c = r * r - out * out;
    float end = t + (-b + sqrtf(fmaxf(b * b - a * c, 0.0f))) / a;
    int n = w.field_n, per = n / SECTORS;
    int s = (int)field_column(w, px, pz) / per, e = (int)field_column(w, o.x + d.x * end, o.z + d.z * end) / per;
    if (s - e > 1 || e - s > 1) return t;
    const float *top = fields + w.field0 + n * n + block * SECTORS;
    float high = fmaxf(top[s < SECTORS ? s : SECTORS - 1], top[e < SECTORS ? e : SECTORS - 1]);
    return o.y + d.y * t > high && o.y + d.y * end > high ? end * (1.0f + 1e-5f) : t;
}
// `any`: whether there is a hit; without relief, for a ray that is lifted over it.
HD bool hit_field(const World &w, const float *fields, V3 o, V3 d, float t0, float t1, bool any, float &t, V3 &n) {
    float speed = length(d), x = t0, limit = fminf(t1, 1.6f * w.field_size / speed), rough = any ? 0.0f : w.field_rough;
    if (any) o.y += w.field_rough * field_cell(w, sqrtf(o.x * o.x + o.z * o.z));
    if (o.y + d.y * x > w.field_top) {  // down to where land may be
        if (d.y >= 0.0f) return false;
        x = fmaxf(x, (w.field_top - o.y) / d.y);
    } else if (field_height(w, fields, o.x + d.x * x, o.z + d.z * x) > o.y + d.y * x)
        return false;
    if (d.y > 0.0f) limit = fminf(limit, (w.field_top - o.y) / d.y);
    float before = x;
    int passed = -1, last = w.field_n / RINGS - 1;
    for (int i = 0; i < 170 && x < limit; i++) {
        float px = o.x + d.x * x, pz = o.z + d.z * x, y = o.y + d.y * x, r = sqrtf(px * px + pz * pz);
        int block = (int)field_ring(w, r) / RINGS;
        if (block != passed && block < last) {
            passed = block;
            float end = pass_block(w, fields, o, d, x, block, r);
            if (end > x) {
                before = x = end;
                continue;
            }
        }
        float base = field_base(w, fields, px, pz, r), cell = field_cell(w, r), above = y - base - rough * cell;
        if (rough > 0.0f && above < 0.3f * cell) above = y - base - field_relief(w, px, pz, r, base);
        if (above < 0.0f) {
            t = x;
            if (any) return true;
            float lo = before, hi = x, over = fmaxf(o.y + d.y * lo - field_height(w, fields, o.x + d.x * lo, o.z + d.z * lo), 1e-6f), under = above;
            for (int k = 0; k < 6; k++) {  // false position, halving the side that stays
                t = lo + (hi - lo) * over / (over - under);
                float gap = o.y + d.y * t - field_height(w, fields, o.x + d.x * t, o.z + d.z * t);
                if (gap < 0.0f) hi = t, under = gap, over *= 0.5f;
                else lo = t, over = gap, under *= 0.5f;
                if (fabsf(gap) < 1e-6f * (1.0f + t * speed)) break;
            }
            px = o.x + d.x * t, pz = o.z + d.z * t;
            float e = 0.25f * field_cell(w, sqrtf(px * px + pz * pz));
            n = norm(v3(field_height(w, fields, px - e, pz) - field_height(w, fields, px + e, pz), 2.0f * e,
                        field_height(w, fields, px, pz - e) - field_height(w, fields, px, pz + e)));
            if (dot(n, d) > 0.0f) n = norm(n - d * (1.01f * dot(n, d) / dot(d, d)));
            return true;
        }
        before = x;
        x += fmaxf(above * 0.5f, 0.02f + (i < 70 ? 0.005f : i < 120 ? 0.015f : 0.06f) * x * speed) / speed;
    }
    return false;
}
