"""The geometry nodes behind the display modes: dots, a box, or Gaussians with what the materials read."""

from __future__ import annotations

import bpy

from . import shared
from .graph import Graph, Value, first_output

POINTS, BOX, GAUSSIANS = range(3)
"""What the input "View" of the display group chooses for the viewport; renders always get Gaussians."""

VIEW, POINT_SIZE, DENSITY, INSTANCES = "View", "Point Size", "Density", "Instances"
_REACH = 3.0
"""A Gaussian ends at this many standard deviations."""


def display_group() -> bpy.types.NodeTree:
    """The group of the display modifier, shared by all splat objects."""
    return shared.node_group("Display", _build_display)


def _build_display(tree: bpy.types.NodeTree) -> None:
    _interface(tree)
    graph = Graph(tree)
    inputs = tree.nodes.new("NodeGroupInput").outputs
    is_viewport = graph.out("GeometryNodeIsViewport")
    thinned = _thinned(graph, inputs["Geometry"], inputs[DENSITY])
    viewport = _switch(
        graph,
        graph.out("FunctionNodeCompare", inputs[VIEW], BOX, data_type="INT", operation="EQUAL"),
        _dots(graph, thinned, inputs[POINT_SIZE]),
        _box(graph, inputs["Geometry"]),
    )
    gaussians = _switch(graph, is_viewport, inputs["Geometry"], thinned)
    shows_gaussians = graph.out(
        "FunctionNodeBooleanMath",
        graph.out("FunctionNodeCompare", inputs[VIEW], GAUSSIANS, data_type="INT", operation="EQUAL"),
        graph.out("FunctionNodeBooleanMath", is_viewport, operation="NOT"),
        operation="OR",
    )
    result = _switch(graph, shows_gaussians, viewport, _gaussians(graph, gaussians))
    graph.add("NodeGroupOutput", result)


def _interface(tree: bpy.types.NodeTree) -> None:
    tree.is_modifier = True
    sockets = tree.interface
    sockets.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    sockets.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    sockets.new_socket(VIEW, in_out="INPUT", socket_type="NodeSocketInt")
    sockets.new_socket(POINT_SIZE, in_out="INPUT", socket_type="NodeSocketFloat").default_value = 0.5
    sockets.new_socket(DENSITY, in_out="INPUT", socket_type="NodeSocketFloat").default_value = 1.0
    sockets.new_socket(INSTANCES, in_out="INPUT", socket_type="NodeSocketBool")


def _attribute(graph: Graph, name: str, data_type: str) -> bpy.types.NodeSocket:
    return first_output(graph.add("GeometryNodeInputNamedAttribute", name, data_type=data_type))


def _switch(graph: Graph, condition: Value, if_false: Value, if_true: Value) -> bpy.types.NodeSocket:
    return graph.out("GeometryNodeSwitch", condition, if_false, if_true, input_type="GEOMETRY")


def _largest_sigma(graph: Graph) -> bpy.types.NodeSocket:
    axes = graph.add("ShaderNodeSeparateXYZ", _attribute(graph, "scale", "FLOAT_VECTOR")).outputs
    return graph.math("MAXIMUM", graph.math("MAXIMUM", axes[0], axes[1]), axes[2])


def _thinned(graph: Graph, points: Value, density: Value) -> bpy.types.NodeSocket:
    """A random part of the points, the same at every redraw; all of them, untouched, at density 1."""
    drawn = graph.out("FunctionNodeRandomValue", 0.0, 1.0, data_type="FLOAT")
    part = graph.out("GeometryNodeDeleteGeometry", points, graph.math("GREATER_THAN", drawn, density))
    return _switch(graph, graph.math("LESS_THAN", density, 1.0), points, part)


def _dots(graph: Graph, points: Value, point_size: Value) -> bpy.types.NodeSocket:
    radius = graph.math("MULTIPLY", _largest_sigma(graph), point_size)
    return graph.out("GeometryNodeSetPointRadius", points, None, radius)


def _box(graph: Graph, points: Value) -> bpy.types.NodeSocket:
    """The edges of the bounding box: something to click on that no engine draws."""
    box = graph.out("GeometryNodeBoundBox", points)
    return graph.out("GeometryNodeDeleteGeometry", box, True, domain="FACE", mode="ONLY_FACE")


def _gaussians(graph: Graph, points: Value) -> bpy.types.NodeSocket:
    radius = graph.math("MULTIPLY", _largest_sigma(graph), _REACH)
    return graph.out("GeometryNodeSetPointRadius", points, None, radius)
