"""What a job is doing, in words for a panel; needs no Blender."""

from __future__ import annotations

import textwrap

from .job_view import JobView

_STAGES = {
    "outpaint": "Making up the border",
    "depth": "Estimating depth",
    "train": "Fitting splats to the picture",
    "coarse": "Looking for uncovered views",
    "expanded": "Adding a view along the path",
    "closing": "Closing small holes",
    "settle": "Fitting all frames",
    "fine": "Refining all frames",
    "render": "Rendering",
}
_STATES = {
    "waiting": "Waiting for the backend",
    "sending": "Sending the picture",
    "queued": "Waiting in the queue",
    "running": "Working",
    "paused": "Paused",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "refused": "Refused",
    "gone": "Not at this backend",
}


def headline(view: JobView) -> str:
    """What happens now, in a few words."""
    if view.state == "running" and view.stage:
        return _STAGES.get(view.stage, view.stage.capitalize())
    if view.state == "queued" and view.position:
        return f"Waiting in the queue: number {view.position}"
    if view.state == "done" and view.fetched[1] and view.fetched[0] < view.fetched[1]:
        return "Fetching the scene"
    return _STATES.get(view.state, view.state.capitalize())


def progress_text(view: JobView, now: float) -> str:
    """What stands in the progress bar: "12 of 40, 8 s left"; "" when nothing is known. `now` is monotonic time."""
    parts = []
    if view.state in ("sending", "done"):
        done, total = view.sent if view.state == "sending" else view.fetched
        if total:
            parts.append(f"{done / 1e6:.1f} of {total / 1e6:.1f} MB")
    elif view.total:
        parts.append(f"{view.step} of {view.total}")
    left = view.seconds_left(now)
    if left is not None and view.state == "running":
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def scene_text(view: JobView) -> str:
    """How far the scene is: "3 frames, 120,000 splats"; "" when there is none yet."""
    if not view.frames:
        return ""
    return f"{view.frames} frame{'s' if view.frames != 1 else ''}, {view.splats:,} splats"


def duration(seconds: float) -> str:
    """ "8 s", "3 min", "1 h 20 min"."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def lines(text: str, width_px: float, ui_scale: float = 1.0) -> list[str]:
    """A sentence in lines that fit a panel.

    Args:
        width_px: of the region. ui_scale: Blender's interface scale.
    """
    per_line = max(16, int((width_px - 50 * ui_scale) / (6.6 * ui_scale)))
    return textwrap.wrap(text, per_line) or [""]
