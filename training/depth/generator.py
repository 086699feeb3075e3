"""Worlds without end: pictures with exact depth, normals and cameras, on the processor or on a GPU."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from . import compile as compiling

KINDS = (
    "room", "hall", "street", "village", "forest", "mountain", "field", "waterside",
    "table", "people", "shelves", "above", "garden", "clutter",
)  # fmt: skip
SKY, THING, GROUND, WATER, MIRROR, HAZE = range(6)  # `Views.what`

_PASSES = 4  # of the filter over soft light; even, so that the result is where it began
_ALIGN = 256


class _Planes(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p) for name in ("sharp", "albedo", "soft", "soft2", "depth", "normal", "what")
    ]


@dataclass(frozen=True, eq=False)
class Views:
    """One view of each of B worlds, of H x W pixels.

    Attributes:
        rgb: (B, 3, H, W) float32 linear light, before any camera's processing.
        depth: (B, H, W) float32 camera z in metres at the pixel centres, +inf for sky.
        normal: (B, 3, H, W) float32 unit, towards the camera, in camera axes (x right, y down, z forward); 0: sky.
        what: (B, H, W) int32: 0 sky, 1 thing, 2 ground or terrain, 3 water, 4 a mirror's surface,
            5 a surface that haze hides.
        tan_half: (B,) float32 tangent of half the angle over the longer side.
        up: (B, 3) float32 the world's up in camera axes.
        kind: (B,) int64 index into KINDS.
    """

    rgb: torch.Tensor
    depth: torch.Tensor
    normal: torch.Tensor
    what: torch.Tensor
    tan_half: torch.Tensor
    up: torch.Tensor
    kind: torch.Tensor

    @property
    def focal(self) -> torch.Tensor:
        """(B,) focal lengths in pixels."""
        return 0.5 * max(self.depth.shape[1:]) / self.tan_half


@dataclass(frozen=True, eq=False)
class Worlds:
    """Built worlds in one block of bytes, ready to be sent to a device."""

    data: torch.Tensor  # uint8
    offsets: NDArray[np.int64]
    tan_half: NDArray[np.float32]
    up: NDArray[np.float32]
    kind: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)


class Generator:
    """Builds worlds from seeds and renders them on one device."""

    def __init__(self, device: torch.device | str = "cpu", threads: int | None = None) -> None:
        """Compile what is missing.

        Raises:
            compile.CompilerMissingError: there is no compiler for this device.
        """
        self.device = torch.device(device)
        self.threads = threads or max(1, (os.cpu_count() or 2) - 2)
        self._lib = compiling.library("cuda" if self.device.type == "cuda" else "cpu")
        self._lib.worlds_build.restype = ctypes.c_void_p
        sizes = (ctypes.c_int * 7)()
        if self._lib.struct_sizes(sizes) != len(KINDS):
            raise RuntimeError("the compiled worlds are of another version; remove the build folder")
        self._sizes = np.array(sizes, np.int64)

    def build(self, seeds: Sequence[int], kinds: Sequence[int] | None = None) -> Worlds:
        """Make the worlds of these seeds on the processor, the same on every machine.

        Args:
            seeds: one number per world.
            kinds: indices into KINDS, -1 for "by its share".
        """
        n = len(seeds)
        kind = np.asarray(kinds if kinds is not None else [-1] * n, np.int32)
        counts = np.zeros(7, np.int64)
        numbers = np.asarray(seeds, np.uint64)  # a name keeps it alive: a pointer does not
        handle = self._lib.worlds_build(_pointer(numbers), _pointer(kind), n, self.threads, _pointer(counts))
        try:
            room = (counts * self._sizes + _ALIGN - 1) // _ALIGN * _ALIGN
            offsets = np.concatenate([[0], np.cumsum(room)[:-1]]).astype(np.int64)
            data = torch.empty(int(room.sum()), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
            self._lib.worlds_copy(
                ctypes.c_void_p(handle), ctypes.c_void_p(data.data_ptr()), _pointer(offsets)
            )
        finally:
            self._lib.worlds_free(ctypes.c_void_p(handle))
        heads = _heads(data, n, int(self._sizes[0]))
        return Worlds(data, offsets, *heads)

    def render(self, worlds: Worlds, height: int, width: int, samples: int = 4) -> Views:
        """Look at every world with its own camera.

        Args:
            worlds: from `build`.
            height, width: pixels.
            samples: colour rays per pixel; the first goes through the centre and gives depth and normal.
        """
        n, pixels = len(worlds), height * width
        light = [torch.empty(n, pixels, 3, device=self.device) for _ in range(5)]
        depth = torch.empty(n, pixels, device=self.device)
        what = torch.empty(n, pixels, dtype=torch.int32, device=self.device)
        sharp, albedo, soft, soft2, normal = light
        planes = _Planes(*(t.data_ptr() for t in (sharp, albedo, soft, soft2, depth, normal, what)))
        todo = torch.empty(n * pixels + 1, dtype=torch.int32, device=self.device)
        data = worlds.data.to(self.device, non_blocking=True)
        self._launch(data, worlds.offsets, planes, todo, (n, width, height, samples))
        return Views(
            rgb=sharp.view(n, height, width, 3).permute(0, 3, 1, 2),
            depth=depth.view(n, height, width),
            normal=normal.view(n, height, width, 3).permute(0, 3, 1, 2),
            what=what.view(n, height, width),
            tan_half=torch.from_numpy(worlds.tan_half).to(self.device),
            up=torch.from_numpy(worlds.up).to(self.device),
            kind=torch.from_numpy(worlds.kind),
        )

    def _launch(
        self,
        data: torch.Tensor,
        offsets: NDArray[np.int64],
        planes: _Planes,
        todo: torch.Tensor,
        shape: tuple[int, ...],
    ) -> None:
        where = (ctypes.c_void_p(data.data_ptr()), _pointer(offsets), ctypes.byref(planes))
        arguments = (*where, ctypes.c_void_p(todo.data_ptr()), *shape, _PASSES)
        if self.device.type == "cuda":
            stream = torch.cuda.current_stream(self.device).cuda_stream
            self._lib.cuda_error.restype = ctypes.c_char_p
            code = self._lib.render_cuda(*arguments, ctypes.c_void_p(stream))
            if code:
                raise RuntimeError(f"the ray caster failed: {self._lib.cuda_error(code).decode()}")
        else:
            self._lib.render_cpu(*arguments, self.threads)


def seeds_from(start: int, count: int) -> list[int]:
    """`count` seeds of a stream of worlds, starting at its picture number `start`."""
    return list(range(start, start + count))


def _pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


_EYE = 19 * 4  # bytes before `eye` in the C struct World; the test of cameras watches over it


def _heads(
    data: torch.Tensor, n: int, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """What Python needs of the structs World: (n,) tan_half, (n, 3) up in camera axes, (n,) kind."""
    raw = data[: n * size].numpy().reshape(n, size)
    camera = np.ascontiguousarray(raw[:, _EYE : _EYE + 13 * 4]).view(np.float32)
    right, up, forward, tan_half = camera[:, 3:6], camera[:, 6:9], camera[:, 9:12], camera[:, 12]
    axes = np.stack([right[:, 1], -up[:, 1], forward[:, 1]], 1)
    kind = np.ascontiguousarray(raw[:, size - 8 : size - 4]).view(np.int32)[:, 0].astype(np.int64)
    return tan_half.copy(), axes.astype(np.float32), kind


def degrees(tan_half: torch.Tensor) -> torch.Tensor:
    """Full angle in degrees from the tangent of its half."""
    return 2 * torch.rad2deg(torch.atan(tan_half.clamp(max=math.tan(1.5))))
