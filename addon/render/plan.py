"""What is to be rendered: which frames, through which camera, in what size, into which folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import bpy
import numpy as np
from numpy.typing import NDArray

from ..splats.pointcloud import is_splats
from .camera import ensure_path_camera
from .files import FrameFolder

Scope = Literal["FRAME", "PATH", "RANGE"]

HIDDEN = "splinescape_in_frames"
"""Custom property of splats that are hidden in renders because the frames show them."""


class RenderError(ValueError):
    """Why frames cannot be rendered: a sentence for people that says what to do."""


@dataclass(frozen=True, eq=False)
class CameraView:
    """A camera in one frame.

    Attributes:
        matrix_world: (4, 4) of the camera. K_33: (3, 3) in pixels of the frame.
    """

    matrix_world: NDArray[np.float64]
    K_33: NDArray[np.float64]


@dataclass(frozen=True)
class RenderPlan:
    """Frames to render. Names rather than Blender's objects: those do not survive an undo.

    Attributes:
        scene, camera: names. frames: numbers of the scene's frames. width, height: pixels of a frame.
        cameras: the name of each frame's camera, where markers in the timeline switch it.
    """

    scene: str
    camera: str
    frames: tuple[int, ...]
    width: int
    height: int
    folder: FrameFolder
    cameras: tuple[str, ...] = ()

    def camera_in(self, frame: int) -> str:
        """The name of the camera that sees a frame of the plan."""
        return self.cameras[self.frames.index(frame)] if self.cameras else self.camera


def plan_render(
    scene: bpy.types.Scene, scope: Scope, *, percentage: int = 100, folder: Path | None = None
) -> RenderPlan:
    """Decide what is rendered; for the whole path, its camera is made or updated.

    Args:
        scope: FRAME and RANGE are seen through the scene's camera, PATH through the path's.
        percentage: size of the frames in percent of the scene's resolution.
        folder: where to; None for the folder of the scene's settings.

    Raises:
        RenderError, PathError: something is missing.
    """
    splat_objects(scene)
    where = FrameFolder(folder) if folder is not None else frame_folder(scene)
    if scope == "PATH":
        camera = ensure_path_camera(scene)
    elif scene.camera is None:
        raise RenderError("The scene has no camera: make one active, or render the whole path")
    else:
        camera = scene.camera
    frames = {
        "FRAME": (scene.frame_current,),
        "PATH": tuple(range(scene.frame_start, scene.frame_end + 1)),
        "RANGE": tuple(range(scene.frame_start, scene.frame_end + 1, scene.frame_step)),
    }[scope]
    render = scene.render
    width = max(1, render.resolution_x * percentage // 100)
    height = max(1, render.resolution_y * percentage // 100)
    cameras = tuple(_camera_in(scene, each).name for each in frames) if scope == "RANGE" else ()
    return RenderPlan(scene.name, camera.name, frames, width, height, where, cameras)


def _camera_in(scene: bpy.types.Scene, frame: int) -> bpy.types.Object:
    """The scene's camera in a frame, as the markers of the timeline that are bound to cameras switch it."""
    markers = [each for each in scene.timeline_markers if each.camera and not each.camera.hide_render]
    before = [each for each in markers if each.frame <= frame]
    if before:
        return max(before, key=lambda each: each.frame).camera
    return min(markers, key=lambda each: each.frame).camera if markers else scene.camera


def splat_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The splats of a scene that are rendered; what was generated last comes first.

    Raises:
        RenderError: there are none.
    """
    found = [each for each in scene.objects if is_splats(each)]
    if not found:
        raise RenderError("There are no splats in the scene: generate it, or import a splat file")
    shown = [each for each in found if not each.hide_render or each.get(HIDDEN)]
    if not shown:
        raise RenderError(f"All splats are hidden in renders: switch on the camera icon of {found[0].name}")
    generated = scene.splinescape.generate.scene_object
    return sorted(shown, key=lambda each: each != generated)


def frame_folder(scene: bpy.types.Scene) -> FrameFolder:
    """Where the frames of the scene's splats go; no two files in one folder share it.

    Raises:
        RenderError: the folder is beside a .blend that has not been saved yet.
    """
    base = scene.splinescape.render.folder
    if base.startswith("//") and not bpy.data.filepath:
        raise RenderError(
            "Save the .blend first: the frames go into a folder beside it (or choose another folder)"
        )
    name = bpy.path.clean_name(splat_objects(scene)[0].name)
    file = Path(bpy.data.filepath).stem  # "" while it has not been saved
    return FrameFolder(Path(bpy.path.abspath(base)) / file / name / "frames")


def camera_views(plan: RenderPlan) -> dict[int, CameraView]:
    """The camera in each of the frames; the current frame stays what it is.

    Raises:
        RenderError: the camera is no perspective one.
    """
    scene = bpy.data.scenes[plan.scene]
    cameras = {frame: bpy.data.objects[plan.camera_in(frame)] for frame in plan.frames}
    for camera in cameras.values():
        if camera.data.type != "PERSP":
            raise RenderError(
                "The backend renders with perspective cameras only: choose Perspective in the lens of "
                f"{camera.name}, or have Blender render the frames"
            )
    now = scene.frame_current, scene.frame_subframe
    views = {}
    try:
        for frame, camera in cameras.items():
            scene.frame_set(frame)
            views[frame] = CameraView(np.array(camera.matrix_world), _intrinsics(scene, camera, plan))
    finally:
        scene.frame_set(now[0], subframe=now[1])
    return views


def _intrinsics(scene: bpy.types.Scene, camera: bpy.types.Object, plan: RenderPlan) -> NDArray[np.float64]:
    """(3, 3) of the camera as it is now, from the projection that Blender itself draws with."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    projection = camera.evaluated_get(depsgraph).calc_matrix_camera(
        depsgraph,
        x=plan.width,
        y=plan.height,
        scale_x=scene.render.pixel_aspect_x,
        scale_y=scene.render.pixel_aspect_y,
    )
    half_width, half_height = plan.width / 2, plan.height / 2
    return np.array(
        [
            [projection[0][0] * half_width, 0.0, (1 - projection[0][2]) * half_width],
            [0.0, projection[1][1] * half_height, (1 + projection[1][2]) * half_height],
            [0.0, 0.0, 1.0],
        ]
    )
