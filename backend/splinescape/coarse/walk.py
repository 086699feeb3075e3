"""Coarse expansion: walk the path, expand where views are uncovered, close what is left.

Selection follows the settings: a pose is expanded when it uncovers between coarse_min_inpaint_ratio and
coarse_max_inpaint_ratio of its view, the largest first. What stays open below the minimum would still be black in the
film, so frames that the budget of n_frames leaves over close it, worst view first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.coarse.report import CoarseFrame, CoarseSummary, diagnose
from splinescape.coarse.scoring import can_see, uncovered_shares
from splinescape.coarse.selection import candidates, select_pose
from splinescape.config import SceneConfig
from splinescape.raster import Rasterizer
from splinescape.scene.splats import Splats

Phase = Literal["expanded", "closing"]

CLOSE_ABOVE = 0.0004
"""A view of the picture's size is closed when more than this share of it is uncovered."""

_SCORE_SCALE = 0.25
_POINTS = 5000


@dataclass(frozen=True, eq=False)
class DensePath:
    """The candidate poses: (P, 4, 4) view matrices, (P, 3, 3) intrinsics at canvas size, and the sizes in pixels."""

    cams_T_world: NDArray[np.float64]
    Ks_33: NDArray[np.float64]
    canvas_wh: tuple[int, int]
    picture_wh: tuple[int, int]
    margin: int

    def expanded_view(self, index: int) -> View:
        """The view to expand at a pose: the canvas plus half the margin on every side."""
        width, height = self.canvas_wh[0] + self.margin, self.canvas_wh[1] + self.margin
        return View(width, height, _centred(self.Ks_33[index], width, height), self.cams_T_world[index])


