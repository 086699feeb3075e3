"""Splats in a viewport: drawn beside it in float, hidden by what stands in front, then laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import gpu
import numpy as np
from numpy.typing import NDArray

from .drawing import Onlooker, SplatDrawing
from .packing import PackedSplats
from .present import Presenter
from .target import Target
from .view import Matrix, View

STEADY_S = 0.2
"""A view that has not changed for this long is drawn in full."""

MOVING_FRAME_S = 0.06
"""How long a frame may take while the view changes."""

STEADY_FRAME_S = 2.0
"""How long any frame may take: Blender does nothing else meanwhile. Renderings have all the time they need."""

FIRST_GUESS_S = 5e-7
"""Seconds for a splat before anything was measured."""

_PATIENCE = 0.02
_COARSEST = 3
_FEWEST = 20_000
_MOST_DRAWINGS = 3
_MOST_REGIONS = 8


@dataclass
class _Region:
    """What is kept for one region of the window."""

    onlooker: Onlooker = field(default_factory=Onlooker)
    drawing: SplatDrawing | None = None
    target: Target | None = None
    pose: NDArray[np.float64] | None = None
    moved_at: float = float("-inf")
    shown: bytes = b""
    depth: NDArray[np.float32] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def changes(
        self,
        world_T_objects: Sequence[Matrix],
        view: View,
        part: int,
        divisor: int,
        depth: NDArray[np.float32] | None,
    ) -> bool:
        """Whether the picture has to be drawn again: Blender asks for one whenever the mouse passes a button."""
        numbers = [*world_T_objects, view.cam_T_world, view.projection]
        shown = b"".join(np.asarray(each, np.float64).tobytes() for each in numbers)
        shown += bytes(f"{view.width} {view.height} {part} {divisor}", "ascii")
        changed = shown != self.shown or not _same(depth, self.depth)
        self.shown, self.depth = shown, depth
        return changed

    def moves(self, view: View, now: float) -> bool:
        """Whether the view changes, or has a moment ago."""
        pose = np.stack([view.cam_T_world, view.projection])
        if self.pose is not None and not np.allclose(self.pose, pose, rtol=0, atol=1e-6):
            self.moved_at = now
        self.pose = pose
        return now - self.moved_at < STEADY_S

    def target_of(self, width: int, height: int) -> Target:
        """A picture of this size; the same as before if it fits."""
        if self.target is None or (self.target.width, self.target.height) != (width, height):
            self.target = Target(width, height, with_depth=False, precise=False)
        return self.target


class ViewportSplats:
    """Everything on the graphics card for the viewports; thrown away as a whole when in doubt."""

    def __init__(self) -> None:
        self._presenter: Presenter | None = None
        self._drawings: dict[tuple[int, ...], tuple[Sequence[PackedSplats], SplatDrawing]] = {}
        self._regions: dict[int, _Region] = {}
        self._seconds_per_splat = FIRST_GUESS_S
        self.seconds: dict[str, float] = {}
        """What the steps of the latest frame took."""

    def draw(
        self,
        region_key: int,
        clouds: Sequence[PackedSplats],
        world_T_objects: Sequence[Matrix],
        view: View,
        *,
        behind_scene: bool,
    ) -> bool:
        """Draw into the framebuffer that is bound, as large as the view.

        Args:
            region_key: tells regions apart. behind_scene: what its depth buffer has in front hides splats.

        Returns:
            Whether the view is changing, so that fewer splats were drawn and a full frame should follow.
        """
        began = perf_counter()
        region = self._region(region_key)
        moving = region.moves(view, began)
        drawing = self._drawing(clouds)
        if region.drawing is not drawing:
            region.drawing, region.onlooker, region.shown = drawing, Onlooker(), b""
        part = self._thinning(drawing.count, MOVING_FRAME_S if moving else STEADY_FRAME_S)
        divisor = min(_COARSEST, part) if moving else 1
        coarse = view.scaled(divisor)
        ready_at = perf_counter()
        depth = _scene_depth(view.width, view.height) if behind_scene else None
        depth_at = perf_counter()
        region.seconds = {"upload": ready_at - began, "depth": depth_at - ready_at}
        if region.changes(world_T_objects, view, part, divisor, depth):
            self._draw_anew(region, world_T_objects, coarse, part, moving, depth)
            if drawing.count:
                cost = (perf_counter() - depth_at) * part / drawing.count
                self._seconds_per_splat += 0.5 * (cost - self._seconds_per_splat)
        assert region.target is not None
        self._presenter = self._presenter or Presenter()
        extent = view.width / divisor / coarse.width, view.height / divisor / coarse.height
        self._presenter.draw(region.target.color, extent)
        self.seconds = {**region.seconds, "frame": perf_counter() - began}
        return moving and (part, divisor) != (1, 1)

    def _draw_anew(
        self,
        region: _Region,
        world_T_objects: Sequence[Matrix],
        view: View,
        part: int,
        moving: bool,
        depth: NDArray[np.float32] | None,
    ) -> None:
        assert region.drawing is not None
        target = region.target_of(view.width, view.height)
        with target.cleared():
            region.drawing.draw(
                world_T_objects,
                view,
                region.onlooker,
                part=part,
                patience=_PATIENCE if moving else 1e-7,
                scene_depth=depth,
            )
            submitted_at = perf_counter()
            target.finish()
        region.seconds |= {**region.onlooker.seconds, "draw": perf_counter() - submitted_at}

    def _thinning(self, count: int, seconds: float) -> int:
        """Draw one splat in how many, to stay within the time of a frame."""
        excess = count * self._seconds_per_splat / seconds
        return int(np.clip(np.ceil(excess), 1, max(1, count // _FEWEST)))

    def _region(self, key: int) -> _Region:
        """What is kept for a region; of many, for the latest only."""
        region = self._regions.pop(key, None) or _Region()
        self._regions[key] = region
        while len(self._regions) > _MOST_REGIONS:
            del self._regions[next(iter(self._regions))]
        return region

    def _drawing(self, clouds: Sequence[PackedSplats]) -> SplatDrawing:
        """The drawing of these clouds, in this order; uploads them when they are new."""
        key = tuple(id(cloud) for cloud in clouds)
        kept = self._drawings.pop(key, None) or (clouds, SplatDrawing(clouds))
        self._drawings[key] = kept
        while len(self._drawings) > _MOST_DRAWINGS:
            del self._drawings[next(iter(self._drawings))]
        return kept[1]


def _scene_depth(width: int, height: int) -> NDArray[np.float32]:
    """(H, W) depth buffer of what is bound; there is no way to use it where it lies."""
    depth = np.empty((height, width), np.float32)
    buffer = gpu.types.Buffer("FLOAT", (height, width), depth)
    gpu.state.active_framebuffer_get().read_depth(0, 0, width, height, data=buffer)
    return depth


def _same(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))
