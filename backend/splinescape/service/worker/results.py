"""The results of a job in its folder, and the list that says they are complete."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

from splinescape.deliver import final_render, save_scene_files
from splinescape.events import OnEvent
from splinescape.io.atomic import atomic_file
from splinescape.pipeline import SceneResult
from splinescape.service.worker.relay import summary_facts
from splinescape.service.worker.spec import Spec

_LIST = "results.json"
_FOLDER = "results"


def complete_results(folder: Path) -> list[dict[str, Any]] | None:
    """Name, size and sha256 of every result when all of them are there as listed, else None."""
    try:
        files = json.loads((folder / _LIST).read_text(encoding="utf-8"))["files"]
        as_listed = all(_facts(folder / _FOLDER / file["name"]) == file for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if files and as_listed else None


def write_results(
    result: SceneResult, spec: Spec, folder: Path, emit: OnEvent, cancel: threading.Event
) -> list[dict[str, Any]]:
    """Write everything that the job was asked for, and last the list.

    Returns:
        Name, size and sha256 of every file.

    Raises:
        CancelledError: `cancel` was set. InputError: a file cannot be written.
    """
    results = folder / _FOLDER
    (folder / _LIST).unlink(missing_ok=True)
    shutil.rmtree(results, ignore_errors=True)
    ply = results / "gf.ply"
    save_scene_files(result, ply, [results / f"gf.{suffix}" for suffix in spec.formats])
    if spec.film:
        final_render(result, emit, film=results / "film.mp4", cancel=cancel)
    _write(results / "path.json", result.path.to_json())
    _write(results / "summary.json", json.dumps(summary_facts(result.summary), indent=1))
    files = [_facts(path) for path in sorted(results.iterdir(), key=lambda path: (path != ply, path.name))]
    _write(folder / _LIST, json.dumps({"files": files}, indent=1))
    return files


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "size": path.stat().st_size, "sha256": sha256}
