"""Splats as cards that face the scene's camera: what a rasteriser of splats draws, made of geometry nodes.

Each Gaussian is projected to an ellipse, widened by the same blur of a pixel that rasterisers add, and drawn on a
rectangle around it that is parallel to the picture at the depth of its centre. So rays meet splats in the order of
their centres, and a splat smaller than a pixel still fills it. Both matter: with bounding spheres, what lies behind
a surface shows through it.
"""

from __future__ import annotations

import math

import bpy

from . import material
from .graph import Graph, Value, first_output

BLUR_PX2 = 0.3
"""Variance added to the projected Gaussian, in square pixels, as all rasterisers of splats do."""

CARD_REACH = 3.33
"""Half the size of a card in standard deviations: there, even an opaque splat has faded to 1 / 255."""

STAGGER = 1e-4
"""Cards are moved along the view by up to this part of their distance, each by another one. Those of a wall that is
parallel to the picture would lie in one plane, and Cycles steps over what lies right behind a hit."""

NEAR = 0.01
"""Splats nearer to the camera's plane than this are left out."""

_MARGIN = 1.3
"""How far outside of the picture the slant of a projection still grows, in parts of the picture's half."""


def pixel_angle(scene: bpy.types.Scene) -> float:
    """Size of a pixel at distance 1 from the scene's camera; 0 if that is no perspective camera."""
    camera = scene.camera
    if camera is None or camera.type != "CAMERA" or camera.data.type != "PERSP":
        return 0.0
    render = scene.render
    scale = render.resolution_percentage / 100
    width, height = render.resolution_x * scale, render.resolution_y * scale
    aspect = render.pixel_aspect_x / render.pixel_aspect_y
    data = camera.data
    is_wide = data.sensor_fit == "HORIZONTAL" or (data.sensor_fit == "AUTO" and aspect * width >= height)
    fitted = width if is_wide else height / aspect
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    return float(sensor / data.lens / fitted)


def slant_limit(scene: bpy.types.Scene) -> float:
    """The largest tangent of the angle to the camera's axis for which splats are projected as they stand there."""
    render = scene.render
    scale = render.resolution_percentage / 100
    half = max(render.resolution_x, render.resolution_y) * scale / 2
    shift = 1.0
    if scene.camera is not None and scene.camera.type == "CAMERA":
        shift += 2 * max(abs(scene.camera.data.shift_x), abs(scene.camera.data.shift_y))
    return float(_MARGIN * half * shift * pixel_angle(scene)) or math.inf


def add_cards(
    graph: Graph,
    points: Value,
    sigmas: list[Value],
    rotation: Value,
    pixel: Value,
    limit: Value,
    surface: Value,
) -> bpy.types.NodeSocket:
    """Instances of a card for each of the points, with the attributes that the card materials read.

    Args:
        sigmas: the three standard deviations. rotation: of the splat's axes in the object. pixel: see `pixel_angle`.
        limit: see `slant_limit`. surface: the cards' material.
    """
    camera = graph.add("GeometryNodeObjectInfo", transform_space="RELATIVE")
    graph.connect(camera.inputs["Object"], graph.out("GeometryNodeInputActiveCamera"))
    turned = camera.outputs["Rotation"]
    to_camera = graph.out("FunctionNodeInvertRotation", turned)
    from_camera = graph.vector("SUBTRACT", graph.out("GeometryNodeInputPosition"), camera.outputs["Location"])
    x, y, z = _axes(graph, _turn(graph, from_camera, to_camera))
    depth = graph.math("MULTIPLY", z, -1.0)
    slant_x, slant_y = (_clamped(graph, graph.math("DIVIDE", each, depth), limit) for each in (x, y))
    blur = graph.math("MULTIPLY", _square(graph, graph.math("MULTIPLY", depth, pixel)), BLUR_PX2)
    xx, xy, yy = _covariance(graph, sigmas, rotation, to_camera, slant_x, slant_y, blur)
    size, angle = _ellipse(graph, xx, xy, yy)
    facing = graph.out(
        "FunctionNodeRotateRotation",
        turned,
        graph.out("FunctionNodeEulerToRotation", graph.out("ShaderNodeCombineXYZ", 0.0, 0.0, angle)),
        rotation_space="LOCAL",
    )
    visible = graph.out(
        "GeometryNodeDeleteGeometry", points, graph.math("LESS_THAN", depth, NEAR), domain="POINT"
    )
    staggered = graph.vector("SCALE", from_camera)
    graph.connect(staggered.node.inputs["Scale"], graph.out("FunctionNodeRandomValue", 1.0, 1.0 + STAGGER))
    place = graph.vector("ADD", staggered, camera.outputs["Location"])
    return _instances(graph, visible, place, facing, size, _card(graph, surface))


