"""Pictures and results arrive whole, whatever happens on the way, and only what is missing travels again."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from client_support import Files, Inbox, Keys, Proxy, StandIn, connected, error, finish, poll_until, reply

from splinescape.client import Client, FileInfo, ServiceError
from splinescape.client.clock import Clock
from splinescape.client.leftovers import Leftovers
from splinescape.errors import CancelledError, InputError
from splinescape.protocol.connection import write_connection
from splinescape.protocol.wire import Buffer, Message

JOB = "0" * 32
DATA = bytes(os.urandom(2**16)) * 30 + b"the end"
INFO = FileInfo("gf.ply", len(DATA), hashlib.sha256(DATA).hexdigest())


def serving(service: StandIn, data: bytes = DATA) -> Files:
    files = Files({"gf.ply": data})
    files.serve_from(service)
    return files


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_in_memory_and_on_disk(tmp_path: Path) -> None:
    with StandIn() as service, connected(service) as client:
        files = serving(service)
        data = finish(client, client.fetch(JOB, "gf.ply"))
        assert bytes(data) == DATA and data.readonly
        files.asked.clear()
        call = client.fetch(JOB, INFO, tmp_path / "new folder" / "gf.ply")
        assert finish(client, call) == tmp_path / "new folder" / "gf.ply"
        assert call.progress == (len(DATA), len(DATA))
        assert call.result.read_bytes() == DATA
        assert names_in(tmp_path / "new folder") == ["gf.ply"]
        assert sorted(files.asked) == sorted(set(files.asked))
        assert sum(length for _, length in files.asked) == len(DATA)


@pytest.mark.parametrize("size", [0, 1, 2**16, 2**16 + 1])
def test_files_of_all_sizes(size: int, tmp_path: Path) -> None:
    data = DATA[:size]
    with StandIn() as service, connected(service) as client:
        serving(service, data)
        assert bytes(finish(client, client.fetch(JOB, "gf.ply"))) == data
        assert finish(client, client.fetch(JOB, "gf.ply", tmp_path / "a")).read_bytes() == data


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    dest = tmp_path / "gf.ply"
    dest.write_bytes(b"the old one")
    with StandIn() as service, connected(service) as client:
        files = serving(service)
        service.answers["fetch"] = lambda request: files.fetch(request) if len(files.asked) < 5 else None
        call = client.fetch(JOB, INFO, dest)
        poll_until(client, lambda: call.progress[0] > 0)
        assert dest.read_bytes() == b"the old one"
        files.serve_from(service)
        service.push(Message("error", {"code": "rate", "message": "slower"}), "bulk")
        finish(client, call)
        assert dest.read_bytes() == DATA


def test_who_reads_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    old = tmp_path / "old"
    content = os.urandom(2**23)
    clock = Clock()
    leftovers = Leftovers(clock)

    def replaced() -> int:
        handle = os.open(old, os.O_WRONLY)
        old.unlink()
        return handle

    def work() -> int:
        clock.now += 1000
        steps = 0
        while leftovers.step():
            steps += 1
        return steps

    old.write_bytes(content)
    with old.open("rb") as reader:
        leftovers.add(replaced())
        assert work() == 0 and reader.read() == content
    old.write_bytes(content)
    with old.open("rb") as reader:
        view = mmap.mmap(reader.fileno(), 0, access=mmap.ACCESS_READ)
    leftovers.add(replaced())
    assert work() == 0 and view[:] == content
    old.write_bytes(content)
    second_name = tmp_path / "second name"
    second_name.hardlink_to(old)
    leftovers.add(replaced())
    assert work() == 0 and second_name.read_bytes() == content
    old.write_bytes(content)
    leftovers.add(replaced())
    assert work() > 5 or sys.platform != "linux"


@pytest.mark.slow
def test_a_large_file_takes_the_place_of_another_in_many_small_steps(tmp_path: Path) -> None:
    """How long one poll takes is what benchmarks/client_poll.py measures."""
    data = os.urandom(2**20) * 95
    (tmp_path / "gf.ply").write_bytes(bytes(len(data)))
    with StandIn() as service, connected(service) as client:
        serving(service, data)
        call = client.fetch(JOB, "gf.ply", tmp_path / "gf.ply")
        most = 0
        while not call.done:
            before = call.progress[0]
            client.poll()
            most = max(most, call.progress[0] - before)
            client.wait(0.01)
        assert call.get() == tmp_path / "gf.ply"
    assert (tmp_path / "gf.ply").read_bytes() == data
    assert most < len(data) / 10


def test_a_file_name_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with StandIn() as service, connected(service) as client:
        serving(service)
        finish(client, client.fetch(JOB, INFO, tmp_path / "link"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == DATA


def test_a_fetch_survives_a_line_that_breaks_again_and_again(tmp_path: Path) -> None:
    with StandIn() as service, Proxy(service.port) as line:
        files, share = serving(service), 0.2
        service.answers["fetch"] = lambda request: (
            files.fetch(request) if request.content["offset"] < share * len(DATA) else None  # it never comes
        )
        with Client(service.keys.connection(line.port)) as client:
            call = client.fetch(JOB, INFO, tmp_path / "gf.ply")
            for share in (0.2, 0.4, 0.6, 1.0):
                poll_until(client, lambda least=share: call.progress[0] >= least * len(DATA))  # type: ignore[misc]
                hellos = service.hellos
                if share < 1:
                    line.cut()
                    poll_until(client, lambda before=hellos: service.hellos > before)  # type: ignore[misc]
            finish(client, call)
        assert service.hellos >= 4
    assert (tmp_path / "gf.ply").read_bytes() == DATA


KILLED = """
import json, sys, time
from pathlib import Path
from splinescape.client import Client, FileInfo
client = Client(sys.argv[1])
call = client.fetch("0" * 32, FileInfo(**json.loads(sys.argv[2])), Path(sys.argv[3]))
while not call.done:
    client.poll()
    if call.progress[0] > 500_000:
        print("half", flush=True)
        time.sleep(60)
    client.wait(0.01)
