"""`scene.splinescape.image`."""

import bpy


class ImageSettings(bpy.types.PropertyGroup):
    """The picture and its camera."""

    image: bpy.props.PointerProperty(
        type=bpy.types.Image, name="Image", description="The picture that becomes a scene"
    )
    camera: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Input Camera",
        description="The camera that stands where the picture was taken; the scene is placed in front of it",
        poll=lambda _self, candidate: candidate.type == "CAMERA",
    )


CLASSES = (ImageSettings,)
