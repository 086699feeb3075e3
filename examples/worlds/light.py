"""Light that depends on the surface point and its normal, never on the viewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import Array

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """A sun (or a lamp, when `position` is given) and the light of the surroundings.

    Attributes:
        key: colour of the sun or lamp.
        above, below: colour of what comes from the upper and the lower half of the world.
        direction: towards the sun; ignored for a lamp.
        position: of a lamp in the world, or None.
    """

    key: Color
    above: Color
    below: Color
    direction: Color = (0.4, -0.8, -0.45)
    position: Color | None = None

    def __call__(self, points: Array, normals: Array) -> Array:
        """(3, N) factors for the colours at `points` (3, N) with unit `normals` (3, N)."""
        if self.position is None:
            towards = np.array(self.direction, np.float32)
            cosine = (towards / np.linalg.norm(towards)) @ normals
        else:
            way = np.array(self.position, np.float32)[:, None] - points
            cosine = (way * normals).sum(0) / np.sqrt((way**2).sum(0))
        up = 0.5 - 0.5 * normals[1]
        key, above, below = (np.array(c, np.float32)[:, None] for c in (self.key, self.above, self.below))
        return key * np.maximum(cosine, 0) + above * up + below * (1 - up)
