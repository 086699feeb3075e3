"""Small splat objects for the tests of the display."""

from __future__ import annotations

import bpy
import numpy as np

SH_C0 = 0.28209479177387814


def random_splats(n: int, seed: int = 0, sigma: tuple[float, float] = (0.01, 0.06)) -> dict[str, np.ndarray]:
    """`n` splats in front of the input camera, in a cloud around (0, 0, 3) of scene space."""
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(n, 4))
    return {
        "means": rng.uniform((-1, -1, 2), (1, 1, 4), size=(n, 3)).astype(np.float32),
        "scales": np.exp(rng.uniform(*np.log(sigma), size=(n, 3))).astype(np.float32),
        "quats": (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        "opacities": rng.uniform(0.2, 1.0, size=n).astype(np.float32),
        "colors": rng.uniform(0.0, 1.0, size=(n, 3)).astype(np.float32),
    }


def splat_object(splats: dict[str, np.ndarray], name: str = "Splats") -> bpy.types.Object:
    """A linked point cloud with the attributes that an imported one has."""
    n = len(splats["means"])
    mesh = bpy.data.meshes.new("temporary")
    mesh.vertices.add(n)
    mesh.vertices.foreach_set("co", splats["means"].ravel())
    _store(mesh, "radius", "FLOAT", "value", 3 * splats["scales"].max(axis=1))
    _store(mesh, "scale", "FLOAT_VECTOR", "vector", splats["scales"])
    _store(mesh, "rotation", "QUATERNION", "value", splats["quats"])
    _store(mesh, "opacity", "FLOAT", "value", splats["opacities"])
    rgba = np.concatenate([splats["colors"], splats["opacities"][:, None]], axis=1)
    _store(mesh, "color", "FLOAT_COLOR", "color", rgba)
    for k in range(splats["sh"].shape[1] if "sh" in splats else 0):
        _store(mesh, f"sh_{k}", "FLOAT_VECTOR", "vector", splats["sh"][:, k])
    obj = _point_cloud_from(mesh, name)
    bpy.data.meshes.remove(mesh)
    obj["splinescape_splats"] = 1
    return obj


def _store(mesh: bpy.types.Mesh, name: str, data_type: str, item: str, values: np.ndarray) -> None:
    attribute = mesh.attributes.new(name, data_type, "POINT")
    attribute.data.foreach_set(item, np.ascontiguousarray(values, dtype=np.float32).ravel())


def _point_cloud_from(mesh: bpy.types.Mesh, name: str) -> bpy.types.Object:
    source = bpy.data.objects.new("temporary", mesh)
    obj = bpy.data.objects.new(name, bpy.data.pointclouds.new(name))
    bpy.context.collection.objects.link(obj)
    group = bpy.data.node_groups.new("temporary", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    info = group.nodes.new("GeometryNodeObjectInfo")
    info.inputs["Object"].default_value = source
    points = group.nodes.new("GeometryNodeMeshToPoints")
    radius = group.nodes.new("GeometryNodeInputNamedAttribute")
    radius.inputs["Name"].default_value = "radius"
    group.links.new(info.outputs["Geometry"], points.inputs["Mesh"])
    group.links.new(radius.outputs["Attribute"], points.inputs["Radius"])
    group.links.new(points.outputs["Points"], group.nodes.new("NodeGroupOutput").inputs[0])
    modifier = obj.modifiers.new("temporary", "NODES")
    modifier.node_group = group
    with bpy.context.temp_override(object=obj, active_object=obj):
        bpy.ops.object.modifier_apply(modifier=modifier.name)
    bpy.data.node_groups.remove(group)
    bpy.data.objects.remove(source)
    return obj
