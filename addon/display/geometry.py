"""The geometry nodes behind the display modes: dots, a box, or Gaussians with what the materials read."""

from __future__ import annotations

import bpy

from . import cards, harmonics, material, shared
from .graph import Graph, Value, first_output

POINTS, BOX, GAUSSIANS = range(3)
"""What the input "View" of the display group chooses for the viewport; renders always get Gaussians."""

VIEW, POINT_SIZE, DENSITY, INSTANCES = "View", "Point Size", "Density", "Instances"
RAW_COLORS, NATIVE = "Raw Colours", "Native"
PIXEL_ANGLE, SLANT_LIMIT = "Pixel Angle", "Slant Limit"

_SPHERE_RADIUS = 1.26
"""An ico-sphere of one subdivision with this radius lies all outside the unit sphere."""

_THINNEST = 1e-4
"""A flat splat is at least this part of its width thick: single precision has to hold its inverse, squared."""


def display_group() -> bpy.types.NodeTree:
    """The group of the display modifier, shared by all splat objects."""
    return shared.node_group("Display", _build_display)


def cards_group() -> bpy.types.NodeTree:
    """The group of the modifier that makes cards for renders, shared by all splat objects.

    It is one of its own because it depends on the camera: each move of that would evaluate the display again.
    """
    return shared.node_group("Cards", _build_cards)


def _build_cards(tree: bpy.types.NodeTree) -> None:
    sockets = _geometry_interface(tree)
    for name in (PIXEL_ANGLE, SLANT_LIMIT):
        sockets.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
    for name in (INSTANCES, RAW_COLORS):
        sockets.new_socket(name, in_out="INPUT", socket_type="NodeSocketBool")
    graph = Graph(tree)
    inputs = tree.nodes.new("NodeGroupInput").outputs
    surface = _switch(graph, inputs[INSTANCES], material.card(), material.sorted_card(), "MATERIAL")
    faced = cards.add_cards(
        graph,
        _colored(graph, inputs["Geometry"], inputs[RAW_COLORS]),
        _sigmas(graph),
        _attribute(graph, "rotation", "QUATERNION"),
        inputs[PIXEL_ANGLE],
        inputs[SLANT_LIMIT],
        surface,
    )
    whole = graph.out("GeometryNodeRealizeInstances", faced)
    graph.add("NodeGroupOutput", _switch(graph, inputs[INSTANCES], whole, faced))


def _build_display(tree: bpy.types.NodeTree) -> None:
    _interface(tree)
    graph = Graph(tree)
    inputs = tree.nodes.new("NodeGroupInput").outputs
    is_viewport = graph.out("GeometryNodeIsViewport")
    shown = _thinned(graph, inputs["Geometry"], _density(graph, is_viewport, inputs[DENSITY]))
    other_view = _switch(
        graph,
        _equal(graph, inputs[VIEW], BOX),
        _dots(graph, shown, inputs),
        _box(graph, inputs["Geometry"]),
    )
    is_gaussians = graph.out(
        "FunctionNodeBooleanMath",
        _equal(graph, inputs[VIEW], GAUSSIANS),
        graph.out("FunctionNodeBooleanMath", is_viewport, operation="NOT"),
        operation="OR",
    )
    gaussians = _switch(graph, inputs[NATIVE], _gaussians(graph, shown, inputs), shown)
    graph.add("NodeGroupOutput", _switch(graph, is_gaussians, other_view, gaussians))


