"""A service is killed with kill -9 at any moment: nothing that it acknowledged is lost, nothing half-made is seen."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from store_support import SHA256, assert_consistent

from splinescape.protocol.wire import new_id
from splinescape.service.store.store import Store

BUSY_SERVICE = """
import json, sys
from pathlib import Path
from store_support import add_job, finish, upload
from splinescape.protocol.wire import Buffer, new_id
from splinescape.service.store.events import NewEvent
from splinescape.service.store.store import Store

def acknowledge(**what):
    print(json.dumps(what), flush=True)

store = Store.open(Path(sys.argv[1]))
store.recover()
thumbnail = Buffer.of_bytes("rgb", bytes(20_000))
jobs = []
for turn in range(10_000):
    job = add_job(store, spec={"turn": turn}).id
    acknowledge(job=job)
    events = [NewEvent(job, "frame", {"index": i}, (thumbnail,)) for i in range(3)]
    acknowledge(events=[(event.seq, event.job) for event in store.events.add(events)])
    acknowledge(events=[(e.seq, None) for e in store.events.add([NewEvent(job, "progress", {"stage": "coarse"})])])
    store.jobs.set(job, state="running", device="cpu")
    acknowledge(running=job)
    data = new_id().encode() * 3000
    acknowledge(upload=upload(store, data), size=len(data))
    if turn % 2:
        finish(store, job, {"gf.ply": data})
        acknowledge(done=job)
    jobs.append(job)
    if turn % 3 == 2:
        acknowledge(removing=jobs[0])
        store.jobs.remove(jobs[0])
        acknowledge(removed=jobs.pop(0))
"""


def run_and_kill(folder: Path, dice: random.Random, wait: bool) -> list[dict[str, Any]]:
    """Let a service work, kill it at a random moment, and return what it acknowledged."""
    command = [sys.executable, "-c", BUSY_SERVICE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as service:
        assert service.stdout is not None
        lines: list[str] = []
        began = threading.Event()

        def listen() -> None:
            for line in service.stdout or ():
                lines.append(line)
                began.set()

        listener = threading.Thread(target=listen)
        listener.start()
        if wait:
            assert began.wait(60), "the service never began"
        time.sleep(dice.uniform(0.0, 0.2))  # the moment is random on purpose
        service.kill()
        listener.join()
    return [json.loads(line) for line in lines if line.endswith("\n")]


def assert_all_kept(store: Store, acknowledged: list[dict[str, Any]]) -> None:
    def said(what: str) -> list[Any]:
        return [each[what] for each in acknowledged if what in each]

    removed, removing = set(said("removed")), set(said("removing"))
    rows = {row.id: row for row in store.jobs.list(limit=-1)}
    assert removed.isdisjoint(rows)
    assert set(said("job")) - removing <= rows.keys()
    assert all(rows[job].device == "cpu" for job in said("running") if job in rows)
    for job in said("done"):
        assert job in removing or rows[job].state == "done"
    stored: set[int] = set()
    more, since = True, 0
    while more:
        part, more = store.events.since(since)
        stored |= {event.seq for event in part}
        since = part[-1].seq if part else since
    for seq, job in (event for events in said("events") for event in events):
        assert seq <= store.events.last_seq()
        assert seq in stored or job is None or job in removing
    for each in acknowledged:
        if "upload" in each:
            assert store.uploads.path(each["upload"]).stat().st_size == each["size"]


def crash(folder: Path, times: int) -> None:
    dice = random.Random(times)
    acknowledged: list[dict[str, Any]] = []
    for _ in range(times):
        last_seq = max((seq for each in acknowledged for seq, _ in each.get("events", ())), default=0)
        new = run_and_kill(folder, dice, wait=not acknowledged or dice.random() < 0.8)
        assert all(seq > last_seq for each in new for seq, _ in each.get("events", ()))
        acknowledged += new
        store = Store.open(folder)
        assert_consistent(store)
        assert_all_kept(store, acknowledged)
        store.close()
        assert not list((folder / "trash").iterdir())
    assert acknowledged


def test_killed_twice(tmp_path: Path) -> None:
    crash(tmp_path, 2)


@pytest.mark.slow
def test_killed_twenty_times(tmp_path: Path) -> None:
    crash(tmp_path, 20)


def test_killed_while_making_the_store(tmp_path: Path) -> None:
    program = (
        "import sys; from splinescape.service.store.store import Store; print('!'); Store.open(sys.argv[1])"
    )
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        folder = tmp_path / str(delay)
        command = [sys.executable, "-uc", program, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
            assert service.stdout is not None
            service.stdout.readline()
            time.sleep(delay)
            service.kill()
        store = Store.open(folder)
        assert store.jobs.list() == []
        assert store.uploads.append("a", SHA256, 10, 0, b"") == 0
        assert store.jobs.get(new_id()) is None
        store.close()
