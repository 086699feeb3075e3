"""What a crash, a power failure or a person with a file manager left in the store, put right at its start."""

from __future__ import annotations

import logging

from splinescape.service.store.events import Events, NewEvent
from splinescape.service.store.folders import JobFiles
from splinescape.service.store.jobs import FINISHED, STATES, Jobs

log = logging.getLogger(__name__)

_RESTING = tuple(state for state in STATES if state != "running")
_LOST = "its folder is gone from the job store: delete the job and submit it again"


def mend(jobs: Jobs, events: Events, files: JobFiles) -> None:
    """Finish what was begun, take back what was not accepted, and let every event log end with the job's state.

    Raises:
        ServiceError: "disk_full", "internal".
    """
    files.drop_unfinished()
    _finish_removals(jobs, files)
    _drop_folders_without_row(jobs, files)
    _fail_jobs_without_folder(jobs, files)
    events.forget_strangers()
    _tell_untold_states(jobs, events)
    for job, state in jobs.states().items():
        if state not in FINISHED:
            files.tidy(job)


def _finish_removals(jobs: Jobs, files: JobFiles) -> None:
    states = jobs.states()
    begun = [job for job in files.hidden() if job in states]
    if begun:
        jobs.remove(*begun)


def _drop_folders_without_row(jobs: Jobs, files: JobFiles) -> None:
    states = jobs.states()
    for job in files.ids():
        if job in states:
            continue
        if files.was_never_accepted(job):
            files.discard(job)
        else:
            # Work was done here, so it had a row: an older database was put in place. Not ours to delete.
            log.warning("%s is the folder of a job that the database does not know; it is left alone", job)


def _fail_jobs_without_folder(jobs: Jobs, files: JobFiles) -> None:
    present = set(files.ids())
    for job, state in jobs.states().items():
        if job not in present and state != "failed":
            jobs.set(job, state="failed", reason=_LOST)


def _tell_untold_states(jobs: Jobs, events: Events) -> None:
    """A job's state is stored before its event: a client must learn it though the service was killed in between."""
    told = events.told_states()
    untold = [
        NewEvent(row.id, "state", {"state": row.state, "reason": row.reason or ""})
        for row in jobs.with_state(*_RESTING)
        if told.get(row.id) != row.state
    ]
    if untold:
        events.add(untold)
