"""Where splats are drawn before anything else sees them: blending needs more than 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gpu
import numpy as np
from numpy.typing import NDArray


class Target:
    """A picture in float, with alpha-weighted depth beside it if wanted."""

    def __init__(self, width: int, height: int, *, with_depth: bool, precise: bool) -> None:
        """Args:
        with_depth: a second picture for depth. precise: 32 bits a channel, not 16.
        """
        fmt = "RGBA32F" if precise else "RGBA16F"
        self.width, self.height, self.with_depth = width, height, with_depth
        self.color = gpu.types.GPUTexture((width, height), format=fmt)
        self._depth = gpu.types.GPUTexture((width, height), format=fmt) if with_depth else None
        slots = (self.color, self._depth) if with_depth else (self.color,)
        self.framebuffer = gpu.types.GPUFrameBuffer(color_slots=slots)

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Draw into the empty picture."""
        with self.framebuffer.bind():
            gpu.state.viewport_set(0, 0, self.width, self.height)
            clean_state()
            self.framebuffer.clear(color=(0.0, 0.0, 0.0, 0.0))
            yield
            gpu.state.blend_set("NONE")

    def read(self, slot: int = 0) -> NDArray[np.float32]:
        """(H, W, 4) float32, the lowest row first: premultiplied colour, or for slot 1 depth times alpha."""
        pixels = np.empty((self.height, self.width, 4), np.float32)
        buffer = gpu.types.Buffer("FLOAT", pixels.size, pixels.reshape(-1))
        self.framebuffer.read_color(0, 0, self.width, self.height, 4, slot, "FLOAT", data=buffer)
        return pixels

    def finish(self) -> None:
        """Wait until the graphics card is done, by asking for one pixel."""
        self.framebuffer.read_color(0, 0, 1, 1, 4, 0, "FLOAT")


def clean_state() -> None:
    """Set what drawing depends on: Blender 4.3 leaves traces of a rendering behind."""
    gpu.state.color_mask_set(True, True, True, True)
    gpu.state.depth_test_set("NONE")
    gpu.state.depth_mask_set(False)
    gpu.state.face_culling_set("NONE")
    gpu.state.scissor_test_set(False)
    gpu.state.blend_set("NONE")
