// Things outside: plants, stones, people, vehicles, poles and fences. Each stands on y = 0 and faces +z.
#pragma once
#include "furniture.h"

struct Green {  // what the plants of one world are made of
    int leaf, leaf2, bark, cards;
};
inline Green greens(Builder &b) {
    Green g;
    g.leaf = leaves(b), g.leaf2 = leaves(b);
    V3 c = wood_color(b.r) * 0.5f;
    g.bark = b.mat(c, c * 0.4f, BARK, 1.0f);
    b.of(g.bark).bump = 0.3f;
    V3 k = b.r.chance(0.7f) ? v3(b.of(g.leaf).a) : leaf_color(b.r);
    g.cards = cut(b, b.mat(k, k * 0.5f, LEAF, 1.0f), b.r.chance(0.6f) ? SPRAY : LEAF_SHAPE);
    return g;
}
inline void branch(Builder &b, V3 from, V3 d, float len, float r, int level, const Green &g, float leafy) {
    V3 to = from + d * len;
    b.rod(from, to, r, r * 0.65f, g.bark);
    if (level == 0) {
        int n = (int)(leafy * b.r.in(3, 7));
        for (int i = 0; i < n; i++) {
            V3 p = mix(from, to, b.r.in(0.3f, 1.1f)), q = norm(v3(b.r.gauss(), b.r.gauss(), b.r.gauss()));
            b.card(p + q * (len * 0.15f), q, norm(v3(b.r.gauss(), b.r.gauss() + 0.5f, b.r.gauss())), len * b.r.in(0.15f, 0.4f), len * b.r.in(0.2f, 0.5f), g.cards);
        }
        return;
    }
    int n = b.r.in_int(2, 4);
    for (int i = 0; i < n; i++) {
        V3 q = norm(d + v3(b.r.gauss(), b.r.gauss() * 0.6f + 0.2f, b.r.gauss()) * 0.55f);
        branch(b, mix(from, to, i == 0 ? 1.0f : b.r.in(0.45f, 1.0f)), q, len * b.r.in(0.55f, 0.85f), r * 0.62f, level - 1, g, leafy);
    }
}
// detail 0: far away, few shapes; 1: crown of clumps; 2: branches and leaves
inline void tree(Builder &b, float h, const Green &g, int detail) {
    int kind = b.r.below(10);
    float lean = b.r.in(-0.06f, 0.06f);
    int leaf = b.r.chance(0.5f) ? g.leaf : g.leaf2;
    bool airy = b.r.chance(0.35f);  // the sky shows through the crown
    if (kind < 5) {  // broad
        float trunk = h * b.r.in(0.2f, 0.45f), r = h * b.r.in(0.015f, 0.04f), wide = h * b.r.in(0.2f, 0.42f);
        V3 top = v3(lean * h, h * 0.7f, lean * h);
        b.rod(v3(0.0f), top, r, r * 0.4f, g.bark);
        if (detail >= 1)
            for (int i = 0; i < 4; i++) {
                float a = b.r.in(0, 6.28f);
                b.rod(mix(v3(0.0f), top, b.r.in(0.4f, 0.8f)), v3(cosf(a) * wide * 0.8f, h * b.r.in(0.5f, 0.8f), sinf(a) * wide * 0.8f), r * 0.45f, r * 0.15f, g.bark);
            }
        int n = detail == 0 ? 1 : b.r.in_int(3, 9);
        for (int i = 0; i < n; i++) {
            float s = n == 1 ? 1.0f : b.r.in(0.4f, 0.7f), a = b.r.in(0, 6.28f), d = n == 1 ? 0.0f : wide * b.r.in(0.2f, 0.7f);
            V3 c = v3(cosf(a) * d + lean * h, trunk + (h - trunk) * (n == 1 ? 0.5f : b.r.in(0.3f, 0.75f)), sinf(a) * d);
            b.put(LEAVES, c, v3(wide * s, (h - trunk) * 0.5f * s * (n == 1 ? 1.0f : 1.2f), wide * s), leaf, airy ? b.r.in(-1.1f, -0.3f) : b.r.in(0.0f, 0.7f));
        }
        if (detail == 2)
            for (int i = 0; i < 60; i++) {
                V3 q = norm(v3(b.r.gauss(), b.r.gauss(), b.r.gauss()));
                b.card(v3(0, trunk + (h - trunk) * 0.55f, 0) + q * v3(wide, (h - trunk) * 0.55f, wide), v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), v3(b.r.gauss(), b.r.gauss(), b.r.gauss()), b.r.in(0.08f, 0.3f), b.r.in(0.08f, 0.3f), g.cards);
            }
    } else if (kind < 8) {  // conifer
        float wide = h * b.r.in(0.12f, 0.26f), r = h * 0.02f;
        b.rod(v3(0.0f), v3(0, h * 0.95f, 0), r, r * 0.2f, g.bark);
        int n = detail == 0 ? 2 : b.r.in_int(4, 8), twig = detail == 2 && b.r.chance(0.5f) ? cut(b, b.mat(v3(b.of(leaf).a), v3(b.of(leaf).b), LEAF, 1.0f), FERN) : -1;
        for (int i = 0; i < n; i++) {
            float k = (i + 0.6f) / n, y = h * (0.12f + 0.85f * k), s = wide * (1.08f - k);
            if (detail == 0)
                b.tube(v3(0, y, 0), s, h * 0.35f / n * 1.6f, leaf, 0.05f);
            else
                b.put(LEAVES, v3(0, y, 0), v3(s * 1.15f, h * 0.75f / n, s * 1.15f) * (twig < 0 ? 1.0f : 0.7f), leaf, airy ? b.r.in(-0.8f, -0.2f) : b.r.in(0.2f, 0.8f));
            for (int j = 0; j < 9 && twig >= 0; j++) {  // boughs of needles, with air between them
                float a = b.r.in(0, 6.28f), l = s * b.r.in(0.45f, 0.65f);
                V3 d = norm(v3(cosf(a), b.r.in(-0.5f, 0.1f), sinf(a)));
                b.card(v3(0, y + h * b.r.in(-0.3f, 0.3f) / n, 0) + d * l, v3(-sinf(a), b.r.in(-0.3f, 0.3f), cosf(a)), d, l * b.r.in(0.3f, 0.5f), l, twig);
            }
        }
    } else if (kind == 8) {  // palm
        V3 top = v3(lean * h * 4, h, lean * h * 2);
        b.rod(v3(0.0f), top, h * 0.03f, h * 0.018f, g.bark);
        int frond = cut(b, b.mat(leaf_color(b.r), leaf_color(b.r) * 0.5f, LEAF, 1.0f), FERN), n = b.r.in_int(9, 18);
        for (int i = 0; i < n; i++) {
            float a = 6.2832f * i / n + b.r.in(-0.2f, 0.2f), l = h * b.r.in(0.2f, 0.32f), rise = b.r.in(-0.7f, 0.7f);
            V3 d = norm(v3(cosf(a), rise, sinf(a)));
            b.card(top + d * l * 0.6f, v3(-sinf(a), 0, cosf(a)), d, l * 0.28f, l * 0.7f, frond);
            V3 d2 = norm(v3(cosf(a), rise - 0.9f, sinf(a)));
            b.card(top + d * l * 1.2f + d2 * l * 0.4f, v3(-sinf(a), 0, cosf(a)), d2, l * 0.22f, l * 0.5f, frond);
        }
    } else
        branch(b, v3(0.0f), norm(v3(lean, 1, lean)), h * 0.38f, h * 0.03f, detail == 0 ? 1 : detail == 1 ? 2 : 3, g, b.r.chance(0.6f) ? 1.0f : 0.0f);
}
inline void bush(Builder &b, float s, const Green &g) {
    int n = b.r.in_int(1, 4);
    for (int i = 0; i < n; i++)
        b.put(LEAVES, v3(b.r.in(-0.4f, 0.4f) * s, s * b.r.in(0.25f, 0.45f), b.r.in(-0.4f, 0.4f) * s), v3(s * b.r.in(0.3f, 0.6f), s * b.r.in(0.3f, 0.55f), s * b.r.in(0.3f, 0.6f)), b.r.chance(0.7f) ? g.leaf : g.leaf2, b.r.in(0.1f, 0.9f));
    if (b.r.chance(0.3f)) {
        int flower = b.mat(any_color(b.r));
        for (int i = 0; i < 14; i++) b.ball(v3(b.r.in(-0.6f, 0.6f), b.r.in(0.2f, 0.9f), b.r.in(-0.6f, 0.6f)) * s, s * 0.035f, flower);
    }
}
inline void tuft(Builder &b, float s, int mat) {
    float a = b.r.in(0, 3.14f);
    for (int i = 0; i < 2; i++, a += 1.4f) b.card(v3(0, s * 0.5f, 0), v3(cosf(a), 0, sinf(a)), v3(b.r.in(-0.2f, 0.2f), 1, b.r.in(-0.2f, 0.2f)), s * b.r.in(0.4f, 0.8f), s * 0.52f, mat);
}
inline int tuft_mat(Builder &b) {
    V3 c = grass_color(b.r);
    return cut(b, b.mat(c, c * 0.6f, BLOTCH, 6.0f), TUFT);
}
inline void boulder(Builder &b, float s, int m) {
    int n = b.r.in_int(1, 4);
    for (int i = 0; i < n; i++) {
        float k = i == 0 ? 1.0f : b.r.in(0.3f, 0.7f);
        auto t = b.tilted(v3(b.r.in(-0.7f, 0.7f) * s * (i > 0), s * 0.2f, b.r.in(-0.7f, 0.7f) * s * (i > 0)), b.r.in(-0.6f, 0.6f), b.r.in(-0.6f, 0.6f));
        V3 half = v3(s * b.r.in(0.5f, 1.0f), s * b.r.in(0.35f, 0.7f), s * b.r.in(0.5f, 1.0f)) * k;
        if (b.r.chance(0.5f))
            b.soft(v3(0.0f), half, m, b.r.in(0.3f, 1.0f));
        else
            b.ball(v3(0.0f), half, m);
    }
}
struct Clothes {
    int skin, top, low, shoe, hair, eye;
};
inline Clothes clothes(Builder &b) {
    Clothes c;
    c.skin = b.mat(skin_color(b.r)), c.top = fabric(b), c.low = fabric(b), c.shoe = leather(b), c.eye = b.mat(gray(0.08f));
    c.hair = b.mat(b.r.chance(0.8f) ? hsv(b.r.in(0.03f, 0.12f), b.r.in(0.2f, 0.7f), b.r.in(0.04f, 0.7f)) : any_color(b.r));
    return c;
}
inline void limb(Builder &b, V3 from, V3 joint, V3 to, float ra, float rb, float rc, int upper, int lower) {  // bends at the joint
    b.rod(from, joint, ra, rb, upper), b.ball(joint, rb * 1.02f, upper), b.rod(joint, to, rb * 0.96f, rc, lower);
}
// Looks to +z; the origin is between the ears.
inline void head(Builder &b, float s, const Clothes &k, bool face) {
    b.ball(v3(0, 0.02f, -0.01f) * s, v3(0.08f, 0.1f, 0.095f) * s, k.skin);
    b.soft(v3(0, -0.055f, 0.02f) * s, v3(0.06f, 0.06f, 0.065f) * s, k.skin, 0.9f);  // jaw
    int style = b.r.below(5);
    if (style < 4) b.put(BALL, v3(0, 0.045f, -0.025f) * s, v3(1, 0, 0), norm(v3(0, 1, -0.35f)), norm(v3(0, 0.35f, 1)), v3(0.09f, 0.095f, 0.098f) * s, k.hair);
    if (style == 1) b.ball(v3(0, -0.06f, -0.06f) * s, v3(0.09f, 0.15f, 0.06f) * s, k.hair);
    if (style == 2) b.ball(v3(0, 0.1f, -0.09f) * s, 0.045f * s, k.hair);
    if (face) {
        b.put(BALL, v3(0, -0.005f, 0.09f) * s, v3(1, 0, 0), norm(v3(0, 1, -0.3f)), norm(v3(0, 0.3f, 1)), v3(0.013f, 0.032f, 0.02f) * s, k.skin);
        for (int i = 0; i < 2; i++) {
            float x = i ? 0.033f : -0.033f;
            b.ball(v3(x, 0.015f, 0.075f) * s, v3(0.014f, 0.008f, 0.01f) * s, k.eye), b.ball(v3(x * 2.5f, 0.0f, -0.01f) * s, v3(0.014f, 0.032f, 0.02f) * s, k.skin);
        }
        b.box(v3(0, -0.058f, 0.083f) * s, v3(0.024f, 0.004f, 0.004f) * s, k.eye);
        if (b.r.chance(0.15f)) b.ball(v3(0, -0.08f, 0.045f) * s, v3(0.055f, 0.06f, 0.05f) * s, k.hair);  // a beard
        if (b.r.chance(0.15f)) for (int i = 0; i < 2; i++) b.ring(v3(i ? 0.036f : -0.036f, 0.015f, 0.095f) * s, v3(0, 0, 1), 0.03f * s, 0.004f * s, k.eye);
    }
    if (b.r.chance(0.2f)) { int hat = fabric(b); b.tube(v3(0, 0.1f, -0.01f) * s, b.r.in(0.1f, 0.22f) * s, 0.012f, hat), b.tube(v3(0, 0.13f, -0.01f) * s, 0.09f * s, 0.05f * s, hat, 0.85f); }
}
// `near`: with a face, fingers and folds.
inline void figure(Builder &b, const Clothes &k, bool robe_allowed, bool near) {
    Rng &r = b.r;
    float s = r.chance(0.12f) ? r.in(0.55f, 0.8f) : r.in(0.88f, 1.1f), fat = r.in(0.85f, 1.3f), lean = r.in(-0.06f, 0.12f);
    float hip = 0.9f * s, neck = 1.45f * s, stride = r.chance(0.5f) ? r.in(0.0f, 0.08f) * s : r.in(0.05f, 0.32f) * s;
    bool sits = r.chance(0.1f), robe = robe_allowed && !sits && r.chance(0.2f);
    if (sits) hip = 0.48f * s, neck = 1.02f * s;
    float mid = 0.5f * (hip + neck), wide = 0.17f * s * fat, z1 = lean * s;
    if (robe) {
        float len = r.chance(0.5f) ? hip * 0.98f : hip * r.in(0.4f, 0.7f);
        b.put(FRUSTUM, v3(0, hip - 0.5f * len + 0.03f, 0), v3(r.in(0.2f, 0.34f) * s * fat, 0.5f * len, r.in(0.16f, 0.26f) * s * fat), k.low, 0.55f);
    }
    for (int i = 0; i < 2; i++) {
        float x = (i ? 0.09f : -0.09f) * s * fat, z = (i ? 1 : -1) * stride, bend = r.in(0.0f, 0.1f) * s;
        V3 knee = sits ? v3(x * 1.3f, hip, 0.42f * s) : v3(x, hip * 0.52f, z * 0.55f + bend), foot = sits ? v3(x * 1.3f, 0.08f * s, r.in(0.3f, 0.5f) * s) : v3(x * 1.1f, 0.08f * s, z);
        limb(b, v3(x, hip, 0), knee, foot, 0.088f * s * fat, 0.058f * s * fat, 0.042f * s, k.low, robe || r.chance(0.15f) ? k.skin : k.low);
        b.soft(v3(foot.x, 0.045f * s, foot.z + 0.05f * s), v3(0.045f, 0.045f, 0.125f) * s, k.shoe, 0.9f);
    }
    // hips, waist, chest, shoulders
    b.ball(v3(0, hip + 0.02f * s, 0), v3(wide, 0.13f * s, 0.12f * s * fat), k.low);
    V3 up = norm(v3(0, neck - hip, z1)), front = v3(0, -up.z, up.y);
    b.put(FRUSTUM, v3(0, mid - 0.03f * s, 0.45f * z1), v3(1, 0, 0), up, front, v3(wide * 0.9f, 0.5f * (neck - hip) - 0.05f * s, 0.105f * s * fat), k.top, r.in(1.0f, 1.25f));
    b.ball(v3(0, neck - 0.13f * s, 0.85f * z1), v3(0.2f * s * fat, 0.13f * s, 0.12f * s * fat), k.top);
    if (fat > 1.1f || r.chance(0.3f)) b.ball(v3(0, hip + 0.16f * s, 0.04f * s), v3(wide, 0.17f * s, 0.115f * s * fat), k.top);
    if (near) {
        for (int i = r.in_int(3, 9); i > 0; i--) {  // folds
            float y = r.in(0.05f, 0.9f), a = r.in(-1.3f, 1.3f);
            V3 n = v3(sinf(a), 0, cosf(a)), along = norm(v3(cosf(a) * r.in(0.2f, 1.0f), r.sign() * r.in(0.3f, 1.0f), -sinf(a)));
            b.put(BALL, v3(n.x * wide * 0.95f, mix(hip, neck - 0.1f * s, y), n.z * 0.105f * s * fat + y * z1), along, norm(cross(n, along)), n, v3(r.in(0.05f, 0.14f), 0.01f, 0.013f) * s, k.top);
        }
        if (r.chance(0.5f)) b.put(TORUS, v3(0, hip + 0.07f * s, 0.05f * z1), v3(1, 0, 0), v3(0, 1, 0), v3(0, 0, 1), v3(wide * 1.02f, 0.022f * s, 0.12f * s * fat), k.shoe);
    }
    for (int i = 0; i < 2; i++) {
        float side = i ? 1.0f : -1.0f;
        bool hangs = r.chance(0.45f);
        V3 shoulder = v3(side * 0.2f * s * fat, neck - 0.07f * s, 0.9f * z1);
        V3 elbow = shoulder + norm(hangs ? v3(side * 0.2f, -1.0f, r.in(-0.3f, 0.2f)) : v3(side * r.in(0.05f, 0.8f), r.in(-1.2f, -0.3f), r.in(-0.4f, 0.6f))) * (0.29f * s);
        V3 d = norm(hangs ? v3(side * r.in(-0.2f, 0.1f), -1.0f, r.in(0.0f, 0.5f)) : v3(side * r.in(-0.6f, 0.4f), r.in(-1.2f, 0.8f), r.in(0.0f, 0.9f)));
        V3 hand = elbow + d * (0.26f * s);
        int sleeve = r.chance(0.6f) ? k.top : k.skin;
        b.ball(shoulder, v3(0.075f, 0.075f, 0.07f) * s, k.top);
        limb(b, shoulder, elbow, hand, 0.058f * s, 0.043f * s, 0.03f * s, k.top, sleeve);
        V3 u, v;
        frame_of(d, u, v);
        b.put(BALL, hand + d * (0.05f * s), u, d, v, v3(0.04f, 0.065f, 0.02f) * s, k.skin);
        if (near)
            for (int j = 0; j < 4; j++) b.rod(hand + d * (0.08f * s) + u * (0.02f * s * (j - 1.5f)), hand + d * (0.13f * s) + u * (0.023f * s * (j - 1.5f)) + v * (0.03f * s), 0.01f * s, 0.008f * s, k.skin);
        if (i && r.chance(0.2f)) b.soft(hand + v3(0, -0.25f * s, 0), v3(0.05f, 0.18f, 0.18f) * s, fabric(b), 0.6f);
    }
    V3 at = v3(r.in(-0.02f, 0.02f), neck + 0.2f * s, z1 + 0.03f * s);
    b.rod(v3(0, neck - 0.05f * s, 0.95f * z1), at, 0.058f * s, 0.05f * s, k.skin);
    auto turned = b.at(at, r.in(-0.8f, 0.8f));
    head(b, s, k, near);
    if (r.chance(0.12f)) b.soft(v3(0, -0.45f * s, -0.2f * s), v3(0.15f, 0.22f, 0.09f) * s, fabric(b), 0.7f);
}
inline void person(Builder &b, bool robe_allowed = true, bool near = false) { figure(b, clothes(b), robe_allowed, near); }
inline void statue(Builder &b, float most) {  // of stone or metal, on its block
    int m = b.r.chance(0.6f) ? rock(b) : metal(b), base = b.r.chance(0.5f) ? m : masonry(b);
    if (b.of(m).pattern == ROCK) b.of(m).bump = b.r.in(0.0f, 0.2f);
    float h = b.r.in(0.1f, most), w = b.r.in(0.3f, 0.6f);
    b.box(v3(0, 0.5f * h, 0), v3(w, 0.5f * h, w), base), b.box(v3(0, h - 0.05f, 0), v3(w + 0.06f, 0.05f, w + 0.06f), base);
    auto k = b.at(v3(0, h, 0));
    if (b.r.chance(0.25f)) {  // a bust
        float s = b.r.in(1.0f, 2.0f);
        b.ball(v3(0, 0.08f * s, 0), v3(0.2f, 0.14f, 0.11f) * s, m), b.rod(v3(0, 0.1f * s, 0), v3(0, 0.34f * s, 0.02f), 0.07f * s, 0.05f * s, m);
        auto t = b.at(v3(0, 0.4f * s, 0.02f), b.r.in(-0.6f, 0.6f));
        return head(b, s, Clothes{m, m, m, m, m, m}, true);
    }
    figure(b, Clothes{m, m, m, m, m, m}, true, true);
}
inline void wheel(Builder &b, V3 c, float r, float w, int tyre, int rim) {
    auto k = b.tilted(c, 0.0f, 1.5708f);
    b.tube(v3(0.0f), r, w, tyre);
    b.tube(v3(0, -w * 0.15f, 0), r * 0.62f, w, rim);
    b.tube(v3(0, w * 0.15f, 0), r * 0.62f, w, rim);
}
inline void car(Builder &b) {
    V3 c = b.r.chance(0.55f) ? gray(b.r.in(0.08f, 0.95f)) : hsv(b.r.u(), b.r.in(0.4f, 0.95f), b.r.in(0.2f, 0.9f));
    int body = shiny(b, b.mat(c), 0.7f, 0.95f), glass = glassy(b), tyre = b.mat(gray(0.12f)), rim = metal(b), dark = b.mat(gray(0.1f));
    b.of(body).mirror = b.r.in(0.0f, 0.15f);
    if (b.r.chance(0.2f)) b.of(body).dirt = 0.4f;
    float l = b.r.in(1.8f, 2.5f), w = b.r.in(0.8f, 0.98f), r = b.r.in(0.29f, 0.38f), belt = b.r.in(0.8f, 1.05f);
    int kind = b.r.below(4);  // saloon, hatch, van, pick-up
    float roof = kind == 2 ? b.r.in(1.9f, 2.4f) : b.r.in(1.4f, 1.75f);
    b.soft(v3(0, 0.5f * (belt + 0.22f), 0), v3(w, 0.5f * (belt - 0.22f), l), body, b.r.in(0.3f, 0.7f));
    float z0 = kind == 0 ? -l * 0.62f : kind == 3 ? -l * 0.15f : -l * 0.95f, z1 = kind == 2 ? l * 0.7f : l * b.r.in(0.25f, 0.4f);
    float mid = 0.5f * (z0 + z1), hl = 0.5f * (z1 - z0), ch = 0.5f * (roof - belt) + 0.1f;
    b.soft(v3(0, belt + ch - 0.2f, mid), v3(w * 0.88f, ch, hl), glass, b.r.in(0.4f, 0.8f));
    b.soft(v3(0, roof - 0.03f, mid), v3(w * 0.82f, 0.05f, hl * 0.84f), body, 0.9f);
    for (int i = 0; i < 2; i++) {
        float x = (i ? 1 : -1) * w * 0.87f;
        float cuts[4] = {z0 + 0.12f * hl, mid - 0.1f * hl, mid + 0.02f, z1 - 0.1f * hl};
        for (int j = 0; j < 4; j += (j == 1 ? 2 : 1)) b.rod(v3(x, belt - 0.05f, cuts[j]), v3(x * 0.93f, roof - 0.04f, cuts[j] * 0.93f + mid * 0.07f), 0.035f, 0.03f, body);
        b.soft(v3(x * 1.22f, belt + 0.06f, z1 - 0.12f), v3(0.09f, 0.06f, 0.04f), body, 0.9f);
        for (int j = 0; j < 2; j++) {
            float z = (j ? 0.62f : -0.6f) * l;
            wheel(b, v3((i ? 1 : -1) * (w - 0.1f), r, z), r, 0.11f, tyre, rim);
        }
        int light = glow(b, gray(0.9f), b.r.chance(0.2f) ? 4.0f : 0.3f), rear = glow(b, v3(0.6f, 0.01f, 0.01f), b.r.chance(0.3f) ? 2.0f : 0.1f);
        b.soft(v3((i ? 1 : -1) * w * 0.72f, belt * 0.78f, l * 0.97f), v3(0.16f, 0.07f, 0.06f), light, 0.8f);
        b.soft(v3((i ? 1 : -1) * w * 0.75f, belt * 0.82f, -l * 0.97f), v3(0.12f, 0.09f, 0.06f), rear, 0.6f);
    }
    b.box(v3(0, 0.45f, l * 0.985f), v3(w * 0.5f, 0.1f, 0.03f), dark);
    for (int i = 0; i < 2; i++) b.box(v3(0, 0.5f, (i ? 1 : -1) * (l + 0.005f)), v3(0.25f, 0.055f, 0.01f), b.mat(gray(0.9f), gray(0.1f), TEXT));
}
inline void truck(Builder &b) {
    int body = shiny(b, b.mat(any_color(b.r)), 0.4f, 0.7f), load = b.r.chance(0.5f) ? body : b.mat(any_color(b.r), any_color(b.r), b.r.pick({TEXT, PICTURE, SOLID, STRIPES}), 1.0f), glass = glassy(b), tyre = b.mat(gray(0.12f)), rim = metal(b);
    bool bus = b.r.chance(0.4f);
    float l = b.r.in(2.8f, 5.5f), h = b.r.in(2.5f, 3.3f), w = 1.2f;
    if (bus) {
        b.soft(v3(0, 0.5f * h + 0.2f, 0), v3(w, 0.5f * h - 0.1f, l), body, 0.3f);
        for (int i = 0; i < 2; i++) b.box(v3((i ? 1 : -1) * w * 0.985f, h * 0.62f, 0), v3(0.03f, h * 0.16f, l * 0.92f), glass);
        b.box(v3(0, h * 0.6f, l * 0.99f), v3(w * 0.85f, h * 0.2f, 0.03f), glass);
    } else {
        b.block(v3(-w, 0.9f, -l), v3(w, h + 0.4f, l - 1.9f), load);
        b.soft(v3(0, 1.5f, l - 0.85f), v3(w * 0.96f, 1.1f, 0.85f), body, 0.3f);
        b.box(v3(0, 1.95f, l - 0.05f), v3(w * 0.8f, 0.4f, 0.06f), glass);
        b.box(v3(0, 0.75f, 0), v3(w * 0.7f, 0.15f, l * 0.97f), b.mat(gray(0.15f)));
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) wheel(b, v3((i ? 1 : -1) * (w - 0.15f), 0.48f, (j == 0 ? 0.68f : j == 1 ? -0.5f : -0.75f) * l), 0.48f, 0.14f, tyre, rim);
}
inline void bicycle(Builder &b) {
    int m = shiny(b, b.mat(any_color(b.r)), 0.5f, 0.8f), black = b.mat(gray(0.1f)), rim = metal(b);
    float r = 0.33f, z = 0.52f;
    for (int i = 0; i < 2; i++) {
        V3 c = v3(0, r, i ? z : -z);
        b.ring(c, v3(1, 0, 0), r, 0.02f, black);
        for (int j = 0; j < 8; j++) b.rod(c, c + v3(0, sinf(0.785f * j), cosf(0.785f * j)) * (r * 0.94f), 0.004f, 0.004f, rim);
    }
    V3 crank = v3(0, 0.28f, -0.08f), seat = v3(0, 0.82f, -0.22f), head = v3(0, 0.8f, 0.35f);
    b.rod(crank, seat, 0.017f, 0.017f, m), b.rod(crank, head, 0.02f, 0.02f, m), b.rod(seat - v3(0, 0.1f, 0), head, 0.017f, 0.017f, m);
    b.rod(v3(0, r, -z), crank, 0.012f, 0.012f, m), b.rod(v3(0, r, -z), seat - v3(0, 0.1f, 0), 0.01f, 0.01f, m);
    b.rod(v3(0, r, z), v3(0, 1.0f, 0.32f), 0.014f, 0.014f, m);
    b.rod(v3(-0.26f, 1.02f, 0.28f), v3(0.26f, 1.02f, 0.28f), 0.013f, 0.013f, black);
    b.soft(seat + v3(0, 0.08f, -0.02f), v3(0.07f, 0.03f, 0.13f), black, 0.9f);
    if (b.r.chance(0.3f)) b.box(v3(0, 0.85f, 0.55f), v3(0.17f, 0.11f, 0.12f), b.mat(wood_color(b.r), gray(0.2f), CHECKER, 30.0f));
}
inline void motorbike(Builder &b) {
    int m = shiny(b, b.mat(any_color(b.r)), 0.7f, 0.9f), black = b.mat(gray(0.1f)), rim = metal(b);
    for (int i = 0; i < 2; i++) wheel(b, v3(0, 0.3f, i ? 0.65f : -0.6f), 0.3f, 0.06f, black, rim);
    b.soft(v3(0, 0.65f, 0.1f), v3(0.14f, 0.16f, 0.4f), m, 0.9f);
    b.soft(v3(0, 0.75f, -0.4f), v3(0.13f, 0.08f, 0.32f), black, 0.9f);
    b.soft(v3(0, 0.4f, 0), v3(0.16f, 0.18f, 0.25f), rim, 0.5f);
    b.rod(v3(0, 0.3f, 0.65f), v3(0, 1.0f, 0.4f), 0.04f, 0.03f, rim);
    b.rod(v3(-0.34f, 1.05f, 0.35f), v3(0.34f, 1.05f, 0.35f), 0.016f, 0.016f, black);
    b.ball(v3(0, 0.9f, 0.52f), v3(0.1f, 0.1f, 0.08f), glow(b, gray(0.9f), 0.5f));
}
inline void fence(Builder &b, V3 a, V3 c, float h) {
    V3 d = c - a;
    float len = length(d), yaw = atan2f(d.z, d.x);
    auto k = b.at((a + c) * 0.5f, -yaw);
    int style = b.r.below(6), m = b.r.chance(0.5f) ? wood(b) : b.r.chance(0.5f) ? metal(b) : b.mat(wall_color(b.r));
    float hl = len * 0.5f;
    if (style == 0) {
        int wire = cut(b, b.mat(gray(b.r.in(0.2f, 0.7f))), DIAGONAL);
        b.card(v3(0, h * 0.5f, 0), v3(1, 0, 0), v3(0, 1, 0), hl, h * 0.5f, wire);
    } else if (style == 1 || style == 2) {
        float gap = fmaxf(b.r.in(0.09f, 0.25f), len / 140), thick = gap * b.r.in(0.1f, 0.42f);
        for (float x = -hl; x < hl; x += gap)
            if (style == 1)
                b.box(v3(x, h * 0.5f, 0), v3(thick, h * 0.5f, 0.012f), m);
            else
                b.tube(v3(x, h * 0.5f, 0), fminf(thick, 0.02f), h * 0.5f, m);
        for (int i = 0; i < 2; i++) b.box(v3(0, h * (i ? 0.85f : 0.2f), 0.02f), v3(hl, 0.025f, 0.015f), m);
    } else if (style == 3) {
        b.box(v3(0, h * 0.4f, 0), v3(hl, h * 0.4f, 0.15f), masonry(b));
    } else if (style == 4) {
        b.put(LEAVES, v3(0, h * 0.5f, 0), v3(hl, h * 0.6f, 0.4f), leaves(b), 1.2f);
    } else
        for (int i = 0; i < 3; i++) b.rod(v3(-hl, h * (0.3f + 0.3f * i), 0), v3(hl, h * (0.3f + 0.3f * i), 0), 0.02f, 0.02f, m);
    if (style != 3 && style != 4) {
        int posts = std::max(2, (int)(len / b.r.in(1.5f, 3.0f)));
        for (int i = 0; i <= posts; i++) b.box(v3(hl * (2.0f * i / posts - 1), h * 0.53f, 0), v3(0.04f, h * 0.53f, 0.04f), m);
    }
}
inline void street_lamp(Builder &b, bool night) {
    int m = metal(b);
    float h = b.r.in(3.5f, 8.0f), out = b.r.chance(0.5f) ? b.r.in(0.5f, 1.6f) : 0.0f;
    V3 c = hsv(b.r.in(0.06f, 0.15f), b.r.in(0.1f, 0.7f), 1.0f);
    b.rod(v3(0.0f), v3(0, h, 0), 0.08f, 0.05f, m);
    if (out > 0) b.rod(v3(0, h, 0), v3(0, h + 0.2f, out), 0.04f, 0.035f, m);
    b.soft(v3(0, h + 0.15f, out), v3(0.15f, 0.12f, 0.25f), night ? glow(b, c, 14.0f) : m, 0.8f);
    if (night) b.lamp(v3(0, h - 0.25f, out), 0.15f, c * b.r.in(15.0f, 60.0f));
}
inline void traffic_sign(Builder &b) {
    int m = metal(b), face = b.mat(any_color(b.r), gray(0.9f), b.r.pick({TEXT, SOLID, STRIPES, PICTURE}), 3.0f);
    float h = b.r.in(1.8f, 3.0f), s = b.r.in(0.25f, 0.5f);
    b.tube(v3(0, h * 0.5f, 0), 0.03f, h * 0.5f, m);
    if (b.r.chance(0.5f)) cut(b, face, ROUND);
    b.card(v3(0, h, 0.04f), v3(1, 0, 0), v3(0, 1, 0), s, s * b.r.in(0.5f, 1.0f), face);
}
inline void bench(Builder &b) {
    int m = wood(b), leg = metal(b);
    float w = b.r.in(0.6f, 1.1f);
    for (int i = 0; i < 4; i++) b.box(v3(0, 0.44f, -0.2f + 0.12f * i), v3(w, 0.02f, 0.05f), m);
    for (int i = 0; i < 3; i++) b.box(v3(0, 0.58f + 0.13f * i, -0.26f - 0.03f * i), v3(w, 0.05f, 0.015f), m);
    for (int i = 0; i < 2; i++) {
        float x = (i ? 0.85f : -0.85f) * w;
        b.box(v3(x, 0.22f, 0.1f), v3(0.03f, 0.22f, 0.03f), leg), b.box(v3(x, 0.45f, -0.26f), v3(0.03f, 0.45f, 0.03f), leg);
    }
}
inline void street_thing(Builder &b) {
    switch (b.r.below(9)) {
        case 0: return b.tube(v3(0, 0.45f, 0), 0.28f, 0.45f, stuff(b), b.r.in(0.9f, 1.2f));
        case 1: return bench(b);
        case 2: return traffic_sign(b);
        case 3: return bicycle(b);
        case 4: {
            auto k = b.at(v3(0, 0, 0));
            return plant(b, b.r.in(0.7f, 1.5f));
        }
        case 5: {
            int m = wood(b), n = b.r.in_int(1, 5);
            float y = 0;
            for (int i = 0; i < n; i++) {
                float s = b.r.in(0.15f, 0.4f);
                auto k = b.at(v3(b.r.in(-0.5f, 0.5f) * (i > 1), i > 1 ? 0 : y, 0), b.r.in(0, 0.6f));
                b.box(v3(0, s, 0), v3(s, s, s * 0.8f), b.r.chance(0.7f) ? m : stuff(b));
                y += 2 * s;
            }
            return;
        }
        case 6: {
            int m = wood(b), hoop = metal(b);
            b.tube(v3(0, 0.45f, 0), 0.3f, 0.45f, m);
            for (int i = 0; i < 2; i++) b.tube(v3(0, 0.25f + 0.4f * i, 0), 0.31f, 0.02f, hoop);
            return;
        }
        case 7: return b.tube(v3(0, 0.4f, 0), 0.2f, 0.4f, b.mat(v3(0.8f, 0.15f, 0.02f), gray(0.9f), STRIPES, 3.0f), 0.2f);
        default: return gadget(b, b.r.in(0.5f, 1.5f));
    }
}
inline void stall(Builder &b) {
    int pole = wood(b), cloth = b.mat(any_color(b.r), gray(0.9f), b.r.pick({STRIPES, SOLID, PLAID}), 2.0f);
    float w = b.r.in(0.8f, 1.6f), d = b.r.in(0.5f, 0.9f), h = b.r.in(2.0f, 2.6f);
    for (int i = 0; i < 4; i++) b.tube(v3((i & 1 ? 1 : -1) * w, h * 0.5f, (i & 2 ? 1 : -1) * d), 0.03f, h * 0.5f, pole);
    b.put(PRISM, v3(0, h + 0.25f, 0), v3(0, 0, 1), v3(0, 1, 0), v3(-1, 0, 0), v3(d * 1.2f, 0.3f, w * 1.15f), cloth);
    b.box(v3(0, 0.45f, 0), v3(w * 0.95f, 0.45f, d * 0.7f), pole);
    scatter_on(b, w * 0.85f, d * 0.6f, 0.9f, b.r.in_int(6, 16), 0.1f, 0.35f);
}
inline void parasol(Builder &b) {
    b.tube(v3(0, 1.15f, 0), 0.025f, 1.15f, metal(b));
    b.tube(v3(0, 2.35f, 0), b.r.in(1.0f, 1.7f), 0.2f, fabric(b), 0.05f);
}
inline void boat(Builder &b) {
    int m = b.r.chance(0.5f) ? wood(b) : plastic(b), mast = wood(b);
    float l = b.r.in(1.5f, 4.0f);
    b.soft(v3(0, 0.15f, 0), v3(l * 0.3f, 0.4f, l), m, 0.95f);
    b.box(v3(0, 0.45f, -l * 0.1f), v3(l * 0.24f, 0.05f, l * 0.7f), wood(b));
    if (b.r.chance(0.5f)) {
        b.rod(v3(0, 0.3f, 0.2f), v3(0, l * 2.0f, 0.2f), 0.05f, 0.03f, mast);
        if (b.r.chance(0.6f)) b.put(PRISM, v3(0, l * 1.1f, 0.2f - l * 0.3f), v3(0, 0, 1), v3(0, 1, 0), v3(1, 0, 0), v3(l * 0.35f, l * 0.8f, 0.01f), fabric(b));
    } else
        b.soft(v3(0, 0.8f, 0), v3(l * 0.2f, 0.4f, l * 0.3f), plastic(b), 0.3f);
}
inline void wire(Builder &b, V3 a, V3 c, float sag, float r, int m) {
    V3 last = a;
    for (int i = 1; i <= 8; i++) {
        float k = i / 8.0f;
        V3 p = mix(a, c, k) - v3(0, 4 * sag * k * (1 - k), 0);
        b.rod(last, p, r, r, m);
        last = p;
    }
}
