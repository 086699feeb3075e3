"""Logs a running job into Rerun: cameras with pictures, depth and masks, splats, and the final render."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import rerun as rr
import torch
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.events import Event, FrameAdded
from splinescape.render import RenderedFrame
from splinescape.scene.frame import Frame
from splinescape.scene.splats import Splats
from splinescape.viewer.rerun_blueprint import COARSE, FINAL, INITIALIZATION, Shown, blueprint

JPEG_QUALITY = 90
FIRST_EXPANDED = 4


class RerunLog:
    """A listener for pipeline events that fills `recording`.

    The entities are those of the original VistaDream viewer: /world/camera_input, /world/camera_outpaint,
    /world/camera_4 and on for expanded frames, each with pinhole/rgb, depth and masks; /final for the result.
    """

    def __init__(self, recording: rr.RecordingStream) -> None:
        self.recording = recording
        self._time = 0
        self._shown = Shown()
        self.recording.set_time("time", sequence=0)
        self.recording.log("/", rr.ViewCoordinates.RDF, static=True)

    def __call__(self, event: Event) -> None:
        """Log one event; those that a viewer does not show are ignored."""
        if isinstance(event, FrameAdded):
            self._frame_added(event)

    def scene(self, splats: Splats) -> None:
        """Log the finished scene and turn to the last tab."""
        self.recording.log("/final/final_gaussian_scene", _gaussians(splats), static=True)
        self._show(FINAL)

    def final_frame(self, frame: RenderedFrame) -> None:
        """Log one picture of the final render."""
        self._tick()
        self._log_camera("/final/camera", frame.view, plane_distance=0.1)
        self.recording.log("/final/camera/pinhole/rgb", _picture(frame.rgb))
        # Half precision: three digits are plenty for a look, and 150 depth maps are most of the recording.
        self.recording.log("/final/camera/pinhole/depth", _depth(frame.depth.astype(np.float16)))

    def _frame_added(self, event: FrameAdded) -> None:
        self._tick()
        frame = event.frame
        if event.role in ("input", "outpaint"):
            camera = f"/world/camera_{event.role}"
            near = np.isfinite(frame.depth)
            self._shown = Shown(
                initial=sorted({*self._shown.initial, camera}),
                landscape=frame.width >= frame.height,
                distance=float(np.median(frame.depth[near])) if near.any() else 1.0,
            )
        else:
            expanded = self._shown.expanded
            camera = f"/world/camera_{FIRST_EXPANDED + len(expanded)}"
            self._shown = replace(self._shown, expanded=[*expanded, camera])
        self._log_camera(camera, frame.view, plane_distance=0.05)
        layers = {
            "rgb": _picture((frame.rgb * 255).round().clip(0, 255).astype(np.uint8)),
            "depth": _depth(np.where(_on_edge(frame), 0, frame.depth)),
            "dpt_conf_mask": _mask(frame.confidence > 0),
            "inpaint_mask": _mask(frame.inpaint),
            "inpaint_wo_edges_mask": _mask(frame.inpaint_wo_edge),
        }
        for name, layer in layers.items():
            self.recording.log(f"{camera}/pinhole/{name}", layer)
        self.recording.log(f"{camera}_point_cloud", _points(event.splats))
        self._show(COARSE if self._shown.expanded else INITIALIZATION)

    def _log_camera(self, path: str, view: View, plane_distance: float) -> None:
        rotation, translation = view.cam_T_world[:3, :3], view.cam_T_world[:3, 3]
        self.recording.log(
            path,
            rr.Transform3D(
                mat3x3=rotation, translation=translation, relation=rr.TransformRelation.ChildFromParent
            ),
        )
        self.recording.log(
            f"{path}/pinhole",
            rr.Pinhole(
                image_from_camera=view.K_33,
                resolution=[view.width, view.height],
                camera_xyz=rr.ViewCoordinates.RDF,
                image_plane_distance=plane_distance,
            ),
        )

    def _tick(self) -> None:
        self._time += 1
        self.recording.set_time("time", sequence=self._time)

    def _show(self, tab: int) -> None:
        self.recording.send_blueprint(blueprint(self._shown, tab))


def _on_edge(frame: Frame) -> NDArray[np.bool_]:
    return frame.inpaint & ~frame.inpaint_wo_edge


def _picture(rgb: NDArray[np.uint8]) -> rr.Image | rr.EncodedImage:
    return rr.Image(rgb).compress(jpeg_quality=JPEG_QUALITY)


def _depth(depth: NDArray[np.floating]) -> rr.DepthImage:
    """Depth in scene units, which Rerun calls metres; unknown becomes 0, which Rerun leaves out."""
    return rr.DepthImage(np.where(np.isfinite(depth), depth, 0).astype(depth.dtype), meter=1.0)


def _mask(mask: NDArray[np.bool_]) -> rr.Image:
    return rr.Image(mask.astype(np.uint8) * 255)


def _colors(splats: Splats) -> NDArray[np.uint8]:
    rgba = torch.cat([splats.base_colors, splats.opacities[:, None]], dim=1)
    return (rgba.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()


def _points(splats: Splats) -> rr.Points3D:
    """Splats as discs seen from the front: the radius is the geometric mean of the two longer axes."""
    longer = splats.scales.detach().sort(dim=1).values[:, 1:]
    radii = longer.prod(dim=1).sqrt().cpu().numpy()
    return rr.Points3D(splats.means.detach().cpu().numpy(), radii=radii, colors=_colors(splats)[:, :3])


def _gaussians(splats: Splats) -> rr.GaussianSplats3D:
    return rr.GaussianSplats3D(
        splats.means.detach().cpu().numpy(),
        scales=splats.scales.detach().cpu().numpy(),
        quaternions=splats.quats.detach()[:, [1, 2, 3, 0]].cpu().numpy(),
        colors=_colors(splats),
    )
