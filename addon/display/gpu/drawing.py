"""Drawing splats, the farthest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import gpu
import numpy as np
from numpy.typing import NDArray

from .packing import PackedSplats, geometry_texels, paint_texels
from .shader import BLOCK, splat_batch, splat_shader
from .sorting import camera_depths, far_to_near
from .textures import image_texture, list_texture, longest_list
from .view import Matrix, View

_EXACT_INDEX = 1 << 24
"""Above this a float32 no longer holds every index."""

_GL_AXES = np.diag([1.0, 1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class _Order:
    """Splats in the order of drawing, and for what it was made."""

    texture: gpu.types.GPUTexture
    count: int
    part: int
    depth_rows: NDArray[np.float64]
    """(clouds, 4): how depth grows along each object's axes."""


@dataclass(frozen=True, eq=False)
class _Paint:
    """Colours, and for which places of the camera (one in the space of each object) they were made."""

    texture: gpu.types.GPUTexture
    places: Matrix


@dataclass(eq=False)
class Onlooker:
    """What a drawing keeps for one viewport, which looks from a place of its own."""

    order: _Order | None = None
    paint: _Paint | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """What the steps of the latest drawing took; the graphics card works on after `draw`."""


class SplatDrawing:
    """The splats of some objects on the graphics card; they are sorted together.

    Works inside a GPU context only: in a draw handler, or in a render engine.
    """

    def __init__(self, clouds: Sequence[PackedSplats]) -> None:
        """Upload; about 0.3 s for a million splats on a machine without a graphics card.

        Splats beyond what a texture holds (16 million at most) are left out evenly.
        """
        self._clouds = _within(clouds, min(_EXACT_INDEX, longest_list() // 3))
        self._sizes = [len(cloud) for cloud in self._clouds]
        self.count = sum(self._sizes)
        self._geometry = list_texture(_stacked([geometry_texels(c) for c in self._clouds], 4))
        self._owners = np.repeat(np.arange(len(self._clouds), dtype=np.float32), self._sizes)
        self._fixed_paint: _Paint | None = None
        self._shuffled: NDArray[np.intp] | None = None
        self._shaders: dict[tuple[bool, bool], tuple[gpu.types.GPUShader, gpu.types.GPUBatch]] = {}

    def draw(
        self,
        world_T_objects: Sequence[Matrix],
        view: View,
        onlooker: Onlooker | None = None,
        *,
        part: int = 1,
        patience: float = 1e-7,
        with_depth: bool = False,
        scene_depth: NDArray[np.float32] | None = None,
    ) -> None:
        """Blend the splats into the framebuffer that is bound: premultiplied colour as stored, not linear light.

        Args:
            world_T_objects: (4, 4) affine, one for each cloud.
            onlooker: what to keep for the next drawing of about the same view.
            part: draw every part-th splat only, larger, so that the picture stays about the same.
            patience: keep an order of drawing while the depth axis has turned by less than this (radians).
            with_depth: the framebuffer has a second picture for alpha-weighted camera z.
            scene_depth: (H, W) depth buffer of the same view at any resolution; what lies behind is left out.
        """
        if not self.count:
            return
        onlooker = onlooker or Onlooker()
        began = perf_counter()
        cam_T_objects = [view.cam_T_world @ np.asarray(m, np.float64) for m in world_T_objects]
        onlooker.order = self._sorted(onlooker.order, cam_T_objects, part, patience)
        sorted_at = perf_counter()
        places = _seen_from(world_T_objects, view.centre)
        onlooker.paint = self._painted(onlooker.paint, places, keep=part > 1)
        painted_at = perf_counter()
        self._submit(cam_T_objects, view, onlooker.order, onlooker.paint, part, with_depth, scene_depth)
        onlooker.seconds = {
            "sort": sorted_at - began,
            "colours": painted_at - sorted_at,
            "submit": perf_counter() - painted_at,
        }

    def _submit(
        self,
        cam_T_objects: Sequence[Matrix],
        view: View,
        order: _Order,
        paint: _Paint,
        part: int,
        with_depth: bool,
        scene_depth: NDArray[np.float32] | None,
    ) -> None:
        shader, batch = self._shader(with_depth, scene_depth is not None)
        shader.bind()
        rows = np.concatenate([(_GL_AXES @ m)[:3] for m in cam_T_objects]).astype(np.float32)
        objects = list_texture(rows)
        shader.uniform_sampler("geometry", self._geometry)
        shader.uniform_sampler("paints", paint.texture)
        shader.uniform_sampler("ranks", order.texture)
        shader.uniform_sampler("objects", objects)
        _set_view(shader, view, part, order.count)
        if scene_depth is not None:
            hidden_behind = image_texture(scene_depth)
            shader.uniform_sampler("scene_depth", hidden_behind)
            height, width = scene_depth.shape
            shader.uniform_float("occlusion", (width / view.width, height / view.height))
        gpu.state.blend_set("ALPHA_PREMULT")
        batch.draw_instanced(shader, instance_count=-(-order.count // BLOCK))
        gpu.state.blend_set("NONE")

    def _shader(self, with_depth: bool, occluded: bool) -> tuple[gpu.types.GPUShader, gpu.types.GPUBatch]:
        key = (with_depth, occluded)
        if key not in self._shaders:
            shader = splat_shader(with_depth=with_depth, occluded=occluded)
            self._shaders[key] = shader, splat_batch(shader)
        return self._shaders[key]

    def _sorted(
        self, old: _Order | None, cam_T_objects: Sequence[Matrix], part: int, patience: float
    ) -> _Order:
        """Order by camera z; a camera that moves without turning keeps the order of one object."""
        rows = np.array([m[2] for m in cam_T_objects])
        if len(rows) == 1:
            rows[:, 3] = 0
        if old is not None and old.part == part and _same_order(old.depth_rows, rows, patience):
            return old
        depths = camera_depths(self._clouds, cam_T_objects)
        if part > 1:
            chosen = self._subset(part)
            ranked = chosen[far_to_near(depths[chosen])]
        else:
            ranked = far_to_near(depths)
        entries = np.zeros((len(ranked), 2), np.float32)
        entries[:, 0] = ranked
        if len(self._clouds) > 1:
            entries[:, 1] = self._owners[ranked]
        return _Order(list_texture(entries), len(ranked), part, rows)

    def _subset(self, part: int) -> NDArray[np.intp]:
        """A fixed random choice of one splat in `part`."""
        if self._shuffled is None:
            self._shuffled = np.random.default_rng(0).permutation(self.count)
        return np.sort(self._shuffled[: max(1, self.count // part)])

    def _painted(self, old: _Paint | None, places: Matrix, keep: bool) -> _Paint:
        """Colours and opacities; those that depend on the view again when the camera has moved."""
        if old is None and self._fixed_paint is not None:
            return self._fixed_paint
        if old is not None and (keep or old is self._fixed_paint or np.array_equal(old.places, places)):
            return old
        texels = [paint_texels(cloud, place) for cloud, place in zip(self._clouds, places, strict=True)]
        paint = _Paint(list_texture(_stacked(texels, 4)), places)
        if not any(cloud.view_dependent for cloud in self._clouds):
            self._fixed_paint = paint
        return paint


def _set_view(shader: gpu.types.GPUShader, view: View, part: int, count: int) -> None:
    P = view.projection
    shader.uniform_float("lens", view.lens)
    shader.uniform_float("bounds", view.bounds)
    shader.uniform_float("depth_map", (P[2, 2], P[2, 3], float(view.perspective), part**0.5))
    shader.uniform_float("screen", (view.width, view.height, max(view.near, -1e30), count))


def _same_order(old: NDArray[np.float64], new: NDArray[np.float64], patience: float) -> bool:
    """Whether the directions of depth agree up to an angle, and their lengths and offsets alike."""
    return old.shape == new.shape and bool(np.abs(old - new).max() <= patience * np.abs(new[:, :3]).max())


def _seen_from(world_T_objects: Sequence[Matrix], camera: Matrix) -> Matrix:
    """(objects, 3) the camera's place in the space of each object; its origin if the object is flat."""
    places = []
    for matrix in world_T_objects:
        m = np.asarray(matrix, np.float64)
        flat = abs(np.linalg.det(m[:3, :3])) < 1e-30
        places.append(np.zeros(3) if flat else np.linalg.solve(m[:3, :3], camera - m[:3, 3]))
    return np.array(places)


def _stacked(parts: Sequence[NDArray[np.float32]], channels: int) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros((0, channels), np.float32), *parts])


def _within(clouds: Sequence[PackedSplats], limit: int) -> list[PackedSplats]:
    total = sum(len(cloud) for cloud in clouds)
    step = max(1, -(-total // limit))
    if step == 1:
        return list(clouds)
    return [
        PackedSplats(c.centres[::step], c.axes[::step], c.opacities[::step], c.sh[::step]) for c in clouds
    ]
