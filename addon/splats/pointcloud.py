"""Splats as a Blender point cloud, and back.

Attributes of each point: `position`; `radius`, three of the greatest standard deviations; `scale`, the standard
deviations; `rotation`, wxyz; `opacity`, 0 to 1; `color`, the constant harmonic's colour with the opacity as alpha;
`sh_0` to `sh_14`, the higher harmonics as in the file. Blender 5.3 and later also get Blender's own splat type.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from splinescape.io.arrays import MAX_LOGIT, checked_splats
from splinescape.io.splat_arrays import SH_C0, SH_COUNTS, SplatArrays

Floats = NDArray[np.float32]

MARK = "splinescape_splats"
"""Custom property of every object that `create_object` makes."""

RADIUS_IN_SIGMAS = 3.0
"""Where a Gaussian has faded to 1 %: what Cycles' points need to enclose it."""

_NATIVE = "GAUSSIAN_SPLAT"
_NATIVE_BASE = "radiance:base"
_OWN = "OWN"
_FIELDS = {
    "FLOAT": "value",
    "FLOAT_VECTOR": "vector",
    "QUATERNION": "value",
    "FLOAT_COLOR": "color",
    "FLOAT4": "value",
}
_WIDTHS = {"FLOAT": 1, "FLOAT_VECTOR": 3, "QUATERNION": 4, "FLOAT_COLOR": 4, "FLOAT4": 4}
_GREATEST = np.finfo(np.float32).max


def create_object(name: str, splats: SplatArrays, matrix_world: Any) -> Any:
    """Make a point cloud object of N splats; it is in no collection yet.

    Args:
        matrix_world: (4, 4) Blender's world from the splats' world.
    """
    made = bpy.data.objects.new(name, _new_pointcloud(name, splats))
    made.matrix_world = Matrix(np.asarray(matrix_world, np.float64).tolist())
    made[MARK] = 1
    return made


def replace_splats(made: Any, splats: SplatArrays) -> None:
    """Give an object other splats; its place, modifiers, materials and custom properties stay.

    Raises:
        RuntimeError: the object is being edited or may not be changed; it is as it was.
    """
    if made.mode != "OBJECT":  # Blender would ignore the other data without a word
        raise RuntimeError(f"'{made.name}' is being edited: switch to Object Mode")
    old = made.data
    new = _new_pointcloud(old.name, splats)
    for material in old.materials:
        new.materials.append(material)
    for key, value in old.items():
        new[key] = value
    name = old.name
    made.data = new
    if made.data != new:
        bpy.data.pointclouds.remove(new)
        raise RuntimeError(f"Blender keeps the splats of '{made.name}' as they are: make the object local")
    if not old.users:
        bpy.data.pointclouds.remove(old)
    new.name = name


def is_splats(candidate: Any) -> bool:
    """Whether an object, or None, is a point cloud with all that splats need."""
    return candidate is not None and candidate.type == "POINTCLOUD" and _form(candidate.data) is not None


def read_splats(source: Any) -> SplatArrays:
    """The splats of an object or of its point cloud, before modifiers, in the object's own coordinates.

    Points with numbers that are not finite are left out.

    Raises:
        ValueError: it does not hold splats; the message names it.
    """
    pointcloud = getattr(source, "data", source)
    form = _form(pointcloud)
    if form is None:
        raise ValueError(f"'{source.name}' holds no splats: select an imported splat object")
    if form == _NATIVE:
        base = _get(pointcloud, _NATIVE_BASE)
        dc, opacity = base[:, :3], base[:, 3]
    else:
        dc = (_get(pointcloud, "color")[:, :3] - np.float32(0.5)) / np.float32(SH_C0)
        opacity = _get(pointcloud, "opacity")
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(np.maximum(_get(pointcloud, "scale"), np.finfo(np.float32).tiny))
    splats, _ = checked_splats(
        _get(pointcloud, "position"),
        log_scales,
        _get(pointcloud, "rotation"),
        _logits(opacity),
        np.stack([dc, *_read_higher(pointcloud, form)], axis=1),
        source=source.name,
    )
    return splats


