"""One expanded frame: look from a new pose, fill what is uncovered, guess its depth, make its splats, train them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from threading import Event as CancelEvent

import numpy as np
from numpy.typing import NDArray

from splinescape.align import align_depth
from splinescape.camera.view import View
from splinescape.coarse.compose import as_shown, floating, paste
from splinescape.coarse.scoring import HOLE_ALPHA, hole_mask
from splinescape.depth import DepthEstimator, DepthPrediction
from splinescape.errors import InputError
from splinescape.inpaint import Inpainter
from splinescape.raster import Rasterizer, is_batched
from splinescape.scene.edges import inverse_depth
from splinescape.scene.frame import Frame
from splinescape.scene.growing import joined, whole_scene
from splinescape.scene.lift import lift_frame
from splinescape.scene.occlusion import already_seen, push_behind
from splinescape.scene.ramps import snap_ramps
from splinescape.scene.render import render_together, render_view
from splinescape.scene.resident import Resident, resident
from splinescape.scene.rims import clean_rims
from splinescape.scene.shell import INSIDE, keep_inside
from splinescape.scene.silhouette import tuck_in
from splinescape.scene.splats import Splats
from splinescape.train.match import colors_matched
from splinescape.train.trainer import Schedule, TrainingView, trained

_COVERED = 0.9
_FAR_BACK = 1.15
_OLD_VIEWS = 2
_NEW_SHARE = 0.5
_PAD = 8
_MIN_PIXELS = 16
_CHANGED = 0.01
_VIEWS = 8


@dataclass(frozen=True)
class Engines:
    """The three leaves the pipeline works with."""

    inpainter: Inpainter
    depth: DepthEstimator
    rasterizer: Rasterizer


@dataclass(frozen=True, eq=False)
class Grown:
    """A scene and (N,) bool: the splats whose colour is not trained."""

    splats: Splats
    fixed_colors: NDArray[np.bool_]


def call_inpainter(
    engine: Inpainter,
    rgb_hw3: NDArray[np.uint8],
    mask_hw: NDArray[np.bool_],
    view: View,
    seed: int,
    depth_hw: NDArray[np.float32] | None,
    on_step: Callable[[int, int], None] | None = None,
    cancel: CancelEvent | None = None,
) -> NDArray[np.uint8]:
    """Inpaint and paste the known pixels back over the result.

    An engine whose method takes `depth_hw` is told the rendered depth of the known pixels; one that takes `on_step` or
    `cancel` gets them, see `Inpainter`.

    Raises:
        InputError: the engine returned another shape or type than it was given.
        CancelledError: the engine saw that `cancel` was set.
    """
    offered = {"depth_hw": depth_hw, "on_step": on_step, "cancel": cancel}
    taken = inspect.signature(engine.inpaint).parameters
    extra = {name: value for name, value in offered.items() if name in taken}
    filled = np.asarray(engine.inpaint(rgb_hw3, mask_hw, view=view, seed=seed, **extra))
    if filled.shape != rgb_hw3.shape or filled.dtype != np.uint8:
        raise InputError(
            f"the inpainting engine {type(engine).__name__} returned {filled.dtype}{filled.shape}; "
            f"it must return uint8{rgb_hw3.shape}"
        )
    out = rgb_hw3.copy()
    paste(filled, mask_hw, out)
    return out


def call_depth(
    engine: DepthEstimator, rgb_hw3: NDArray[np.uint8], K_33: NDArray[np.floating] | None, view: View
) -> DepthPrediction:
    """Predict depth and check it: right shapes, +inf wherever it is not a positive finite number.

    Raises:
        InputError: the engine returned wrong shapes or impossible intrinsics.
    """
    given = None if K_33 is None else K_33.astype(np.float32)
    prediction = engine.predict(rgb_hw3, K_33=given, view=view)
    depth = np.array(prediction.depth, np.float32, order="C")
    confidence = np.array(prediction.confidence, np.float32, order="C")
    K = np.asarray(prediction.K_33, np.float32)
    hw = rgb_hw3.shape[:2]
    name = type(engine).__name__
    if depth.shape != hw or confidence.shape != hw:
        raise InputError(f"the depth engine {name} returned depth {depth.shape}; it must be {hw}")
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(f"the depth engine {name} returned impossible intrinsics {K.tolist()}")
    unknown = np.flatnonzero(~((depth > 0) & (depth < np.inf) & (confidence > 0)))
    depth.reshape(-1)[unknown], confidence.reshape(-1)[unknown] = np.inf, 0
    return DepthPrediction(snap_ramps(depth, rgb_hw3), np.clip(confidence, 0, 1), K, prediction.normals)


def expand_view(
    view: View,
    frames: Sequence[Frame],
    splats: Splats,
    shell: float,
    engines: Engines,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
    cancel: CancelEvent | None = None,
) -> Frame | None:
    """Make the frame seen from `view`: known pixels rendered, holes inpainted, depth aligned with the scene.

    Args:
        view: camera with intrinsics. frames, splats, shell: the scene so far. seed: for the inpainter.
        on_step, cancel: likewise, see `call_inpainter`.

    Returns:
        The frame, or None when the view has no hole.
    """
    assert view.K_33 is not None
    K, cam = np.asarray(view.K_33, np.float64), np.asarray(view.cam_T_world, np.float64)
    rendering = render_view(splats, view, engines.rasterizer)
    alpha = rendering.alpha.numpy()
    empty = alpha < HOLE_ALPHA
    if not empty.any():
        return None
    mask = hole_mask(alpha)
    known = as_shown(rendering, HOLE_ALPHA, INSIDE * shell)
    rgb = call_inpainter(engines.inpainter, known.rgb_u8, mask, view, seed, known.depth, on_step, cancel)
    prediction = call_depth(engines.depth, rgb, view.K_33, view)
    depth = align_depth(prediction.depth, prediction.confidence, known.depth, ~mask)
    depth = keep_inside(snap_ramps(depth, rgb), shell)
    guessed = depth
    depth = push_behind(guessed, mask, K, cam, frames, shell)
    # A pixel that had to go far back would be a speck of the wrong surface there: it takes its new neighbours' colour.
    moved = depth > _FAR_BACK * guessed
    colors = clean_rims(np.divide(rgb, 255, dtype=np.float32), inverse_depth(depth), moved)
    paste(colors, mask, known.rgb)
    fringe = mask & (alpha < _COVERED) & ~empty
    fringe &= ~already_seen(depth, fringe, K, cam, frames)
    return Frame(
        rgb=known.rgb,
        depth=depth,
        confidence=np.where(mask, prediction.confidence, np.float32(1)) * np.isfinite(depth),
        inpaint=mask,
        inpaint_wo_edge=(empty | fringe) & ~floating(depth),
        K_33=K,
        cam_T_world=cam,
    )


def grow_scene(
    frame: Frame,
    frames: Sequence[Frame],
    grown: Grown,
    shell: float,
    rasterizer: Rasterizer,
    schedule: Schedule,
    on_step: Callable[[int, int, float | None], None] | None,
    cancel: CancelEvent | None,
) -> Grown:
    """Lift the new pixels of `frame`, and train the scene where they show.

    Args:
        frame: from `expand_view`. frames: the older ones, with input and outpaint first.
        grown: the scene so far. shell: radius of the far shell.

    Returns:
        The whole scene, the new splats last; the same object when the frame brings none.
    """
    lifted = lift_frame(frame, shell)
    lifted = replace(lifted, splats=tuck_in(lifted.splats, frames))
    splats, first = grown.splats, len(grown.splats)
    if len(lifted.splats) == 0:
        return grown
    ready = joined(splats, lifted.splats, rasterizer.device)
    ready = colors_matched(ready, first, frame, lifted.pixels, lifted.fixed, rasterizer)
    views = [_cropped(frame.rgb, frame.inpaint, frame.view, _NEW_SHARE)]
    views += _older_views(splats, ready, frames, rasterizer)
    fixed = np.concatenate([grown.fixed_colors, lifted.fixed])
    ready = trained(ready, views, rasterizer, schedule, fixed, first, on_step, cancel)
    return Grown(whole_scene(splats, ready), fixed)


def _older_views(
    before: Splats, after: Resident, frames: Sequence[Frame], rasterizer: Rasterizer
) -> list[TrainingView]:
    """Older pictures that the new splats change, so that they cannot spoil what is already right."""
    touched = []
    for frame, change in zip(frames, _changes(before, after, frames, rasterizer), strict=True):
        mask = change & frame.inpaint
        touched.append((int(mask.sum()), frame, mask))
    touched = [t for t in touched if t[0] >= _MIN_PIXELS]
    touched.sort(key=lambda t: -t[0])
    chosen = touched[:_OLD_VIEWS]
    return [_cropped(f.rgb, mask, f.view, (1 - _NEW_SHARE) / len(chosen)) for _, f, mask in chosen]


def _changes(
    before: Splats, after: Resident, frames: Sequence[Frame], rasterizer: Rasterizer
) -> Iterator[NDArray[np.bool_]]:
    """Where each frame's view changes; frames of one size that follow each other are drawn together."""
    old = resident(before, rasterizer.device)
    for _, group in groupby(frames, lambda frame: frame.rgb.shape):
        for views in _batches([frame.view for frame in group], _VIEWS if is_batched(rasterizer) else 1):
            drawn = [
                render_together(ready, views, rasterizer, with_depth=False).rgb for ready in (after, old)
            ]
            yield from ((drawn[0] - drawn[1]).abs().amax(-1) > _CHANGED).cpu().numpy()


def _batches(views: list[View], size: int) -> list[list[View]]:
    return [views[i : i + size] for i in range(0, len(views), size)]


def _cropped(rgb: NDArray[np.float32], mask: NDArray[np.bool_], view: View, share: float) -> TrainingView:
    """A training view of the bounding box of `mask`; the principal point moves by exactly the crop."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom = max(0, rows[0] - _PAD), min(view.height, rows[-1] + 1 + _PAD)
    left, right = max(0, cols[0] - _PAD), min(view.width, cols[-1] + 1 + _PAD)
    assert view.K_33 is not None
    K = np.array(view.K_33, np.float64)
    K[:2, 2] -= (left, top)
    window = np.s_[top:bottom, left:right]
    return TrainingView(rgb[window], mask[window].astype(np.float32), K, np.asarray(view.cam_T_world), share)
