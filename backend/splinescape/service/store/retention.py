"""Which finished jobs are deleted, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_DAY_S = 86400.0


@dataclass(frozen=True)
class Retention:
    """How long finished jobs stay; None = for ever.

    Attributes:
        max_age_days: since they finished. max_bytes: of all job folders together, the oldest finished go first.
    """

    max_age_days: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Finished:
    """A finished job that may be deleted. `at`: when it finished, on the clock of `expired`'s `now`, seconds."""

    id: str
    at: float


def expired(jobs: Sequence[Finished], sizes: Mapping[str, int], policy: Retention, now: float) -> list[str]:
    """The jobs to delete, oldest first.

    Args:
        jobs: those that may be deleted, oldest first. sizes: bytes of every job in the store, also of those that may
            not be deleted; what is not known yet counts nothing.
    """
    total = sum(sizes.values())
    gone = []
    for job in jobs:
        too_old = policy.max_age_days is not None and now - job.at >= policy.max_age_days * _DAY_S
        too_much = policy.max_bytes is not None and total > policy.max_bytes
        if too_old or too_much:
            gone.append(job.id)
            total -= sizes.get(job.id, 0)
    return gone
