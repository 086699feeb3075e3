"""Whatever happens to a worker or its job, nothing that was finished is lost, and the reason is told in a sentence."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq
from worker_support import (
    PATIENCE_S,
    SITE,
    Job,
    PretendBroker,
    broker,
    is_event,
    made_in_process,
    make_job,
    with_odd_engines,
)

from splinescape.checkpoint import JOB_FILE
from splinescape.protocol.wire import Buffer, Message, decode
from splinescape.service.worker.link import Address, Link

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")


@pytest.fixture(scope="module")
def odd() -> Iterator[PretendBroker]:
    """A worker that knows engines that misbehave, for the tests that do not end it."""
    with broker(env=with_odd_engines()) as pretend:
        pretend.ready()
        yield pretend


@pytest.fixture(scope="module")
def whole(
    small_picture: Path, side_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], bytes]:
    """gf.ply of the coarse job as it is without any trouble."""
    folder = tmp_path_factory.mktemp("whole")
    return made_in_process(make_job(folder / "job", small_picture, side_path), folder)


def depth(name: str) -> dict[str, str]:
    """The engines of a job whose depth engine is that one."""
    return {"inpaint": "auto", "depth": name, "raster": "auto"}


def warnings_of(pretend: PretendBroker, job: Job) -> list[str]:
    """Texts of the warnings told about a job."""
    notes = [m.content["data"] for m in pretend.messages if is_event(m, "note") and m.job == job.id]
    return [note["text"] for note in notes if note["warning"]]


# Stopping and going on.


@pytest.mark.slow
def test_a_job_stops_within_a_step_and_goes_on_to_the_same_bytes(
    small_picture: Path, side_path: Path, tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    with broker() as pretend:
        pretend.ready()
        pretend.run(job)
        pretend.event("progress", stage="expanded")
        pretend.send(Message("stop_job", job=job.id))
        assert pretend.finished(job) == {"outcome": "stopped", "reason": "", "files": []}
        assert not (job.folder / "results.json").exists()
        pretend.messages.clear()
        pretend.run(job, attempt=1)
        assert pretend.finished(job)["outcome"] == "done"
        assert any("continuing after" in n["text"] for n in pretend.events("note"))
        assert pretend.events("scene")[0]["splats"]["revision"] > 1
    assert job.results()["gf.ply"] == whole


def test_a_job_that_is_stopped_before_it_began_does_not_begin(small_picture: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", small_picture)
    with broker() as pretend:
        pretend.run(job)  # while the worker still loads torch
        pretend.send(Message("stop_job", job=job.id))
        assert pretend.finished(job)["outcome"] == "stopped"
        assert not pretend.events("frame")


@pytest.mark.slow
@POSIX
def test_a_killed_worker_is_followed_by_one_that_goes_on_to_the_same_bytes(
    small_picture: Path, side_path: Path, tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    with broker() as first:
        first.run(job)
        first.event("progress", stage="expanded")
        first.process.kill()
        first.process.wait()
    left_behind = job.folder / "checkpoint" / ".splinescape-0123456789abcdef.tmp"
    left_behind.write_bytes(b"half a frame")
    with broker() as second:
        second.run(job, attempt=1)
        assert second.finished(job)["outcome"] == "done"
        assert any("continuing after" in n["text"] for n in second.events("note"))
    assert job.results()["gf.ply"] == whole
    assert not list(job.folder.rglob("*.tmp"))
    assert not (job.folder / "checkpoint").exists()


@pytest.mark.slow
@POSIX
def test_a_crash_in_native_code_ends_the_worker_and_leaves_its_reason(
    small_picture: Path, side_path: Path, tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path, engines=depth("crash-later"))
    with broker(env=with_odd_engines()) as first:
        first.run(job)
        first.event("frame", index=1)
        assert first.process.wait(PATIENCE_S) == -signal.SIGSEGV
        assert "Fatal Python error: Segmentation fault" in first.stderr()
    spec = json.loads((job.folder / "spec.json").read_text())
    (job.folder / "spec.json").write_text(json.dumps({**spec, "engines": depth("auto")}))
    with broker(env=with_odd_engines()) as second:
        second.run(job, attempt=1)
        assert second.finished(job)["outcome"] == "done"
        assert any("made by other engines" in text for text in warnings_of(second, job))
    assert job.results()["gf.ply"] == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        (JOB_FILE, '{"version": "0.0.1"}', "made by Splinescape 0.0.1"),
        (JOB_FILE, "{", "cannot read"),
        ("scene.npz", "PK\x03\x04 and then nothing", "is damaged"),
    ],
)
def test_a_checkpoint_that_cannot_be_continued_is_dropped_and_the_job_starts_again(
    odd: PretendBroker,
    file: str,
    content: str,
    why: str,
    small_picture: Path,
    side_path: Path,
    tmp_path: Path,
    whole: bytes,
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    odd.run(job)
    odd.event("frame", index=1)
    odd.send(Message("stop_job", job=job.id))
    assert odd.finished(job)["outcome"] == "stopped"
    (job.folder / "checkpoint" / file).write_text(content)
    odd.run(job, attempt=1)
    assert odd.finished(job)["outcome"] == "done"
    (told,) = warnings_of(odd, job)
    assert told.startswith("the job starts again from the beginning")
    assert why in told
    assert str(tmp_path) not in told
    assert job.results()["gf.ply"] == whole
    assert not list(job.folder.glob("checkpoint*"))


# Memory.


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory-error-twice", "torch-out-of-memory-twice", "memory-gone-twice"])
def test_a_job_that_runs_out_of_memory_tries_again_with_less_and_says_so(
    engine: str, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth(engine))
    with broker(env=with_odd_engines()) as pretend:
        pretend.run(job)
        assert pretend.finished(job)["outcome"] == "done"
        first, second = warnings_of(pretend, job)
    assert "not enough memory: trying again, slower but in less memory" in first
    assert "trying again with the engines that need least" in second


def test_a_job_that_never_has_enough_memory_fails_with_what_to_do(
    odd: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth("memory-error"))
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "failed"
    assert "not enough memory" in ended["reason"]
    assert "lower max_resolution" in ended["reason"]
    assert len(warnings_of(odd, job)) == 2
    assert job.log().count("MemoryError") == 3


def test_the_broker_may_begin_at_a_lower_tier(
    odd: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth("memory-error"))
    odd.run(job, tier=2)
    assert odd.finished(job)["outcome"] == "failed"
    assert not warnings_of(odd, job)


@pytest.mark.slow
def test_at_the_last_tier_another_engine_goes_on_from_the_checkpoint(
    small_picture: Path, side_path: Path, tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path / "job", small_picture, side_path)
    with broker(env=with_odd_engines(TEST_HEAVY_RASTERIZER="1")) as pretend:
        pretend.run(job)
        ended = pretend.finished(job)
        assert ended["outcome"] == "done", ended
        told = warnings_of(pretend, job)
        assert len(told) == 3
        assert "going on with inpaint builtin, depth builtin, raster cpu" in told[-1]
        assert any("continuing after 2" in note["text"] for note in pretend.events("note"))
    assert job.results()["gf.ply"] == whole


@pytest.mark.slow
def test_an_engine_asked_for_by_name_is_not_replaced_at_the_last_tier(
    small_picture: Path, side_path: Path, tmp_path: Path
) -> None:
    engines = {"inpaint": "auto", "depth": "auto", "raster": "heavy"}
    job = make_job(tmp_path / "job", small_picture, side_path, engines=engines)
    with broker(env=with_odd_engines(TEST_HEAVY_RASTERIZER="1")) as pretend:
        pretend.run(job)
        ended = pretend.finished(job)
    assert ended["outcome"] == "failed"
    assert ended["reason"] == "raster engine 'heavy' cannot run here: there is not enough memory for it"


def test_engines_stay_warm_from_job_to_job(odd: PretendBroker, small_picture: Path, tmp_path: Path) -> None:
    engines = {"inpaint": "count", "depth": "auto", "raster": "auto"}
    borders = []
    for name in ("first", "second"):
        settings = {"stage": "outpaint", "max_resolution": 32}
        job = make_job(tmp_path / name, small_picture, engines=engines, settings=settings)
        odd.run(job)
        assert odd.finished(job)["outcome"] == "done"
        from splinescape.protocol.arrays import to_array
        from splinescape.protocol.wire import unpack

        latest = unpack((job.folder / "preview" / "latest.msg").read_bytes())
        borders.append(int(to_array(latest.buffer("rgb"))[0, 0, 0]))
    assert borders == [1, 2]


# Errors.


def test_an_unexpected_error_fails_the_job_and_not_the_worker(
    odd: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth("odd"))
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "failed"
    assert "unexpected" in ended["reason"]
    assert "_OddError" in ended["reason"]
    assert "Traceback" in job.log()
    assert "predict" in job.log()
    other = make_job(tmp_path / "other", small_picture)
    odd.run(other)
    assert odd.finished(other)["outcome"] == "done"


def test_an_engine_that_calls_exit_fails_the_job_and_not_the_worker(
    odd: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth("exit"))
    odd.run(job)
    assert "SystemExit" in odd.finished(job)["reason"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"engines": {"depth": "nope"}}, "there is no depth engine 'nope'; choose one of: moge"),
        ({"engines": {"raster": "gsplat"}}, "raster engine 'gsplat' cannot run here: "),
        ({"settings": {"n_frames": 1}}, "n_frames: Input should be greater than or equal to 2"),
        ({"settings": {"traj_type": "json"}}, "traj_type is json, which needs a path"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    odd: PretendBroker, spec: dict, reason: str, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, **spec)
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "failed"
    assert ended["reason"].startswith(reason)


def _png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises a picture of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"nothing that is a picture", "the picture is not a picture that can be read"),
        (_png_that_claims(60_000, 60_000), "the picture is 60000x60000 px, too large"),
        (_png_that_claims(500, 400), "the picture cannot be decoded"),
    ],
)
def test_pictures_that_cannot_be_used_are_refused_before_they_take_memory(
    odd: PretendBroker, picture: bytes, reason: str, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture)
    (job.folder / "picture").write_bytes(picture)
    before = psutil.Process(odd.process.pid).memory_info().rss
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "failed"
    assert ended["reason"].startswith(reason)
    assert str(tmp_path) not in ended["reason"]
    assert psutil.Process(odd.process.pid).memory_info().rss < before + 100e6


def test_a_full_disk_is_named_and_the_job_goes_on_once_there_is_room(
    odd: PretendBroker,
    tiny_disk: Callable[..., Path],
    small_picture: Path,
    side_path: Path,
    whole: bytes,
) -> None:
    disk = tiny_disk(2_500_000)
    job = make_job(disk / "job", small_picture, side_path)
    (disk / "something else").write_bytes(bytes(1_500_000))
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "failed"
    assert ended["reason"] == "the disk of the service is full: make room there, then resume the job"
    assert not list(job.folder.rglob("*.tmp"))
    (disk / "something else").unlink()
    subprocess.run(["mount", "-o", "remount,size=30000000", str(disk)], check=True)
    odd.run(job)
    ended = odd.finished(job)
    assert ended["outcome"] == "done", ended
    assert job.results()["gf.ply"] == whole


# The end of the process.


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sleep", "spin"])
def test_quit_ends_a_worker_within_seconds_whatever_it_does(
    engine: str, small_picture: Path, tmp_path: Path
) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth(engine))
    with broker(env=with_odd_engines()) as pretend:
        pretend.run(job)
        pretend.event("stage", stage="depth")
        pretend.send(Message("quit"))
        start = time.monotonic()
        assert pretend.finished(job)["outcome"] == "stopped"
        assert pretend.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - start < 10


def test_quit_ends_an_idle_worker_at_once() -> None:
    with broker() as pretend:
        pretend.ready()
        pretend.send(Message("quit"))
        assert pretend.process.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_a_worker_ends_with_its_broker_whatever_it_does(small_picture: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", small_picture, engines=depth("sleep"))
    with broker(env=with_odd_engines()) as pretend:
        pretend.run(job)
        pretend.event("stage", stage="depth")
        assert pretend.process.stdin is not None
        pretend.process.stdin.close()
        pretend.process.wait(PATIENCE_S)


@LINUX
def test_a_worker_ends_with_its_parent_even_when_the_pipe_stays_open(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'splinescape.service.worker.main'])\n"
        "print(worker.pid, flush=True)\n"
        "worker.wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        worker = psutil.Process(int(process.stdout.readline()))
        spec = {
            "endpoint": f"ipc://{tmp_path}/nobody",
            "worker": "0" * 32,
            "device": "cpu",
            "heartbeat_s": 1.0,
        }
        keys = {"server_key": None, "public_key": None, "secret_key": None}
        process.stdin.write(json.dumps({**spec, **keys}).encode() + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while worker.num_threads() < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        psutil.wait_procs([worker], timeout=PATIENCE_S)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    finally:
        process.kill()
        process.communicate()


@POSIX
def test_signals_to_the_whole_group_leave_the_decision_to_the_broker() -> None:
    with broker() as pretend:
        pretend.ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            pretend.process.send_signal(number)
        pretend.until(lambda m: m.type == "beat")
        pretend.until(lambda m: m.type == "beat")
        assert pretend.process.poll() is None


def test_a_broker_that_does_not_listen_holds_the_sender_up_and_misses_nothing() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.rcvhwm = 1
        router.linger = 0
        router.bind("tcp://127.0.0.1:*")
        address = Address(router.last_endpoint.decode(), "w" * 32, heartbeat_s=60.0)
        link = Link(address, lambda _message: None, dict)
        link.start()
        sent = []

        def send_all() -> None:
            for number in range(400):
                picture = Buffer.of_bytes("rgb", bytes(2**20))
                link.send(Message("event", {"number": number}, buffers=(picture,)))
                sent.append(number)

        sender = threading.Thread(target=send_all, daemon=True)
        sender.start()
        rss, last = psutil.Process().memory_info().rss, -1
        while len(sent) != last:  # until it no longer gets on
            last = len(sent)
            time.sleep(0.5)
        assert len(sent) < 400
        assert psutil.Process().memory_info().rss - rss < 200e6
        heard = []
        while len(heard) < 400:
            assert router.poll(10_000)
            message = decode(router.recv_multipart()[1:])
            if message.type == "event":
                heard.append(message.content["number"])
        assert heard == list(range(400))
        sender.join(10)
        link.close(10)


def test_the_odd_engines_are_only_there_for_tests() -> None:
    assert SITE.is_dir()
    with broker() as pretend:
        assert "crash" not in {engine["name"] for engine in pretend.ready()["engines"]}
