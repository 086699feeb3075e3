"""Renderings beside a job: the library's own pixels, answered whatever the job does, the newest views first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from worker_support import Job, PretendBroker, arrays, broker, make_job, with_odd_engines

from splinescape import load_scene
from splinescape.jit import njit, num_threads, run_chunks, set_lane
from splinescape.protocol.wire import Message
from splinescape.service.worker.priority import Gate

CAMS = np.repeat(np.eye(4)[None], 3, 0)
CAMS[:, 0, 3] = (0.0, 0.1, 3.0)  # the last one sees past the edge


@pytest.fixture(scope="module")
def odd() -> Iterator[PretendBroker]:
    """A worker that knows engines that hold it up."""
    with broker(env=with_odd_engines()) as pretend:
        pretend.ready()
        yield pretend


@pytest.fixture(scope="module")
def done(odd: PretendBroker, small_picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished job."""
    job = make_job(tmp_path_factory.mktemp("jobs") / "done", small_picture)
    odd.run(job)
    assert odd.finished(job)["outcome"] == "done"
    return job


def busy_with(pretend: PretendBroker, engine: str, picture: Path, folder: Path) -> Job:
    """A job that does not get on with its depth."""
    engines = {"inpaint": "auto", "depth": engine, "raster": "auto"}
    job = make_job(folder / "busy", picture, engines=engines)
    pretend.run(job)
    pretend.event("stage", stage="depth")
    return job


def rendered_here(scene: Path, cams: NDArray[np.float64], width: int, height: int) -> dict[str, np.ndarray]:
    """The same views by the library in this process."""
    K = np.array([[0.9 * width, 0, width / 2], [0, 0.9 * width, height / 2], [0, 0, 1]])
    views = [load_scene(scene, "cpu").render(cam, K, width, height) for cam in cams]
    return {
        "rgb": np.stack([(v.rgb.clamp(0, 1) * 255).round().byte().numpy() for v in views]),
        "depth": np.stack([np.where(v.alpha.numpy() > 0, v.depth.numpy(), np.inf) for v in views]),
        "alpha": np.stack([(v.alpha.clamp(0, 1) * 255).round().byte().numpy() for v in views]),
    }


def test_a_rendering_is_what_the_library_makes(odd: PretendBroker, done: Job) -> None:
    answer = odd.answer(odd.ask_render(done, (80, 60), CAMS))
    shown, truth = arrays(answer), rendered_here(done.folder / "results" / "gf.ply", CAMS, 80, 60)
    for name in ("rgb", "depth", "alpha"):
        assert np.array_equal(shown[name], truth[name]), name
    assert shown["rgb"].shape == (3, 60, 80, 3)
    assert np.isinf(shown["depth"]).any()
    assert not np.array_equal(shown["rgb"][0], shown["rgb"][2])
    assert answer.content["splats"] == odd.events("scene")[-1]["splats"]["count"]
    assert answer.content["revision"] == odd.events("scene")[-1]["splats"]["revision"]
    assert answer.job == done.id


def test_only_what_was_asked_for_is_answered(odd: PretendBroker, done: Job) -> None:
    answer = odd.answer(odd.ask_render(done, kinds=("depth",)))
    assert list(arrays(answer)) == ["depth"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sleep", "spin"])
def test_a_rendering_does_not_wait_for_a_job(
    engine: str, done: Job, small_picture: Path, tmp_path: Path
) -> None:
    with broker(env=with_odd_engines()) as pretend:
        busy = busy_with(pretend, engine, small_picture, tmp_path)
        for _ in range(5):
            assert arrays(pretend.answer(pretend.ask_render(done)))["rgb"].any()
        refused = pretend.answer(pretend.ask_render(busy))
        assert (refused.type, refused.content["code"]) == ("error", "conflict")
        assert "no splats yet" in refused.content["message"]


def test_the_job_in_the_making_is_shown_as_it_is_now(
    odd: PretendBroker, small_picture: Path, side_path: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    odd.messages.clear()
    odd.run(job)
    seen: dict[int, int] = {}
    while not any(m.type == "finished" for m in odd.messages):
        answer = odd.answer(odd.ask_render(job))
        if answer.type == "reply":
            seen[answer.content["revision"]] = answer.content["splats"]
    told = {scene["splats"]["revision"]: scene["splats"]["count"] for scene in odd.events("scene")}
    assert len(seen) >= 2
    assert seen.items() <= told.items()


@pytest.mark.slow
def test_a_job_that_another_worker_began_is_shown_from_its_newest_preview(
    odd: PretendBroker, small_picture: Path, side_path: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    odd.run(job)
    scene = odd.event("scene").content["data"]["splats"]
    odd.send(Message("stop_job", job=job.id))
    odd.finished(job)
    with broker() as other:
        other.ready()
        answer = other.answer(other.ask_render(job, cams=CAMS))
        newest = sorted((job.folder / "preview").glob("scene_*.ply"))[-1]
        assert answer.content["revision"] >= scene["revision"]
        assert np.array_equal(arrays(answer)["rgb"], rendered_here(newest, CAMS, 64, 48)["rgb"])


@pytest.mark.slow
def test_of_many_waiting_views_only_the_newest_two_of_each_requester_are_made(done: Job) -> None:
    with broker() as pretend:
        pretend.ready()
        # Large, so that all of the others arrive while this one is made.
        first = pretend.ask_render(done, (3000, 2000), CAMS, requester="an early riser")
        mine = [pretend.ask_render(done, requester="artist") for _ in range(6)]
        other = [pretend.ask_render(done, requester="somebody else") for _ in range(2)]
        answers = {}
        for asked in (first, *mine, *other):
            if not any(m.parent == asked.id for m in pretend.messages):
                pretend.answer(asked)
            answers[asked.id] = next(m for m in pretend.messages if m.parent == asked.id)
    assert answers[first.id].type == "reply"
    assert [answers[asked.id].type for asked in mine] == ["error"] * 4 + ["reply"] * 2
    assert {answers[asked.id].content["code"] for asked in mine[:4]} == {"superseded"}
    assert [answers[asked.id].type for asked in other] == ["reply", "reply"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"cams": np.full((1, 4, 4), np.nan)}, "a camera is not finite"),
        ({"Ks": np.zeros((1, 3, 3))}, "focal length is not positive"),
        ({"cams": np.eye(4)}, "cam_T_world must be"),
        ({"cams": np.zeros((0, 4, 4))}, "n at least 1"),
        ({"size": (0, 10)}, "at least 1 pixel"),
        ({"kinds": ("rgb", "soul")}, "some of rgb, depth, alpha"),
        ({"kinds": ()}, "some of rgb, depth, alpha"),
    ],
)
def test_views_that_make_no_sense_are_refused(
    odd: PretendBroker, done: Job, asked: dict, reason: str
) -> None:
    asked = {"Ks": np.eye(3)[None], **asked}
    answer = odd.answer(odd.ask_render(done, **asked))
    assert (answer.type, answer.content["code"]) == ("error", "bad_input")
    assert reason in answer.content["message"]


