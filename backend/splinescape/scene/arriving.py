"""Pictures on their way from a GPU to main memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Arriving:
    """A batch of pictures whose copy to main memory has begun; the GPU goes on working meanwhile.

    Args:
        rgb: (C, H, W, 3) uint8. depth: (C, H, W) float32. Both on one device.
    """

    def __init__(self, rgb: Tensor, depth: Tensor) -> None:
        self._here = [_begun(rgb), _begun(depth)]
        self._done: torch.cuda.Event | None = None
        if rgb.is_cuda:
            self._done = torch.cuda.Event()
            self._done.record()

    def pictures(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        """Wait for them; each is the caller's to keep."""
        if self._done is not None:
            self._done.synchronize()
        for rgb, depth in zip(*self._here, strict=True):
            yield rgb.numpy().copy(), depth.numpy().copy()


def _begun(tensor: Tensor) -> Tensor:
    """Page-locked memory, the only kind that a copy does not wait for; on the CPU nothing is to be done."""
    if not tensor.is_cuda:
        return tensor
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return here.copy_(tensor, non_blocking=True)
