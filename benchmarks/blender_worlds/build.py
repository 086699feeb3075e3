"""Meshes out of numbers. Metres, z up; `at` is where the middle of a thing's foot stands, `turn` degrees about z.

What is made goes into the scene, or into the innermost `group`, of which `put` shows as many copies as wanted.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import bmesh
import bpy
import numpy as np
from mathutils import Euler, Vector

Point = Sequence[float]
_open: list[bpy.types.Collection] = []


@contextlib.contextmanager
def group(name: str) -> Iterator[bpy.types.Collection]:
    """What is made inside belongs to this collection, which shows nothing by itself."""
    collection = bpy.data.collections.new(name)
    _open.append(collection)
    try:
        yield collection
    finally:
        _open.pop()


def put(collection, at: Point = (0, 0, 0), turn: float | Point = 0.0, scale: float | Point = 1.0):
    """One more copy of a group."""
    instance = _add("copy", None)
    instance.instance_type = "COLLECTION"
    instance.instance_collection = collection
    return _set(instance, at, turn, scale)


def _add(name, data):
    made = bpy.data.objects.new(name, data)
    (_open[-1] if _open else bpy.context.scene.collection).objects.link(made)
    return made


def _set(made, at, turn, scale=1.0):
    made.location = at
    angles = (0, 0, turn) if isinstance(turn, (int, float)) else turn
    made.rotation_euler = Euler([math.radians(a) for a in angles])
    made.scale = (scale,) * 3 if isinstance(scale, (int, float)) else scale
    return made


def mesh(vertices, faces, material, at=(0, 0, 0), turn=0.0, smooth=False):
    data = bpy.data.meshes.new("mesh")
    data.from_pydata([tuple(map(float, v)) for v in vertices], [], [tuple(map(int, f)) for f in faces])
    data.materials.append(material)
    if smooth:
        data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
    data.update()
    return _set(_add("mesh", data), at, turn)


def triangles(corners: np.ndarray, material):
    """(N, K, 3) corners of N polygons with K corners each, as one mesh: quick for many."""
    n, k = corners.shape[:2]
    data = bpy.data.meshes.new("leaves")
    data.vertices.add(n * k)
    data.vertices.foreach_set("co", corners.astype(np.float32).ravel())
    data.loops.add(n * k)
    data.loops.foreach_set("vertex_index", np.arange(n * k, dtype=np.int32))
    data.polygons.add(n)
    data.polygons.foreach_set("loop_start", np.arange(0, n * k, k, dtype=np.int32))
    data.materials.append(material)
    data.update(calc_edges=True)
    return _add("leaves", data)


def _modify(made, kind, **settings):
    modifier = made.modifiers.new(kind, kind)
    for name, value in settings.items():
        setattr(modifier, name, value)
    return made


def bevel(made, width: float, segments: int = 2):
    return _modify(made, "BEVEL", width=width, segments=segments, limit_method="ANGLE")


def rounder(made, levels: int = 2):
    """Catmull-Clark subdivision."""
    made.data.polygons.foreach_set("use_smooth", [True] * len(made.data.polygons))
    return _modify(made, "SUBSURF", levels=levels, render_levels=levels)


def rough(made, strength: float, size: float):
    """Displaced along its normals by a cloudy texture."""
    texture = bpy.data.textures.new("rough", "CLOUDS")
    texture.noise_scale = size
    return _modify(made, "DISPLACE", texture=texture, strength=strength, texture_coords="GLOBAL")


def row(made, count: int, step: Point):
    """An array of `count`, `step` metres apart."""
    return _modify(
        made,
        "ARRAY",
        count=count,
        use_relative_offset=False,
        use_constant_offset=True,
        constant_offset_displace=step,
    )


def box(size: Point, at: Point, material, edge: float = 0.008, turn: float | Point = 0.0):
    """A box with bevelled edges that stands at `at`."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    corners = [(sx * x, sy * y, h) for h in (0, z) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    faces = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    made = mesh(corners, faces, material, at, turn)
    return bevel(made, min(edge, 0.3 * min(size))) if edge else made


def cushion(size: Point, at: Point, material, turn: float | Point = 0.0, soft: float = 0.3):
    """A stuffed box: strongly rounded, slightly uneven."""
    made = box(size, at, material, 0, turn)
    bevel(made, soft * min(size), 3)
    rounder(made, 2)
    return rough(made, 0.12 * min(size), 0.35)


def lathe(profile: Sequence[Point], at: Point, material, turn: float | Point = 0.0, segments: int = 40):
    """(radius, height) pairs turned about z."""
    angles = np.arange(segments) * 2 * math.pi / segments
    vertices = [(r * math.cos(a), r * math.sin(a), z) for r, z in profile for a in angles]
    faces = []
    for i in range(len(profile) - 1):
        for j in range(segments):
            k = (j + 1) % segments
            faces.append((i * segments + j, i * segments + k, (i + 1) * segments + k, (i + 1) * segments + j))
    made = mesh(vertices, faces, material, at, turn, smooth=True)
    return _modify(made, "EDGE_SPLIT", split_angle=math.radians(40))