def test_a_view_too_large_for_memory_is_refused_and_the_next_is_made(odd: PretendBroker, done: Job) -> None:
    many = np.repeat(np.eye(4)[None], 1000, 0)
    answer = odd.answer(odd.ask_render(done, (1_000_000, 1_000_000), many))
    assert (answer.type, answer.content["code"]) == ("error", "unavailable")
    assert "not enough memory" in answer.content["message"]
    assert odd.answer(odd.ask_render(done)).type == "reply"


def test_a_job_whose_files_are_gone_or_damaged_is_an_error_of_its_own(
    odd: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture)
    odd.run(job)
    odd.finished(job)
    (job.folder / "results" / "gf.ply").write_bytes(b"ply\nnothing else")
    assert odd.answer(odd.ask_render(job)).content["code"] == "internal"
    (job.folder / "results" / "gf.ply").unlink()
    assert odd.answer(odd.ask_render(job)).content["code"] == "not_found"


# The lanes that keep a rendering and a training apart.


@njit
def _double(start, stop, values) -> None:
    for i in range(start, stop):
        values[i] *= 2


def test_a_thread_whose_helpers_are_busy_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLINESCAPE_THREADS", "3")
    release, entered = threading.Event(), threading.Semaphore(0)

    def stuck(*_: int) -> None:
        entered.release()
        release.wait(60)

    slow = threading.Thread(target=run_chunks, args=(stuck, 3), kwargs={"chunks": 3})
    slow.start()
    for _ in range(3):
        assert entered.acquire(timeout=60)
    values = np.arange(1000)
    run_chunks(_double, 1000, values)
    assert np.array_equal(values, 2 * np.arange(1000))
    assert slow.is_alive()
    release.set()
    slow.join(60)


def test_helpers_are_prepared_and_leave_with_their_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLINESCAPE_THREADS", "4")
    prepared: list[int] = []
    together = threading.Barrier(4)

    def work(*_: int) -> None:
        together.wait(60)

    def caller() -> None:
        set_lane(lambda: prepared.append(threading.get_ident()), lambda: None)
        run_chunks(work, 4, chunks=4)

    thread = threading.Thread(target=caller)
    thread.start()
    thread.join(60)
    assert len(set(prepared)) == 3
    for helper in [t for t in threading.enumerate() if t.ident in prepared]:
        helper.join(60)
        assert not helper.is_alive()


def test_an_error_in_any_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLINESCAPE_THREADS", "2")
    caller = threading.get_ident()
    together = threading.Barrier(2)

    def fail_in_the_helper(*_: int) -> None:
        together.wait(60)
        if threading.get_ident() != caller:
            raise ValueError("from the helper")

    with pytest.raises(ValueError, match="from the helper"):
        run_chunks(fail_in_the_helper, 2, chunks=2)


def test_the_number_of_threads_is_one_or_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLINESCAPE_THREADS", "1")
    assert num_threads() == 1
    values = np.arange(10)
    run_chunks(_double, 10, values)
    assert np.array_equal(values, 2 * np.arange(10))


def test_a_job_waits_for_a_rendering_but_not_long_and_not_again_at_once() -> None:
    gate = Gate()
    gate.give_way()  # nobody renders
    with gate.rendering():
        began = time.monotonic()
        gate.give_way()
        waited = time.monotonic() - began
        gate.give_way()  # works on for a while
        assert time.monotonic() - began < 1.2 * waited
    assert 0.05 < waited < 5
