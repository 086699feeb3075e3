"""`scene.splinescape.path`."""

import bpy


class PathSettings(bpy.types.PropertyGroup):
    """What moves the camera."""

    object: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Camera Path",
        description="A curve that the camera follows, or an animated camera",
        poll=lambda _self, candidate: candidate.type in {"CURVE", "CAMERA"},
    )
    target: bpy.props.PointerProperty(
        type=bpy.types.Object, name="Look At", description="The camera looks at this object all along the path"
    )


CLASSES = (PathSettings,)
