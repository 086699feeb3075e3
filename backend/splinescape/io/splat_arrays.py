"""The parameters of a set of 3D Gaussian splats as plain numpy arrays: what files hold, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

SH_C0 = 0.28209479177387814
"""Value of the constant spherical harmonic, 1 / (2 sqrt(pi))."""

SH_COUNTS = (1, 4, 9, 16)
"""How many spherical harmonics there are up to degree 0, 1, 2, 3."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SplatArrays:
    """N splats in world coordinates, stored as every 3DGS file stores them.

    Attributes:
        means: (N, 3) float32 centres in scene units.
        log_scales: (N, 3) float32 natural logarithms of the standard deviations along the splat's axes.
        quats: (N, 4) float32 unit quaternions wxyz, splat axes into the world.
        opacity_logits: (N,) float32; opacity = sigmoid(logit).
        sh: (N, K, 3) float32 spherical harmonics, K = 1, 4, 9 or 16; colour = 0.5 + SH_C0 * sh[:, 0] for K = 1.

    Raises:
        ValueError: a shape or type does not fit, or a number is not finite.
    """

    means: Floats
    log_scales: Floats
    quats: Floats
    opacity_logits: Floats
    sh: Floats

    def __post_init__(self) -> None:
        n = len(self.means)
        shapes = {"means": (n, 3), "log_scales": (n, 3), "quats": (n, 4), "opacity_logits": (n,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, not {getattr(self, name).shape}")
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[2] != 3:
            raise ValueError(f"sh must have shape ({n}, K, 3), not {self.sh.shape}")
        if self.sh.shape[1] not in SH_COUNTS:
            raise ValueError(f"sh must have 1, 4, 9 or 16 coefficients, not {self.sh.shape[1]}")
        for name, array in self.arrays():
            if array.dtype != np.float32:
                raise ValueError(f"{name} must be float32, not {array.dtype}")
            if not all_finite(array):
                bad = int((~np.isfinite(array)).sum())
                raise ValueError(f"{bad} non-finite numbers in {name}: a scene must be finite everywhere")

    def __len__(self) -> int:
        return len(self.means)

    def arrays(self) -> Iterator[tuple[str, Floats]]:
        """Yield (name, array) in storage order."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    @property
    def scales(self) -> Floats:
        """(N, 3) standard deviations in scene units, at most the greatest float32."""
        with np.errstate(over="ignore"):
            return np.minimum(np.exp(self.log_scales), np.finfo(np.float32).max)

    @property
    def opacities(self) -> Floats:
        """(N,) opacities in [0, 1]."""
        with np.errstate(over="ignore"):
            return np.reciprocal(np.exp(-self.opacity_logits) + np.float32(1))

    @property
    def base_colors(self) -> Floats:
        """(N, 3) colour of the constant harmonic alone; may leave [0, 1]."""
        with np.errstate(over="ignore"):
            return np.float32(0.5) + np.float32(SH_C0) * self.sh[:, 0]

    def select(self, index: NDArray[np.bool_] | NDArray[np.integer]) -> SplatArrays:
        """Return the splats at `index`, a (N,) bool mask or (M,) integer positions."""
        return SplatArrays(*(array[index] for _, array in self.arrays()))

    @staticmethod
    def concatenate(parts: Iterable[SplatArrays]) -> SplatArrays:
        """Join splats; those with fewer SH coefficients than others get zeros for the missing ones."""
        parts = list(parts)
        if not parts:
            return SplatArrays.empty()
        count = max(part.sh.shape[1] for part in parts)
        return SplatArrays(
            np.concatenate([part.means for part in parts]),
            np.concatenate([part.log_scales for part in parts]),
            np.concatenate([part.quats for part in parts]),
            np.concatenate([part.opacity_logits for part in parts]),
            np.concatenate([np.pad(p.sh, ((0, 0), (0, count - p.sh.shape[1]), (0, 0))) for p in parts]),
        )

    @staticmethod
    def empty() -> SplatArrays:
        """No splats at all."""
        shapes = ((0, 3), (0, 3), (0, 4), (0,), (0, 1, 3))
        return SplatArrays(*(np.zeros(shape, np.float32) for shape in shapes))


def all_finite(array: NDArray[np.floating]) -> bool:
    """Whether no number is NaN or infinite; makes no array of flags, so it costs one pass over the memory."""
    return bool(np.isfinite(array.min(initial=0)) and np.isfinite(array.max(initial=0)))
