"""`scene.splinescape.path`."""

import bpy

ORIENTATIONS = (
    ("TARGET", "Look At", "The camera looks at an object; where that is a curve, its aim runs along it"),
    ("TANGENT", "Along the Path", "The camera looks where it goes, upright"),
    ("FORWARD", "Straight Ahead", "The camera keeps the direction of the input camera"),
    (
        "CAMERA",
        "Keyframes",
        "The camera turns as an animated camera or object does over the scene's frame range",
    ),
)


def _redraw(_self: object, context: bpy.types.Context) -> None:
    from . import overlay

    overlay.refresh(context)


class PathSettings(bpy.types.PropertyGroup):
    """What moves the camera, and what is drawn of it."""

    object: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Path",
        description="A curve that the camera follows, or an animated camera that moves over the scene's frame range",
        poll=lambda _self, candidate: candidate.type in {"CURVE", "CAMERA"},
        update=_redraw,
    )
    orientation: bpy.props.EnumProperty(
        name="Direction",
        description="Where the camera looks while it follows the curve; the curve's tilt (Ctrl+T) is its roll",
        items=ORIENTATIONS,
        default="FORWARD",
        update=_redraw,
    )
    target: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="The camera looks at this object all along the path; a curve is followed from end to end",
        update=_redraw,
    )
    guide: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Turns Like",
        description="Animated camera or object whose rotation over the scene's frame range the camera takes",
        update=_redraw,
    )
    show_overlay: bpy.props.BoolProperty(
        name="Show Cameras",
        description="Draw the cameras along the path in the viewport",
        default=True,
        update=_redraw,
    )
    frusta: bpy.props.IntProperty(
        name="Cameras",
        description="How many cameras are drawn along the path",
        default=24,
        min=2,
        max=200,
        update=_redraw,
    )
    frustum_size: bpy.props.FloatProperty(
        name="Size",
        description="Size of the drawn cameras",
        default=1.0,
        min=0.05,
        max=20.0,
        subtype="FACTOR",
        soft_max=4.0,
        update=_redraw,
    )


CLASSES = (PathSettings,)
