"""The coarse summary and diagnostics, as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.coarse.selection import candidates
from splinescape.config import SceneConfig

_TOP_K = 5


@dataclass(frozen=True)
class CoarseFrame:
    """One expanded frame.

    Attributes:
        dense_pose_index: position on the dense path.
        inpaint_ratio: uncovered share of the view when it was chosen, its margin ring not counted.
        inpaint_pixels: pixels that were inpainted. inpaint_wo_edge_pixels: of those, not on an occlusion edge.
        added_splats: splats that came from them.
    """

    dense_pose_index: int
    inpaint_ratio: float
    inpaint_pixels: int
    inpaint_wo_edge_pixels: int
    added_splats: int

    def text(self) -> str:
        """One line of the summary."""
        return (
            f"dense_pose_index={self.dense_pose_index} inpaint_ratio={self.inpaint_ratio:.4f} "
            f"inpaint_pixels={self.inpaint_pixels} inpaint_wo_edge_pixels={self.inpaint_wo_edge_pixels} "
            f"added_splats={self.added_splats}"
        )


@dataclass(frozen=True)
class CoarseDiagnostics:
    """How the dense poses stood when a round ended without a pose in range, and which knob to turn.

    Attributes:
        candidates: poses that could still be chosen. ratio_min, ratio_mean, ratio_max: of their ratios.
        below_min, in_range, above_max: how many fall where.
        top: (dense_pose_index, inpaint_ratio) of the poses that uncover most.
        advice: what to change, and to what.
    """

    candidates: int
    ratio_min: float
    ratio_mean: float
    ratio_max: float
    below_min: int
    in_range: int
    above_max: int
    top: tuple[tuple[int, float], ...]
    advice: str

    def text(self) -> str:
        """The [COARSE][DIAG] lines."""
        top = ", ".join(f"{index}:{ratio:.4f}" for index, ratio in self.top) or "-"
        return "\n".join(
            [
                f"[COARSE][DIAG] candidates={self.candidates} ratio min/mean/max="
                f"{self.ratio_min:.4f}/{self.ratio_mean:.4f}/{self.ratio_max:.4f}",
                f"[COARSE][DIAG] below_min={self.below_min} in_range={self.in_range} above_max={self.above_max}",
                f"[COARSE][DIAG] top-{len(self.top)}: {top}",
                f"[COARSE][DIAG] {self.advice}",
            ]
        )


@dataclass(frozen=True)
class CoarseSummary:
    """What coarse expansion did.

    Attributes:
        frames: frames chosen by the selection policy, in order.
        closing_frames: frames added afterwards for what stayed uncovered below coarse_min_inpaint_ratio.
        scene_frames: all frames of the scene, picture and border included. gaussian_frames: those that brought splats.
        total_splats: splats in the scene.
        uncovered: largest uncovered share of any view of the picture's size on the dense path, at the end.
        diagnostics: why expansion stopped; None when every allowed frame was used.
    """

    frames: tuple[CoarseFrame, ...] = ()
    closing_frames: tuple[CoarseFrame, ...] = ()
    scene_frames: int = 0
    gaussian_frames: int = 0
    total_splats: int = 0
    uncovered: float = 0.0
    diagnostics: CoarseDiagnostics | None = None

    def text(self) -> str:
        """The [COARSE] Summary and, if there is one, the [COARSE][DIAG] report."""
        lines = [
            f"[COARSE] Summary: selected_extra_frames={len(self.frames)} closing_frames={len(self.closing_frames)}"
        ]
        lines += [f"[COARSE]   frame {i}: {frame.text()}" for i, frame in enumerate(self.frames)]
        lines += [f"[COARSE]   closing {i}: {frame.text()}" for i, frame in enumerate(self.closing_frames)]
        lines.append(
            f"[COARSE]   scene_frames={self.scene_frames} gaussian_frames={self.gaussian_frames} "
            f"total_splats={self.total_splats} uncovered_max={self.uncovered:.5f}"
        )
        if self.diagnostics is not None:
            lines.append(self.diagnostics.text())
        return "\n".join(lines)


def diagnose(ratios: NDArray[np.floating], chosen: Sequence[int], config: SceneConfig) -> CoarseDiagnostics:
    """Describe the dense poses against the range of the settings.

    Args:
        ratios: (P,) uncovered share of each dense pose. chosen: indices taken so far.
    """
    free = np.flatnonzero(candidates(len(ratios), chosen, config.coarse_adjacent_exclusion))
    values = ratios[free] if free.size else np.zeros(1)
    low, high = config.coarse_min_inpaint_ratio, config.coarse_max_inpaint_ratio
    below, above = int((values < low).sum()), int((values > high).sum())
    order = free[np.argsort(-ratios[free], kind="stable")[:_TOP_K]]
    return CoarseDiagnostics(
        candidates=int(free.size),
        ratio_min=float(values.min()),
        ratio_mean=float(values.mean()),
        ratio_max=float(values.max()),
        below_min=below if free.size else 0,
        in_range=int(free.size) - below - above if free.size else 0,
        above_max=above if free.size else 0,
        top=tuple((int(i), float(ratios[i])) for i in order),
        advice=_advice(values, free.size, low, high, config),
    )


def _advice(values: NDArray[np.floating], count: int, low: float, high: float, config: SceneConfig) -> str:
    largest = float(values.max())
    if count == 0:
        return (
            "every dense pose is taken or excluded: raise --coarse-dense-multiplier or lower "
            f"--coarse-adjacent-exclusion (now {config.coarse_adjacent_exclusion})"
        )
    if largest <= 0:
        return "nothing is uncovered anywhere on the path: no more frames are needed"
    above = values[values > high]
    if above.size:
        return (
            f"{above.size} poses uncover more than --coarse-max-inpaint-ratio {high:g}: raise it to about "
            f"{min(1.0, float(above.min()) * 1.05):.2f}, use --coarse-fallback-mode closest, "
            "or move the camera less at once"
        )
    return (
        f"every pose uncovers less than --coarse-min-inpaint-ratio {low:g} (at most {largest:.4f}): "
        f"lower it below {largest:.4f} to expand more, or move the camera further"
    )
