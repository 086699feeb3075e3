"""What the progress display shows, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from splinescape.cli import progress
from splinescape.cli.progress import ProgressDisplay
from splinescape.coarse.report import CoarseSummary
from splinescape.events import CoarseReported, Event, Note, Progress, StageStarted

STORY: list[Event] = [
    Note("depth engine: builtin"),
    StageStarted("train", "fitting 9 splats"),
    Progress("train", 1, 2, 65.0),
    Progress("train", 2, 2, 0.0),
    Note("the picture is small", warning=True),
    CoarseReported(CoarseSummary()),
]


def told(terminal: bool, quiet: bool, story: list[Event], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a display writes about `story`."""
    written = io.StringIO()
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **options: Console(
            file=written, force_terminal=terminal, width=100, **(options | {"stderr": False})
        ),
    )
    with ProgressDisplay(quiet) as display:
        for event in story:
            display(event)
    return written.getvalue()


def test_plain_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(False, False, STORY, monkeypatch).splitlines()
    assert lines == [
        "depth engine: builtin",
        "[train] fitting 9 splats",
        "[train] 1/2, 65 s left",
        "[train] 2/2, 0 s left",
        "warning: the picture is small",
    ]


def test_plain_lines_do_not_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    story: list[Event] = [Progress("train", step, 500, None) for step in range(1, 501)]
    assert told(False, False, story, monkeypatch).splitlines() == ["[train] 1/500", "[train] 500/500"]


def test_quiet_keeps_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (False, True):
        text = told(terminal, True, STORY, monkeypatch)
        assert "the picture is small" in text
        assert "train" not in text
        assert "builtin" not in text


def test_bars_with_the_time_left_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(True, False, STORY[:3], monkeypatch)
    assert "1/2" in text
    assert "65 s left" in text
    assert "━" in text


def test_the_overall_bar_outlives_the_stages_of_single_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=io.StringIO(), force_terminal=True))
    with ProgressDisplay() as display:
        display(Progress("coarse", 0, 8))
        display(StageStarted("expanded", "pose 3"))
        display(Progress("expanded", 5, 60))
        assert display.bars == ["coarse", "expanded"]
        display(StageStarted("expanded", "pose 9"))
        assert display.bars == ["coarse"]
        display(CoarseReported(CoarseSummary()))
        assert display.bars == []
