"""The rendered frames behind what a camera sees in the viewport."""

from __future__ import annotations

import bpy

from .files import FrameFolder
from .sequence import follow_frames, load, span_of


def setup_background(
    scene: bpy.types.Scene, camera: bpy.types.Object, folder: FrameFolder, movie: bool = False
) -> bpy.types.Image:
    """Show the frames of `folder`, or their movie, as the camera's background; done again, it brings it up to date.

    Raises:
        NoFramesError: there are none.
    """
    span = span_of(scene, folder)
    image = load(scene, folder, "movie" if movie else "rgb")
    ours = {scene.splinescape.render.rgb_image, scene.splinescape.render.movie_image}
    entries = camera.data.background_images
    background = next((each for each in entries if each.image in ours and each.image), None) or entries.new()
    background.image = image
    background.alpha = 1.0
    background.display_depth = "BACK"
    background.frame_method = "STRETCH"
    follow_frames(background.image_user, span, movie)
    camera.data.show_background_images = True
    return image
