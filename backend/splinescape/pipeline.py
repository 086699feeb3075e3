"""From one picture and a camera path to a scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event as CancelEvent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape import __version__, engines
from splinescape.camera.path import CameraPath
from splinescape.camera.shapes import scene_radius
from splinescape.camera.view import View
from splinescape.checkpoint import Checkpoint, Job, SavedFrame
from splinescape.coarse.expand import Engines, call_depth, call_inpainter, expand_view, grow_scene
from splinescape.coarse.report import CoarseFrame, CoarseSummary
from splinescape.coarse.walk import DensePath, Phase, Walk
from splinescape.config import SceneConfig
from splinescape.depth import DepthEstimator
from splinescape.errors import CancelledError, InputError
from splinescape.events import CoarseReported, FrameAdded, Note, OnEvent, Progress, SceneChanged, StageStarted
from splinescape.inpaint import Inpainter
from splinescape.picture.border import add_border
from splinescape.picture.fit import fit_picture
from splinescape.raster import Rasterizer
from splinescape.scene.frame import Frame
from splinescape.scene.lift import lift_frame
from splinescape.scene.meta import SceneMeta
from splinescape.scene.scene import Scene
from splinescape.scene.shell import shell_radius
from splinescape.scene.splats import Splats
from splinescape.train.trainer import Schedule, TrainingView, train_splats

FIRST_SCHEDULE = Schedule(steps=100)
GROW_SCHEDULE = Schedule(steps=60)
FINE_SCHEDULE = Schedule(steps=200, lr_sh=0.005, lr_log_scales=0.005, lr_opacity=0.02, lr_means=0.01, lr_quats=0.001)


@dataclass(frozen=True, eq=False)
class SceneResult:
    """What a run gives back.

    Attributes:
        scene: the splats, ready to render and save.
        frames: input view first, then the outpainted canvas, then every expanded frame.
        path: the camera path that was walked, as dense poses.
        summary: the coarse summary; empty for stages before coarse.
    """

    scene: Scene
    frames: list[Frame]
    path: CameraPath
    summary: CoarseSummary

    def save_ply(self, path: str | Path) -> None:
        """Write gf.ply; `load_scene` gives back exactly these numbers."""
        self.scene.save_ply(path)


def _ignore(_event: object) -> None:
    pass


class ScenePipeline:
    """The pipeline with its settings and engines; `run` may be called many times."""

    def __init__(
        self,
        config: SceneConfig | None = None,
        *,
        inpainter: Inpainter | str | None = None,
        depth: DepthEstimator | str | None = None,
        rasterizer: Rasterizer | str | None = None,
    ) -> None:
        """Choose the engines.

        Args:
            config: settings; the defaults when None.
            inpainter, depth, rasterizer: an engine's name, an object with the role's method, or None for the best
                available here.

        Raises:
            InputError: no engine has that name. EngineUnavailableError: it cannot run here.
        """
        self.config = config or SceneConfig()
        self._notes: list[str] = []
        self._names: dict[str, str] = {}
        self._engines = Engines(
            self._engine("inpaint", engines.INPAINTERS, inpainter),
            self._engine("depth", engines.DEPTH_ESTIMATORS, depth),
            self._engine("raster", engines.RASTERIZERS, rasterizer),
        )

    def _engine(self, role: str, table: list[engines.EngineEntry], wanted: Any) -> Any:
        if wanted is not None and not isinstance(wanted, str):
            self._names[role] = type(wanted).__name__
            return wanted
        choice = engines.choose(role, table, wanted, self.config)
        self._names[role] = choice.name
        self._notes.append(f"{role} engine: {choice.name} ({choice.reason})")
        return choice.engine

    def run(
        self,
        rgb_hw3: NDArray[np.uint8],
        path: CameraPath | None = None,
        *,
        focal_px: float | None = None,
        on_event: OnEvent | None = None,
        cancel: CancelEvent | None = None,
        checkpoint_dir: str | Path | None = None,
    ) -> SceneResult:
        """Make a scene.

        Args:
            rgb_hw3: (H, W, 3) uint8 picture, upright.
            path: camera path in the picture's world; None walks the spiral of the settings.
            focal_px: focal length in pixels of `rgb_hw3` if it is known, for instance from EXIF.
            on_event: told what happens; `print` works.
            cancel: set it to stop; finished frames stay in `checkpoint_dir`.
            checkpoint_dir: folder for checkpoints; an unfinished run of the same job there is continued.

        Raises:
            InputError: the picture or a setting cannot be used, or the folder holds another job.
            CancelledError: `cancel` was set.
        """
        _check_picture(rgb_hw3, focal_px)
        run = _Run(self.config, self._engines, self._names, on_event or _ignore, cancel)
        for note in self._notes:
            run.emit(Note(note))
        if checkpoint_dir is not None:
            run.checkpoint = Checkpoint(Path(checkpoint_dir))
            run.checkpoint.begin(Job(rgb_hw3, self.config, path, focal_px, self._names))
        return run.make(rgb_hw3, path, focal_px)


def _check_picture(rgb: NDArray[np.uint8], focal_px: float | None) -> None:
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise InputError("the picture must be a (height, width, 3) uint8 array")
    if focal_px is not None and not (np.isfinite(focal_px) and focal_px > 0):
        raise InputError(f"focal_px must be a positive number of pixels, not {focal_px}")


@dataclass(eq=False)
class _Run:
    """One scene in the making."""

    config: SceneConfig
    engines: Engines
    names: dict[str, str]
    emit: OnEvent
    cancel: CancelEvent | None
    checkpoint: Checkpoint | None = None

    def make(self, rgb: NDArray[np.uint8], path: CameraPath | None, focal_px: float | None) -> SceneResult:
        saved = self.checkpoint.load() if self.checkpoint is not None else []
        if saved:
            self.emit(Note(f"continuing after {len(saved)} finished frames"))
        frames, parts = [s.frame for s in saved], [s.splats for s in saved]
        if len(saved) < self._first_count():
            frames, parts = self._first_frames(rgb, focal_px)
            saved = []
        else:
            for i, s in enumerate(saved):
                self._announce(i, s.frame, s.splats)
        splats = Splats.concatenate(parts)
        shell = shell_radius(frames[self._first_count() - 1].depth)
        self.emit(SceneChanged(splats))
        path = path or self._spiral(frames)
        summary = CoarseSummary(scene_frames=len(frames), gaussian_frames=len(frames), total_splats=len(splats))
        if self.config.stage in ("coarse", "fine"):
            splats, summary = self._coarse(path, frames, parts, splats, shell, saved)
        if self.config.stage == "fine":
            splats = self._fine(frames, splats)
        meta = SceneMeta(
            version=__version__,
            K_33=frames[0].K_33,
            width=frames[0].width,
            height=frames[0].height,
            seed=self.config.seed,
            engines=self.names,
        )
        return SceneResult(Scene(splats, meta, self.engines.rasterizer), frames, path, summary)

    def _first_count(self) -> int:
        """Frames before expansion: the picture, and its outpainted canvas if there is one."""
        return 1 if self.config.stage == "no-outpaint" else 2

    def _first_frames(self, rgb: NDArray[np.uint8], focal_px: float | None) -> tuple[list[Frame], list[Splats]]:
        fitted = fit_picture(rgb, self.config.max_resolution)
        for note in fitted.notes:
            self.emit(Note(note))
        focal = None if focal_px is None else focal_px * fitted.scale
        expansion = 0.0 if self.config.stage == "no-outpaint" else self.config.expansion_percent
        canvas = add_border(fitted.rgb, expansion)
        height, width = canvas.inpaint.shape
        K = None if focal is None else np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        view = View(width, height, K, np.eye(4))
        filled = canvas.rgb
        if canvas.inpaint.any():
            self._stage("outpaint", f"filling the border of a {width}x{height} canvas")
            filled = call_inpainter(self.engines.inpainter, canvas.rgb, canvas.inpaint, view, self.config.seed, None)
        self._stage("depth", "predicting depth and focal length")
        prediction = call_depth(self.engines.depth, filled, K, view)
        whole = Frame(
            rgb=filled.astype(np.float32) / 255,
            depth=prediction.depth,
            confidence=prediction.confidence,
            inpaint=np.ones((height, width), bool),
            inpaint_wo_edge=np.ones((height, width), bool),
            K_33=prediction.K_33.astype(np.float64),
            cam_T_world=np.eye(4),
        )
        frames = _split_canvas(whole, canvas.inpaint, canvas.left, canvas.top)[: self._first_count()]
        keeps = [~canvas.inpaint, canvas.inpaint][: len(frames)]
        shell = shell_radius(prediction.depth)
        parts = [lift_frame(whole, shell, keep) for keep in keeps]
        self._stage("train", f"fitting {sum(map(len, parts))} splats to the picture")
        view_all = TrainingView(whole.rgb, np.ones((height, width), np.float32), whole.K_33, whole.cam_T_world)
        trained = train_splats(
            Splats.concatenate(parts), 0, [view_all], self.engines.rasterizer, FIRST_SCHEDULE, self._steps("train"), self.cancel
        )
        parts = _cut(trained, [len(p) for p in parts])
        for i, (frame, part) in enumerate(zip(frames, parts, strict=True)):
            if self.checkpoint is not None:
                self.checkpoint.save(i, SavedFrame(frame, part, {}))
            self._announce(i, frame, part)
        return frames, parts

    def _spiral(self, frames: list[Frame]) -> CameraPath:
        config = self.config
        widest = frames[-1] if len(frames) == 1 else frames[1]
        radius = scene_radius(widest.depth, widest.K_33, config.traj_min_percentage, config.traj_max_percentage)
        return CameraPath.spiral(
            radius,
            forward_ratio=config.traj_forward_ratio,
            backward_ratio=config.traj_backward_ratio,
            wide=widest.width >= widest.height,
        )

    def _coarse(
        self,
        path: CameraPath,
        frames: list[Frame],
        parts: list[Splats],
        splats: Splats,
        shell: float,
        saved: list[SavedFrame],
    ) -> tuple[Splats, CoarseSummary]:
        config, rasterizer = self.config, self.engines.rasterizer
        self._stage("coarse", "looking for uncovered views along the path")
        dense = _dense_path(path, frames, config)
        state = saved[-1].state if saved else {}
        walk = Walk.restore(dense, config, rasterizer, state) if state else Walk.begin(dense, config, rasterizer, splats)
        for index, phase in walk.poses():
            self._check_cancel()
            added = len(frames) - 2
            self.emit(Progress("coarse", added, config.n_frames - 2))
            self._stage(phase, f"pose {index}")
            seed = config.seed + 1 + len(frames)
            frame = expand_view(dense.expanded_view(index), frames, splats, shell, self.engines, seed)
            new = (
                Splats.empty()
                if frame is None
                else grow_scene(frame, frames, splats, shell, rasterizer, GROW_SCHEDULE, self._steps(phase), self.cancel)
            )
            if frame is None or len(new) == 0:
                walk.skip(index)
                continue
            ratio = float(walk.ratios[index] if phase == "expanded" else walk.open_shares[index])
            splats = Splats.concatenate([splats, new])
            report = CoarseFrame(index, ratio, int(frame.inpaint.sum()), int(frame.inpaint_wo_edge.sum()), len(new))
            walk.add(phase, report, new, splats)
            if self.checkpoint is not None:
                self.checkpoint.save(len(frames), SavedFrame(frame, new, walk.state()))
            self._announce(len(frames), frame, new, phase)
            frames.append(frame)
            parts.append(new)
            self.emit(SceneChanged(splats))
        summary = walk.summary(len(parts), len(splats))
        self.emit(CoarseReported(summary))
        return splats, summary

    def _fine(self, frames: list[Frame], splats: Splats) -> Splats:
        self._stage("fine", "refining all splats over all frames")
        views = [
            TrainingView(f.rgb, f.inpaint.astype(np.float32), f.K_33, f.cam_T_world, float(f.inpaint.sum()) ** 0.5)
            for f in frames
        ]
        splats = train_splats(
            splats, 0, views, self.engines.rasterizer, FINE_SCHEDULE, self._steps("fine"), self.cancel
        )
        self.emit(SceneChanged(splats))
        return splats

    def _announce(self, index: int, frame: Frame, splats: Splats, phase: Phase = "expanded") -> None:
        role = ("input", "outpaint")[index] if index < 2 else phase
        self.emit(FrameAdded(role, index, frame, splats))  # type: ignore[arg-type]

    def _stage(self, name: str, detail: str) -> None:
        self._check_cancel()
        self.emit(StageStarted(name, detail))

    def _check_cancel(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise CancelledError("stopped on request")

    def _steps(self, stage: str) -> Callable[[int, int, float | None], None]:
        last = [0.0]

        def on_step(step: int, total: int, eta_s: float | None) -> None:
            now = time.monotonic()
            if now - last[0] >= 0.1 or step == total:
                last[0] = now
                self.emit(Progress(stage, step, total, eta_s))

        return on_step


def _split_canvas(whole: Frame, border: NDArray[np.bool_], left: int, top: int) -> list[Frame]:
    """The picture's own frame (cropped; its principal point moves by the border) and the canvas frame."""
    height, width = whole.height - 2 * top, whole.width - 2 * left
    window = np.s_[top : top + height, left : left + width]
    K = whole.K_33.copy()
    K[:2, 2] -= (left, top)
    full = np.ones((height, width), bool)
    picture = Frame(
        whole.rgb[window], whole.depth[window], whole.confidence[window], full, full, K, whole.cam_T_world
    )
    canvas = Frame(whole.rgb, whole.depth, whole.confidence, border, border, whole.K_33, whole.cam_T_world)
    return [picture, canvas]


def _cut(splats: Splats, sizes: list[int]) -> list[Splats]:
    bounds = np.cumsum([0, *sizes])
    return [
        Splats(*(t[a:b].clone() for _, t in splats.tensors())) for a, b in zip(bounds[:-1], bounds[1:], strict=True)
    ]


def _dense_path(path: CameraPath, frames: list[Frame], config: SceneConfig) -> DensePath:
    picture, canvas = frames[0], frames[1]
    count = config.n_frames * config.coarse_dense_multiplier
    cams = path.sample(count)
    fovs = path.fovs(count)
    Ks = np.repeat(canvas.K_33[None], count, 0)
    if fovs is not None:
        focal = picture.height / 2 / np.tan(np.asarray(fovs) / 2)
        Ks[:, 0, 0] *= focal / Ks[:, 1, 1]
        Ks[:, 1, 1] = focal
    return DensePath(
        cams, Ks, (canvas.width, canvas.height), (picture.width, picture.height), config.coarse_margin
    )
