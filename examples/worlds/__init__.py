"""Analytic textured worlds with exact colours and exact depth, for tests, benchmarks and example pictures."""

from .indoor import indoor
from .oracle import FOCAL, OracleDepth, OracleInpainter, centred_intrinsics
from .outdoor import outdoor
from .paths import forward_side_path
from .soften import soften
from .world import World, WorldImage

__all__ = [
    "FOCAL",
    "OracleDepth",
    "OracleInpainter",
    "World",
    "WorldImage",
    "centred_intrinsics",
    "forward_side_path",
    "indoor",
    "outdoor",
    "soften",
]
