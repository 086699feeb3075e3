"""The queue is fair: between keys, between the sessions of a key, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from splinescape.service.queue import next_job, order
from splinescape.service.store.jobs import JobRow


def job(number: int, owner: str = "a", session: str = "1", attempts: int = 0, begun: bool = False) -> JobRow:
    return JobRow(
        id=f"{number:032x}",
        owner=owner,
        session=session,
        request="",
        name="",
        state="queued",
        reason=None,
        created=0.0,
        started=1.0 if begun else None,
        ended=None,
        attempts=attempts,
        pinned=False,
        device=None,
        n_frames=10,
        progress={},
    )


def lanes(jobs: list[JobRow]) -> list[tuple[str, str]]:
    return [(each.owner, each.session) for each in jobs]


@st.composite
def queues(draw: st.DrawFn) -> list[JobRow]:
    kinds = st.tuples(
        st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from((0, 0, 0, 1)), st.booleans()
    )
    drawn = draw(st.lists(kinds, max_size=30))
    return [
        job(number, owner, session, attempts, begun and attempts == 0)
        for number, (owner, session, attempts, begun) in enumerate(drawn)
    ]


STARTS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("123")), st.floats(0, 1e9), max_size=8
)


def test_nothing_waits() -> None:
    assert next_job([], {}) is None
    assert order([], {("a", "1"): 5.0}) == []


def test_the_oldest_job_of_a_session_is_first() -> None:
    assert next_job([job(1), job(2)], {}) == job(1)


def test_the_owner_served_longest_ago_is_first() -> None:
    queued = [job(1, "a"), job(2, "b"), job(3, "c")]
    assert next_job(queued, {("a", "1"): 3.0, ("b", "1"): 1.0, ("c", "1"): 2.0}) == queued[1]
    assert next_job(queued, {("a", "1"): 3.0, ("b", "1"): 1.0}) == queued[2]  # never served


def test_many_sessions_do_not_make_an_owner_more_important() -> None:
    queued = [job(i, "greedy", str(i)) for i in range(8)] + [job(i, "modest") for i in range(8, 16)]
    owners = [each.owner for each in order(queued, {})]
    assert owners == ["greedy", "modest"] * 8


def test_a_session_that_never_ran_does_not_forgive_its_owner_the_last_start() -> None:
    queued = [job(1, "a", "new"), job(2, "b", "old")]
    assert next_job(queued, {("a", "old"): 9.0, ("b", "old"): 1.0}) == queued[1]


def test_jobs_that_were_begun_are_finished_first() -> None:
    retried, interrupted = job(8, "a", "2", attempts=1), job(9, "a", "3", begun=True)
    queued = [job(1, "b"), retried, interrupted]
    assert order(queued, {("a", "2"): 5.0, ("a", "3"): 7.0}) == [retried, interrupted, job(1, "b")]


def test_eight_sessions_with_25_jobs_each_take_turns() -> None:
    queued = [job(25 * session + i, "a", str(session)) for session in range(8) for i in range(25)]
    started = lanes(order(queued, {}))
    for turn in range(25):
        assert len(set(started[8 * turn : 8 * turn + 8])) == 8


@given(queues(), STARTS)
def test_everything_is_started_once_and_in_the_shown_order(
    queued: list[JobRow], last: dict[tuple[str, str], float]
) -> None:
    shown = order(queued, last)
    assert Counter(each.id for each in shown) == Counter(each.id for each in queued)
    now, waiting, starts = 1e9, list(queued), dict(last)
    for expected in shown:
        started = next_job(waiting, starts)
        assert started == expected
        waiting.remove(started)
        now += 1.0
        starts[started.owner, started.session] = now


@given(queues(), STARTS)
def test_a_session_keeps_its_own_order(queued: list[JobRow], last: dict[tuple[str, str], float]) -> None:
    fresh = [each for each in order(queued, last) if each.attempts == 0 and each.started is None]
    for lane in set(lanes(fresh)):
        ids = [each.id for each in fresh if (each.owner, each.session) == lane]
        assert all(first < second for first, second in pairwise(ids))


@given(queues(), STARTS)
def test_nobody_starves(queued: list[JobRow], last: dict[tuple[str, str], float]) -> None:
    """Between two starts of one owner, every other owner that waits has had one; likewise its sessions."""
    fresh = [each for each in queued if each.attempts == 0 and each.started is None]
    started = order(fresh, last)
    for i, first in enumerate(started):
        again = next((k for k in range(i + 1, len(started)) if started[k].owner == first.owner), None)
        if again is not None:
            waiting = {each.owner for each in started[again:]} - {first.owner}
            assert waiting <= {each.owner for each in started[i:again]}


@given(queues(), st.integers(1, 4))
def test_newcomers_do_not_overtake_for_ever(queued: list[JobRow], greedy: int) -> None:
    """However many jobs others keep sending, a waiting session is served after a bounded number of starts."""
    patient = job(1000, "patient", "p")
    waiting = [*(each for each in queued if each.attempts == 0 and each.started is None), patient]
    starts: dict[tuple[str, str], float] = {}
    for turn in range(100):
        waiting += [job(2000 + 10 * turn + i, f"g{i}", str(turn)) for i in range(greedy)]
        started = next_job(waiting, starts)
        assert started is not None
        if started == patient:
            break
        waiting.remove(started)
        starts[started.owner, started.session] = float(turn + 1)
    assert started == patient and turn <= 3 + greedy
