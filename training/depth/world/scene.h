// What a world is made of, as flat arrays: built on the processor, read by the ray caster.
// World axes: y up, metres. Every shape is a unit shape behind an affine map.
#pragma once
#include "vec.h"

enum Shape { BOX, BALL, FRUSTUM, CARD, PRISM, LEAVES, ROUNDBOX, TORUS };
enum Pattern {
    SOLID, BLOTCH, CHECKER, STRIPES, BRICK, TILES, PLANKS, WOOD, MARBLE, FABRIC, FACADE, TEXT, PICTURE, RUG, SPECKLE,
    GRASS, BOOKS, COBBLES, BARK, SHINGLES, FLORAL, WILD, SCREEN, ROCK, LEAF, LANES, ARROW, PUDDLE, MANHOLE, CRACK, PLAID,
    SHADE, PLOTS, PATTERNS
};
enum Cutout { WHOLE, ROUND, GRID, DIAGONAL, BARS, LEAF_SHAPE, FERN, TUFT, RING, SPRAY, SCROLL, MESH, LATTICE };

struct Prim {     // unit shape: [-1, 1]^3, the unit ball, the unit cylinder along y, the card at z = 0 ...
    float m[12];  // world to unit shape, 3 rows of 4
    int type, mat;
    float p;      // FRUSTUM: radius at the top; ROUNDBOX: rounding; TORUS: tube radius; LEAVES: density
    int id;
};
struct Node {  // inner: children at `first` and `first + 1`; leaf: `count` shapes from `first`
    float lo[3];
    int first;
    float hi[3];
    int count;
};
struct Mat {
    float a[3], b[3];  // linear colours
    int pattern;
    float scale;  // pattern repeats per metre
    float bump, spec, gloss, mirror, emit, dirt;  // mirror below 0: clear, the share of light that goes through
    int cutout;
    float seed;
};
struct Decal {    // paint without thickness: recolours every surface inside its box that faces its z axis
    float m[12];  // world to the unit box
    float a[3], b[3], alpha;
    int pattern;
};
struct Lamp {
    float pos[3], radius, col[3], reach;
};
struct World {
    int prim0, prims, node0, nodes, mat0, mats, decal0, decals, lamp0, lamps;
    int field0, field_n;                  // land: n rings of n heights and more (field.h), first index or -1
    float field_size, field_near;         // metres to the last ring; cells grow with the distance past `near`
    int plane_mat, field_mat, water_mat;  // -1: none; the plane is y = 0
    float water_y, wave;
    float eye[3], right[3], up[3], fwd[3], tan_half;  // tan of half the angle over the longer side
    float sun[3], sun_col[3], sun_size;
    float zenith[3], horizon[3], below[3];
    float cloud_col[3], cloud_dark[3], cloud_cover, cloud_scale, cloud_soft, cloud_streak, stars;
    float cloud_relief, cloud_puff, cloud_patch, cloud_from;  // light and shade, billows, dark areas; sine of where they begin
    float heap, heap_scale;                  // heaps of cloud above the horizon: how high, sine
    float fog[3], fog_density;
    float bank_lo, bank_hi, bank_density, bank_col[3];  // a layer of cloud or fog, by height; above the eye it is the sky's
    float field_k, field_focus;              // n - 1 by the logarithm of size by near; share of the columns ahead
    float field_rough, field_flat, field_top;  // relief in cells; where there is none; the greatest height
    float ambient[3];  // light that any unlit bounce still gets
    float seed;
    int kind, indoor;  // indoor 2: with little in it
};
struct Scene {  // pointers into one batch
    const World *worlds;
    const Prim *prims;
    const Node *nodes;
    const Mat *mats;
    const Decal *decals;
    const Lamp *lamps;
    const float *fields;
};
