"""Our own rasteriser: numba, multithreaded, tile-based, forward and backward."""

from splinescape.raster.cpu.engine import CpuRasterizer

__all__ = ["CpuRasterizer"]
