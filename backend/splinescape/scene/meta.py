"""What a scene file says about itself: who made it, through which camera, in which units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError

Units = Literal["metres", "relative"]

_PREFIX = "splinescape."
_MAX_SIZE = 1_000_000


@dataclass(frozen=True, eq=False)
class SceneMeta:
    """Facts about a scene that travel in the header of its file.

    World coordinates are those of the input picture's OpenCV camera: x right, y down, z forward.

    Attributes:
        version: Splinescape version that made the scene; "" for files of other tools.
        K_33: (3, 3) float64 intrinsics of the input picture in pixels; None if unknown.
        width, height: size of the input picture in pixels; None if unknown.
        units: "metres" when the depth was metric, else "relative".
        up: the world axis that points up; "-y" in an OpenCV world.
        seed: the seed the scene was made with; None if unknown.
        engines: role -> engine name, such as {"depth": "builtin"}.
        dropped: splats that the reader left out because a number was not finite; never written.

    Raises:
        InputError: a value cannot be stored, or is not possible (NaN in K_33, a negative size).
    """

    version: str = ""
    K_33: NDArray[np.float64] | None = None
    width: int | None = None
    height: int | None = None
    units: Units = "relative"
    up: str = "-y"
    seed: int | None = None
    engines: Mapping[str, str] = field(default_factory=dict)
    dropped: int = 0

    def __post_init__(self) -> None:
        if self.K_33 is not None:
            K_33 = np.array(self.K_33, np.float64)
            if K_33.shape != (3, 3) or not np.isfinite(K_33).all() or K_33[0, 0] <= 0 or K_33[1, 1] <= 0:
                raise InputError("K_33 must be 3x3 finite numbers with positive focal lengths")
            K_33.setflags(write=False)
            object.__setattr__(self, "K_33", K_33)
        for name in ("width", "height"):
            size = getattr(self, name)
            if size is not None and not 0 < size <= _MAX_SIZE:
                raise InputError(f"{name} must be 1 to {_MAX_SIZE} pixels, not {size}")
        if self.units not in get_args(Units):
            raise InputError(f"units must be one of {', '.join(get_args(Units))}, not '{self.units}'")
        if self.up not in ("x", "-x", "y", "-y", "z", "-z"):
            raise InputError(f"up must be an axis such as -y, not '{self.up}'")
        for word in (self.version, *self.engines, *self.engines.values()):
            # A line break here would let a name end the header of the file.
            if len(word) > 200 or not (word.isascii() and word.isprintable()):
                raise InputError(f"{word!r} cannot be stored: use up to 200 printable ASCII characters")

    def comments(self) -> list[str]:
        """Header lines, each `splinescape.<key> <value>`; floats read back exactly."""
        lines = {"version": self.version, "units": self.units, "up": self.up}
        if self.width is not None and self.height is not None:
            lines["image_size"] = f"{self.width} {self.height}"
        if self.K_33 is not None:
            lines["K"] = " ".join(repr(float(v)) for v in self.K_33.ravel())
        if self.seed is not None:
            lines["seed"] = str(self.seed)
        for role, name in sorted(self.engines.items()):
            lines[f"engine.{role}"] = name
        return [f"{_PREFIX}{key} {value}".rstrip() for key, value in lines.items()]

    @staticmethod
    def from_comments(comments: Iterable[str], *, dropped: int = 0) -> SceneMeta:
        """Read back `comments()`; lines of other tools and unknown keys are ignored.

        Raises:
            InputError: one of our own lines is damaged; the message quotes it.
        """
        values: dict[str, object] = {}
        engines: dict[str, str] = {}
        for line in comments:
            key, _, value = line.strip().partition(" ")
            if not key.startswith(_PREFIX):
                continue
            key, value = key.removeprefix(_PREFIX), value.strip()
            try:
                if key.startswith("engine."):
                    engines[key.removeprefix("engine.")] = value
                else:
                    values.update(_parse(key, value))
            except ValueError as error:
                raise InputError(f"damaged header comment '{line.strip()[:200]}': {error}") from None
        return SceneMeta(**values, engines=engines, dropped=dropped)  # type: ignore[arg-type]


def _parse(key: str, value: str) -> dict[str, object]:
    if key in ("version", "units", "up"):
        return {key: value}
    if key == "seed":
        return {"seed": int(value)}
    if key == "image_size":
        width, height = value.split()
        return {"width": int(width), "height": int(height)}
    if key == "K":
        return {"K_33": np.array([float(v) for v in value.split()]).reshape(3, 3)}
    return {}
