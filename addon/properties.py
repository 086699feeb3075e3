"""What is saved in the .blend, a group of settings for each room: `scene.splinescape` and `object.splinescape`."""

import bpy

from .display.properties import CLASSES as DISPLAY_CLASSES
from .display.properties import SplatDisplay
from .generate.properties import CLASSES as GENERATE_CLASSES
from .generate.properties import GenerateSettings
from .image.properties import CLASSES as IMAGE_CLASSES
from .image.properties import ImageSettings
from .path.properties import CLASSES as PATH_CLASSES
from .path.properties import PathSettings
from .render.properties import CLASSES as RENDER_CLASSES
from .render.properties import FrameSettings


class SceneSettings(bpy.types.PropertyGroup):
    """`scene.splinescape`."""

    image: bpy.props.PointerProperty(type=ImageSettings)
    path: bpy.props.PointerProperty(type=PathSettings)
    generate: bpy.props.PointerProperty(type=GenerateSettings)
    render: bpy.props.PointerProperty(type=FrameSettings)


class ObjectSettings(bpy.types.PropertyGroup):
    """`object.splinescape`."""

    display: bpy.props.PointerProperty(type=SplatDisplay)


_CLASSES = (
    *IMAGE_CLASSES,
    *PATH_CLASSES,
    *GENERATE_CLASSES,
    *DISPLAY_CLASSES,
    *RENDER_CLASSES,
    SceneSettings,
    ObjectSettings,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.splinescape = bpy.props.PointerProperty(type=SceneSettings)
    bpy.types.Object.splinescape = bpy.props.PointerProperty(type=ObjectSettings)


def unregister() -> None:
    del bpy.types.Object.splinescape
    del bpy.types.Scene.splinescape
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
