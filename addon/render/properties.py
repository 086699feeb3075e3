"""`scene.splinescape.render`."""

import bpy


class RenderSettings(bpy.types.PropertyGroup):
    """Where rendered frames go."""

    folder: bpy.props.StringProperty(
        name="Frames", description="Folder of the rendered frames", subtype="DIR_PATH", default="//splinescape/"
    )


CLASSES = (RenderSettings,)
