"""Our own rasteriser: numba, multithreaded, tile-based, forward and backward."""

from splinescape.raster.cpu.engine import CpuRasterizer, warm_up

__all__ = ["CpuRasterizer", "warm_up"]
