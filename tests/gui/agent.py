"""Runs inside Blender (`blender -P agent.py`): executes the tests' Python and says when the interface answers.

The folder in SPLINESCAPE_GUI_AGENT holds one `N.py` for each command, and gets its `N.json`.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

import bpy

FOLDER = Path(os.environ["SPLINESCAPE_GUI_AGENT"])
SECONDS = 0.01


class Agent:
    """Executes commands in order; `watch` is asked at every turn, and the time of its first yes is kept."""

    def __init__(self) -> None:
        self.number = 0
        self.names: dict[str, Any] = {"bpy": bpy, "agent": self, "view3d": view3d}
        self.last_turn = time.monotonic()
        self.longest_gap = 0.0
        self.turns = 0
        self.draws: list[float] = []
        self.watched: Any = None
        self.watched_at: float | None = None

    def turn(self) -> float:
        """Called by Blender's timers."""
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self.last_turn)
        self.last_turn = now
        self.turns += 1
        if self.watched is not None and self.watched_at is None and self.watched():
            self.watched_at = time.time()
        command = FOLDER / f"{self.number}.py"
        if command.exists():
            self.answer(command)
            self.number += 1
        return SECONDS

    def answer(self, command: Path) -> None:
        """Execute one command; what it leaves in `result` is the answer."""
        self.names["result"] = None
        try:
            exec(compile(command.read_text(), str(command), "exec"), self.names)
            answer = {"result": self.names["result"]}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        part = command.with_suffix(".part")
        part.write_text(json.dumps(answer, default=str))
        part.rename(command.with_suffix(".json"))

    def watch(self, condition: Any) -> None:
        """From now on, look for the moment when the condition becomes true."""
        self.watched, self.watched_at = condition, None

    def drawn(self) -> None:
        """Called after each drawing of a viewport."""
        self.draws.append(time.time())


def view3d() -> tuple[Any, Any]:
    """The first 3D viewport: its window and its area."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                return window, area
    raise LookupError("no 3D viewport")


_agent = Agent()
bpy.app.timers.register(_agent.turn, persistent=True)
bpy.types.SpaceView3D.draw_handler_add(_agent.drawn, (), "WINDOW", "POST_PIXEL")
