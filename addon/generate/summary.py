"""The coarse summary of a job as rows and sentences for a panel; needs no Blender."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_NAMES = {
    "--coarse-dense-multiplier": "Candidates",
    "--coarse-adjacent-exclusion": "Distance",
    "--coarse-min-inpaint-ratio": "Least Uncovered",
    "--coarse-max-inpaint-ratio": "Most Uncovered",
    "--coarse-fallback-mode closest": "None in Range: Take the Closest",
}
"""What the service's settings are called in the Generate panel."""


@dataclass(frozen=True)
class Row:
    """One frame of the expansion, as text.

    Attributes:
        name: "1", "2", ... or "closing 1". pose: which candidate it was. uncovered: share of the view, such as "4.2 %".
        splats: that it has added.
    """

    name: str
    pose: str
    uncovered: str
    splats: str


@dataclass(frozen=True)
class Table:
    """A summary to be shown.

    Attributes:
        rows: the frames. totals: a line below them. facts: lines on the candidates that were left.
        advice: which setting to change; "" when there is nothing to say.
        text: the whole report as the command line prints it.
    """

    rows: tuple[Row, ...]
    totals: str
    facts: tuple[str, ...]
    advice: str
    text: str


def read_summary(saved: str) -> Table | None:
    """The table of a summary that was saved as JSON; None when there is none that can be read."""
    try:
        summary = json.loads(saved)
        return _table(summary["data"], str(summary.get("text", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _table(data: dict[str, Any], text: str) -> Table:
    chosen, closing = data.get("frames", ()), data.get("closing_frames", ())
    rows = [_row(str(i + 1), frame) for i, frame in enumerate(chosen)]
    rows += [_row(f"closing {i + 1}", frame) for i, frame in enumerate(closing)]
    totals = (
        f"{data.get('scene_frames', 0)} frames, {data.get('total_splats', 0):,} splats, "
        f"at most {_percent(data.get('uncovered', 0.0))} uncovered on the path"
    )
    found = data.get("diagnostics")
    return Table(tuple(rows), totals, _facts(found) if found else (), _advice(found) if found else "", text)


def _row(name: str, frame: dict[str, Any]) -> Row:
    ratio, splats = _percent(frame["inpaint_ratio"]), f"{frame['added_splats']:,}"
    return Row(name, str(frame["dense_pose_index"]), ratio, splats)


def _facts(found: dict[str, Any]) -> tuple[str, ...]:
    low, mean, high = (_percent(found[f"ratio_{which}"]) for which in ("min", "mean", "max"))
    return (
        f"{found['candidates']} candidates left uncover {low} to {high}, {mean} on average",
        f"Below the range: {found['below_min']}, in it: {found['in_range']}, above: {found['above_max']}",
    )


def _advice(found: dict[str, Any]) -> str:
    advice = str(found.get("advice", ""))
    for option, name in _NAMES.items():
        advice = advice.replace(option, name)
    return advice[:1].upper() + advice[1:]


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.2g} %" if ratio < 0.1 else f"{100 * ratio:.0f} %"