def _centred(K_33: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    K = K_33.copy()
    K[..., 0, 2], K[..., 1, 2] = width / 2, height / 2
    return K


@dataclass(eq=False)
class Walk:
    """Where coarse expansion stands; `state()` and `restore()` carry it through a checkpoint.

    Attributes:
        ratios: (P,) uncovered share of every pose at canvas size, margin not counted; kept up while poses are chosen
            by it.
        open_shares: (P,) uncovered share of every pose at the picture's size; NaN = not measured since it changed.
        frames, closing: what was added so far.
        selecting: whether the selection policy may still find a pose.
        stopped_at: (P,) ratios when it found none any more.
    """

    path: DensePath
    config: SceneConfig
    rasterizer: Rasterizer
    splats: Splats
    ratios: NDArray[np.float64]
    open_shares: NDArray[np.float64]
    frames: list[CoarseFrame] = field(default_factory=list)
    closing: list[CoarseFrame] = field(default_factory=list)
    selecting: bool = True
    hopeless: list[int] = field(default_factory=list)
    stopped_at: NDArray[np.float64] | None = None

    @staticmethod
    def begin(path: DensePath, config: SceneConfig, rasterizer: Rasterizer, splats: Splats) -> Walk:
        """Score every pose against the first splats."""
        count = len(path.cams_T_world)
        walk = Walk(path, config, rasterizer, splats, np.ones(count), np.full(count, np.nan))
        walk._score(np.ones(count, bool))
        return walk

    def budget_left(self) -> int:
        """Frames that may still be added: n_frames less the picture, its border and what came since."""
        return self.config.n_frames - 2 - len(self.frames) - len(self.closing)

    def poses(self) -> Iterator[tuple[int, Phase]]:
        """Yield the next pose to add and why, until nothing more is needed or allowed."""
        while self.budget_left() > 0 and self.selecting:
            index = select_pose(self.ratios, self._chosen() + self.hopeless, self.config)
            if index is None:
                self.selecting, self.stopped_at = False, self.ratios.copy()
            else:
                yield index, "expanded"
        while self.budget_left() > 0:
            index = self._worst_open()
            if index is None:
                return
            yield index, "closing"

    def add(self, phase: Phase, frame: CoarseFrame, scene: Splats, new: int) -> None:
        """Record a frame and, while there is a choice to make, rescore the poses that see its `new` last splats."""
        (self.frames if phase == "expanded" else self.closing).append(frame)
        step = max(1, new // _POINTS)
        points = scene.means[-new::step].double().numpy()
        width, height = self.path.canvas_wh
        seen = can_see(points, self.path.cams_T_world, self.path.Ks_33, width, height)
        self.splats = scene
        self.open_shares[seen & ~(self.open_shares <= 0)] = np.nan
        if self.selecting and self.budget_left() > 0:
            self._score(seen)

    def skip(self, index: int) -> None:
        """Note that a pose turned out to have nothing to fill."""
        self.hopeless.append(index)

    def summary(self, gaussian_frames: int, total_splats: int) -> CoarseSummary:
        """The report; diagnostics when expansion stopped with budget left."""
        return CoarseSummary(
            frames=tuple(self.frames),
            closing_frames=tuple(self.closing),
            scene_frames=2 + len(self.frames) + len(self.closing),
            gaussian_frames=gaussian_frames,
            total_splats=total_splats,
            uncovered=float(self._measured_open_shares().max(initial=0.0)),
            diagnostics=None
            if self.stopped_at is None
            else diagnose(self.stopped_at, self._chosen(), self.config),
        )

    def state(self) -> dict[str, Any]:
        """Everything that the next choice depends on, as JSON data."""
        return {
            "ratios": self.ratios.tolist(),
            "open_shares": [None if np.isnan(s) else s for s in self.open_shares.tolist()],
            "frames": [asdict(f) for f in self.frames],
            "closing": [asdict(f) for f in self.closing],
            "selecting": self.selecting,
            "hopeless": self.hopeless,
            "stopped_at": None if self.stopped_at is None else self.stopped_at.tolist(),
        }

    @staticmethod
    def restore(
        path: DensePath, config: SceneConfig, rasterizer: Rasterizer, splats: Splats, state: dict[str, Any]
    ) -> Walk:
        """Continue from `state()`."""
        return Walk(
            path,
            config,
            rasterizer,
            splats,
            np.array(state["ratios"]),
            np.array([np.nan if s is None else s for s in state["open_shares"]]),
            [CoarseFrame(**f) for f in state["frames"]],
            [CoarseFrame(**f) for f in state["closing"]],
            state["selecting"],
            list(state["hopeless"]),
            None if state["stopped_at"] is None else np.array(state["stopped_at"]),
        )

    def _chosen(self) -> list[int]:
        return [f.dense_pose_index for f in self.frames]

    def _worst_open(self) -> int | None:
        done = [f.dense_pose_index for f in self.closing] + self.hopeless
        shares = self._measured_open_shares()
        open_now = candidates(len(shares), done, 0) & (shares > CLOSE_ABOVE)
        open_now &= shares <= self.config.coarse_max_inpaint_ratio
        return int(np.argmax(np.where(open_now, shares, -1))) if open_now.any() else None

    def _measured_open_shares(self) -> NDArray[np.float64]:
        """Full-size measurement, made only for poses that changed since the last one: thin gaps show at no less."""
        stale = np.flatnonzero(np.isnan(self.open_shares))
        self.open_shares[stale] = self._shares(stale, self.path.picture_wh, 1.0, grown=False)
        return self.open_shares

    def _score(self, stale: NDArray[np.bool_]) -> None:
        """Score the stale poses that still have holes; splats only ever cover more."""
        todo = np.flatnonzero(stale & (self.ratios > 0))
        self.ratios[todo] = self._shares(todo, self.path.canvas_wh, _SCORE_SCALE, grown=True)

    def _shares(
        self, poses: NDArray[np.intp], size: tuple[int, int], scale: float, grown: bool
    ) -> NDArray[np.float64]:
        Ks = _centred(self.path.Ks_33[poses], *size)
        cams = self.path.cams_T_world[poses]
        return uncovered_shares(self.splats, cams, Ks, *size, self.rasterizer, scale, grown)
