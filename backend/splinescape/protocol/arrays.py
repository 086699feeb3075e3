"""Numpy arrays as buffers of a message, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.protocol.wire import ITEM_SIZES, MAX_DIMENSIONS, Buffer


def to_buffer(name: str, array: NDArray[Any]) -> Buffer:
    """Describe an array; it is copied only when it is not contiguous.

    Raises:
        ValueError: its type or its number of dimensions is not one that messages carry.
    """
    if array.dtype.name not in ITEM_SIZES:
        raise ValueError(f"{name} has the type {array.dtype}, messages carry {', '.join(ITEM_SIZES)}")
    if array.ndim > MAX_DIMENSIONS:
        raise ValueError(f"{name} has {array.ndim} dimensions, messages carry at most {MAX_DIMENSIONS}")
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    # Nobody can make flat bytes of a memoryview that has a side of 0.
    return Buffer(name, array.dtype.name, array.shape, array.data if array.size else b"")


def to_array(buffer: Buffer) -> NDArray[Any]:
    """The buffer as an array of its shape; a read-only view of the message where its data are."""
    dtype = np.dtype(buffer.dtype).newbyteorder("<")
    return np.frombuffer(buffer.data, dtype).reshape(buffer.shape)
