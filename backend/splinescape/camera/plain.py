"""Whether poses can be used, found out without numpy: the service checks them in a process that has none.

`pose.check_rigid` and `pose.look_at` refuse the same poses for the same reasons, many at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

TOLERANCE = 1e-3
"""How far a rotation may be from orthonormal: room for matrices written with four decimals."""

SHORTEST_VIEW = 1e-12
"""A target must be further away than this, times the largest coordinate of the camera if that is over 1."""

Matrix = Sequence[Sequence[float]]


def unfit_pose(matrix: Matrix) -> str | None:
    """What is wrong with a view matrix of 4 rows, in words that follow its name; None when it is rigid."""
    (a, b, c, x), (d, e, f, y), (g, h, i, z), _ = matrix
    lengths = (a * a + b * b + c * c - 1, d * d + e * e + f * f - 1, g * g + h * h + i * i - 1)
    products = (*lengths, a * d + b * e + c * f, a * g + b * h + c * i, d * g + e * h + f * i)
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    off = math.nan if math.isnan(sum(products)) else max(map(abs, products))
    if off <= TOLERANCE and determinant > 0 and _last_row_fits(matrix) and math.isfinite(x + y + z):
        return None
    return why_not_rigid(matrix, off)


def why_not_rigid(matrix: Matrix, off: float) -> str:
    """The reason, once it is known that the matrix is not rigid.

    Args:
        off: the largest deviation of rotation times its transpose from the identity.
    """
    if not _is_finite(matrix):
        return "has numbers that are not finite; every entry must be a plain number"
    if not _last_row_fits(matrix):
        return f"has the bottom row {list(matrix[3])}; it must be 0 0 0 1 (is the matrix transposed?)"
    if not off <= TOLERANCE:
        return f"is not a rotation (off by {off:.3g}); remove scale and shear"
    return "mirrors the world (determinant -1); a camera can only turn and move"


def unfit_view(eye: Sequence[float], target: Sequence[float]) -> str | None:
    """What is wrong with a camera at `eye` that looks at `target`; None when it has a direction."""
    forward = [to - at for at, to in zip(eye, target, strict=True)]
    length = math.sqrt(_dot(forward, forward))
    if math.isfinite(length) and length >= SHORTEST_VIEW * max(1.0, *(abs(at) for at in eye)):
        return None
    return no_direction(eye, target)


def no_direction(eye: Sequence[float], target: Sequence[float]) -> str:
    """The words for it."""
    return f"a camera at {list(eye)} cannot look at {list(target)}: choose another target"


def _is_finite(matrix: Matrix) -> bool:
    return all(math.isfinite(value) for row in matrix for value in row)


def _last_row_fits(matrix: Matrix) -> bool:
    return all(
        abs(value - wanted) <= TOLERANCE for value, wanted in zip(matrix[3], (0, 0, 0, 1), strict=True)
    )


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