"""


def test_a_fetch_goes_on_where_a_killed_client_stopped(tmp_path: Path) -> None:
    dest = tmp_path / "gf.ply"
    with StandIn() as service:
        files = serving(service)
        write_connection(tmp_path / "connection.json", service.connection)
        command = [
            sys.executable,
            "-c",
            KILLED,
            str(tmp_path / "connection.json"),
            json.dumps(asdict(INFO)),
            str(dest),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"half\n"
            there = dest.with_name("gf.ply.part").stat().st_size
            with connected(service) as client, pytest.raises(InputError, match="being fetched already"):
                finish(client, client.fetch(JOB, INFO, dest))
            child.kill()
        files.asked.clear()
        with connected(service) as client:
            finish(client, client.fetch(JOB, INFO, dest))
        assert there > 500_000 and min(offset for offset, _ in files.asked) == there
    assert dest.read_bytes() == DATA
    assert names_in(tmp_path) == ["connection.json", "gf.ply"]


@pytest.mark.parametrize("left", [b"of another file", DATA[:9999] + b"x", DATA + b"longer", DATA[:-1] + b"!"])
def test_what_is_left_of_another_file_is_not_used(tmp_path: Path, left: bytes) -> None:
    dest = tmp_path / "gf.ply"
    dest.with_name("gf.ply.part").write_bytes(left)
    with StandIn() as service, connected(service) as client:
        serving(service)
        finish(client, client.fetch(JOB, INFO, dest))
    assert dest.read_bytes() == DATA and names_in(tmp_path) == ["gf.ply"]


def test_a_file_that_arrives_damaged_is_refused(tmp_path: Path) -> None:
    with StandIn() as service, connected(service) as client:
        serving(service, DATA[:-1] + b"!")
        with pytest.raises(ServiceError, match="damaged"):
            finish(client, client.fetch(JOB, INFO, tmp_path / "gf.ply"))
    assert names_in(tmp_path) == []


def test_a_part_that_is_not_what_was_asked_for_is_refused(tmp_path: Path) -> None:
    with StandIn() as service, connected(service) as client:
        files = serving(service)
        wrong: list[Callable[[Message], Message]] = [
            lambda request: reply(request, {"size": 3, "offset": 0}, Buffer.of_bytes("data", b"abc")),
            lambda request: reply(request, {"size": len(DATA), "offset": 0}, Buffer.of_bytes("data", b"abc")),
            lambda request: reply(
                request, {"size": len(DATA), "offset": 1}, files.fetch(request).buffer("data")
            ),
            lambda request: reply(request, {"size": len(DATA), "offset": 0}),
            lambda request: reply(request),
        ]
        for answer in wrong:
            service.answers["fetch"] = answer
            with pytest.raises(ServiceError) as caught:
                finish(client, client.fetch(JOB, INFO, tmp_path / "gf.ply"))
            assert caught.value.code == "bad_message"


def test_a_file_that_was_replaced_meanwhile(tmp_path: Path) -> None:
    with StandIn() as service, connected(service) as client:
        files = serving(service)
        service.answers["fetch"] = lambda request: (
            files.fetch(request)
            if request.content["offset"] < 2**18
            else error(request, "superseded", "a newer one")
        )
        with pytest.raises(ServiceError, match="a newer one") as caught:
            finish(client, client.fetch(JOB, INFO, tmp_path / "gf.ply"))
    assert caught.value.code == "superseded"
    assert names_in(tmp_path) == []


def test_a_result_that_there_is_not() -> None:
    with StandIn() as service, connected(service) as client:
        serving(service)
        with pytest.raises(ServiceError, match=r"no result 'film.mp4'; it has: gf.ply"):
            finish(client, client.fetch(JOB, "film.mp4"))


def test_giving_up_a_fetch_leaves_the_line_free_and_the_part_for_later(tmp_path: Path) -> None:
    with StandIn() as service, connected(service) as client:
        files = serving(service)
        call = client.fetch(JOB, INFO, tmp_path / "gf.ply")
        poll_until(client, lambda: call.progress[0] > 0)
        call.cancel()
        with pytest.raises(CancelledError):
            call.get()
        files.asked.clear()
        poll_until(client, lambda: not client.poll())
        finish(client, client.fetch(JOB, INFO, tmp_path / "gf.ply"))
        assert min(offset for offset, _ in files.asked) > 0


def test_a_full_disk(tiny_disk: Callable[[int], Path]) -> None:
    disk = tiny_disk(400_000)
    with StandIn() as service, connected(service) as client:
        serving(service)
        with pytest.raises(InputError, match="No space left on device; free some space"):
            finish(client, client.fetch(JOB, INFO, disk / "gf.ply"))
    assert names_in(disk) == []


def test_a_place_that_cannot_be_written(tmp_path: Path, read_only_folder: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with StandIn() as service, connected(service) as client:
        serving(service)
        for dest, why in (
            (read_only_folder / "gf.ply", "choose a folder that you may write to"),
            (tmp_path, "not a regular file"),
            (tmp_path / "file" / "gf.ply", "a part of this path is a file"),
            (tmp_path / ("x" * 300), "choose a shorter name"),
        ):
            with pytest.raises(InputError, match=why):
                finish(client, client.fetch(JOB, INFO, dest))


def test_a_picture_is_sent_and_the_job_submitted(tmp_path: Path) -> None:
    picture = tmp_path / "room.jpg"
    picture.write_bytes(DATA)
    inbox = Inbox()
    with StandIn() as service, connected(service) as client:
        inbox.serve_from(service)
        call = client.submit(picture, '{"a": 1}', {"seed": 3}, engines={"depth": "builtin"}, film=True)
        job = finish(client, call)
        assert bytes(inbox.data) == DATA and job == call.id and call.progress == (len(DATA), len(DATA))
        (submit,) = service.asked("submit")
        assert bytes(submit.buffer("path").data) == b'{"a": 1}'
        assert submit.content == {
            "name": "room",
            "picture": hashlib.sha256(DATA).hexdigest(),
            "focal_px": None,
            "settings": {"seed": 3},
            "engines": {"inpaint": "auto", "depth": "builtin", "raster": "auto"},
            "formats": [],
            "film": True,
            "pinned": False,
            "session": service.asked("hello")[0].content["session"],
        }


@pytest.mark.parametrize("there", [0, 1, 2**16, 2**19 + 5, len(DATA)])
def test_what_the_service_has_is_not_sent_again(there: int) -> None:
    inbox = Inbox(bytearray(DATA[:there]))
    with StandIn() as service, connected(service) as client:
        inbox.serve_from(service)
        finish(client, client.submit(DATA))
        assert bytes(inbox.data) == DATA
        sent = sum(len(message.buffer("data").data) for message in service.asked("upload"))
        assert sent == len(DATA) - there


def test_an_upload_survives_lost_parts_and_a_broken_line() -> None:
    inbox = Inbox()
    with StandIn() as service, Proxy(service.port) as line:
        inbox.serve_from(service)
        count = 0

        def upload(request: Message) -> Message | None:
            nonlocal count
            count += 1
            if count == 5:
                line.cut()  # before it is taken
                return None
            answer = inbox.upload(request)
            if count == 12:
                line.cut()  # after it was taken
                return None
            if count == 20:
                del inbox.data[-(2**16) :]  # as if the service had crashed before it was on disk
                line.cut()
            return answer

        service.answers["upload"] = upload
        with Client(service.keys.connection(line.port)) as client:
            finish(client, client.submit(DATA))
    assert bytes(inbox.data) == DATA and len(inbox.jobs) == 1


def test_a_lost_answer_does_not_submit_twice() -> None:
    inbox = Inbox()
    with StandIn() as service, Proxy(service.port) as line:
        inbox.serve_from(service)

        def submit(request: Message) -> Message | None:
            known = len(inbox.jobs)
            answer = inbox.submit(request)
            if not known:
                line.cut()
            return answer

        service.answers["submit"] = submit
        with Client(service.keys.connection(line.port)) as client:
            finish(client, client.submit(DATA))
        first, second = service.asked("submit")
        assert first.id == second.id and len(inbox.jobs) == 1


def test_a_picture_that_the_service_has_tidied_up_is_sent_again() -> None:
    inbox = Inbox()
    with StandIn() as service, connected(service) as client:
        inbox.serve_from(service)

        def submit(request: Message) -> Message:
            if len(service.asked("submit")) == 1:
                inbox.data.clear()
                return error(request, "not_found", "there is no such upload")
            return inbox.submit(request)

        service.answers["submit"] = submit
        finish(client, client.submit(DATA))
        assert bytes(inbox.data) == DATA


def test_a_service_that_never_takes_a_part() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["upload"] = lambda request: reply(request, {"have": 5})
        with pytest.raises(ServiceError, match="whatever is sent"):
            finish(client, client.submit(DATA))


def test_a_picture_that_changes_while_it_is_sent(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(DATA)
    with StandIn() as service, connected(service) as client:
        call = client.submit(picture)
        picture.write_bytes(b"short")
        with pytest.raises(InputError, match="changed while it was sent"):
            finish(client, call)


def test_a_path_that_is_larger_than_the_service_takes() -> None:
    inbox = Inbox()
    with StandIn() as service, connected(service) as client:
        inbox.serve_from(service)
        with pytest.raises(ServiceError, match="at most") as caught:
            finish(client, client.submit(DATA, "x" * 2**21))
        assert caught.value.code == "too_large" and client.state == "connected"


def test_several_transfers_share_the_line(tmp_path: Path) -> None:
    inbox = Inbox()
    with StandIn() as service, connected(service) as client:
        serving(service)
        inbox.serve_from(service)
        calls = [client.fetch(JOB, INFO, tmp_path / str(i)) for i in range(5)]
        calls.append(client.submit(DATA))  # type: ignore[arg-type]
        poll_until(client, lambda: all(call.done for call in calls))
        for call in calls[:5]:
            path = call.get()
            assert isinstance(path, Path) and path.read_bytes() == DATA
        assert calls[5].get()


def test_a_fetch_without_a_connection_waits_for_one() -> None:
    keys = Keys.make()
    with StandIn(keys) as service:
        port = service.port
    with Client(keys.connection(port)) as client:
        call = client.fetch(JOB, INFO)
        poll_until(client, lambda: client.state == "lost")
        with StandIn(keys, port) as service:
            serving(service)
            assert bytes(finish(client, call)) == DATA
