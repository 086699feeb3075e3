"""Finished jobs are deleted by age and size, never the others, and no clock can make it happen too early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_support import add_job, database_of, finish

from splinescape.service.store.clock import LONGEST_GAP_S, StoreClock
from splinescape.service.store.retention import Finished, Retention, expired
from splinescape.service.store.store import Store

DAY_S = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    yield store
    store.close()


def expire_all(
    store: Store, policy: Retention, busy: frozenset[str] = frozenset(), wait: float = 0.0
) -> set[str]:
    gone: set[str] = set()
    while more := store.expire(policy, set(busy), time.time() + wait):
        assert gone.isdisjoint(more)
        gone |= set(more)
    return gone


def aged(folder: Path, days: float) -> Store:
    """Open a store that was closed so many days ago, as far as the clock on the wall tells."""
    with database_of(folder) as database:
        database.execute("UPDATE clock SET wall = wall - ?", (days * DAY_S,))
    return Store.open(folder)


def test_by_default_everything_stays(store: Store) -> None:
    finish(store, add_job(store).id, {})
    assert expire_all(store, Retention()) == set()


def test_only_finished_jobs_go_by_age(store: Store) -> None:
    jobs = {
        state: add_job(store).id for state in ("queued", "running", "paused", "done", "failed", "cancelled")
    }
    for state, job in jobs.items():
        store.jobs.set(job, state=state)
    pinned, busy = add_job(store, pinned=True).id, add_job(store).id
    for job in (pinned, busy):
        store.jobs.set(job, state="done")
    gone = expire_all(store, Retention(max_age_days=0), frozenset([busy]))
    assert gone == {jobs["done"], jobs["failed"], jobs["cancelled"]}
    assert {row.id for row in store.jobs.list()} == {
        *(pinned, busy, jobs["queued"], jobs["running"], jobs["paused"])
    }


def test_the_oldest_finished_go_by_size(store: Store) -> None:
    jobs = [add_job(store).id for _ in range(5)]
    for number in (3, 1, 0, 4, 2):  # the order of finishing counts, not that of arrival
        finish(store, jobs[number], {"gf.ply": bytes(100_000)})
    assert expire_all(store, Retention(max_bytes=320_000)) == {jobs[3], jobs[1]}
    assert expire_all(store, Retention(max_bytes=320_000)) == set()


def test_jobs_at_work_count_but_stay(store: Store) -> None:
    small, large = add_job(store).id, add_job(store).id
    finish(store, small, {"gf.ply": bytes(1000)})
    (store.files.folder(large) / "checkpoint").mkdir()
    (store.files.folder(large) / "checkpoint" / "scene.npz").write_bytes(bytes(500_000))
    store.jobs.set(large, state="running")
    assert expire_all(store, Retention(max_bytes=300_000)) == {small}


def test_one_call_deletes_only_a_few(store: Store) -> None:
    """Clients wait while it does."""
    for _ in range(5):
        finish(store, add_job(store).id, {})
    assert 0 < len(store.expire(Retention(max_age_days=0), set(), time.time())) < 5


def test_a_job_that_goes_on_begins_a_new_age(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    job = add_job(store).id
    store.jobs.set(job, state="failed")
    store.close()
    store = aged(tmp_path, 6)
    store.jobs.set(job, state="queued")
    store.jobs.set(job, state="done")
    assert expire_all(store, Retention(max_age_days=5)) == set()
    store.close()


def test_age_goes_on_while_no_service_runs(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    job = add_job(store).id
    finish(store, job, {})
    store.close()
    store = aged(tmp_path, 4)
    assert expire_all(store, Retention(max_age_days=5)) == set()
    store.close()
    store = aged(tmp_path, 2)
    assert expire_all(store, Retention(max_age_days=5)) == {job}
    store.close()


def test_a_clock_that_jumps_during_a_run_deletes_nothing(store: Store) -> None:
    finish(store, add_job(store).id, {})
    for years in (10, -10, 10, 30, 0, 10):
        assert expire_all(store, Retention(max_age_days=1), wait=years * 365 * DAY_S) == set()


def test_a_clock_that_was_set_between_runs_deletes_little(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    finish(store, add_job(store).id, {})
    store.close()
    store = aged(tmp_path, 50 * 365)
    assert expire_all(store, Retention(max_age_days=30)) == set()
    store.close()
    store = aged(tmp_path, -100 * 365)
    assert expire_all(store, Retention(max_age_days=30)) == set()
    store.close()


@given(st.lists(st.floats(-1e12, 1e12), max_size=20))
def test_the_stores_clock_never_runs_ahead_or_back(jumps: list[float]) -> None:
    began = time.monotonic()
    clock = StoreClock(1000.0, 0.0, time.time())
    before = 1000.0
    for wall in jumps:
        now = clock.now(wall)
        assert before <= now <= 1000.0 + (time.monotonic() - began) + 0.001
        before = now


@given(st.floats(0, 1e10), st.floats(1, 1e12), st.floats(0, 1e12))
def test_a_gap_between_runs_counts_up_to_a_limit(seconds: float, saved: float, wall: float) -> None:
    clock = StoreClock(seconds, saved, wall)
    assert seconds <= clock.now(wall) <= seconds + LONGEST_GAP_S + 0.001


@given(
    st.lists(st.floats(0, 100), max_size=20).map(sorted),
    st.lists(st.integers(0, 50), max_size=25),
    st.none() | st.floats(0, 1e-3),
    st.none() | st.integers(0, 500),
)
def test_the_policy_is_kept_and_no_more_is_deleted(
    times: list[float], sizes: list[int], max_age_days: float | None, max_bytes: int | None
) -> None:
    jobs = [Finished(f"job {i}", at) for i, at in enumerate(times)]
    known = {f"job {i}": size for i, size in enumerate(sizes)}
    policy = Retention(max_age_days, max_bytes)
    gone = expired(jobs, known, policy, 100.0)
    kept = [job for job in jobs if job.id not in gone]
    too_old = [job.id for job in jobs if max_age_days is not None and 100.0 - job.at >= max_age_days * DAY_S]
    assert set(too_old) <= set(gone)
    left = sum(size for job, size in known.items() if job not in gone)
    assert max_bytes is None or left <= max_bytes or not kept
    if len(gone) > len(too_old):  # the last one that went for its size had to
        assert max_bytes is not None and left + known.get(gone[-1], 0) > max_bytes
