// The hand that places shapes: a random source, a stack of frames, bounding boxes and their tree.
#pragma once
#include <algorithm>
#include <vector>

#include "trace.h"

struct Rng {
    uint64_t s;
    explicit Rng(uint64_t seed) : s(seed ^ 0xd1b54a32d192ed03ull) {  // mixed, so that neighbouring seeds share nothing
        for (int i = 0; i < 3; i++) s = (s ^ (s >> 31)) * 0xbf58476d1ce4e5b9ull + 0x94d049bb133111ebull;
    }
    uint32_t next() {
        s += 0x9e3779b97f4a7c15ull;
        uint64_t z = s;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return (uint32_t)((z ^ (z >> 31)) >> 32);
    }
    float u() { return (next() >> 8) * (1.0f / 16777216.0f); }
    float in(float a, float b) { return a + (b - a) * u(); }
    float log_in(float a, float b) { return a * expf(logf(b / a) * u()); }
    bool chance(float p) { return u() < p; }
    int below(int n) { return (int)(next() % (uint32_t)n); }
    int in_int(int a, int b) { return a + below(b - a + 1); }
    float sign() { return chance(0.5f) ? 1.0f : -1.0f; }
    float gauss() { return sqrtf(-2.0f * logf(1.0f - 0.999999f * u())) * cosf(6.2832f * u()); }
    int pick(std::initializer_list<int> all) { return all.begin()[below((int)all.size())]; }
};

struct Frame {  // object to world: columns x, y, z and origin
    V3 x{1, 0, 0}, y{0, 1, 0}, z{0, 0, 1}, o{0, 0, 0};
    V3 at(V3 p) const { return o + x * p.x + y * p.y + z * p.z; }
    V3 dir(V3 p) const { return x * p.x + y * p.y + z * p.z; }
};

struct Bounds {
    V3 lo{1e30f, 1e30f, 1e30f}, hi{-1e30f, -1e30f, -1e30f};
    void add(V3 a, V3 b) {
        lo = v3(fminf(lo.x, a.x), fminf(lo.y, a.y), fminf(lo.z, a.z));
        hi = v3(fmaxf(hi.x, b.x), fmaxf(hi.y, b.y), fmaxf(hi.z, b.z));
    }
};

struct Builder {
    Rng r;
    World w{};
    std::vector<Prim> prims;
    std::vector<Bounds> bounds;
    std::vector<Node> nodes;
    std::vector<Mat> mats;
    std::vector<Decal> decals;
    std::vector<Lamp> lamps;
    std::vector<float> field;
    Frame f;
    int object = 0;
    bool bare = false;  // a place with little in it: views of little are welcome

    explicit Builder(uint64_t seed) : r(seed) {
        w.plane_mat = w.field_mat = w.water_mat = -1;
        w.field0 = -1;
        w.cloud_streak = 1.0f;
        w.seed = r.u();
    }

    // ---- frames -------------------------------------------------------------------------------------------
    struct Saved {
        Builder &b;
        Frame f;
        ~Saved() { b.f = f; }
    };
    Saved at(V3 p, float yaw = 0.0f) {  // everything until the end of the block is placed there
        Saved s{*this, f};
        f.o = f.at(p);
        float c = cosf(yaw), n = sinf(yaw);
        V3 x = f.x * c - f.z * n, z = f.x * n + f.z * c;
        f.x = x, f.z = z;
        return s;
    }
    Saved tilted(V3 p, float pitch, float roll) {
        Saved s{*this, f};
        f.o = f.at(p);
        float c = cosf(pitch), n = sinf(pitch);
        V3 y = f.y * c + f.z * n, z = f.z * c - f.y * n;
        f.y = y, f.z = z;
        c = cosf(roll), n = sinf(roll);
        V3 x = f.x * c + f.y * n;
        f.y = f.y * c - f.x * n, f.x = x;
        return s;
    }

