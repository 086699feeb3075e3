"""The scenes: which function builds each (`build_NAME` in the module `family`), and how it is photographed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """One picture.

    Attributes:
        at, to: the camera stands at the first and looks at the second, metres, z up.
        fov: degrees along the longer side. roll: degrees.
        size: width and height in pixels. indoor: no sky can be expected but through a window.
        tone: Blender's view transform. look: its look, "" for none. brighter: stops above the usual exposure.
        focus: distance in metres and f-stop, None for all sharp. samples: at most, per pixel.
    """

    name: str
    family: str
    at: tuple[float, float, float]
    to: tuple[float, float, float]
    fov: float
    indoor: bool = False
    roll: float = 0.0
    size: tuple[int, int] = (512, 384)
    tone: str = "AgX"
    look: str = ""
    brighter: float = 0.0
    focus: tuple[float, float] | None = None
    samples: int = 24
    seed: int = 1

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]

    def intrinsics(self) -> NDArray[np.float32]:
        """(3, 3) in pixels, pixel centres at +0.5."""
        f = max(self.size) / 2 / math.tan(math.radians(self.fov) / 2)
        return np.array([[f, 0, self.width / 2], [0, f, self.height / 2], [0, 0, 1]], np.float32)


_CRISP, _SOFT = "AgX - Medium High Contrast", "AgX - Medium Low Contrast"

SCENES: tuple[Scene, ...] = (
    Scene("living_room", "rooms", (2.3, -2.6, 1.45), (-0.5, 1.6, 0.8), 68, indoor=True, look=_CRISP),
    Scene("kitchen", "rooms", (-1.7, -2.3, 1.6), (0.7, 1.6, 0.9), 78, indoor=True, tone="Filmic", seed=2),
    Scene("bedroom_at_night", "rooms", (1.9, -2.2, 1.3), (-0.7, 1.0, 0.6), 70, indoor=True, roll=3, seed=3),
    Scene("office", "rooms", (-2.6, -3.0, 1.65), (0.8, 1.5, 0.8), 80, indoor=True, tone="Filmic", seed=4),
    Scene("corridor", "rooms", (0.35, -1.0, 1.5), (-0.1, 9, 1.1), 66, indoor=True, size=(384, 512), seed=5),
    Scene("bathroom", "rooms", (1.1, -1.3, 1.55), (-0.6, 1.1, 0.6), 92, indoor=True, look=_CRISP, seed=6),
    Scene("window_on_garden", "rooms", (0.9, -2.2, 1.4), (-0.3, 2.0, 1.15), 64, indoor=True, seed=7, roll=-2),
    Scene("street", "streets", (1.6, -14, 1.6), (-0.6, 8, 1.9), 68, tone="Filmic", seed=8),
    Scene("street_at_sunset", "streets", (-4.6, -8, 0.6), (-0.6, 8, 1.9), 52, look=_CRISP, roll=-4, seed=9),
    Scene("courtyard", "streets", (4.2, -6.5, 1.7), (-1.2, 4, 2.6), 82, size=(384, 512), seed=10),
    Scene(
        "blocks_from_above", "streets", (45, -75, 60), (0, 5, 0), 58, tone="Standard", brighter=-0.3, seed=11
    ),
    Scene("square_with_people", "streets", (-3.5, -9, 1.65), (0.4, 4, 1.3), 62, seed=12, roll=2),
    Scene("mountains", "landscapes", (0, -900, 60), (60, 600, 170), 55, look=_CRISP, seed=13),
    Scene("meadow", "landscapes", (0, -12, 1.5), (3, 20, 2.0), 72, tone="Filmic", seed=14),
    Scene("forest_path", "landscapes", (0.2, -9, 1.4), (0.5, 6, 1.6), 74, look=_SOFT, brighter=-0.5, seed=15),
    Scene("lake", "landscapes", (-4.5, -9, 2.4), (3, 30, 1.2), 84, size=(640, 360), seed=16),
    Scene(
        "beach_from_dune", "landscapes", (0, -34, 11.5), (9, 20, 1.5), 62, tone="Filmic", seed=17, roll=1.5
    ),
    Scene(
        "laid_table",
        "closeups",
        (0.15, -0.95, 1.28),
        (0, 0.1, 0.78),
        42,
        focus=(1.05, 2.0),
        indoor=True,
        seed=18,
    ),
    Scene("bicycles_at_fence", "closeups", (-0.9, -3.6, 1.1), (0.3, 0.5, 0.75), 58, seed=19),
    Scene(
        "toys_on_carpet",
        "closeups",
        (0.35, -1.3, 0.42),
        (0, 0.3, 0.14),
        38,
        indoor=True,
        seed=20,
        tone="Filmic",
    ),
    Scene("people_in_gallery", "closeups", (-1.2, -4.2, 1.6), (0.3, 1.5, 1.2), 60, indoor=True, seed=21),
)
