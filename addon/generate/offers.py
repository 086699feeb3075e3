"""Jobs at the service that a scene has submitted and forgotten: after a crash of Blender."""

from __future__ import annotations

import time
from collections.abc import Collection

import bpy

from splinescape.client import Call, Client, JobInfo

from .request import job_names

_EVERY_S = 15.0
_LISTED = 50
_RECENT_S = 24 * 3600.0
_WORTHLESS = frozenset({"cancelled", "failed"})

_jobs: tuple[JobInfo, ...] = ()
_call: Call[tuple[JobInfo, ...]] | None = None
_asked_at = float("-inf")
_count = 0


def refresh() -> None:
    """Ask the service again with the next step."""
    global _asked_at
    _asked_at = float("-inf")


def forget() -> None:
    """Another .blend, or another service."""
    global _jobs, _call
    if _call is not None:
        _call.cancel()
    _jobs, _call = (), None
    refresh()


def changes() -> int:
    """Counts up with every change."""
    return _count


def step(client: Client) -> None:
    """Ask for the list now and then, while connected."""
    global _jobs, _call, _asked_at, _count
    if _call is None:
        if client.state == "connected" and time.monotonic() - _asked_at >= _EVERY_S:
            _asked_at = time.monotonic()
            _call = client.jobs(limit=_LISTED)
    elif _call.done:
        found, _call = _call.result, None
        user = client.capabilities.user if client.capabilities is not None else ""
        own = tuple(job for job in found or () if job.owner == user)
        if own != _jobs:
            _jobs = own
            _count += 1


def offer(scene: bpy.types.Scene, followed: Collection[str]) -> JobInfo | None:
    """The newest job that this scene has submitted and knows nothing of; None as a rule.

    Args:
        followed: jobs that are shown already.
    """
    own, names = scene.splinescape.generate.job, job_names(scene)
    for job in _jobs:  # the newest first
        if job.id == own or job.id in followed:
            return None
        if job.name in names and job.state not in _WORTHLESS and _is_recent(job):
            return job
    return None


def _is_recent(job: JobInfo) -> bool:
    return job.ended is None or time.time() - job.ended < _RECENT_S
