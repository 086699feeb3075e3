"""View-dependent colour: spherical harmonics, evaluated by geometry nodes for the position of the scene's camera."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from . import shared
from .graph import Graph, first_output

_COUNTS = (3, 8, 15)
"""How many coefficients there are beyond the constant one, up to degree 1, 2, 3."""

SEEN_COLOR = "splat_seen_color"
"""Point attribute: the colour as seen from the camera. `color` stays what belongs to the coefficients."""

Scalar = bpy.types.NodeSocket


def coefficient_count(cloud: bpy.types.ID) -> int:
    """How many coefficients sh_0, sh_1, ... of whole degrees this point cloud has: 0, 3, 8 or 15."""
    names = set(cloud.attributes.keys())
    present = next((k for k in range(_COUNTS[-1]) if f"sh_{k}" not in names), _COUNTS[-1])
    return max((count for count in _COUNTS if count <= present), default=0)


def color_group(count: int) -> bpy.types.NodeTree:
    """The group that stores the colour as seen from the camera, for points with `count` coefficients."""
    return shared.node_group(f"Colour {count}", lambda tree: _build(tree, count))


def _build(tree: bpy.types.NodeTree, count: int) -> None:
    tree.is_modifier = True
    for in_out in ("OUTPUT", "INPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    graph = Graph(tree)
    points = tree.nodes.new("NodeGroupInput").outputs["Geometry"]
    color = first_output(graph.add("GeometryNodeInputNamedAttribute", "color", data_type="FLOAT_COLOR"))
    total = color
    for k, value in zip(range(count), _basis(graph, _direction(graph)), strict=False):
        coefficient = graph.add("GeometryNodeInputNamedAttribute", f"sh_{k}", data_type="FLOAT_VECTOR")
        term = graph.vector("SCALE", first_output(coefficient))
        graph.connect(term.node.inputs["Scale"], value)
        total = graph.vector("ADD", total, term)
    rgb = graph.add("ShaderNodeSeparateXYZ", total).outputs
    alpha = graph.add("FunctionNodeSeparateColor", color).outputs["Alpha"]
    seen = graph.out("FunctionNodeCombineColor", *rgb, alpha)
    stored = graph.out(
        "GeometryNodeStoreNamedAttribute",
        points,
        None,
        SEEN_COLOR,
        seen,
        data_type="FLOAT_COLOR",
        domain="POINT",
    )
    graph.add("NodeGroupOutput", stored)


def _direction(graph: Graph) -> tuple[Scalar, Scalar, Scalar]:
    """From the camera to the splat, in the object's own space, where the coefficients are meant."""
    camera = graph.add("GeometryNodeObjectInfo", transform_space="RELATIVE")
    graph.connect(camera.inputs["Object"], graph.out("GeometryNodeInputActiveCamera"))
    ray = graph.vector("SUBTRACT", graph.out("GeometryNodeInputPosition"), camera.outputs["Location"])
    axes = graph.add("ShaderNodeSeparateXYZ", graph.vector("NORMALIZE", ray)).outputs
    return axes[0], axes[1], axes[2]


def _basis(graph: Graph, direction: tuple[Scalar, Scalar, Scalar]) -> Iterator[Scalar]:
    """Values of the harmonics beyond the constant one, in the signs of 3D Gaussian Splatting (Kerbl et al. 2023)."""

    def times(*factors: Scalar | float) -> Scalar:
        product = factors[0]
        for factor in factors[1:]:
            product = graph.math("MULTIPLY", product, factor)
        return product

    def combined(a: float, xx: Scalar, b: float, yy: Scalar, c: float, zz: Scalar) -> Scalar:
        return graph.math("ADD", graph.math("ADD", times(xx, a), times(yy, b)), times(zz, c))

    x, y, z = direction
    yield times(y, -0.4886025119029199)
    yield times(z, 0.4886025119029199)
    yield times(x, -0.4886025119029199)
    xx, yy, zz = times(x, x), times(y, y), times(z, z)
    yield times(x, y, 1.0925484305920792)
    yield times(y, z, -1.0925484305920792)
    yield combined(-0.31539156525252005, xx, -0.31539156525252005, yy, 0.6307831305050401, zz)
    yield times(x, z, -1.0925484305920792)
    yield combined(0.5462742152960396, xx, -0.5462742152960396, yy, 0.0, zz)
    yield times(y, combined(-1.7701307697799305, xx, 0.5900435899266435, yy, 0.0, zz))
    yield times(x, y, z, 2.890611442640554)
    yield times(y, combined(0.4570457994644658, xx, 0.4570457994644658, yy, -1.8281831978578632, zz))
    yield times(z, combined(-1.1195289977703462, xx, -1.1195289977703462, yy, 0.7463526651802308, zz))
    yield times(x, combined(0.4570457994644658, xx, 0.4570457994644658, yy, -1.8281831978578632, zz))
    yield times(z, combined(1.445305721320277, xx, -1.445305721320277, yy, 0.0, zz))
    yield times(x, combined(-0.5900435899266435, xx, 1.7701307697799305, yy, 0.0, zz))
