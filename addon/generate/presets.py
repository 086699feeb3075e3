"""What the quality levels mean, in the service's settings."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

PRESETS = MappingProxyType(
    {
        "DRAFT": {
            "stage": "coarse",
            "max_resolution": 256,
            "n_frames": 4,
            "num_steps": 12,
            "coarse_dense_multiplier": 5,
        },
        "PREVIEW": {
            "stage": "coarse",
            "max_resolution": 512,
            "n_frames": 10,
            "num_steps": 25,
            "coarse_dense_multiplier": 10,
        },
        "HIGH": {
            "stage": "fine",
            "max_resolution": 1024,
            "n_frames": 16,
            "num_steps": 40,
            "coarse_dense_multiplier": 10,
        },
    }
)


def apply_preset(settings: Any, quality: str) -> None:
    """Set what the quality level stands for on `scene.splinescape.generate`, or anything with these attributes.

    Raises:
        KeyError: there is no such level.
    """
    for name, value in PRESETS[quality].items():
        setattr(settings, name, value)


def quality_of(settings: Any) -> str:
    """The level that the settings are at now; "" when they were changed."""
    for quality, values in PRESETS.items():
        if all(getattr(settings, name) == value for name, value in values.items()):
            return quality
    return ""
