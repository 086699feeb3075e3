"""How the backend looks in the preferences."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from .connect import Backend
from .environment import free_bytes, installed
from .models import Model

_PIXELS_A_LETTER = 6.3
_MARGINS = 90


def columns_in(width: float, ui_scale: float) -> int:
    """How many letters fit into a line of a region that is `width` pixels wide."""
    return max(30, int((width / ui_scale - _MARGINS) / _PIXELS_A_LETTER))


def draw_backend(layout: Any, preferences: Any, backend: Backend, home: Path, columns: int) -> None:
    """Which backend, how it is, and what can be done about it.

    Args:
        home: folder of environments. columns: letters that fit into a line.
    """
    box = layout.box()
    box.row().prop(preferences, "backend", expand=True)
    connected = backend.connected()
    paragraph(box, backend.status(), "CHECKMARK" if connected else "INFO", columns)
    if preferences.backend == "FILE":
        box.prop(preferences, "connection_file")
        box.operator("splinescape.test_connection", icon="LINKED")
        return
    row = box.row(align=True)
    row.operator("splinescape.start_backend", icon="PLAY")
    row.operator("splinescape.stop_backend", icon="PAUSE")
    row.operator("splinescape.open_backend_log", icon="TEXT").which = "SERVICE" if connected else "START"
    box.prop(preferences, "device")
    box.row().prop(preferences, "environment", expand=True)
    if preferences.environment == "OWN":
        box.prop(preferences, "python")
    else:
        _draw_installation(box, backend, home, columns)
    box.prop(preferences, "show_folders", icon=_arrow(preferences.show_folders), emboss=False)
    if preferences.show_folders:
        column = box.column()
        for name in ("data_folder", "environment_folder", "base_python", "build"):
            column.prop(preferences, name)


def _draw_installation(layout: Any, backend: Backend, home: Path, columns: int) -> None:
    installer = backend.installer
    if installer.running:
        row = layout.split(factor=0.8)
        row.progress(factor=installer.fraction, text=f"{installer.fraction:.0%}")
        row.operator("splinescape.cancel_install", icon="X")
        return
    if installer.state == "failed":
        paragraph(layout, installer.text, "ERROR", columns)
        layout.operator(
            "splinescape.open_backend_log", icon="TEXT", text="Open Installation Log"
        ).which = "INSTALL"
    found, free = installed(home), free_bytes(home)
    room = "" if free is None else f"{gigabytes(free)} free"
    if found is not None:
        parts = f"Splinescape {found.splinescape}, PyTorch {found.torch}"
        layout.label(text=f"{parts}, {gigabytes(found.size)} ({room})")
    row = layout.row(align=True)
    text = f"Install Backend ({room})" if found is None else "Install Again or Update"
    row.operator("splinescape.install_backend", icon="IMPORT", text=text)
    if found is not None:
        row.operator("splinescape.remove_backend", icon="TRASH")


def draw_models(layout: Any, preferences: Any, backend: Backend, columns: int) -> None:
    """The models that the backend knows, with their licences."""
    box = layout.box()
    box.prop(preferences, "show_models", icon=_arrow(preferences.show_models), emboss=False)
    if not preferences.show_models:
        return
    models = backend.models
    if models.error:
        paragraph(box, models.error, "ERROR", columns)
    if not models.all:
        box.label(
            text="Only a backend that runs can tell its models" if not backend.connected() else "Asking..."
        )
        return
    box.label(text=f"On disk: {gigabytes(sum(model.on_disk for model in models.all))}")
    if not backend.uses_models:
        paragraph(
            box,
            "No engine of this backend uses a model yet: scenes are made with the built-in ones",
            "INFO",
            columns,
        )
    for model in models.all:
        _draw_model(box.column(align=True), model, columns)


def _draw_model(layout: Any, model: Model, columns: int) -> None:
    split = layout.split(factor=0.78)
    texts = split.split(factor=0.45)
    texts.label(
        text=f"{model.id} ({model.role})", icon="CHECKMARK" if model.state == "complete" else "BLANK1"
    )
    size = gigabytes(model.size) if model.size else "size not known yet"
    texts.label(text=f"{model.licence}, {size}")
    buttons = split.row(align=True)
    if model.fetching:
        buttons.progress(factor=model.fraction, text=f"{model.done / 1e6:.0f} MB")
        buttons.operator("splinescape.remove_model", text="", icon="X").model = model.id
    elif model.state == "complete":
        buttons.operator("splinescape.remove_model", icon="TRASH").model = model.id
    else:
        again = {"partial": "Continue", "damaged": "Repair"}.get(model.state, "Download")
        buttons.operator("splinescape.download_model", text=again, icon="IMPORT").model = model.id
    paragraph(layout, model.error or model.problem, "ERROR", columns)
    if model.state != "complete":
        paragraph(layout, model.hint, "LOCKED", columns)


def paragraph(layout: Any, text: str, icon: str, columns: int) -> None:
    """A text over as many lines as it needs; nothing for an empty one."""
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(text, columns)):
        column.label(text=line, icon=icon if i == 0 else "BLANK1")


def gigabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _arrow(is_open: bool) -> str:
    return "DOWNARROW_HLT" if is_open else "RIGHTARROW"
