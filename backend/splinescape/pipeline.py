"""From one picture and a camera path to a scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as CancelEvent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape import __version__, engines
from splinescape.camera.path import CameraPath
from splinescape.camera.shapes import scene_radius
from splinescape.camera.view import View
from splinescape.checkpoint import Checkpoint, Job, Scenery
from splinescape.coarse.expand import Engines, Grown, call_depth, call_inpainter, expand_view, grow_scene
from splinescape.coarse.report import CoarseFrame, CoarseSummary
from splinescape.coarse.walk import DensePath, Phase, Walk
from splinescape.config import SceneConfig
from splinescape.depth import DepthEstimator
from splinescape.errors import CancelledError, InputError
from splinescape.events import (
    CoarseReported,
    FrameAdded,
    FrameRole,
    Note,
    OnEvent,
    Progress,
    SceneChanged,
    StageStarted,
)
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
from splinescape.train.match import match_colors
from splinescape.train.trainer import Schedule, TrainingView, train_splats

FIRST_SCHEDULE = Schedule(steps=60)
GROW_SCHEDULE = Schedule(steps=10)
JOINT_SCHEDULE = Schedule(steps=30, lr_sh=0.01, lr_log_scales=0.02, lr_opacity=0.1, settled=0.0)
SETTLE_SCHEDULE = Schedule(steps=10, lr_sh=0.01, lr_log_scales=0.02, lr_opacity=0.1)
# Means stay: neighbours on a wall lie at equal depths; the smallest move shuffles who is drawn in front (-8 dB).
FINE_SCHEDULE = Schedule(
    steps=200, lr_sh=0.005, lr_log_scales=0.005, lr_opacity=0.02, lr_quats=0.001, dssim=0.2
)


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
        inpainter: Inpainter | engines.Choice | str | None = None,
        depth: DepthEstimator | engines.Choice | str | None = None,
        rasterizer: Rasterizer | engines.Choice | str | None = None,
    ) -> None:
        """Choose the engines.

        Args:
            config: settings; the defaults when None.
            inpainter, depth, rasterizer: an engine's name, an object with the role's method, a choice made before,
                or None for the best available here.

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
        if wanted is not None and not isinstance(wanted, str | engines.Choice):
            self._names[role] = type(wanted).__name__
            return wanted
        choice = (
            wanted if isinstance(wanted, engines.Choice) else engines.choose(role, table, wanted, self.config)
        )
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
        if path is None and self.config.traj_type != "spiral":
            raise InputError(
                f"traj_type is {self.config.traj_type}, which needs a path: give one, or set it to spiral"
            )
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
        done = self.checkpoint.load() if self.checkpoint is not None else None
        if done is None:
            done = self._begin(rgb, focal_px)
            self._save(done)
        else:
            self.emit(Note(f"continuing after {len(done.frames)} finished frames"))
        self._announce_all(done)
        shell = shell_radius(done.frames[self._first_count() - 1].depth)
        path = path or self._spiral(done.frames)
        count = len(done.frames)
        summary = CoarseSummary(scene_frames=count, gaussian_frames=count, total_splats=len(done.splats))
        if self.config.stage in ("coarse", "fine"):
            done, summary = self._coarse(path, done, shell)
        splats = self._refine("fine", done, FINE_SCHEDULE) if self.config.stage == "fine" else done.splats
        first = done.frames[0]
        meta = SceneMeta(
            version=__version__,
            K_33=first.K_33,
            width=first.width,
            height=first.height,
            seed=self.config.seed,
            engines=self.names,
        )
        return SceneResult(Scene(splats, meta, self.engines.rasterizer), done.frames, path, summary)

    def _first_count(self) -> int:
        """Frames before expansion: the picture, and its outpainted canvas if there is one."""
        return 1 if self.config.stage == "no-outpaint" else 2

    def _begin(self, rgb: NDArray[np.uint8], focal_px: float | None) -> Scenery:
        """The picture with its border, its depth, and splats that show it."""
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
            filled = call_inpainter(
                self.engines.inpainter,
                canvas.rgb,
                canvas.inpaint,
                view,
                self.config.seed,
                None,
                self._picture_steps("outpaint"),
                self.cancel,
            )
        self._stage("depth", "predicting depth and focal length")
        prediction = call_depth(self.engines.depth, filled, K, view)
        whole = Frame(
            rgb=filled.astype(np.float32) / np.float32(255),
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
        lifted = [lift_frame(whole, shell, keep) for keep in keeps]
        splats = Splats.concatenate(part.splats for part in lifted)
        pixels, fixed = (np.concatenate([getattr(part, n) for part in lifted]) for n in ("pixels", "fixed"))
        self._stage("train", f"fitting {len(splats)} splats to the picture")
        rasterizer = self.engines.rasterizer
        splats = match_colors(splats, 0, whole, pixels, fixed, rasterizer)
        view_all = TrainingView(
            whole.rgb, np.ones((height, width), np.float32), whole.K_33, whole.cam_T_world
        )
        splats = train_splats(
            splats, [view_all], rasterizer, FIRST_SCHEDULE, fixed, 0, self._steps("train"), self.cancel
        )
        return Scenery(frames, splats, fixed, [len(part.splats) for part in lifted], {})

    def _spiral(self, frames: list[Frame]) -> CameraPath:
        config = self.config
        widest = frames[-1] if len(frames) == 1 else frames[1]
        radius = scene_radius(
            widest.depth, widest.K_33, config.traj_min_percentage, config.traj_max_percentage
        )
        return CameraPath.spiral(
            radius,
            forward_ratio=config.traj_forward_ratio,
            backward_ratio=config.traj_backward_ratio,
            wide=widest.width >= widest.height,
        )

    def _coarse(self, path: CameraPath, done: Scenery, shell: float) -> tuple[Scenery, CoarseSummary]:
        config, rasterizer = self.config, self.engines.rasterizer
        self._stage("coarse", "looking for uncovered views along the path")
        dense = _dense_path(path, done.frames, config)
        if done.state:
            walk = Walk.restore(dense, config, rasterizer, done.splats, done.state)
        else:
            walk = Walk.begin(dense, config, rasterizer, done.splats)
        for index, phase in walk.poses():
            self.emit(Progress("coarse", len(done.frames) - 2, config.n_frames - 2))
            self._stage(phase, f"pose {index}")
            ratio = float(walk.ratios[index] if phase == "expanded" else walk.open_shares[index])
            frame, grown = self._expand(dense.expanded_view(index), done, shell, phase)
            if frame is None:
                walk.skip(index)
                continue
            count = len(grown.splats) - len(done.splats)
            report = CoarseFrame(
                index, ratio, int(frame.inpaint.sum()), int(frame.inpaint_wo_edge.sum()), count
            )
            walk.add(phase, report, grown.splats, count)
            done = Scenery(
                [*done.frames, frame], grown.splats, grown.fixed_colors, [*done.counts, count], walk.state()
            )
            self._save(done)
            self._announce(done, len(done.frames) - 1, phase)
            self.emit(SceneChanged(done.splats))
        summary = walk.summary(len(done.frames), len(done.splats))
        self.emit(CoarseReported(summary))
        return replace(done, splats=self._refine("settle", done, JOINT_SCHEDULE)), summary

    def _expand(self, view: View, done: Scenery, shell: float, phase: Phase) -> tuple[Frame | None, Grown]:
        """Add what `view` uncovers; no frame when there is nothing to add."""
        before = Grown(done.splats, done.fixed_colors)
        seed = self.config.seed + len(done.frames)
        painting, training = self._frame_steps(phase, GROW_SCHEDULE.steps)
        frame = expand_view(
            view,
            done.frames,
            done.splats,
            shell,
            self.engines,
            seed,
            painting,
            self.cancel,
        )
        if frame is None:
            return None, before
        grown = grow_scene(
            frame,
            done.frames,
            before,
            shell,
            self.engines.rasterizer,
            GROW_SCHEDULE,
            training,
            self.cancel,
        )
        return (None if grown is before else frame), grown

    def _refine(self, stage: str, done: Scenery, schedule: Schedule) -> Splats:
        """All splats over all frames, then the picture alone: its fidelity comes first where they disagree."""
        if len(done.frames) == 2 and stage == "settle":
            return done.splats
        views = _training_views(done.frames)
        splats = done.splats
        for views_now, schedule_now in ((views, schedule), (views[:1], SETTLE_SCHEDULE)):
            self._stage(stage, f"{len(views_now)} views" if len(views_now) > 1 else "the picture")
            splats = train_splats(
                splats,
                views_now,
                self.engines.rasterizer,
                schedule_now,
                done.fixed_colors,
                on_step=self._steps(stage),
                cancel=self.cancel,
            )
        self.emit(SceneChanged(splats))
        return splats

    def _announce_all(self, done: Scenery) -> None:
        closing = {f["dense_pose_index"] for f in done.state.get("closing", [])}
        order = [f["dense_pose_index"] for f in done.state.get("frames", [])] + list(closing)
        for index in range(len(done.frames)):
            late = index >= 2 and index - 2 >= len(order) - len(closing)
            self._announce(done, index, "closing" if late else "expanded")
        self.emit(SceneChanged(done.splats))

    def _announce(self, done: Scenery, index: int, phase: Phase) -> None:
        first: tuple[FrameRole, FrameRole] = ("input", "outpaint")
        role: FrameRole = first[index] if index < 2 else phase
        start = sum(done.counts[:index])
        new = Splats(*(t[start : start + done.counts[index]] for _, t in done.splats.tensors()))
        self.emit(FrameAdded(role, index, done.frames[index], new))

    def _save(self, done: Scenery) -> None:
        if self.checkpoint is not None:
            self.checkpoint.save(done)

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

    def _frame_steps(
        self, stage: str, to_train: int
    ) -> tuple[Callable[[int, int], None], Callable[[int, int, float | None], None]]:
        """For an inpainter and for the training after it, counted together: one bar, which never runs back."""
        steps, painted = self._steps(stage), [0]

        def painting(step: int, total: int) -> None:
            painted[0] = total
            steps(step, total + to_train, None)

        def training(step: int, total: int, eta_s: float | None) -> None:
            steps(painted[0] + step, painted[0] + total, eta_s)

        return painting, training

    def _picture_steps(self, stage: str) -> Callable[[int, int], None]:
        """For an inpainter; how long its picture still takes is not guessed."""
        steps = self._steps(stage)
        return lambda step, total: steps(step, total, None)


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


def _training_views(frames: list[Frame]) -> list[TrainingView]:
    """One view per frame, weighted towards the picture; the canvas shows the picture too, so they are one view."""
    canvas = frames[1]
    whole = TrainingView(
        canvas.rgb,
        np.ones(canvas.inpaint.shape, np.float32),
        canvas.K_33,
        canvas.cam_T_world,
        max(1, len(frames) - 2),
    )
    rest = [TrainingView(f.rgb, f.inpaint.astype(np.float32), f.K_33, f.cam_T_world) for f in frames[2:]]
    return [whole, *rest]


def _dense_path(path: CameraPath, frames: list[Frame], config: SceneConfig) -> DensePath:
    picture, canvas = frames[0], frames[1]
    count = config.n_frames * config.coarse_dense_multiplier
    cams = path.sample(count)
    fovs = path.fovs(count)
    Ks = np.repeat(canvas.K_33[None], count, 0)
    if fovs is not None:
        focal = picture.height / 2 / np.tan(np.radians(fovs) / 2)
        Ks[:, 0, 0] *= focal / Ks[:, 1, 1]
        Ks[:, 1, 1] = focal
    return DensePath(
        cams, Ks, (canvas.width, canvas.height), (picture.width, picture.height), config.coarse_margin
    )