def _geometry_interface(tree: bpy.types.NodeTree) -> bpy.types.NodeTreeInterface:
    tree.is_modifier = True
    for in_out in ("OUTPUT", "INPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    return tree.interface


def _interface(tree: bpy.types.NodeTree) -> None:
    sockets = _geometry_interface(tree)
    sockets.new_socket(VIEW, in_out="INPUT", socket_type="NodeSocketInt")
    sockets.new_socket(POINT_SIZE, in_out="INPUT", socket_type="NodeSocketFloat").default_value = 0.5
    sockets.new_socket(DENSITY, in_out="INPUT", socket_type="NodeSocketFloat").default_value = 1.0
    for name in (INSTANCES, RAW_COLORS, NATIVE):
        sockets.new_socket(name, in_out="INPUT", socket_type="NodeSocketBool")


def _attribute(graph: Graph, name: str, data_type: str) -> bpy.types.NodeSocket:
    return first_output(graph.add("GeometryNodeInputNamedAttribute", name, data_type=data_type))


def _store(graph: Graph, points: Value, name: str, data_type: str, value: Value) -> bpy.types.NodeSocket:
    return graph.out(
        "GeometryNodeStoreNamedAttribute", points, None, name, value, data_type=data_type, domain="POINT"
    )


def _switch(
    graph: Graph, condition: Value, if_false: Value, if_true: Value, input_type: str = "GEOMETRY"
) -> bpy.types.NodeSocket:
    return graph.out("GeometryNodeSwitch", condition, if_false, if_true, input_type=input_type)


def _equal(graph: Graph, value: Value, number: int) -> bpy.types.NodeSocket:
    return graph.out("FunctionNodeCompare", value, number, data_type="INT", operation="EQUAL")


def _sigmas(graph: Graph) -> list[bpy.types.NodeSocket]:
    """The standard deviations along the three axes."""
    scale = _attribute(graph, "scale", "FLOAT_VECTOR")
    return list(graph.add("ShaderNodeSeparateXYZ", scale).outputs)


def _largest(graph: Graph, sigmas: list[bpy.types.NodeSocket]) -> bpy.types.NodeSocket:
    return graph.math("MAXIMUM", graph.math("MAXIMUM", sigmas[0], sigmas[1]), sigmas[2])


def _radius(graph: Graph, points: Value, factor: Value) -> bpy.types.NodeSocket:
    """`points` with `factor` times the largest standard deviation as radius."""
    radius = graph.math("MULTIPLY", _largest(graph, _sigmas(graph)), factor)
    return graph.out("GeometryNodeSetPointRadius", points, None, radius)


def _density(graph: Graph, is_viewport: Value, density: Value) -> bpy.types.NodeSocket:
    return _switch(graph, is_viewport, 1.0, density, "FLOAT")


def _thinned(graph: Graph, points: Value, density: Value) -> bpy.types.NodeSocket:
    """A random part of the points, the same at every redraw; all of them, untouched, at density 1."""
    drawn = graph.out("FunctionNodeRandomValue", 0.0, 1.0, data_type="FLOAT")
    part = graph.out("GeometryNodeDeleteGeometry", points, graph.math("GREATER_THAN", drawn, density))
    return _switch(graph, graph.math("LESS_THAN", density, 1.0), points, part)


def _box(graph: Graph, points: Value) -> bpy.types.NodeSocket:
    """The edges of the bounding box: something to click on that no engine draws."""
    box = graph.out("GeometryNodeBoundBox", points)
    return graph.out("GeometryNodeDeleteGeometry", box, True, domain="FACE", mode="ONLY_FACE")


def _dots(graph: Graph, points: Value, inputs: bpy.types.NodeOutputs) -> bpy.types.NodeSocket:
    # Through vertices, points lose Blender's own splat type, whose drawing would ignore the radius.
    plain = graph.out("GeometryNodeMeshToPoints", graph.out("GeometryNodePointsToVertices", points))
    points = _switch(graph, inputs[NATIVE], points, plain)
    colored = _colored(graph, _radius(graph, points, inputs[POINT_SIZE]), inputs[RAW_COLORS])
    return graph.out("GeometryNodeSetMaterial", colored, None, material.dots())


def _gaussians(graph: Graph, points: Value, inputs: bpy.types.NodeOutputs) -> bpy.types.NodeSocket:
    colored = _colored(graph, points, inputs[RAW_COLORS])
    return _switch(graph, inputs[INSTANCES], _with_rows(graph, colored), _spheres(graph, colored))


def _with_rows(graph: Graph, points: Value) -> bpy.types.NodeSocket:
    points = _radius(graph, points, material.REACH)
    rotation = _attribute(graph, "rotation", "QUATERNION")
    sigmas = _sigmas(graph)
    thinnest = graph.math("MULTIPLY", _largest(graph, sigmas), _THINNEST)
    for name, axis, sigma in zip(material.ROWS, ((1, 0, 0), (0, 1, 0), (0, 0, 1)), sigmas, strict=True):
        row = graph.vector("SCALE", graph.out("FunctionNodeRotateVector", axis, rotation))
        inverse = graph.math("DIVIDE", 1.0, graph.math("MAXIMUM", sigma, thinnest))
        graph.connect(row.node.inputs["Scale"], inverse)
        points = _store(graph, points, name, "FLOAT_VECTOR", row)
    return graph.out("GeometryNodeSetMaterial", points, None, material.gaussians())


def _spheres(graph: Graph, points: Value) -> bpy.types.NodeSocket:
    reach = graph.vector("SCALE", _attribute(graph, "scale", "FLOAT_VECTOR"))
    graph.connect(reach.node.inputs["Scale"], material.REACH)
    sphere = graph.out("GeometryNodeMeshIcoSphere", _SPHERE_RADIUS, 1)
    sphere = graph.out("GeometryNodeSetMaterial", sphere, None, material.sorted_gaussians())
    rotation = _attribute(graph, "rotation", "QUATERNION")
    return graph.out("GeometryNodeInstanceOnPoints", points, None, sphere, None, None, rotation, reach)


def _colored(graph: Graph, points: Value, raw_colors: Value) -> bpy.types.NodeSocket:
    """`points` with the colour to emit: as it is, or in linear light, which Standard shows as it is."""
    seen = graph.add("GeometryNodeInputNamedAttribute", harmonics.SEEN_COLOR, data_type="FLOAT_COLOR")
    color = _switch(
        graph,
        seen.outputs["Exists"],
        _attribute(graph, "color", "FLOAT_COLOR"),
        first_output(seen),
        "RGBA",
    )
    rgb = graph.add("FunctionNodeSeparateColor", color).outputs
    channels = [graph.math("MAXIMUM", rgb[i], 0.0) for i in range(3)]
    emitted = [_switch(graph, raw_colors, _linear(graph, each), each, "FLOAT") for each in channels]
    alpha = _attribute(graph, "opacity", "FLOAT")
    return _store(
        graph, points, material.COLOR, "FLOAT_COLOR", graph.out("FunctionNodeCombineColor", *emitted, alpha)
    )


def _linear(graph: Graph, encoded: Value) -> bpy.types.NodeSocket:
    """Linear light of an sRGB-encoded number >= 0."""
    shifted = graph.math("DIVIDE", graph.math("ADD", encoded, 0.055), 1.055)
    is_bright = graph.math("GREATER_THAN", encoded, 0.04045)
    dark = graph.math("DIVIDE", encoded, 12.92)
    return _switch(graph, is_bright, dark, graph.math("POWER", shifted, 2.4), "FLOAT")
