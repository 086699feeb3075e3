"""The list of models for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from splinescape.availability import amount

_WIDE = 1000
_STATES = {"absent": "", "partial": "half fetched", "complete": "here", "damaged": "damaged"}


def print_models(models: Iterable[dict[str, Any]]) -> None:
    """Print one line for each model, given as the fields of a `ModelStatus`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    models = list(models)
    table = Table(box=None, pad_edge=False, header_style="")
    for column in ("model", "role", "state", "size", "licence", "what it is"):
        table.add_column(
            column,
            justify="right" if column == "size" else "left",
            no_wrap=column not in ("licence", "what it is"),
        )
    for model in models:
        summary = Text(str(model["summary"]), no_wrap=True, overflow="ellipsis")
        table.add_row(model["id"], model["role"], _state(model), _size(model), _licence(model), summary)
    width = None if sys.stdout.isatty() else _WIDE
    console = Console(markup=False, highlight=False, width=width)
    console.print(table)
    for model in models:
        if model.get("problem"):
            console.print(f"{model['id']}: {model['problem']}", soft_wrap=True)


def _state(model: dict[str, Any]) -> str:
    if (
        model.get("downloading") and model["state"] != "complete"
    ):  # it is, a moment before the service has noticed
        return "being fetched"
    return "your own" if model["local"] and model["state"] == "complete" else _STATES[model["state"]]


def _size(model: dict[str, Any]) -> str:
    size, here = model["size"], model["on_disk"]
    if model["state"] == "partial":
        return f"{amount(here)} of {amount(size)}" if size else f"{amount(here)} of ?"
    return amount(size) if size else "?"


def _licence(model: dict[str, Any]) -> str:
    marks = []
    if model["non_commercial"]:
        marks.append("accepted" if model["accepted"] else "to be accepted")
    if model["gated"]:
        marks.append("gated")
    return model["licence"] + (f" ({', '.join(marks)})" if marks else "")