def _covariance(
    graph: Graph,
    sigmas: list[Value],
    rotation: Value,
    to_camera: Value,
    slant_x: Value,
    slant_y: Value,
    blur: Value,
) -> tuple[Value, Value, Value]:
    """Of the projected Gaussian, in the plane through its centre parallel to the picture: xx, xy and yy."""
    xx, xy, yy = blur, 0.0, blur
    for axis, sigma in zip(((1, 0, 0), (0, 1, 0), (0, 0, 1)), sigmas, strict=True):
        arm = graph.vector("SCALE", _turn(graph, _turn(graph, axis, rotation), to_camera))
        graph.connect(arm.node.inputs["Scale"], sigma)
        x, y, z = _axes(graph, arm)
        across = graph.math("MULTIPLY_ADD", slant_x, z, x)
        up = graph.math("MULTIPLY_ADD", slant_y, z, y)
        xx = graph.math("MULTIPLY_ADD", across, across, xx)
        xy = graph.math("MULTIPLY_ADD", across, up, xy)
        yy = graph.math("MULTIPLY_ADD", up, up, yy)
    return xx, xy, yy


def _ellipse(graph: Graph, xx: Value, xy: Value, yy: Value) -> tuple[Value, Value]:
    """Half the size of a card around the ellipse of this covariance, and the angle by which it is turned."""
    mean = graph.math("MULTIPLY", graph.math("ADD", xx, yy), 0.5)
    half = graph.math("MULTIPLY", graph.math("SUBTRACT", xx, yy), 0.5)
    radius = graph.math("SQRT", graph.math("MULTIPLY_ADD", half, half, _square(graph, xy)))
    longer = graph.math("SQRT", graph.math("ADD", mean, radius))
    # The determinant over the other eigenvalue: their difference would cancel for needles.
    area = graph.math("SQRT", graph.math("SUBTRACT", graph.math("MULTIPLY", xx, yy), _square(graph, xy)))
    shorter = graph.math("DIVIDE", area, longer)
    size = graph.vector("SCALE", graph.out("ShaderNodeCombineXYZ", longer, shorter, 1.0))
    graph.connect(size.node.inputs["Scale"], CARD_REACH)
    return size, graph.math("MULTIPLY", graph.math("ARCTAN2", xy, half), 0.5)


def _card(graph: Graph, surface: Value) -> bpy.types.NodeSocket:
    """A square from -1 to 1 whose attribute tells where on it one is, in standard deviations."""
    square = graph.out("GeometryNodeMeshGrid", 2.0, 2.0, 2, 2)
    place = graph.vector("SCALE", graph.out("GeometryNodeInputPosition"))
    graph.connect(place.node.inputs["Scale"], CARD_REACH)
    square = graph.out(
        "GeometryNodeStoreNamedAttribute",
        square,
        None,
        material.PLACE,
        place,
        data_type="FLOAT_VECTOR",
        domain="POINT",
    )
    return graph.out("GeometryNodeSetMaterial", square, None, surface)


def _instances(
    graph: Graph, points: Value, place: Value, rotation: Value, size: Value, card: Value
) -> bpy.types.NodeSocket:
    """Cards on new points that carry the colour alone: made real, each attribute would be there four times."""
    count = first_output(graph.add("GeometryNodeAttributeDomainSize", points, component="POINTCLOUD"))

    def sampled(value: Value, data_type: str) -> bpy.types.NodeSocket:
        index = graph.out("GeometryNodeInputIndex")
        return graph.out("GeometryNodeSampleIndex", points, value, index, data_type=data_type)

    bare = graph.out("GeometryNodePoints", count, sampled(place, "FLOAT_VECTOR"))
    color = graph.add("GeometryNodeInputNamedAttribute", material.COLOR, data_type="FLOAT_COLOR")
    bare = graph.out(
        "GeometryNodeStoreNamedAttribute",
        bare,
        None,
        material.COLOR,
        sampled(first_output(color), "FLOAT_COLOR"),
        data_type="FLOAT_COLOR",
        domain="POINT",
    )
    return graph.out(
        "GeometryNodeInstanceOnPoints",
        bare,
        None,
        card,
        None,
        None,
        sampled(rotation, "QUATERNION"),
        sampled(size, "FLOAT_VECTOR"),
    )


def _turn(graph: Graph, vector: Value, rotation: Value) -> bpy.types.NodeSocket:
    return graph.out("FunctionNodeRotateVector", vector, rotation)


def _axes(graph: Graph, vector: Value) -> tuple[Value, Value, Value]:
    x, y, z = graph.add("ShaderNodeSeparateXYZ", vector).outputs
    return x, y, z


def _square(graph: Graph, value: Value) -> bpy.types.NodeSocket:
    return graph.math("MULTIPLY", value, value)


def _clamped(graph: Graph, value: Value, limit: Value) -> bpy.types.NodeSocket:
    return graph.math("MAXIMUM", graph.math("MINIMUM", value, limit), graph.math("MULTIPLY", limit, -1.0))