def ball(radius: float, at: Point, material, squash: float = 1.0):
    """A ball whose middle is at `at`."""
    steps = np.linspace(-math.pi / 2, math.pi / 2, 17)
    return lathe([(radius * math.cos(a) + 1e-5, squash * radius * math.sin(a)) for a in steps], at, material)


def rod(start: Point, end: Point, radius: float, material):
    return tube([start, end], radius, material, straight=True)


def tube(points: Sequence[Point], radius: float, material, closed: bool = False, straight: bool = False):
    """A round rod along points; curved through them unless `straight`."""
    return tubes([(points, radius, radius)], material, closed, straight)


def tubes(paths: Sequence[tuple[Sequence[Point], float, float]], material, closed=False, straight=True):
    """Many rods in one object: (points, radius at the start, radius at the end)."""
    data = bpy.data.curves.new("tube", "CURVE")
    data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = "3D", 1.0, 3, True
    data.resolution_u = 8
    for points, thick, thin in paths:
        spline = data.splines.new("POLY" if straight else "NURBS")
        spline.points.add(len(points) - 1)
        for i, p in enumerate(points):
            spline.points[i].co = (*p, 1.0)
            spline.points[i].radius = thick + (thin - thick) * i / max(len(points) - 1, 1)
        spline.use_cyclic_u, spline.use_smooth = closed, True
        if not straight:
            spline.order_u, spline.use_endpoint_u = 4 if len(points) > 3 else len(points), not closed
    data.materials.append(material)
    return _add("tube", data)


def sheet(
    shape: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    cells: tuple[int, int],
    material,
    at: Point = (0, 0, 0),
    turn: float = 0.0,
    thickness: float = 0.0,
):
    """A grid bent by a function from u, v in 0..1 to x, y, z: terrain, curtains, cloths, roads."""
    nu, nv = cells
    u, v = np.meshgrid(np.linspace(0, 1, nu + 1), np.linspace(0, 1, nv + 1), indexing="ij")
    x, y, z = (np.broadcast_to(a, u.shape) for a in shape(u, v))
    index = np.arange((nu + 1) * (nv + 1)).reshape(nu + 1, nv + 1)
    faces = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 4)
    made = mesh(np.stack([x, y, z], -1).reshape(-1, 3), faces, material, at, turn, smooth=True)
    return _modify(made, "SOLIDIFY", thickness=thickness) if thickness else made


def prism(outline: Sequence[Point], depth: float, at: Point, material, turn=0.0, edge: float = 0.0):
    """An outline in (x, z) pulled along y over `depth`, half to each side."""
    n = len(outline)
    vertices = [(x, side * depth / 2, z) for side in (-1, 1) for x, z in outline]
    faces = [tuple(range(n)), tuple(reversed(range(n, 2 * n)))]
    faces += [(i, i + n, (i + 1) % n + n, (i + 1) % n) for i in range(n)]
    made = mesh(vertices, faces, material, at, turn)
    _outward(made)
    return bevel(made, edge) if edge else made


def _outward(made):
    solid = bmesh.new()
    solid.from_mesh(made.data)
    bmesh.ops.recalc_face_normals(solid, faces=solid.faces)
    solid.to_mesh(made.data)
    solid.free()


def skin(joints: Sequence[tuple[Point, float]], bones: Sequence[tuple[int, int]], material, at, turn=0.0):
    """A body grown around a skeleton: (joint, radius) and bones between them."""
    data = bpy.data.meshes.new("skin")
    solid = bmesh.new()
    layer = solid.verts.layers.skin.verify()
    made = [solid.verts.new(Vector(p)) for p, _ in joints]
    for i, (vertex, (_, radius)) in enumerate(zip(made, joints, strict=True)):
        vertex[layer].radius = (radius, radius)
        vertex[layer].use_root = i == 0
    for a, b in bones:
        solid.edges.new((made[a], made[b]))
    solid.to_mesh(data)
    solid.free()
    data.materials.append(material)
    body = _set(_add("skin", data), at, turn)
    _modify(body, "SKIN", use_smooth_shade=True)
    return _modify(body, "SUBSURF", levels=2, render_levels=2)


def blob(balls: Sequence[tuple[Point, float]], at: Point, material, turn: float = 0.0, name: str = "blob"):
    """Metaballs: (middle, radius) that flow into each other. Blobs of one name would flow together."""
    data = bpy.data.metaballs.new(name)
    data.render_resolution = data.resolution = 0.4 * min(r for _, r in balls)
    for middle, radius in balls:
        element = data.elements.new()
        element.co, element.radius = middle, 1.6 * radius
    data.materials.append(material)
    return _set(_add(name, data), at, turn)


def text(words: str, size: float, at: Point, turn: Point, material):
    """Letters 2 mm thick, centred, upright when turned by (90, 0, 0)."""
    data = bpy.data.curves.new("text", "FONT")
    data.body, data.size, data.align_x, data.extrude = words, size, "CENTER", 0.001
    data.materials.append(material)
    return _set(_add("text", data), at, turn)