def _logits(opacity: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        logits = np.log(opacity) - np.log1p(-opacity)
    # An artist may have set opacities outside of 0 to 1; NaN stays, to be left out.
    return np.where(opacity <= 0, -MAX_LOGIT, np.where(opacity >= 1, MAX_LOGIT, logits)).astype(np.float32)


def _read_higher(pointcloud: Any, form: str) -> list[Floats]:
    prefix = "radiance:sh_" if form == _NATIVE else "sh_"
    count = 0
    while count < SH_COUNTS[-1] - 1 and _has(pointcloud, f"{prefix}{count}", 3):
        count += 1
    whole = max(known - 1 for known in SH_COUNTS if known - 1 <= count)
    return [_get(pointcloud, f"{prefix}{index}") for index in range(whole)]


def _form(pointcloud: Any) -> str | None:
    """`_NATIVE` for Blender's own splats, `_OWN` for ours, None for other points."""
    shared = (
        _has(pointcloud, "position", 3) and _has(pointcloud, "scale", 3) and _has(pointcloud, "rotation", 4)
    )
    if not shared:
        return None
    if _has(pointcloud, _NATIVE_BASE, 4):
        return _NATIVE
    return _OWN if _has(pointcloud, "opacity", 1) and _has(pointcloud, "color", 4) else None


def _has(pointcloud: Any, name: str, width: int) -> bool:
    attribute = pointcloud.attributes.get(name)
    return attribute is not None and attribute.domain == "POINT" and _WIDTHS.get(attribute.data_type) == width


def _get(pointcloud: Any, name: str) -> Floats:
    attribute = pointcloud.attributes[name]
    width = _WIDTHS[attribute.data_type]
    values = np.empty(len(attribute.data) * width, np.float32)
    attribute.data.foreach_get(_FIELDS[attribute.data_type], values)
    return values.reshape(-1, width) if width > 1 else values


def _set(data: Any, name: str, kind: str, values: Floats) -> None:
    attribute = data.attributes.get(name) or data.attributes.new(name, kind, "POINT")
    # Only float32 in one piece is copied at once; all else goes number by number.
    attribute.data.foreach_set(_FIELDS[kind], np.ascontiguousarray(values, np.float32).ravel())


def _new_pointcloud(name: str, splats: SplatArrays) -> Any:
    scales, opacities = splats.scales, splats.opacities
    largest = np.maximum(
        np.maximum(scales[:, 0], scales[:, 1]), scales[:, 2]
    )  # ten times as fast as max(axis=1)
    radii = np.minimum(largest, _GREATEST / 8) * np.float32(RADIUS_IN_SIGMAS)
    pointcloud = _points(name, splats.means, radii)
    _set(pointcloud, "scale", "FLOAT_VECTOR", scales)
    _set(pointcloud, "rotation", "QUATERNION", splats.quats)
    _set(pointcloud, "opacity", "FLOAT", opacities)
    color = np.empty((len(splats), 4), np.float32)
    color[:, :3], color[:, 3] = splats.base_colors, opacities
    _set(pointcloud, "color", "FLOAT_COLOR", color)
    prefix = "radiance:sh_" if _make_native(pointcloud, splats, opacities) else "sh_"
    for index in range(splats.sh.shape[1] - 1):
        _set(pointcloud, f"{prefix}{index}", "FLOAT_VECTOR", splats.sh[:, index + 1])
    pointcloud.update_tag()
    return pointcloud


def _make_native(pointcloud: Any, splats: SplatArrays, opacities: Floats) -> bool:
    """Turn the points into Blender's own splats where it has them (5.3 and later)."""
    if not hasattr(pointcloud, "type"):
        return False
    try:
        base = pointcloud.attributes.new(_NATIVE_BASE, "FLOAT4", "POINT")
    except TypeError:  # a kind of attribute that this Blender does not know
        return False
    try:
        pointcloud.type = _NATIVE
    except TypeError:
        pointcloud.attributes.remove(base)
        return False
    _set(pointcloud, _NATIVE_BASE, "FLOAT4", np.concatenate([splats.sh[:, 0], opacities[:, None]], axis=1))
    return True


def _points(name: str, positions: Floats, radii: Floats) -> Any:
    """A point cloud with positions and radii, and a bounding box that fits them.

    Blender up to 5.0 has no call that makes points, and does not notice when positions are set later: its bounding
    box would stay wrong. Applying a modifier that turns a mesh into points does both, in every version.
    """
    if not len(positions):
        pointcloud = bpy.data.pointclouds.new(name)
        _set(pointcloud, "position", "FLOAT_VECTOR", positions)
        _set(pointcloud, "radius", "FLOAT", radii)
        return pointcloud
    with _mesh_object(positions, radii) as source, _mesh_to_points(source) as nodes:
        pointcloud = bpy.data.pointclouds.new(name)
        carrier = bpy.data.objects.new(name, pointcloud)
        try:
            _apply(carrier, nodes)
        except BaseException:
            bpy.data.pointclouds.remove(pointcloud)  # takes its object along
            raise
        pointcloud = carrier.data
        bpy.data.objects.remove(carrier)
    for attribute in list(pointcloud.attributes):
        if attribute.name.startswith("."):  # the selection of the mesh
            pointcloud.attributes.remove(attribute)
    return pointcloud


def _apply(carrier: Any, nodes: Any) -> None:
    collection = bpy.context.scene.collection
    collection.objects.link(carrier)
    modifier = carrier.modifiers.new("Points", "NODES")
    modifier.node_group = nodes
    # A generated scene may arrive while the artist edits another object, which modifier_apply would refuse.
    with bpy.context.temp_override(object=carrier, edit_object=None):
        bpy.ops.object.modifier_apply(modifier=modifier.name)


@contextmanager
def _mesh_object(positions: Floats, radii: Floats) -> Iterator[Any]:
    mesh = bpy.data.meshes.new("Splats")
    try:
        mesh.vertices.add(len(positions))
        _set(mesh, "position", "FLOAT_VECTOR", positions)
        _set(mesh, "radius", "FLOAT", radii)
        yield bpy.data.objects.new("Splats", mesh)
    finally:
        bpy.data.meshes.remove(mesh)  # takes its object along


@contextmanager
def _mesh_to_points(source: Any) -> Iterator[Any]:
    """Geometry nodes that turn the mesh of `source` into points with its radii."""
    tree = bpy.data.node_groups.new("Splats", "GeometryNodeTree")
    try:
        tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
        info, convert, radius, out = (
            tree.nodes.new(kind)
            for kind in (
                "GeometryNodeObjectInfo",
                "GeometryNodeMeshToPoints",
                "GeometryNodeInputNamedAttribute",
                "NodeGroupOutput",
            )
        )
        info.inputs["Object"].default_value = source
        radius.data_type = "FLOAT"
        radius.inputs[0].default_value = "radius"
        tree.links.new(info.outputs["Geometry"], convert.inputs["Mesh"])
        tree.links.new(next(output for output in radius.outputs if output.enabled), convert.inputs["Radius"])
        tree.links.new(convert.outputs[0], out.inputs[0])
        yield tree
    finally:
        bpy.data.node_groups.remove(tree)
