"""How a job is told to clients."""

from __future__ import annotations

from typing import Any

from splinescape.service.store.jobs import JobRow


def job_info(row: JobRow, position: int | None, files: int, last_seq: int) -> dict[str, Any]:
    """JobInfo of the protocol.

    Args:
        row: the job with its present progress. position: place in the queue from 1, None when it does not wait.
        files: how many results can be fetched. last_seq: number of its newest event.
    """
    progress = row.progress
    return {
        "id": row.id,
        "name": row.name,
        "owner": row.owner,
        "state": row.state,
        "reason": row.reason,
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "stage": progress.get("stage"),
        "detail": progress.get("detail"),
        "step": progress.get("step"),
        "total": progress.get("total"),
        "eta_s": progress.get("eta_s"),
        "frames": progress.get("frames") or 0,
        "n_frames": row.n_frames,
        "splats": progress.get("splats") or 0,
        "device": row.device,
        "attempts": row.attempts,
        "pinned": row.pinned,
        "position": position,
        "files": files,
        "last_seq": last_seq,
    }
