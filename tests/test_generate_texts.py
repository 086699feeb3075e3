"""What the Generate panel says: sentences, progress, the table of the expansion; without Blender."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from addon.generate.job_view import JobView
from addon.generate.presets import PRESETS, apply_preset, quality_of
from addon.generate.summary import read_summary
from addon.generate.wording import duration, headline, lines, progress_text, scene_text
from splinescape.coarse.report import CoarseDiagnostics, CoarseFrame, CoarseSummary
from splinescape.config import SceneConfig


def test_a_job_is_described_in_a_few_words() -> None:
    view = JobView(
        "x", "0" * 32, "running", stage="train", step=12, total=40, eta=108.0, frames=3, splats=120_000
    )
    assert headline(view) == "Fitting splats to the picture"
    assert progress_text(view, now=100.0) == "12 of 40, 8 s left"
    assert view.fraction == 0.3
    assert scene_text(view) == "3 frames, 120,000 splats"
    assert headline(JobView("x", "0" * 32, "queued", position=2)) == "Waiting in the queue: number 2"
    assert headline(JobView("x", "0" * 32, "running", stage="dreaming")) == "Dreaming"
    assert progress_text(JobView("x", state="sending", sent=(500_000, 2_000_000)), 0.0) == "0.5 of 2.0 MB"
    assert JobView("x").fraction is None
    assert scene_text(JobView("x")) == ""


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (JobView("x", "0" * 32, "running", connection="connected"), ""),
        (
            JobView("x", "0" * 32, "running", connection="lost", trouble="nobody listens."),
            "The backend does not answer (nobody listens). The job is safe there: click Reconnect",
        ),
        (
            JobView("x", "", "waiting", connection="lost"),
            "The backend does not answer. Nothing is lost: click Reconnect",
        ),
        (
            JobView("x", "0" * 32, "failed", reason="out of memory", connection="connected"),
            "The scene could not be finished: out of memory. Open the log, then Resume or change the settings",
        ),
    ],
)
def test_a_problem_is_a_sentence_with_the_next_step(view: JobView, problem: str) -> None:
    assert view.problem() == problem


def test_notes_are_told_once_and_not_without_end() -> None:
    view = JobView("x")
    for i in range(100):
        view.note(f"note {i}", warning=i == 99)
        view.note("again", warning=False)
    assert len(view.notes) == 30
    assert [each.text for each in view.notes].count("again") == 1
    assert view.warnings == ["note 99"]


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(each) for each in (0.4, 8, 89, 100, 3599, 5400)] == [
        "0 s",
        "8 s",
        "89 s",
        "2 min",
        "1 h 0 min",
        "1 h 30 min",
    ]


def test_sentences_are_broken_to_the_width_of_the_panel() -> None:
    text = "The backend does not answer. The job is safe there: click Reconnect"
    assert " ".join(lines(text, 300)) == text
    assert max(map(len, lines(text, 300))) <= 38
    assert len(lines(text, 150)) > len(lines(text, 300))
    assert lines(text, 600, ui_scale=2.0) == lines(text, 300)
    assert lines("", 300) == [""]


def _summary(diagnostics: CoarseDiagnostics | None) -> str:
    frame = CoarseFrame(17, 0.0415, 4000, 3500, 3500)
    summary = CoarseSummary((frame,), (frame, frame), 5, 5, 357_314, 0.00027, diagnostics)
    return json.dumps({"text": summary.text(), "data": asdict(summary)})


def test_the_expansion_is_a_table_with_the_knob_to_turn_under_its_name_in_the_panel() -> None:
    advice = "every pose uncovers less than --coarse-min-inpaint-ratio 0.05: lower it below 0.0115"
    table = read_summary(
        _summary(CoarseDiagnostics(100, 0.0, 0.0053, 0.012, 100, 0, 0, ((74, 0.0115),), advice))
    )
    assert table is not None
    assert [row.name for row in table.rows] == ["1", "closing 1", "closing 2"]
    assert (table.rows[0].pose, table.rows[0].uncovered, table.rows[0].splats) == ("17", "4.2 %", "3,500")
    assert table.totals == "5 frames, 357,314 splats, at most 0.027 % uncovered on the path"
    assert table.facts[0] == "100 candidates left uncover 0 % to 1.2 %, 0.53 % on average"
    assert table.advice == "Every pose uncovers less than Least Uncovered 0.05: lower it below 0.0115"
    assert "[COARSE][DIAG]" in table.text


def test_without_diagnostics_there_is_no_advice() -> None:
    table = read_summary(_summary(None))
    assert table is not None
    assert (table.facts, table.advice) == ((), "")


@pytest.mark.parametrize("saved", ["", "{", "[]", '{"data": 3}', '{"data": {"frames": [{}]}}', "null"])
def test_a_damaged_summary_is_none(saved: str) -> None:
    assert read_summary(saved) is None


@pytest.mark.parametrize("quality", PRESETS)
def test_presets_are_settings_that_the_service_takes(quality: str) -> None:
    assert SceneConfig(**PRESETS[quality]).stage in ("coarse", "fine")


def test_a_changed_preset_is_none() -> None:
    class Settings:
        pass

    settings = Settings()
    apply_preset(settings, "DRAFT")
    assert quality_of(settings) == "DRAFT"
    settings.n_frames = 5  # type: ignore[attr-defined]
    assert quality_of(settings) == ""
