"""The command line against a real service: what a user types, sees and gets, each command in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from cli_support import Ran, splinescape_command
from client_support import Files, Inbox, Proxy, StandIn, reply
from PIL import Image
from service_support import PATH_JSON, RunningService, picture_png, until

from splinescape.cli.main import cli as top
from splinescape.client import FINAL_STATES, connect, default_connection
from splinescape.client.service import Service
from splinescape.protocol.connection import read_connection, write_connection
from splinescape.protocol.wire import Message

Cli = Callable[..., Ran]

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")

SMALL = ("--max-resolution", "64")
COARSE = (*SMALL, "--stage", "coarse", "--n-frames", "4", "--coarse-dense-multiplier", "4")
LONG = ("--stage", "fine", "--max-resolution", "512")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data", "--device", "cpu")
    yield running
    running.close()
    assert running.orphans() == []


@pytest.fixture
def client(service: RunningService) -> Iterator[Service]:
    with connect(service.connection) as connected:
        yield connected
        for info in connected.jobs(("queued", "running", "paused")):
            connected.cancel(info.id)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("picture") / "wall.png"
    file.write_bytes(picture_png(1))
    return file


@pytest.fixture(scope="module")
def big_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("picture") / "big.png"
    file.write_bytes(picture_png(2, 512, 384))
    return file


@pytest.fixture(scope="module")
def path_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("path") / "path.json"
    file.write_text(PATH_JSON)
    return file


class Running:
    """A command in a process of its own whose words can be waited for."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            splinescape_command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._lines: dict[str, list[str]] = {"out": [], "err": []}
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._lines[name].extend, args=(stream,), daemon=True)
            for name, stream in (("out", self.process.stdout), ("err", self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def err(self) -> str:
        return "".join(self._lines["err"])

    def says(self, words: str) -> None:
        """Wait until it has written this to stderr."""
        until(lambda: words in self.err or self.process.poll() is not None, what=words)
        assert words in self.err, self.err

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, seconds: float = 120) -> Ran:
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join()
        return Ran(code, "".join(self._lines["out"]), self.err)


def run(*arguments: str | Path) -> Ran:
    """Run a command in a process of its own."""
    return Running(*arguments).end()


def last_line(ran: Ran) -> str:
    return ran.err.splitlines()[-1]


def job_in(ran: Ran | Running) -> str:
    """The job that a command tells it has sent."""
    found = re.search(r"the service has it as job ([0-9a-f]{8})", ran.err)
    assert found is not None, ran.err
    return found[1]


def make_job(client: Service, seed: int = 3, **settings: Any) -> str:
    """A job that is done."""
    job = client.submit(
        picture_png(seed), None, {"stage": "no-outpaint", "max_resolution": 64, **settings}, name="small"
    )
    assert [event.data["state"] for event in client.watch(job) if event.kind == "state"][-1] == "done"
    return job


# generate --remote


@pytest.mark.slow
def test_a_service_makes_the_same_files_as_this_machine(
    service: RunningService, cli: Cli, picture: Path, path_file: Path, tmp_path: Path
) -> None:
    made = (
        *("generate", picture, "--path", path_file, *COARSE),
        "--format",
        "spz",
        "--format",
        "compressed.ply",
    )
    here, there = tmp_path / "here", tmp_path / "there"
    local = cli(*made, "--video", "--out", here)
    remote = run(*made, "--video", "--out", there, "--remote", service.connection)
    assert (local.code, remote.code) == (0, 0), remote.err

    names = {"gf.ply", "gf.spz", "gf.compressed.ply", "film.mp4"}
    assert {path.name for path in there.iterdir()} == names
    for name in names:
        assert (there / name).read_bytes() == (here / name).read_bytes(), name

    *lines, job = remote.out.splitlines()
    assert lines == local.out.replace(str(here), str(there)).splitlines()
    assert job.startswith(f"job: {job_in(remote)}")
    for words in (
        "depth engine: builtin",
        "[outpaint]",
        "[depth]",
        "[train]",
        "s left",
        "frame 1 (outpaint)",
    ):
        assert words in remote.err


def test_the_scene_may_have_any_name_and_its_own_folder(
    service: RunningService, picture: Path, tmp_path: Path
) -> None:
    ply, out = tmp_path / "scenes" / "wall.v2.ply", tmp_path / "films"
    ran = run(
        *("generate", picture, *SMALL, "--export-gaussians-ply-path", ply, "--out", out, "--format", "splat"),
        *("--remote", service.connection, "--quiet"),
    )
    assert ran == Ran(0, "", "")
    assert {path.name for path in ply.parent.iterdir()} == {"wall.v2.ply", "wall.v2.splat"}


@pytest.mark.parametrize("suffix", ["ppm", "jp2", "avif", "tga"])
def test_pictures_that_services_do_not_take_are_converted(
    service: RunningService, cli: Cli, picture: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"picture.{suffix}"
    Image.open(picture).save(file)
    assert cli("generate", file, *SMALL, "--out", tmp_path / "here", "-q").code == 0
    ran = cli("generate", file, *SMALL, "--out", tmp_path / "there", "-q", "--remote", service.connection)
    assert ran.code == 0, ran.err
    assert (tmp_path / "there" / "gf.ply").read_bytes() == (tmp_path / "here" / "gf.ply").read_bytes()


def test_a_name_that_no_terminal_should_see_is_sent_without_it(
    service: RunningService, client: Service, picture: Path, tmp_path: Path
) -> None:
    file = tmp_path / "wall\x1b[31m.png"
    file.write_bytes(picture.read_bytes())
    ran = run("generate", file, *SMALL, "--out", tmp_path / "out", "--remote", service.connection)
    assert ran.code == 0, ran.err
    assert client.jobs(limit=1)[0].name == "wall_[31m.png"


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def no_picture(folder: Path) -> list[str]:
    (folder / "text.jpg").write_text("no picture at all")
    return [str(folder / "text.jpg")]


def path_of_one_pose(folder: Path) -> list[str]:
    (folder / "one.json").write_text('{"version": 1, "poses": [{"cam_T_world": [[1]]}]}')
    return ["PICTURE", "--path", str(folder / "one.json")]


def below_a_file(folder: Path) -> list[str]:
    (folder / "file").write_text("")
    return ["PICTURE", "--out", str(folder / "file" / "out")]


def on_a_folder(folder: Path) -> list[str]:
    (folder / "out" / "gf.ply").mkdir(parents=True)
    return ["PICTURE", "--out", str(folder / "out")]


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no file": (lambda _: ["none.png"], "there is no file none.png"),
    "no picture": (no_picture, "is not a picture that can be read"),
    "bad path": (path_of_one_pose, "camera path"),
    "unknown engine": (lambda _: ["PICTURE", "--depth", "guess"], "there is no depth engine 'guess'"),
    "Rerun": (lambda _: ["PICTURE", "--rerun", "save"], "leave out --rerun or --remote"),
    "wrong setting": (
        lambda _: ["PICTURE", "--n-frames", "1"],
        "--n-frames must be from 2 to 200, not 1",
    ),
    "below a file": (below_a_file, "file"),
    "on a folder": (on_a_folder, "gf.ply is a folder: choose another place"),
}


@pytest.mark.parametrize(("make", "expected"), BAD.values(), ids=list(BAD))
def test_what_cannot_be_is_said_in_one_line_and_no_job_begins(
    service: RunningService,
    client: Service,
    cli: Cli,
    picture: Path,
    tmp_path: Path,
    make: Callable[[Path], list[str]],
    expected: str,
) -> None:
    before = client.jobs(limit=1)
    arguments = [str(picture) if word == "PICTURE" else word for word in make(tmp_path)]
    out = [] if "--out" in arguments else ["--out", tmp_path / "results"]
    ran = cli("generate", *arguments, *out, "--remote", service.connection)
    assert ran.code == 2
    assert last_line(ran).startswith("error: ") and expected in last_line(ran)
    assert client.jobs(limit=1) == before


def test_an_output_folder_that_cannot_be_written_is_found_before_anything_is_sent(
    cli: Cli, picture: Path, read_only_folder: Path
) -> None:
    with StandIn() as nobody:
        file = read_only_folder.parent / "standin.json"
        write_connection(file, nobody.connection)
        ran = cli("generate", picture, "--out", read_only_folder / "out", "--remote", file)
        assert ran.code == 2
        assert "cannot write" in ran.err
        assert nobody.seen == []


def test_a_job_that_fails_says_why_and_where_its_log_is(
    service: RunningService, picture: Path, tmp_path: Path
) -> None:
    ran = run(
        *("generate", picture, *SMALL, "--rasterizer", "gsplat", "--out", tmp_path / "out"),
        *("--remote", service.connection),
    )
    assert ran.code == 2
    job = job_in(ran)
    assert last_line(ran).startswith("error: the job failed: raster engine 'gsplat' cannot run here")
    command = last_line(ran).split("(see: splinescape ")[1].removesuffix(")")
    assert command == f"jobs log {job} --remote {service.connection}"
    assert "cannot run here" in run(*command.split()).out


@pytest.mark.slow
def test_a_service_that_cannot_be_reached(
    service: RunningService, cli: Cli, picture: Path, tmp_path: Path
) -> None:
    known = read_connection(service.connection)
    write_connection(tmp_path / "nobody.json", replace(known, endpoint=f"tcp://127.0.0.1:{closed_port()}"))
    write_connection(tmp_path / "stranger.json", replace(known, server_key=known.public_key))
    (tmp_path / "text.json").write_text("hello")
    for name, words in (
        ("nobody", "the service is not running, or a firewall is in between"),
        ("stranger", "is not the service of this connection file"),
        ("text", "is not a connection file"),
        ("none", "there is no connection file"),
    ):
        ran = cli("generate", picture, "--out", tmp_path / "out", "--remote", tmp_path / f"{name}.json")
        assert ran.code == 2
        assert last_line(ran).startswith("error: ") and words in last_line(ran)


@posix
def test_the_service_of_this_machine_needs_no_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "start one with: splinescape serve" in cli("jobs", "list").err
    running = RunningService(default_connection().parent, "--device", "cpu")
    try:
        for remote in ((), ("--remote", "local"), ("--remote", running.connection)):
            assert cli("jobs", "list", *remote) == Ran(0, "no jobs\n", "")
    finally:
        assert running.stop() == 0
    assert last_line(cli("jobs", "list")).endswith("start it with: splinescape serve")


# What is seen on the way


@posix
@pytest.mark.slow
def test_a_terminal_shows_bars_with_stages_and_the_time_left(
    service: RunningService, big_picture: Path, tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        splinescape_command(
            *("generate", big_picture, "--max-resolution", "256", "--out", tmp_path / "out"),
            *("--remote", service.connection),
        ),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 2**16):
            shown += data
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "━" in text
    assert re.search(r"train .*[0-9]+/60 .*[0-9]+ s left", text)
    assert re.search(r"sending the picture, kB .*[0-9]+/[0-9]+", text)


@pytest.mark.slow
def test_it_says_who_else_waits(
    service: RunningService, client: Service, picture: Path, big_picture: Path, tmp_path: Path
) -> None:
    settings = {"stage": "fine", "max_resolution": 512}
    with connect(service.connection) as other:
        jobs = [each.submit(big_picture, None, settings) for each in (client, other)]
    until(lambda: client.status(jobs[0]).state == "running", what="the first job")
    running = Running("generate", picture, *SMALL, "--out", tmp_path / "out", "--remote", service.connection)
    running.says("the job is number 2 in the queue")
    for job in jobs:
        client.cancel(job)
    assert running.end().code == 0


@pytest.mark.slow
def test_a_line_that_breaks_is_told_and_nothing_is_lost(
    service: RunningService, picture: Path, path_file: Path, tmp_path: Path
) -> None:
    known = read_connection(service.connection)
    with Proxy(int(known.endpoint.rsplit(":", 1)[1])) as line:
        write_connection(tmp_path / "line.json", replace(known, endpoint=f"tcp://127.0.0.1:{line.port}"))
        running = Running(
            *("generate", picture, "--path", path_file, *COARSE, "--max-resolution", "192"),
            *("--out", tmp_path / "out", "--remote", tmp_path / "line.json"),
        )
        running.says("[train]")
        line.cut()
        running.says("trying again")
        running.says("connected again")
        assert running.end().code == 0
    assert (tmp_path / "out" / "gf.ply").exists()


@pytest.mark.slow
def test_a_service_that_dies_and_comes_back_is_waited_for(
    big_picture: Path, path_file: Path, tmp_path: Path
) -> None:
    service = RunningService(tmp_path / "data", "--device", "cpu")
    try:
        made = ("generate", big_picture, "--path", path_file, *COARSE, "--max-resolution", "128")
        running = Running(*made, "--out", tmp_path / "there", "--remote", service.connection)
        running.says("frame 1")
        service.kill()
        running.says("trying again")
        service.start()
        running.says("the service was restarted")
        ran = running.end()
        assert ran.code == 0, ran.err
        assert run(*made, "--out", tmp_path / "here").code == 0
        assert (tmp_path / "there" / "gf.ply").read_bytes() == (tmp_path / "here" / "gf.ply").read_bytes()
        assert service.stop() == 0
    finally:
        service.close()
    assert service.orphans() == []


# Ctrl-C


def long_job(service: RunningService, picture: Path, out: Path) -> Running:
    running = Running("generate", picture, *LONG, "--out", out, "--remote", service.connection)
    running.says("[train]")
    return running


@posix
@pytest.mark.slow
def test_ctrl_c_cancels_the_job_which_can_be_continued(
    service: RunningService, client: Service, big_picture: Path, tmp_path: Path
) -> None:
    running = long_job(service, big_picture, tmp_path / "out")
    running.interrupt()
    running.says("cancelling the job; Ctrl-C again leaves it running")
    ran = running.end()
    assert ran.code == 130
    job = job_in(ran)
    assert last_line(ran).startswith("stopped: the job was cancelled; to continue it")
    assert last_line(ran).endswith(f": splinescape jobs resume {job} --remote {service.connection}")
    (info,) = [info for info in client.jobs() if info.id.startswith(job)]
    assert info.state == "cancelled"
    assert not list((tmp_path / "out").iterdir())

    assert run(*last_line(ran).split(": splinescape ")[1].split()).out == f"{job}: queued\n"
    until(lambda: client.status(info.id).state == "running", what="the job again")
    assert run("jobs", "cancel", job, "--remote", service.connection).code == 0


@posix
@pytest.mark.slow
def test_a_second_ctrl_c_leaves_the_job_running(
    service: RunningService, client: Service, big_picture: Path, tmp_path: Path
) -> None:
    running = long_job(service, big_picture, tmp_path / "out")
    running.interrupt()
    running.says("Ctrl-C again leaves it running")
    running.interrupt()
    ran = running.end()
    assert ran.code == 130
    job = job_in(ran)
    watch = f"jobs watch {job} --remote {service.connection}"
    assert last_line(ran) == f"stopped: the job goes on; see it with: splinescape {watch}"
    (info,) = [info for info in client.jobs() if info.id.startswith(job)]
    assert info.state == "running"

    watching = Running(*watch.split())
    watching.says("[train]")
    client.cancel(info.id)
    ended = watching.end()
    assert ended.code == 130
    assert "the job was cancelled" in last_line(ended)


@posix
@pytest.mark.slow
def test_ctrl_c_without_a_connection_leaves_the_job_alone(big_picture: Path, tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", "--device", "cpu")
    try:
        running = long_job(service, big_picture, tmp_path / "out")
        service.kill()
        running.says("trying again")
        running.interrupt()
        ran = running.end()
        assert ran.code == 130
        watch = f"splinescape jobs watch {job_in(ran)} --remote {service.connection}"
        assert last_line(ran) == f"stopped: there is no connection; the job goes on, see it with: {watch}"
    finally:
        service.close()


@posix
def test_ctrl_c_while_results_come_says_how_to_get_the_rest(tmp_path: Path) -> None:
    job = "0" * 32
    with StandIn() as service:
        files = Files({"gf.ply": b"scene" * 100_000})
        files.serve_from(service)

        def fetch(request: Message) -> Message | None:
            if request.content["offset"]:
                return None
            running.interrupt()
            return files.fetch(request)

        service.answers |= {
            "list": lambda request: reply(
                request, {"jobs": [] if request.content["before"] else [{"id": job, "state": "done"}]}
            ),
            "fetch": fetch,
        }
        write_connection(tmp_path / "standin.json", service.connection)
        remote = ("--out", tmp_path / "out", "--remote", tmp_path / "standin.json")
        running = Running("jobs", "fetch", "0", *remote)
        ran = running.end()
        assert ran.code == 130
        assert last_line(ran).startswith(
            "stopped: the results stay at the service; fetch them with: splinescape"
        )
        again = last_line(ran).split("splinescape ")[1]
        assert again == f"jobs fetch {job[:8]} --out {tmp_path / 'out'} --remote {tmp_path / 'standin.json'}"
        assert not (tmp_path / "out" / "gf.ply").exists()
        service.answers["fetch"] = files.fetch
        assert run(*again.split()).code == 0
    assert (tmp_path / "out" / "gf.ply").read_bytes() == b"scene" * 100_000


@posix
def test_ctrl_c_while_the_picture_is_sent_begins_nothing(big_picture: Path, tmp_path: Path) -> None:
    with StandIn() as service:
        inbox = Inbox()
        inbox.serve_from(service)

        def upload(request: Message) -> Message:
            if len(request.buffer("data").data) and not inbox.data:
                running.interrupt()
                running.says("stopping")
            return inbox.upload(request)

        service.answers["upload"] = upload
        write_connection(tmp_path / "standin.json", service.connection)
        running = Running(
            *("generate", big_picture, *SMALL, "--out", tmp_path / "out"),
            *("--remote", tmp_path / "standin.json"),
        )
        ran = running.end()
        assert ran.code == 130
        assert last_line(ran) == "stopped: the picture was not sent completely; nothing was begun"
        assert service.asked("submit") == []


@posix
def test_ctrl_c_at_the_moment_of_submitting_cancels_what_was_begun(picture: Path, tmp_path: Path) -> None:
    with StandIn() as service:
        inbox = Inbox()
        inbox.serve_from(service)

        def submit(request: Message) -> Message:
            running.interrupt()
            running.says("stopping")
            return inbox.submit(request)

        def status(request: Message) -> Message:
            return reply(request, {"id": request.job, "state": "cancelled"})

        service.answers |= {
            "submit": submit,
            "status": status,
            "cancel": lambda request: reply(request, {"state": "cancelled"}),
            "subscribe": lambda request: reply(request, {"last": 0}),
            "unsubscribe": reply,
            "events": lambda request: reply(request, {"events": [], "last": 0, "more": False}),
        }
        write_connection(tmp_path / "standin.json", service.connection)
        running = Running(
            *("generate", picture, *SMALL, "--out", tmp_path / "out"),
            *("--remote", tmp_path / "standin.json"),
        )
        ran = running.end()
        assert ran.code == 130
        assert "the job was cancelled" in last_line(ran)
        (asked,) = service.asked("cancel")
        assert asked.job in inbox.jobs.values()


# jobs


@pytest.fixture
def jobs(service: RunningService, cli: Cli) -> Callable[..., Ran]:
    """Run `splinescape jobs` on the service."""
    return lambda *arguments: cli("jobs", *arguments, "--remote", service.connection)


def test_jobs_are_listed_for_people_and_for_programs(client: Service, jobs: Callable[..., Ran]) -> None:
    older, newer = make_job(client, 4), make_job(client, 5)
    client.pin(older)
    table = jobs("list").out.splitlines()
    assert table[0].split() == ["job", "name", "owner", "state", "age", "splats", "device", "progress"]
    assert table[1].split()[:4] == [newer[:8], "small", "local", "done"]
    assert table[2].split()[:5] == [older[:8], "small", "local", "done,", "pinned"]
    lines = [json.loads(line) for line in jobs("list", "--json").out.splitlines()]
    assert [line["id"] for line in lines[:2]] == [newer, older]
    assert (lines[0]["state"], lines[0]["splats"] > 1000, lines[1]["pinned"]) == ("done", True, True)
    assert jobs("list", "--json", "--all").out == jobs("list", "--json").out


def test_a_job_that_waits_or_works_shows_where_it_is(
    client: Service, jobs: Callable[..., Ran], big_picture: Path
) -> None:
    settings = {"stage": "fine", "max_resolution": 512}
    first, second = (client.submit(big_picture, None, settings, name=name) for name in ("first", "second"))
    until(lambda: client.status(first).stage == "train", what="training")
    shown = {line.split()[1]: line for line in jobs("list").out.splitlines()[1:3]}
    assert "number 1 in the queue" in shown["second"]
    assert re.search(r"frame [0-9]/10, train( [0-9]+/[0-9]+, [0-9]+ s left)?", shown["first"])
    assert jobs("cancel", first, second).out == f"{first[:8]}: cancelled\n{second[:8]}: cancelled\n"
    until(lambda: client.status(first).state == "cancelled", what="the end")


def test_a_job_is_known_by_the_beginning_of_its_id(client: Service, jobs: Callable[..., Ran]) -> None:
    job = make_job(client, 6)
    make_job(client, 7)
    for start in (job, job[:8], job[:8].upper()):
        assert jobs("pin", start).out == f"{job[:8]}: pinned\n"
    several = jobs("pin", "")
    assert several.code == 2
    assert re.fullmatch(r"error: [0-9]+ jobs begin with : give more of the id", last_line(several))
    for action in ("watch", "cancel", "pause", "resume", "fetch", "rm", "pin", "log"):
        ran = jobs(action, "nosuchjob")
        assert ran.code == 2
        assert "no job begins with nosuchjob; see them with: splinescape jobs list --remote " in last_line(
            ran
        )


def test_a_job_is_paused_continued_cancelled_and_deleted(
    client: Service, jobs: Callable[..., Ran], big_picture: Path
) -> None:
    settings = {"stage": "fine", "max_resolution": 512}
    job = client.submit(big_picture, None, settings)
    short = job[:8]
    until(lambda: client.status(job).state == "running", what="the job")
    for action, said, becomes in (
        ("pause", "paused", "paused"),
        ("resume", "queued", "running"),
        ("cancel", "cancelled", "cancelled"),
    ):
        assert jobs(action, short) == Ran(0, f"{short}: {said}\n", "")
        until(lambda becomes=becomes: client.status(job).state == becomes, what=becomes)
    assert "depth engine" in jobs("log", short).out
    assert jobs("rm", short).out == f"{short}: deleted\n"
    assert "no job begins with" in jobs("log", short).err


def test_what_is_not_possible_with_one_job_does_not_spare_the_others(
    client: Service, jobs: Callable[..., Ran]
) -> None:
    done = make_job(client, 8)
    waits = client.submit(picture_png(9), None, {"stage": "fine", "max_resolution": 64})
    ran = jobs("cancel", done, waits, done)
    assert ran.code == 2
    assert ran.out == f"{waits[:8]}: cancelled\n"
    assert last_line(ran) == f"error: {done[:8]}: the job is done already"


def test_watching_a_job_tells_its_whole_story_and_ends_with_it(
    service: RunningService, client: Service, jobs: Callable[..., Ran]
) -> None:
    job = make_job(client, 10)
    ran = jobs("watch", job[:8])
    assert ran.code == 0
    for words in (
        "the job is running",
        "depth engine: builtin",
        "[train]",
        "frame 0 (input)",
        "the job is done",
    ):
        assert words in ran.err
    assert last_line(ran) == (
        f"fetch its results with: splinescape jobs fetch {job[:8]} --remote {service.connection}"
    )


def test_watching_a_job_that_is_deleted_ends(client: Service, service: RunningService) -> None:
    job = client.submit(picture_png(11, 512, 384), None, {"stage": "fine", "max_resolution": 512})
    watching = Running("jobs", "watch", job, "--remote", service.connection)
    watching.says("the job is running")
    client.delete(job)
    ran = watching.end()
    assert ran.code == 2
    assert last_line(ran) == "error: the job was deleted"


def test_results_are_fetched_all_or_by_name(
    client: Service, jobs: Callable[..., Ran], tmp_path: Path
) -> None:
    job = make_job(client, 12)
    names = {file.name for file in client.results(job)}
    ran = jobs("fetch", job[:8], "--out", tmp_path / "all")
    assert ran.code == 0
    assert {Path(line) for line in ran.out.splitlines()} == {tmp_path / "all" / name for name in names}
    assert {path.name for path in (tmp_path / "all").iterdir()} == names
    assert (
        jobs("fetch", job[:8], "gf.ply", "--out", tmp_path / "one").out == f"{tmp_path / 'one' / 'gf.ply'}\n"
    )
    assert (tmp_path / "one" / "gf.ply").read_bytes() == (tmp_path / "all" / "gf.ply").read_bytes()
    assert f"job {job[:8]} has no film.mp4, only: " in jobs("fetch", job[:8], "film.mp4").err


def test_there_is_nothing_to_fetch_of_a_job_that_is_not_done(
    client: Service, jobs: Callable[..., Ran]
) -> None:
    job = client.submit(picture_png(13), None, {"stage": "fine", "max_resolution": 64})
    client.cancel(job)
    until(lambda: client.status(job).state in FINAL_STATES, what="the end")
    assert f"job {job[:8]} has no results: it is cancelled" in jobs("fetch", job[:8]).err


def test_a_service_cannot_choose_where_files_go(cli: Cli, tmp_path: Path) -> None:
    job = "0" * 32
    with StandIn() as service:
        Files({"../evil": b"evil", str(tmp_path / "evil"): b"evil", "gf.ply": b"scene"}).serve_from(service)
        service.answers["list"] = lambda request: reply(
            request, {"jobs": [] if request.content["before"] else [{"id": job, "state": "done"}]}
        )
        write_connection(tmp_path / "standin.json", service.connection)
        ran = cli("jobs", "fetch", "0", "--out", tmp_path / "out", "--remote", tmp_path / "standin.json")
    assert ran.code == 0, ran.err
    assert {path.name for path in tmp_path.rglob("*")} == {"standin.json", "out", "gf.ply"}


# render --remote


def test_a_service_renders_the_same_pictures_as_this_machine(
    service: RunningService, client: Service, cli: Cli, path_file: Path, tmp_path: Path
) -> None:
    job = make_job(client, 14)
    cli("jobs", "fetch", job, "gf.ply", "--out", tmp_path, "--remote", service.connection)
    asked = ("--path", path_file, "--frames", "3", "--depth")
    here = cli("render", tmp_path / "gf.ply", *asked, "--out", tmp_path / "here")
    there = cli("render", job[:8], *asked, "--out", tmp_path / "there", "--remote", service.connection)
    assert here.code == there.code == 0, there.err
    assert there.out == here.out.replace(str(tmp_path / "here"), str(tmp_path / "there"))
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert {path.name for path in (tmp_path / "there").iterdir()} == names and len(names) == 9
    for name in names:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name


def test_rendering_over_a_service_has_its_limits(
    service: RunningService, client: Service, cli: Cli, path_file: Path, tmp_path: Path
) -> None:
    job = make_job(client, 15)
    remote = ("--path", path_file, "--out", tmp_path / "out", "--remote", service.connection)
    assert "leave out --rasterizer or --remote" in cli("render", job, *remote, "--rasterizer", "cpu").err
    large = cli("render", job, *remote, "--width", "16000", "--height", "16000")
    assert large.code == 2 and "pixels" in last_line(large)
    failed = client.submit(picture_png(16), None, {"max_resolution": 64}, engines={"raster": "gsplat"})
    until(lambda: client.status(failed).final, what="the failure")
    nothing = cli("render", failed, *remote)
    assert f"job {failed[:8]} has nothing to render; see why with: splinescape jobs log" in last_line(nothing)


# serve


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_service_says_when_it_is_ready_and_ends_when_told(tmp_path: Path, number: int) -> None:
    service = RunningService(tmp_path / "data", "--device", "cpu")
    try:
        assert set(service.ready) == {"event", "connection", "endpoint", "pid"}
        assert service.ready["pid"] == service.process.pid
        assert read_connection(service.connection).endpoint == service.ready["endpoint"]
        assert service.stop(number) == 0
    finally:
        service.close()
    assert service.process.stdout is not None and service.process.stdout.closed
    assert "shut down" in service.stderr()
    assert "shut down" in (tmp_path / "data" / "logs" / "service.log").read_text()


def test_a_service_that_cannot_start_says_why_in_one_line(
    service: RunningService, cli: Cli, tmp_path: Path
) -> None:
    data = ("--data", tmp_path / "data")
    (tmp_path / "bad.toml").write_text("retention = { days = -1 }")
    (tmp_path / "file").write_text("")
    taken = read_connection(service.connection).endpoint.removeprefix("tcp://")
    for arguments, words in (
        (("--data", service.folder), "another service"),
        ((*data, "--listen", taken), f"cannot listen on {taken}: Address already in use; choose another"),
        ((*data, "--listen", "studio"), "--listen: needs a port as well, such as studio:5750"),
        ((*data, "--listen", "studio:5750"), "--listen: 'studio' is not an IPv4 address of this machine"),
        ((*data, "--listen", "0.0.0.0:5750"), "make one for each of them: splinescape keys new NAME"),
        ((*data, "--device", "gpu"), "--device: must be auto, cpu or cuda:N, not 'gpu'"),
        ((*data, "--config", tmp_path / "none.toml"), "none.toml cannot be read"),
        ((*data, "--config", tmp_path / "bad.toml"), "bad.toml: retention.days"),
        (("--data", tmp_path / "file" / "data"), "file"),
    ):
        ran = cli("serve", *arguments)
        assert (ran.code, ran.out) == (2, ""), arguments
        assert last_line(ran).startswith("error: ") and words in last_line(ran), ran.err
    assert not (tmp_path / "bad").exists()


@pytest.mark.slow
def test_a_device_that_cannot_work_is_told_with_the_jobs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "torch.py").write_text("raise ImportError('libcudart is missing')")
    service = RunningService(tmp_path / "data", "--device", "cpu", env={"PYTHONPATH": str(tmp_path / "site")})
    try:
        with connect(service.connection) as client:
            job = client.submit(picture_png(1), None, {"max_resolution": 64})
            until(lambda: client.hello().devices[0].trouble, what="that no worker starts")
            assert client.status(job).state == "queued"
        ran = cli("jobs", "list", "--remote", service.connection)
        assert last_line(ran).startswith("warning: cpu: workers do not start: ")
        assert "libcudart is missing" in last_line(ran)
        assert service.stop() == 0
    finally:
        service.close()


# keys


def test_a_key_opens_the_service_until_it_is_revoked(
    service: RunningService, cli: Cli, picture: Path, tmp_path: Path
) -> None:
    data, file = ("--data", service.folder), tmp_path / "laptop.json"
    made = cli("keys", "new", "laptop", "--out", file, *data)
    assert made.code == 0
    ran = run("generate", picture, *SMALL, "--out", tmp_path / "out", "--remote", file)
    assert ran.code == 0, ran.err
    assert cli("jobs", "list", "--remote", file).out.splitlines()[1].split()[2] == "laptop"
    assert "laptop" in cli("keys", "list", *data).out
    assert cli("keys", "revoke", "laptop", *data).code == 0
    assert "laptop" not in cli("keys", "list", *data).out
    refused = cli("jobs", "list", "--remote", file)
    assert refused.code == 2
    assert "does not accept this key" in last_line(refused)


# Help


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, command in top.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            for sub, each in command.commands.items():
                yield f"{name} {sub}", each


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_is_explained(cli: Cli, name: str, command: click.Command) -> None:
    shown = " ".join(cli(*name.split(), "--help").out.split())
    assert command.help is not None and command.help.split(".")[0].split("\n")[0] in shown
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.split()[0] in shown
        elif parameter.name == "job":
            assert "JOB is the beginning of a job's id" in shown


def test_commands_of_the_top_level_are_told_in_whole_sentences(cli: Cli) -> None:
    for arguments in ((), ("jobs",), ("keys",), ("models",)):
        listed = cli(*arguments, "--help").out.split("Commands:")[1]
        assert "..." not in listed


def test_help_and_lists_of_jobs_load_nothing_heavy(service: RunningService) -> None:
    heavy = ("torch", "numba", "cv2", "zmq", "numpy", "rich", "scipy")
    program = (
        "import sys; from splinescape.cli.main import run; code = run(sys.argv[1:]); "
        f"print([m for m in {heavy!r} if m in sys.modules]); sys.exit(code)"
    )

    def loaded(*arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        return ran.stdout.splitlines()[-1]

    for arguments in (
        ("--help",),
        ("jobs", "watch", "--help"),
        ("serve", "--help"),
        ("keys", "new", "--help"),
    ):
        assert loaded(*arguments) == "[]"
    listing = loaded("jobs", "list", "--remote", service.connection)
    assert "torch" not in listing and "numba" not in listing
