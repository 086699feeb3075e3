"""MoGe: monocular geometry estimation, versions 1 and 2.

A port of the published networks that loads their published weights: the same parameter names, shapes and formulas,
none of the package's dependencies. Importing this loads neither torch nor any weights.
"""

from __future__ import annotations

from importlib.util import find_spec

from splinescape.depth.moge.estimator import MogeDepth

__all__ = ["MogeDepth", "missing"]


def missing() -> str | None:
    """The library that is not installed, with the command that installs it, or None; loads nothing."""
    for package in ("torch", "scipy"):
        if find_spec(package) is None:
            return f"the package {package} is not installed (pip install {package})"
    return None
