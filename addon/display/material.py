"""The materials of splats: an exact Gaussian along each ray for Cycles, the same on spheres for EEVEE, plain dots.

A Gaussian has no surface. What a ray sees of one is its opacity times exp(-m^2 / 2), with m the closest approach of
the ray to the centre in standard deviations. Cycles' point primitives give one hit for each splat, wherever on the
bounding sphere, and the material computes m from the ray alone: no two hits, no volume, no samples along the ray.
"""

from __future__ import annotations

import bpy

from . import shared
from .graph import Graph

ROWS = ("splat_0", "splat_1", "splat_2")
"""Point attributes: the rows of the matrix that takes object space into standard deviations of the splat."""

COLOR = "splat_color"
"""Point attribute: emitted colour, and opacity as alpha. (Cycles takes the name "color" for the colour of smoke.)"""

PLACE = "splat_place"
"""Vertex attribute of cards: where on the card, in standard deviations from its middle."""

REACH = 3.0
"""A Gaussian ends at this many standard deviations."""


def gaussians() -> bpy.types.Material:
    """For point clouds, each point with radius REACH times its largest standard deviation. Made for Cycles.

    EEVEE draws it with noise instead of sorting.
    """
    return shared.material("Gaussians", _build_gaussians)


def sorted_gaussians() -> bpy.types.Material:
    """For instances of a sphere scaled by REACH standard deviations, which EEVEE sorts."""
    return shared.material("Sorted Gaussians", _build_sorted_gaussians)


def card() -> bpy.types.Material:
    """For cards that face the camera, as one mesh."""
    return shared.material("Card", lambda material: _build_card(material, "GEOMETRY"))


def sorted_card() -> bpy.types.Material:
    """For instances of cards that face the camera, which EEVEE sorts."""
    return shared.material("Sorted Card", lambda material: _build_card(material, "INSTANCER"))


def dots() -> bpy.types.Material:
    """Opaque dots in the splats' colours."""
    return shared.material("Dots", _build_dots)


def _build_gaussians(material: bpy.types.Material) -> None:
    graph = _empty(material)
    geometry = graph.add("ShaderNodeNewGeometry").outputs
    centre = graph.out("ShaderNodePointInfo")
    from_centre = _to_object(graph, graph.vector("SUBTRACT", geometry["Position"], centre))
    along = _to_object(graph, geometry["Incoming"])
    rows = [_attribute(graph, name, "GEOMETRY").outputs["Vector"] for name in ROWS]
    distance_2 = _closest_approach_2(graph, _times(graph, rows, from_centre), _times(graph, rows, along))
    _glow(graph, distance_2, _attribute(graph, COLOR, "GEOMETRY"), _inside(graph, distance_2))
    material.surface_render_method = "DITHERED"


def _build_sorted_gaussians(material: bpy.types.Material) -> None:
    graph = _empty(material)
    on_sphere = graph.add("ShaderNodeTexCoord").outputs["Object"]
    geometry = graph.add("ShaderNodeNewGeometry").outputs
    along = _to_object(graph, geometry["Incoming"])
    distance_2 = graph.math("MULTIPLY", _closest_approach_2(graph, on_sphere, along), REACH * REACH)
    is_front = graph.math("SUBTRACT", 1.0, geometry["Backfacing"])
    visible = graph.math("MULTIPLY", is_front, _inside(graph, distance_2))
    _glow(graph, distance_2, _attribute(graph, COLOR, "INSTANCER"), visible)
    material.surface_render_method = "BLENDED"


def _build_card(material: bpy.types.Material, color_from: str) -> None:
    graph = _empty(material)
    place = _attribute(graph, PLACE, "GEOMETRY").outputs["Vector"]
    distance_2 = graph.vector("DOT_PRODUCT", place, place)
    # The corners are not cut off: a Gaussian has faded out at the edge of its card.
    _glow(graph, distance_2, _attribute(graph, COLOR, color_from), None)
    # EEVEE sorts objects, not the faces of one: a mesh of cards is right on average only, with noise.
    material.surface_render_method = "BLENDED" if color_from == "INSTANCER" else "DITHERED"


def _build_dots(material: bpy.types.Material) -> None:
    graph = _empty(material)
    emission = graph.out("ShaderNodeEmission", _attribute(graph, COLOR, "GEOMETRY").outputs["Color"])
    graph.add("ShaderNodeOutputMaterial", emission)


def _empty(material: bpy.types.Material) -> Graph:
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    # Light from splats is found by bounces alone: sampled as lamps, a million would slow every sample down.
    if hasattr(material, "cycles"):
        material.cycles.emission_sampling = "NONE"
    return Graph(material.node_tree)


def _attribute(graph: Graph, name: str, source: str) -> bpy.types.Node:
    return graph.add("ShaderNodeAttribute", attribute_name=name, attribute_type=source)


def _to_object(graph: Graph, vector: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    return graph.out(
        "ShaderNodeVectorTransform", vector, vector_type="VECTOR", convert_from="WORLD", convert_to="OBJECT"
    )


def _times(
    graph: Graph, rows: list[bpy.types.NodeSocket], vector: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    return graph.out("ShaderNodeCombineXYZ", *(graph.vector("DOT_PRODUCT", row, vector) for row in rows))


def _closest_approach_2(
    graph: Graph, point: bpy.types.NodeSocket, along: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """Squared distance of the origin from the line through `point` in direction `along`, which has any length."""
    normal = graph.vector("CROSS_PRODUCT", point, along)
    return graph.math(
        "DIVIDE", graph.vector("DOT_PRODUCT", normal, normal), graph.vector("DOT_PRODUCT", along, along)
    )


def _inside(graph: Graph, distance_2: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    return graph.math("LESS_THAN", distance_2, REACH * REACH)


def _glow(
    graph: Graph,
    distance_2: bpy.types.NodeSocket,
    color: bpy.types.Node,
    visible: bpy.types.NodeSocket | None,
) -> None:
    """The surface: light of this colour, as opaque as a Gaussian at this distance, times `visible`."""
    response = graph.math("EXPONENT", graph.math("MULTIPLY", distance_2, -0.5))
    alpha = graph.math("MULTIPLY", color.outputs["Alpha"], response)
    if visible is not None:
        alpha = graph.math("MULTIPLY", alpha, visible)
    emission = graph.out("ShaderNodeEmission", color.outputs["Color"])
    mixed = graph.out("ShaderNodeMixShader", alpha, graph.out("ShaderNodeBsdfTransparent"), emission)
    graph.add("ShaderNodeOutputMaterial", mixed)