    // ---- shapes -------------------------------------------------------------------------------------------
    // Frame columns times half sizes, inverted: the shape's map.
    void put(int type, V3 c, V3 ax, V3 ay, V3 az, V3 half, int mat, float p = 0.0f) {
        if (prims.size() >= 6000) return;
        V3 o = f.at(c), x = f.dir(ax), y = f.dir(ay), z = f.dir(az);
        half = v3(fmaxf(half.x, 1e-4f), fmaxf(half.y, 1e-4f), fmaxf(half.z, 1e-4f));
        Prim s;
        V3 rows[3] = {x * (1.0f / half.x), y * (1.0f / half.y), z * (1.0f / half.z)};
        for (int i = 0; i < 3; i++) {
            s.m[4 * i] = rows[i].x, s.m[4 * i + 1] = rows[i].y, s.m[4 * i + 2] = rows[i].z;
            s.m[4 * i + 3] = -dot(rows[i], o);
        }
        s.type = type, s.mat = mat, s.p = p, s.id = object++;
        float thick = type == CARD ? 0.0f : half.z;
        V3 e;
        if (type == BALL || type == LEAVES) {
            auto span = [&](float a, float b, float d) { return sqrtf(a * a + b * b + d * d); };
            e = v3(span(x.x * half.x, y.x * half.y, z.x * half.z), span(x.y * half.x, y.y * half.y, z.y * half.z),
                   span(x.z * half.x, y.z * half.y, z.z * half.z));
        } else
            e = v3(fabsf(x.x) * half.x + fabsf(y.x) * half.y + fabsf(z.x) * thick,
                   fabsf(x.y) * half.x + fabsf(y.y) * half.y + fabsf(z.y) * thick,
                   fabsf(x.z) * half.x + fabsf(y.z) * half.y + fabsf(z.z) * thick);
        e = e + v3(1e-4f + 1e-5f * maxc(v3(fabsf(o.x), fabsf(o.y), fabsf(o.z))));
        Bounds b;
        b.add(o - e, o + e);
        prims.push_back(s);
        bounds.push_back(b);
    }
    void put(int type, V3 c, V3 half, int mat, float p = 0.0f) {
        put(type, c, v3(1, 0, 0), v3(0, 1, 0), v3(0, 0, 1), half, mat, p);
    }
    void box(V3 c, V3 half, int mat) { put(BOX, c, half, mat); }
    void block(V3 lo, V3 hi, int mat) { box((lo + hi) * 0.5f, (hi - lo) * 0.5f, mat); }
    void soft(V3 c, V3 half, int mat, float rounding = 0.5f) { put(ROUNDBOX, c, half, mat, rounding); }
    void ball(V3 c, V3 half, int mat) { put(BALL, c, half, mat); }
    void ball(V3 c, float radius, int mat) { put(BALL, c, v3(radius), mat); }
    void tube(V3 c, float radius, float half_height, int mat, float top = 1.0f) {
        put(FRUSTUM, c, v3(radius, half_height, radius), mat, top);
    }
    void rod(V3 a, V3 b, float ra, float rb, int mat) {  // tapered, from a to b
        V3 d = b - a, y = norm(d), s, t;
        frame_of(y, s, t);
        put(FRUSTUM, (a + b) * 0.5f, t, y, s, v3(ra, 0.5f * length(d), ra), mat, rb / fmaxf(ra, 1e-5f));
    }
    void ring(V3 c, V3 axis, float radius, float tube_radius, int mat) {
        V3 y = norm(axis), s, t;
        frame_of(y, s, t);
        put(TORUS, c, t, y, s, v3(radius, tube_radius, radius), mat);
    }
    void card(V3 c, V3 right, V3 up, float half_w, float half_h, int mat) {
        V3 x = norm(right), z = norm(cross(x, up)), y = cross(z, x);
        put(CARD, c, x, y, z, v3(half_w, half_h, 1.0f), mat);
    }

    // ---- materials ----------------------------------------------------------------------------------------
    int mat(V3 a, V3 b, int pattern = SOLID, float scale = 1.0f) {
        Mat m{};
        m.a[0] = a.x, m.a[1] = a.y, m.a[2] = a.z, m.b[0] = b.x, m.b[1] = b.y, m.b[2] = b.z;
        m.pattern = pattern, m.scale = scale, m.seed = r.u();
        mats.push_back(m);
        return (int)mats.size() - 1;
    }
    int mat(V3 a) { return mat(a, a); }
    Mat &of(int m) { return mats[m]; }

    void decal(V3 c, V3 right, V3 up, float half_w, float half_h, int pattern, V3 a, V3 b, float alpha, float depth = 0.05f) {
        if (decals.size() >= 40) return;
        V3 x = norm(f.dir(right)), z = norm(cross(x, f.dir(up))), y = cross(z, x), o = f.at(c);
        Decal d{};
        V3 rows[3] = {x * (1.0f / half_w), y * (1.0f / half_h), z * (1.0f / depth)};
        for (int i = 0; i < 3; i++) {
            d.m[4 * i] = rows[i].x, d.m[4 * i + 1] = rows[i].y, d.m[4 * i + 2] = rows[i].z;
            d.m[4 * i + 3] = -dot(rows[i], o);
        }
        d.a[0] = a.x, d.a[1] = a.y, d.a[2] = a.z, d.b[0] = b.x, d.b[1] = b.y, d.b[2] = b.z;
        d.alpha = alpha, d.pattern = pattern;
        decals.push_back(d);
    }
    void floor_decal(V3 c, float yaw, float half_w, float half_h, int pattern, V3 a, V3 b, float alpha = 1.0f) {
        decal(c, v3(cosf(yaw), 0, -sinf(yaw)), v3(-sinf(yaw), 0, -cosf(yaw)), half_w, half_h, pattern, a, b, alpha, 0.03f);
    }
    void lamp(V3 p, float radius, V3 col) {
        if (lamps.size() >= 8) return;
        V3 q = f.at(p);
        lamps.push_back(Lamp{{q.x, q.y, q.z}, radius, {col.x, col.y, col.z}, 0.0f});
    }

