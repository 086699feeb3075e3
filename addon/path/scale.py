"""How large the scene is: it sizes new paths, their density, and what counts as far."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT = 4.0
"""Size of a scene that does not exist yet, in Blender's units."""
_SAMPLE = 20_000


def scene_object(scene: Any) -> Any:
    """The splats of the scene, None before there are any."""
    made = scene.splinescape.generate.scene_object
    return made if made is not None and made.type == "POINTCLOUD" and made.name in scene.objects else None


def scene_splats(scene: Any, most: int = _SAMPLE) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Positions (m, 3) in the scene's world and opacities (m,) of up to `most` splats, evenly picked; or None."""
    made = scene_object(scene)
    attributes = None if made is None else made.data.attributes
    if attributes is None or "position" not in attributes or not len(made.data.points):
        return None
    count = len(made.data.points)
    positions = np.empty(count * 3, np.float32)
    attributes["position"].data.foreach_get("vector", positions)
    opacities = np.ones(count, np.float32)
    if "opacity" in attributes and attributes["opacity"].data_type == "FLOAT":
        attributes["opacity"].data.foreach_get("value", opacities)
    step = max(1, count // most)
    return positions.reshape(-1, 3)[::step].astype(np.float64), opacities[::step].astype(np.float64)


def scene_size(scene: Any) -> float:
    """Size of what the input camera sees, as the service measures it; `DEFAULT` before there is a scene."""
    splats = scene_splats(scene)
    return DEFAULT if splats is None else spread(splats[0])


def spread(points: NDArray[np.float64]) -> float:
    """Mean over x, y, z of the distance between the 5th and the 50th percentile of points (m, 3) ahead."""
    ahead = points[(points[:, 2] > 0) & np.isfinite(points).all(axis=1)]
    if len(ahead) == 0:
        return DEFAULT
    low, high = np.percentile(ahead, [5, 50], axis=0)
    size = float((high - low).mean())
    return size if size > 0 else float(np.median(ahead[:, 2])) / 2


def scene_distance(scene: Any) -> float:
    """How far the middle of the scene is from the input camera; `DEFAULT` before there is a scene."""
    splats = scene_splats(scene)
    depths = np.zeros(0) if splats is None else splats[0][:, 2]
    depths = depths[np.isfinite(depths) & (depths > 0)]
    return float(np.median(depths)) if len(depths) else DEFAULT
