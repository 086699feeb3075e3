"""What is made of frames once they are rendered."""

from __future__ import annotations

import bpy

from .background import setup_background
from .compositor import setup_compositor
from .movie import write_movie
from .plan import RenderError, RenderPlan


def make_outputs(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, plan: RenderPlan) -> list[str]:
    """Make what the scene's settings ask for; returns what the artist still has to do.

    Raises:
        NoFramesError, RenderError: something could not be made.
    """
    settings = scene.splinescape.render
    camera = bpy.data.objects.get(plan.camera)
    if camera is None:
        raise RenderError("The camera of the frames was deleted or renamed: the frames are in their folder")
    todo = []
    if settings.make_background or settings.make_compositor:
        scene.camera = camera  # another would not fit the frames
    if settings.make_background:
        setup_background(scene, camera, plan.folder)
    if settings.make_compositor:
        todo.append(setup_compositor(scene, view_layer, plan.folder).todo)
    if settings.make_movie and len(plan.frames) > 1:  # last: the others do not need it
        write_movie(scene, plan.folder, plan.width, plan.height)
    return [each for each in todo if each]