    // ---- the tree of boxes --------------------------------------------------------------------------------
    void grow() {
        if (prims.empty()) return;
        std::vector<int> order(prims.size());
        for (size_t i = 0; i < order.size(); i++) order[i] = (int)i;
        nodes.reserve(2 * prims.size());
        nodes.emplace_back();
        split(0, order, 0, (int)order.size());
        std::vector<Prim> sorted(prims.size());
        for (size_t i = 0; i < order.size(); i++) sorted[i] = prims[order[i]];
        prims.swap(sorted);
    }
    // Shapes put since there were `from` of them become a second tree beside the first; those within `clear` metres
    // of the eye are dropped.
    void add_since(size_t from, V3 eye, float clear) {
        size_t kept = from;
        for (size_t i = from; i < prims.size(); i++) {
            V3 q = v3(clampf(eye.x, bounds[i].lo.x, bounds[i].hi.x), clampf(eye.y, bounds[i].lo.y, bounds[i].hi.y), clampf(eye.z, bounds[i].lo.z, bounds[i].hi.z));
            if (length(q - eye) > clear) prims[kept] = prims[i], bounds[kept++] = bounds[i];
        }
        prims.resize(kept), bounds.resize(kept);
        if (kept == from) return;
        std::vector<int> order(kept);
        for (size_t i = 0; i < kept; i++) order[i] = (int)i;
        std::vector<Prim> all = prims;
        if (from == 0) nodes.emplace_back(), split(0, order, 0, (int)kept);
        else {
            int old = (int)nodes.size();
            nodes.push_back(nodes[0]), nodes.emplace_back();
            split(old + 1, order, (int)from, (int)kept);
            const Node &a = nodes[old], &c = nodes[old + 1];
            Node root{};
            for (int i = 0; i < 3; i++) root.lo[i] = fminf(a.lo[i], c.lo[i]), root.hi[i] = fmaxf(a.hi[i], c.hi[i]);
            root.first = old, root.count = 0;
            nodes[0] = root;
        }
        for (size_t i = from; i < kept; i++) prims[i] = all[order[i]];
    }

private:
    void split(int node, std::vector<int> &order, int from, int to) {
        Bounds all, mid;
        for (int i = from; i < to; i++) {
            const Bounds &b = bounds[order[i]];
            V3 c = (b.lo + b.hi) * 0.5f;
            all.add(b.lo, b.hi);
            mid.add(c, c);
        }
        Node n{{all.lo.x, all.lo.y, all.lo.z}, from, {all.hi.x, all.hi.y, all.hi.z}, to - from};
        if (to - from > 2) {
            int cut = best_cut(order, from, to, mid);
            n.first = (int)nodes.size(), n.count = 0;
            nodes.emplace_back(), nodes.emplace_back();
            nodes[node] = n;
            split(n.first, order, from, cut);
            split(n.first + 1, order, cut, to);
        } else
            nodes[node] = n;
    }
    static float area(const Bounds &b) {
        V3 e = b.hi - b.lo;
        return e.x * e.y + e.y * e.z + e.z * e.x;
    }
    static float along(V3 v, int axis) { return axis == 0 ? v.x : axis == 1 ? v.y : v.z; }
    int best_cut(std::vector<int> &order, int from, int to, const Bounds &mid) {
        const int bins = 12;
        float best = 1e38f, best_at = 0.0f;
        int best_axis = -1;
        for (int axis = 0; axis < 3; axis++) {
            float lo = along(mid.lo, axis), size = along(mid.hi, axis) - lo;
            if (size < 1e-6f) continue;
            Bounds box[bins];
            int count[bins] = {0};
            for (int i = from; i < to; i++) {
                const Bounds &b = bounds[order[i]];
                int k = std::min(bins - 1, (int)(bins * (0.5f * (along(b.lo, axis) + along(b.hi, axis)) - lo) / size));
                count[k]++;
                box[k].add(b.lo, b.hi);
            }
            float right[bins];
            Bounds acc;
            int n = 0;
            for (int k = bins - 1; k > 0; k--) {
                acc.add(box[k].lo, box[k].hi);
                n += count[k];
                right[k] = n ? area(acc) * n : 1e30f;
            }
            acc = Bounds();
            n = 0;
            for (int k = 0; k < bins - 1; k++) {
                acc.add(box[k].lo, box[k].hi);
                n += count[k];
                float cost = (n ? area(acc) * n : 1e30f) + right[k + 1];
                if (cost < best) best = cost, best_axis = axis, best_at = lo + size * (k + 1) / bins;
            }
        }
        int cut = from;
        if (best_axis >= 0) {
            auto end = std::partition(order.begin() + from, order.begin() + to, [&](int i) {
                return 0.5f * (along(bounds[i].lo, best_axis) + along(bounds[i].hi, best_axis)) < best_at;
            });
            cut = (int)(end - order.begin());
        }
        return cut > from && cut < to ? cut : (from + to) / 2;
    }
};
