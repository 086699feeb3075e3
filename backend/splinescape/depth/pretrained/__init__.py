"""Depth Pro and Depth Anything V2 from folders in the format of transformers; neither is loaded before it is made."""

from __future__ import annotations

from splinescape.depth.pretrained.depth_anything import DepthAnythingDepth
from splinescape.depth.pretrained.depth_pro import DepthProDepth
from splinescape.depth.pretrained.folder import missing

__all__ = ["DepthAnythingDepth", "DepthProDepth", "missing"]
