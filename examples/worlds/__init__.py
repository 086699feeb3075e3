"""Analytic textured worlds with exact colours and exact depth, for tests, benchmarks and example pictures."""

from .indoor import indoor
from .oracle import OracleDepth, OracleInpainter, centred_intrinsics
from .outdoor import outdoor
from .paths import forward_side_path
from .plain import plain_room
from .soften import FOCAL, band_limited, soften
from .world import World, WorldImage

__all__ = [
    "FOCAL",
    "OracleDepth",
    "OracleInpainter",
    "World",
    "WorldImage",
    "band_limited",
    "centred_intrinsics",
    "forward_side_path",
    "indoor",
    "outdoor",
    "plain_room",
    "soften",
]
