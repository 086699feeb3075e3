"""Which engine each role would get here, why, and what would bring a better one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from splinescape import engines
from splinescape.availability import amount, device_kind, weights_missing
from splinescape.config import SceneConfig
from splinescape.models.catalogue import model_entry

_FOR_GPU = {"inpaint": ("flux-fill", "flux-2-klein-4b"), "depth": ("moge-2-vitl-normal",)}
_FOR_CPU = {"depth": ("moge-2-vits-normal",)}


def prospects() -> list[dict[str, Any]]:
    """One entry for each role: "role", "engine", "reason", and "better": lines that say what to do."""
    tables = {
        "inpaint": engines.INPAINTERS,
        "depth": engines.DEPTH_ESTIMATORS,
        "raster": engines.RASTERIZERS,
    }
    return [_prospect(role, table) for role, table in tables.items()]


def _prospect(role: str, table: Sequence[engines.EngineEntry]) -> dict[str, Any]:
    def tell(entry: engines.EngineEntry, reason: str) -> dict[str, Any]:
        if entry.forecast is not None:
            reason = f"{reason}; {entry.forecast(SceneConfig(), engines.free_memory())}"
        return {"role": role, "engine": entry.name, "reason": reason, "better": _better(role, entry)}

    # The forecast may find that memory has become less since the engine was picked.
    return engines.first_that_can(
        lambda failed: engines.pick(role, table, None, config=SceneConfig(), failed=failed), tell
    )


def _better(role: str, chosen: engines.EngineEntry) -> list[str]:
    kind = device_kind()
    if role == "raster":
        wanted = kind == "cuda" and chosen.name != "gsplat"
        return [f"for splats on the GPU: {engines.RASTERIZERS[0].missing()}"] if wanted else []
    lines = []
    for model in (_FOR_CPU if kind == "cpu" else _FOR_GPU).get(role, ()):
        if weights_missing(model) is not None and model != chosen.model:
            lines.append(_fetch(role, model))
    if lines and find_spec("diffusers") is None:
        lines.insert(0, "pip install 'splinescape[models]'")
    if role == "inpaint" and kind == "cpu":
        lines.append(
            "diffusion models are made for GPUs; one that is on the disk still runs when asked for by name"
        )
    return lines


def _fetch(role: str, model: str) -> str:
    entry = model_entry(model)
    terms = f"{entry.licence.name}{', no commercial use' if entry.licence.non_commercial else ''}"
    size = f"{amount(entry.size)}, " if entry.size else ""
    return f"for better {role}: splinescape models download {model} ({size}{terms})"
