"""Reading a Blender curve as it stands in the scene: evaluated, with its modifiers, parents and scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import PathError
from .polyline import Polyline

Array = NDArray[np.float64]


def read_curve(curve: Any, depsgraph: Any) -> Polyline:
    """The chain of points of a curve object in Blender's world, with the tilt of each.

    Raises:
        PathError: the curve is empty, has several splines of which none is the active one, or was given a surface.
    """
    evaluated = curve.evaluated_get(depsgraph)
    spline, number = _chosen(curve)
    points, closed = _chain(evaluated, curve, spline, number)
    tilts = _tilts(spline, len(points))
    if closed:
        points, tilts = np.concatenate([points, points[:1]]), np.r_[tilts, tilts[0]]
    matrix = np.array(evaluated.matrix_world, np.float64)
    points = points @ matrix[:3, :3].T + matrix[:3, 3]
    if not np.isfinite(points).all():
        raise PathError(f'The path "{curve.name}" has points that are not finite; reset them with Alt+G')
    return Polyline(points, tilts)


def _chosen(curve: Any) -> tuple[Any, int]:
    splines = list(curve.data.splines)
    if not splines:
        raise PathError(f'The path "{curve.name}" has no points: draw it in Edit Mode, or choose another one')
    if len(splines) == 1:
        return splines[0], 0
    active = curve.data.splines.active
    if active is None:
        raise PathError(
            f'The path "{curve.name}" has {len(splines)} splines: click a point of one of them in Edit Mode, or delete '
            "the others"
        )
    return active, splines.index(active)


def _chain(evaluated: Any, curve: Any, spline: Any, number: int) -> tuple[Array, bool]:
    """(m, 3) points in the object's space, and whether the last is joined to the first."""
    mesh = evaluated.to_mesh()
    try:
        if mesh is None or not len(mesh.polygons):
            chains = [] if mesh is None else _chains(mesh)
            if len(chains) == len(curve.data.splines):
                return chains[number]
            if len(chains) == 1:
                return chains[0]
            raise PathError(
                f'The path "{curve.name}" becomes {len(chains)} separate pieces by its modifiers: switch off those '
                "that change its shape"
            )
    finally:
        evaluated.to_mesh_clear()
    return _skeleton(curve, spline)


def _chains(mesh: Any) -> list[tuple[Array, bool]]:
    """Vertices in order, one array for each run of edges that join neighbours."""
    coordinates = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", coordinates)
    points = coordinates.reshape(-1, 3).astype(np.float64)
    edges = np.empty(len(mesh.edges) * 2, np.int32)
    mesh.edges.foreach_get("vertices", edges)
    ends = np.sort(edges.reshape(-1, 2), axis=1)
    joined = np.zeros(max(0, len(points) - 1), bool)
    joined[ends[ends[:, 1] == ends[:, 0] + 1, 0]] = True
    closing = {tuple(pair) for pair in ends[ends[:, 1] != ends[:, 0] + 1].tolist()}
    starts = np.r_[0, np.flatnonzero(~joined) + 1] if len(points) else np.zeros(0, int)
    stops = np.r_[starts[1:], len(points)]
    return [
        (points[a:b], (int(a), int(b) - 1) in closing) for a, b in zip(starts, stops, strict=True) if b > a
    ]


def spline_line(spline: Any) -> Array:
    """(m, 3) points of a spline in its object's space; of NURBS the control points."""
    if spline.type == "BEZIER":
        return _bezier(spline)
    return np.array([point.co[:3] for point in spline.points], np.float64)


def _skeleton(curve: Any, spline: Any) -> tuple[Array, bool]:
    """The line inside a curve that bevel or extrusion made a surface of."""
    if curve.modifiers or spline.type not in {"BEZIER", "POLY"}:
        raise PathError(
            f'The path "{curve.name}" is a surface: set Extrude and Bevel Depth of its geometry to 0, so that it is a '
            "line again"
        )
    return spline_line(spline), bool(spline.use_cyclic_u)


def _bezier(spline: Any) -> Array:
    knots = [tuple(map(np.array, (p.handle_left, p.co, p.handle_right))) for p in spline.bezier_points]
    counts = _segment_counts(spline)
    pieces = []
    for i, count in enumerate(counts):
        (_, a, b), (c, d, _) = knots[i], knots[(i + 1) % len(knots)]
        t = (np.arange(count) / count)[:, None]
        pieces.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
    if not spline.use_cyclic_u:
        pieces.append(knots[-1][1][None])
    return np.concatenate(pieces).astype(np.float64)


def _segment_counts(spline: Any) -> list[int]:
    """Points that Blender evaluates for each Bezier segment: one where it is straight by its handles."""
    knots = spline.bezier_points
    last = len(knots) if spline.use_cyclic_u else len(knots) - 1
    return [
        1
        if knots[i].handle_right_type == knots[(i + 1) % len(knots)].handle_left_type == "VECTOR"
        else spline.resolution_u
        for i in range(last)
    ]


def _tilts(spline: Any, count: int) -> Array:
    """(count,) tilt at the evaluated points, between two control points in proportion to the curve's parameter."""
    knots = spline.bezier_points if spline.type == "BEZIER" else spline.points
    tilts = np.array([knot.tilt for knot in knots], np.float64)
    if not tilts.any():
        return np.zeros(count)
    index = np.arange(len(tilts), dtype=np.float64)
    if spline.use_cyclic_u:
        index, tilts = np.r_[index, len(tilts)], np.r_[tilts, tilts[0]]
    return np.interp(_parameters(spline, count, index[-1]), index, tilts)


def _parameters(spline: Any, count: int, last: float) -> Array:
    """(count,) evaluated points counted in control points."""
    if spline.type == "BEZIER":
        counts = _segment_counts(spline)
        if sum(counts) + (not spline.use_cyclic_u) == count:
            at = np.concatenate([i + np.arange(n) / n for i, n in enumerate(counts)])
            return at if spline.use_cyclic_u else np.r_[at, last]
    return np.linspace(0, last, count, endpoint=not spline.use_cyclic_u)
