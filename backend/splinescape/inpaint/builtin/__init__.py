"""The engine that needs no weights: PatchMatch completion with gradient-domain blending, on the CPU."""

from splinescape.inpaint.builtin.engine import BuiltinInpainter

__all__ = ["BuiltinInpainter"]
