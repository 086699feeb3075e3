"""`scene.splinescape.image`."""

import bpy


def _image_chosen(settings: bpy.types.PropertyGroup, _context: object) -> None:
    from .choosing import after_choice

    after_choice(settings.id_data)


class ImageSettings(bpy.types.PropertyGroup):
    """The picture and its camera."""

    image: bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Image",
        description="The picture that becomes a scene",
        poll=lambda _self, candidate: candidate.source != "VIEWER",
        update=_image_chosen,
    )
    camera: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Input Camera",
        description="The camera that stands where the picture was taken; the scene is placed in front of it",
        poll=lambda _self, candidate: candidate.type == "CAMERA",
    )
    use_camera_lens: bpy.props.BoolProperty(
        name="Lens from Camera",
        description="Take the input camera's focal length as that of the picture. Otherwise it comes from the"
        " picture's EXIF data or is estimated",
    )


CLASSES = (ImageSettings,)
