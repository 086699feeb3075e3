"""The parameters of a set of 3D Gaussian splats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from splinescape.io.splat_arrays import SH_C0 as SH_C0
from splinescape.io.splat_arrays import SplatArrays


@dataclass(frozen=True, eq=False)
class Splats:
    """N splats in world coordinates, stored as every 3DGS file stores them.

    Attributes:
        means: (N, 3) float32 centres in scene units.
        log_scales: (N, 3) float32 natural logarithms of the standard deviations along the splat's axes.
        quats: (N, 4) float32 unit quaternions wxyz, splat axes into the world.
        opacity_logits: (N,) float32; opacity = sigmoid(logit).
        sh: (N, K, 3) float32 spherical harmonics, K = 1, 4, 9 or 16; colour = 0.5 + SH_C0 * sh[:, 0] for K = 1.

    Raises:
        ValueError: a shape does not fit, or a number is not finite.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    opacity_logits: Tensor
    sh: Tensor

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        shapes = {"means": (n, 3), "log_scales": (n, 3), "quats": (n, 4), "opacity_logits": (n,)}
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, not {tuple(getattr(self, name).shape)}")
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[2] != 3:
            raise ValueError(f"sh must have shape ({n}, K, 3), not {tuple(self.sh.shape)}")
        if self.sh.shape[1] not in (1, 4, 9, 16):
            raise ValueError(f"sh must have 1, 4, 9 or 16 coefficients, not {self.sh.shape[1]}")
        for name, tensor in self.tensors():
            # One pass that makes nothing; a number that is not finite never leaves a finite sum.
            if torch.isfinite(tensor.detach().sum()):
                continue
            bad = int((~torch.isfinite(tensor.detach())).sum())
            if bad:
                raise ValueError(f"{bad} non-finite numbers in {name}: a scene must be finite everywhere")

    def __len__(self) -> int:
        return self.means.shape[0]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, tensor) in storage order."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    @property
    def scales(self) -> Tensor:
        """(N, 3) standard deviations in scene units."""
        return torch.exp(self.log_scales)

    @property
    def opacities(self) -> Tensor:
        """(N,) opacities in (0, 1)."""
        return torch.sigmoid(self.opacity_logits)

    @property
    def base_colors(self) -> Tensor:
        """(N, 3) colour of the constant harmonic alone; may leave [0, 1]."""
        return 0.5 + SH_C0 * self.sh[:, 0]

    def select(self, index: Tensor) -> Splats:
        """Return the splats at `index`, a (N,) bool mask or (M,) long positions."""
        return Splats(*(tensor[index] for _, tensor in self.tensors()))

    @staticmethod
    def concatenate(parts: Iterable[Splats]) -> Splats:
        """Join splats that have the same number of SH coefficients."""
        parts = list(parts)
        return Splats(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Splats)))

    @staticmethod
    def from_arrays(arrays: SplatArrays) -> Splats:
        """Take over what a file held; shares the memory of arrays that are writable and in one piece."""
        return Splats(
            *(torch.from_numpy(np.require(array, requirements=["C", "W"])) for _, array in arrays.arrays())
        )

    def to_arrays(self) -> SplatArrays:
        """The same splats as numpy arrays on the CPU; shares the memory of float32 tensors that are there."""
        return SplatArrays(
            *(tensor.detach().to("cpu", torch.float32).numpy() for _, tensor in self.tensors())
        )

    @staticmethod
    def empty() -> Splats:
        """No splats at all."""
        return Splats(
            torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 1, 3)
        )
