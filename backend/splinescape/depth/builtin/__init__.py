"""Depth without weights: a geometric prior, preview quality."""

from __future__ import annotations

from splinescape.depth.builtin.estimator import BuiltinDepth

__all__ = ["BuiltinDepth"]
