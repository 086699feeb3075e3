"""`scene.splinescape.generate`."""

import bpy


class GenerateSettings(bpy.types.PropertyGroup):
    """The settings of the next scene, and the job that made the present one."""

    job: bpy.props.StringProperty(name="Job", description="The service's name for the job", options={"HIDDEN"})
    scene_object: bpy.props.PointerProperty(
        type=bpy.types.Object, name="Scene", description="The splats that the job has made"
    )


CLASSES = (GenerateSettings,)
