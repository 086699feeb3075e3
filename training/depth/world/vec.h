// Small vectors and the few functions that the processor and the GPU must share.
#pragma once
#include <math.h>
#include <stdint.h>
#ifdef __CUDACC__
#define HD __host__ __device__ inline
#else
#define HD inline
#endif

struct V3 {
    float x, y, z;
};

HD V3 v3(float x, float y, float z) { return V3{x, y, z}; }
HD V3 v3(float s) { return V3{s, s, s}; }
HD V3 v3(const float *p) { return V3{p[0], p[1], p[2]}; }
HD V3 operator+(V3 a, V3 b) { return v3(a.x + b.x, a.y + b.y, a.z + b.z); }
HD V3 operator-(V3 a, V3 b) { return v3(a.x - b.x, a.y - b.y, a.z - b.z); }
HD V3 operator-(V3 a) { return v3(-a.x, -a.y, -a.z); }
HD V3 operator*(V3 a, V3 b) { return v3(a.x * b.x, a.y * b.y, a.z * b.z); }
HD V3 operator*(V3 a, float s) { return v3(a.x * s, a.y * s, a.z * s); }
HD V3 operator*(float s, V3 a) { return a * s; }
HD float dot(V3 a, V3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
HD V3 cross(V3 a, V3 b) { return v3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
HD float length(V3 a) { return sqrtf(dot(a, a)); }
HD V3 norm(V3 a) { return a * (1.0f / fmaxf(length(a), 1e-20f)); }
HD V3 mix(V3 a, V3 b, float t) { return a + (b - a) * t; }
HD float mix(float a, float b, float t) { return a + (b - a) * t; }
HD float clampf(float x, float lo, float hi) { return fminf(fmaxf(x, lo), hi); }
HD float saturate(float x) { return clampf(x, 0.0f, 1.0f); }
HD float smooth(float lo, float hi, float x) {
    float t = saturate((x - lo) / (hi - lo));
    return t * t * (3.0f - 2.0f * t);
}
HD float fractf(float x) { return x - floorf(x); }
HD float luminance(V3 c) { return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z; }
HD V3 reflect(V3 d, V3 n) { return d - n * (2.0f * dot(d, n)); }
HD float maxc(V3 c) { return fmaxf(c.x, fmaxf(c.y, c.z)); }

// Two unit vectors that make a right-handed frame with the unit vector n.
HD void frame_of(V3 n, V3 &s, V3 &t) {
    float sign = n.z >= 0.0f ? 1.0f : -1.0f, a = -1.0f / (sign + n.z), b = n.x * n.y * a;
    s = v3(1.0f + sign * n.x * n.x * a, sign * b, -sign * n.x);
    t = v3(b, sign + n.y * n.y * a, -n.y);
}
