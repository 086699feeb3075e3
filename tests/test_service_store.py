"""The job store: what was acknowledged is kept, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_support import (
    SHA256,
    add_job,
    assert_consistent,
    database_of,
    finish,
    new_job,
    upload,
)

from splinescape.errors import InputError
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_BUFFERS, MAX_REPLY_HEADER, Buffer, Message, encode, new_id
from splinescape.service.store.events import NewEvent, StoredEvent
from splinescape.service.store.retention import Retention
from splinescape.service.store.store import Store

MIB = 2**20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store")
    yield store
    store.close()


def reopened(store: Store) -> Store:
    store.close()
    return Store.open(store.folder)


# Jobs.


def test_a_job_is_as_it_was_sent_and_stays_so(store: Store) -> None:
    new = new_job(name="Zwölf Gärten", spec={"prompt": "a \N{HERB}", "seed": 3}, pinned=True, n_frames=7)
    row = store.jobs.add(new)
    assert (row.id, row.owner, row.session, row.request) == (new.id, new.owner, new.session, new.request)
    assert (row.name, row.pinned, row.n_frames) == (new.name, True, 7)
    assert (row.state, row.reason, row.started, row.ended) == ("queued", None, None, None)
    assert (row.attempts, row.device, row.progress) == (0, None, {})
    assert abs(row.created - time.time()) < 60
    assert store.jobs.get(new.id) == row and store.jobs.spec(new.id) == new.spec


def test_a_request_that_is_sent_again_makes_no_second_job(store: Store) -> None:
    first = store.jobs.add(new_job(request="r"))
    assert store.jobs.add(new_job(request="r", name="another")) == first
    assert store.jobs.find("local", "r") == first
    assert store.jobs.add(new_job(request="r", owner="somebody else")) != first
    assert store.jobs.count() == 2


def test_a_job_id_is_used_once(store: Store) -> None:
    row = store.jobs.add(new_job())
    with pytest.raises(ServiceError, match="already") as caught:
        store.jobs.add(new_job(id=row.id))
    assert caught.value.code == "conflict"


def test_lists_are_in_the_order_of_arrival(store: Store) -> None:
    rows = [store.jobs.add(new_job(name=str(number), owner="ab"[number % 2])) for number in range(7)]
    for number in (1, 4):
        rows[number] = store.jobs.set(rows[number].id, state="running")
    newest_first = rows[::-1]
    assert store.jobs.list() == newest_first
    assert store.jobs.list(limit=3) == newest_first[:3]
    assert store.jobs.list(limit=3, before=newest_first[2].id) == newest_first[3:6]
    assert store.jobs.list(states=["running"]) == [rows[4], rows[1]]
    assert store.jobs.list(states=[]) == []
    assert store.jobs.queued() == [rows[i] for i in (0, 2, 3, 5, 6)]
    assert store.jobs.with_state("running", "done") == [rows[1], rows[4]]
    assert store.jobs.count(states=("queued",)) == 5
    assert store.jobs.count(owner="a") == 4
    assert store.jobs.count("b", ("running",)) == 1


def test_columns_are_set_and_kept(store: Store) -> None:
    job = add_job(store).id
    progress = {"stage": "coarse", "step": 3, "total": 10, "eta_s": 4.5}
    row = store.jobs.set(job, state="running", started=5.0, device="cuda:0", progress=progress)
    assert (row.state, row.started, row.device, row.progress) == ("running", 5.0, "cuda:0", progress)
    row = store.jobs.set(job, state="failed", reason="no", ended=9.0, attempts=3, pinned=True, name="b")
    store = reopened(store)
    assert store.jobs.get(job) == row
    store.close()


@pytest.mark.parametrize("columns", [{}, {"id": "x"}, {"number": 1}, {"state": "lost"}, {"a = 1; --": 2}])
def test_only_columns_and_states_that_exist_can_be_set(store: Store, columns: dict[str, object]) -> None:
    job = store.jobs.add(new_job()).id
    with pytest.raises(ValueError, match="not "):
        store.jobs.set(job, **columns)


def test_a_job_that_does_not_exist(store: Store) -> None:
    assert store.jobs.get(new_id()) is None
    for call in (
        lambda: store.jobs.set(new_id(), state="done"),
        lambda: store.jobs.remove(new_id()),
        lambda: store.jobs.spec(new_id()),
    ):
        with pytest.raises(ServiceError) as caught:
            call()
        assert caught.value.code == "not_found"


def test_a_removed_job_leaves_nothing(store: Store) -> None:
    job, other = add_job(store).id, add_job(store).id
    finish(store, job, {"gf.ply": bytes(1000)})
    store.events.add([NewEvent(job, "note", {}), NewEvent(other, "note", {})])
    store.jobs.remove(job)
    assert store.jobs.get(job) is None and not store.files.folder(job).exists()
    assert [event.job for event in store.events.since(0)[0]] == [other]
    store.close()  # waits for the trash
    assert not list((store.folder / "trash").iterdir())


# Events.


def seqs(events: list[StoredEvent]) -> list[int]:
    return [event.seq for event in events]


def test_events_are_numbered_over_all_jobs_and_come_back_whole(store: Store) -> None:
    thumbnail = Buffer("rgb", "uint8", (2, 3), b"abcdef")
    depth = Buffer("depth", "float32", (1,), b"\0\0\x80?")
    stored = store.events.add(
        [
            NewEvent("a" * 32, "frame", {"index": 1, "K_33": [1.5]}, (thumbnail, depth)),
            NewEvent(None, "model", {"id": "moge"}),
        ]
    )
    found, more = store.events.since(0)
    assert not more and seqs(found) == seqs(stored) == [1, 2] and store.events.last_seq() == 2
    assert [(event.job, event.kind, event.data, event.time) for event in found] == [
        (event.job, event.kind, event.data, event.time) for event in stored
    ]
    buffers = [(b.name, b.dtype, b.shape, bytes(b.data)) for b in found[0].buffers]
    assert buffers == [("rgb", "uint8", (2, 3), b"abcdef"), ("depth", "float32", (1,), b"\0\0\x80?")]
    assert found[1].buffers == ()


def test_a_client_that_was_away_asks_until_there_is_no_more(store: Store) -> None:
    a, b = store.jobs.add(new_job()).id, store.jobs.add(new_job()).id
    sent = store.events.add([NewEvent((a, b)[i % 2], "note", {"i": i}) for i in range(25)])
    got, more = store.events.since(sent[4].seq, limit=15)
    assert more and seqs(got) == seqs(sent[5:20])
    got, more = store.events.since(got[-1].seq, limit=15)
    assert not more and seqs(got) == seqs(sent[20:])
    got, more = store.events.since(0, job=b, limit=12)
    assert not more and seqs(got) == seqs(sent[1::2])
    assert store.events.last_seq(a) == sent[-1].seq and store.events.last_seq(new_id()) == 0


def test_an_answer_with_events_fits_a_message(store: Store) -> None:
    """Number of buffers and bytes have limits; each is reached here."""
    job = store.jobs.add(new_job()).id
    picture = Buffer.of_bytes("rgb", bytes(32 * 1024))
    events = [NewEvent(job, "note", {"text": "\N{HERB}" * 3000}) for _ in range(30)]
    events += [NewEvent(job, "frame", {"index": i}, (picture, picture)) for i in range(30)]
    events += [NewEvent(job, "big", {}, (Buffer.of_bytes("rgb", bytes(700_000)),)) for _ in range(3)]
    sent, got, more = store.events.add(events), [], True
    while more:
        part, more = store.events.since(got[-1].seq if got else 0, limit=100)
        got += part
        shown = [
            {"seq": e.seq, "job": e.job, "time": e.time, "kind": e.kind, "data": e.data, "buffers": 2}
            for e in part
        ]
        buffers = tuple(buffer for event in part for buffer in event.buffers)
        frames = encode(Message("reply", {"last": 1, "more": more, "events": shown}, buffers=buffers))
        assert len(buffers) <= MAX_BUFFERS and len(frames[0]) <= MAX_REPLY_HEADER
        assert sum(len(frame) for frame in frames) <= MIB
    assert seqs(got) == seqs(sent)


@pytest.mark.parametrize(
    ("data", "buffers"),
    [
        ({"text": "x" * MIB}, ()),
        ({}, (Buffer.of_bytes("rgb", bytes(MIB)),)),
        ({}, (Buffer.of_bytes("rgb", b""),) * (MAX_BUFFERS + 1)),
        ({"eta_s": float("nan")}, ()),
        ({"object": object()}, ()),
    ],
)
def test_an_event_that_no_message_could_carry_is_refused(
    data: dict[str, object], buffers: tuple[Buffer, ...]
) -> None:
    with pytest.raises(ServiceError, match="event 'note'"):
        NewEvent(None, "note", data, buffers)


def test_of_a_stages_progress_only_the_newest_is_kept(store: Store) -> None:
    a, b = store.jobs.add(new_job()).id, store.jobs.add(new_job()).id
    for step in range(200):
        for job in (a, b):
            for stage in ("coarse", "fine"):
                store.events.add([NewEvent(job, "progress", {"stage": stage, "step": step})])
    store.events.add([NewEvent(a, "stage", {"stage": "coarse"})])
    events, more = store.events.since(0)
    assert not more
    assert [(e.job, e.data.get("stage"), e.data.get("step")) for e in events] == [
        (a, "coarse", 199),
        (a, "fine", 199),
        (b, "coarse", 199),
        (b, "fine", 199),
        (a, "coarse", None),
    ]
    assert seqs(events) == [797, 798, 799, 800, 801]


def test_events_about_models_do_not_pile_up(store: Store) -> None:
    for step in range(1200):
        store.events.add([NewEvent(None, "model", {"id": "moge", "done": step}), NewEvent(None, "note", {})])
    store.expire(Retention(), set(), time.time())
    with_models = [event for event in _all_events(store) if event.kind == "model"]
    assert [event.data["done"] for event in with_models] == [1199]
    assert len(_all_events(store)) == 1000


def _all_events(store: Store) -> list[StoredEvent]:
    events, more = store.events.since(0)
    while more:
        part, more = store.events.since(events[-1].seq)
        events += part
    return events


def test_numbers_never_come_back(store: Store) -> None:
    job = add_job(store).id
    last = store.events.add([NewEvent(job, "note", {})] * 5)[-1].seq
    store.jobs.remove(job)
    assert store.events.last_seq() == last
    store = reopened(store)
    assert store.events.last_seq() == last
    [event] = store.events.add([NewEvent(None, "note", {})])
    assert event.seq == last + 1
    store.close()


# Starting, ending, and what lies in between.


def test_a_new_store_is_private(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "some" / "store")
    store.close()
    if os.name == "posix":
        for path in [store.folder, *store.folder.iterdir()]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name in ("pid", "reserve")


def test_a_closed_store_is_one_database_file(store: Store) -> None:
    add_job(store)
    store.close()
    assert not list(store.folder.glob("jobs.sqlite-*"))


def test_a_second_service_is_refused_with_the_firsts_number(store: Store) -> None:
    program = "import sys; from splinescape.service.store.store import Store; Store.open(sys.argv[1])"
    command = [sys.executable, "-c", program, str(store.folder)]
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode
    assert (
        f"InputError: another service (process {os.getpid()}) uses {store.folder}: stop it" in second.stderr
    )
    with pytest.raises(InputError, match="another service"):
        Store.open(store.folder)
    add_job(store)  # the first is not disturbed
    assert_consistent(store)


def test_the_store_needs_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, splinescape.service.store.store, splinescape.service.queue\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_ran_is_queued_again(store: Store) -> None:
    jobs = [add_job(store).id for _ in range(3)]
    store.jobs.set(jobs[0], state="running", started=5.0, attempts=1)
    store.jobs.set(jobs[1], state="paused")
    store = reopened(store)
    recovered = store.recover()
    assert [(row.id, row.state, row.started, row.attempts) for row in recovered] == [
        (jobs[0], "queued", 5.0, 1)
    ]
    assert [row.id for row in store.jobs.queued()] == [jobs[0], jobs[2]]
    assert store.recover() == []
    store.close()


def test_a_folder_without_a_row_was_never_accepted(store: Store) -> None:
    accepted = add_job(store).id
    store.files.create(new_id(), {}, store.uploads.path(SHA256), None)
    (store.folder / "jobs" / f".{new_id()}.tmp").mkdir()
    store = reopened(store)
    assert [entry.name for entry in (store.folder / "jobs").iterdir()] == [accepted]
    store.close()


def test_a_folder_in_which_work_was_done_is_never_deleted_for_want_of_a_row(store: Store) -> None:
    """Somebody put an older copy of the database in place."""
    job = add_job(store).id
    finish(store, job, {"gf.ply": b"splats"})
    store.close()
    with database_of(store.folder) as database:
        database.execute("DELETE FROM jobs")
    store = Store.open(store.folder)
    assert store.jobs.list() == []
    assert (store.files.folder(job) / "results" / "gf.ply").read_bytes() == b"splats"
    store.close()


def test_a_missing_database_beside_jobs_is_not_replaced(store: Store) -> None:
    job = add_job(store).id
    store.close()
    (store.folder / "jobs.sqlite").unlink()
    with pytest.raises(InputError, match=r"jobs\.sqlite is missing, but .* holds jobs: put it back"):
        Store.open(store.folder)
    assert store.files.folder(job).exists()


@pytest.mark.parametrize("state", ["queued", "running", "paused", "done", "cancelled"])
def test_a_row_without_its_folder_fails_and_clients_learn_it(store: Store, state: str) -> None:
    job = add_job(store).id
    store.jobs.set(job, state=state)
    store.files.folder(job).rename(store.folder / "elsewhere")
    store = reopened(store)
    row = store.jobs.get(job)
    assert row is not None and row.state == "failed"
    assert row.reason == "its folder is gone from the job store: delete the job and submit it again"
    assert store.events.since(0, job)[0][-1].data == {"state": "failed", "reason": row.reason}
    store.jobs.remove(job)
    store.close()


def test_a_removal_that_was_begun_is_finished(store: Store) -> None:
    job, other = add_job(store).id, add_job(store).id
    store.files.folder(job).rename(store.folder / "trash" / job)  # and then the service was killed
    store = reopened(store)
    assert [row.id for row in store.jobs.list()] == [other]
    store.close()
    assert not list((store.folder / "trash").iterdir())


def test_half_written_files_of_unfinished_jobs_go(store: Store) -> None:
    job = add_job(store).id
    (store.files.folder(job) / "checkpoint").mkdir()
    for name in (".splinescape-0123.tmp", "checkpoint/.splinescape-4567.tmp", "checkpoint/scene.npz"):
        (store.files.folder(job) / name).write_bytes(b"half")
    store = reopened(store)
    assert [entry.name for entry in (store.files.folder(job) / "checkpoint").iterdir()] == ["scene.npz"]
    assert_consistent(store)
    store.close()


def test_a_state_whose_event_was_not_stored_any_more_is_told_after_the_restart(store: Store) -> None:
    job, told = add_job(store).id, add_job(store).id
    for each in (job, told):
        store.events.add([NewEvent(each, "state", {"state": "queued", "reason": ""})])
    store.jobs.set(job, state="done")
    store = reopened(store)
    assert [event.data["state"] for event in store.events.since(0, job)[0]] == ["queued", "done"]
    assert [event.data["state"] for event in store.events.since(0, told)[0]] == ["queued"]
    store.close()


# Older, newer and damaged stores.

VERSION_1 = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, session TEXT NOT NULL,
    request TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
    created REAL NOT NULL, started REAL, ended REAL, attempts INTEGER NOT NULL DEFAULT 0, device TEXT,
    n_frames INTEGER NOT NULL, progress TEXT NOT NULL DEFAULT '{}', UNIQUE (owner, request)
);
CREATE INDEX jobs_state ON jobs (state);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL, slot TEXT,
    data TEXT NOT NULL, buffers TEXT NOT NULL, bytes BLOB NOT NULL
);
CREATE INDEX events_job ON events (job, seq);
CREATE UNIQUE INDEX events_slot ON events (job, slot) WHERE slot IS NOT NULL;
CREATE INDEX events_state ON events (job, seq) WHERE kind = 'state';
INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 0);
INSERT INTO jobs (id, owner, session, request, name, spec, state, created, started, ended, n_frames, progress) VALUES
    ('00000000000000000000000000000001', 'local', 's', 'r1', 'old', '{"seed":1}', 'done', 1.5, 2.5, 3.5, 8,
     '{"stage":"coarse"}'),
    ('00000000000000000000000000000002', 'local', 's', 'r2', 'new', '{"seed":2}', 'queued', 4.5, NULL, NULL, 9, '{}');
INSERT INTO events (seq, job, time, kind, data, buffers, bytes) VALUES
    (41, '00000000000000000000000000000001', 3.5, 'state', '{"state":"done","reason":""}', '[]', x''),
    (42, '00000000000000000000000000000002', 4.5, 'state', '{"state":"queued","reason":""}',
     '[["rgb","uint8",[2]]]', x'0102');
PRAGMA user_version = 1;
"""


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A store as version 1 of the database left it."""
    for number in (1, 2):
        (tmp_path / "jobs" / f"{number:032x}").mkdir(parents=True)
    with database_of(tmp_path) as database:
        database.executescript(VERSION_1)
    return tmp_path


def test_an_old_store_is_brought_up_to_date_and_copied_first(old_store: Path) -> None:
    store = Store.open(old_store)
    new, old = store.jobs.list()
    assert (old.name, old.state, old.created, old.ended, old.n_frames) == ("old", "done", 1.5, 3.5, 8)
    assert old.progress == {"stage": "coarse"} and not old.pinned and store.jobs.spec(old.id) == {"seed": 1}
    assert (new.name, new.state, new.pinned) == ("new", "queued", False)
    events, _ = store.events.since(0)
    assert seqs(events) == [41, 42] and bytes(events[1].buffers[0].data) == b"\1\2"
    assert store.jobs.set(new.id, pinned=True).pinned
    assert store.events.add([NewEvent(None, "note", {})])[0].seq == 43
    assert store.expire(Retention(max_age_days=30), set(), time.time()) == []  # it ages from now on
    store.close()
    with sqlite3.connect(old_store / "jobs.sqlite.v1") as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT name FROM jobs ORDER BY number").fetchall() == [("old",), ("new",)]
    copy.close()
    copied = (old_store / "jobs.sqlite.v1").stat().st_mtime_ns
    Store.open(old_store).close()
    assert (old_store / "jobs.sqlite.v1").stat().st_mtime_ns == copied


def test_a_migration_that_fails_changes_nothing(old_store: Path) -> None:
    with database_of(old_store) as database:
        database.execute("CREATE TABLE clock (something TEXT)")
    with pytest.raises(InputError, match=r"jobs\.sqlite refuses: table clock already exists"):
        Store.open(old_store)
    with database_of(old_store) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert "pinned" not in [column[1] for column in database.execute("PRAGMA table_info(jobs)")]
        database.execute("DROP TABLE clock")
    store = Store.open(old_store)
    assert store.jobs.count() == 2
    store.close()


def test_a_store_of_a_newer_program_is_refused_untouched(store: Store) -> None:
    store.close()
    with database_of(store.folder) as database:
        database.execute("PRAGMA user_version = 99")
    before = (store.folder / "jobs.sqlite").read_bytes()
    with pytest.raises(InputError, match=r"made by a newer version of Splinescape .* update Splinescape"):
        Store.open(store.folder)
    assert (store.folder / "jobs.sqlite").read_bytes() == before


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with database_of(tmp_path) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(InputError, match="no job store of Splinescape: choose another folder"):
        Store.open(tmp_path)


def test_a_database_that_is_open_elsewhere_is_refused(store: Store) -> None:
    store.close()
    with database_of(store.folder) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InputError, match=r"another program has .*jobs\.sqlite open: close it"):
            Store.open(store.folder)
    Store.open(store.folder).close()


@pytest.mark.parametrize("damage", ["not a database", "cut off", "jobs overwritten"])
def test_a_damaged_database_is_refused_and_kept(store: Store, damage: str) -> None:
    for _ in range(30):
        store.jobs.add(new_job(spec={"text": "x" * 500}))
    store.close()
    path = store.folder / "jobs.sqlite"
    data = bytearray(path.read_bytes())
    if damage == "not a database":
        data[:100] = b"?" * 100
    elif damage == "cut off":
        del data[len(data) // 2 :]
    else:
        data[4096:] = random.Random(0).randbytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"database .*jobs\.sqlite is damaged .*: move .* away") as caught:
        Store.open(store.folder)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_gives_a_clear_error_or_none(store: Store, seed: int) -> None:
    jobs = [add_job(store).id for _ in range(5)]
    store.events.add([NewEvent(job, "note", {"text": "x" * 500}) for job in jobs * 10])
    store.close()
    path = store.folder / "jobs.sqlite"
    data, dice = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(dice.choice((1, 10, 1000))):
        data[dice.randrange(len(data))] = dice.randrange(256)
    path.write_bytes(data)
    try:
        store = Store.open(store.folder)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return
    try:
        store.jobs.list()
        store.events.since(0)
        store.jobs.add(new_job())
    except ServiceError as error:
        assert error.code == "internal" and str(path) in str(error)
    finally:
        store.close()


# Disks that are full or locked.


def fill(disk: Path) -> Path:
    """Take all room that is left."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


def refused_as_full(call: Callable[[], object]) -> bool:
    try:
        call()
    except ServiceError as error:
        assert error.code == "disk_full", error
        assert "full" in str(error)
        return True
    return False


def test_a_full_disk_refuses_new_work_and_harms_nothing(tiny_disk: Callable[[int], Path]) -> None:
    disk = tiny_disk(16 * MIB)
    store = Store.open(disk / "store")
    jobs = [add_job(store) for _ in range(3)]
    kept = store.events.add([NewEvent(job.id, "note", {"text": "kept"}) for job in jobs])
    filler = fill(disk)
    data = bytes(100_000)
    assert refused_as_full(lambda: upload(store, data))
    assert refused_as_full(lambda: store.files.create(new_id(), {}, store.uploads.path(SHA256), data))
    assert any(refused_as_full(lambda: store.jobs.add(new_job(spec={"t": "x" * 4000}))) for _ in range(3000))
    thumbnail = Buffer.of_bytes("rgb", bytes(30_000))
    assert any(
        refused_as_full(lambda: store.events.add([NewEvent(None, "frame", {}, (thumbnail,))]))
        for _ in range(1000)
    )
    assert [store.jobs.get(job.id) for job in jobs] == jobs
    assert seqs(store.events.since(0)[0])[:3] == seqs(kept)
    # What makes room or tells that there is none goes on working.
    store.jobs.set(jobs[0].id, state="failed", reason="the disk is full")
    store.jobs.remove(jobs[1].id)
    filler.unlink()
    more = add_job(store)
    store.events.add([NewEvent(more.id, "note", {})])
    assert upload(store, data)
    store.expire(Retention(), set(), time.time())
    assert (store.folder / "reserve").stat().st_size == MIB
    store = reopened(store)
    failed = store.jobs.get(jobs[0].id)
    assert failed is not None and failed.state == "failed"
    assert store.jobs.get(jobs[1].id) is None and store.jobs.get(more.id) is not None
    store.close()
    with database_of(store.folder) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_service_starts_on_a_full_disk_so_that_jobs_can_be_deleted(
    tiny_disk: Callable[[int], Path],
) -> None:
    disk = tiny_disk(16 * MIB)
    store = Store.open(disk / "store")
    jobs = [add_job(store) for _ in range(2)]
    store.close()
    fill(disk)
    store = Store.open(disk / "store")
    store.jobs.remove(jobs[0].id)
    assert [row.id for row in store.jobs.list()] == [jobs[1].id]
    store.close()


def test_a_folder_that_cannot_be_written(read_only_folder: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*choose a folder that you may write to"):
        Store.open(read_only_folder / "store")


def test_the_write_ahead_log_does_not_grow_without_bound(store: Store) -> None:
    thumbnail = Buffer.of_bytes("rgb", bytes(32 * 1024))
    log, largest = store.folder / "jobs.sqlite-wal", 0
    job = store.jobs.add(new_job()).id
    for i in range(1500):
        store.events.add([NewEvent(job, "frame", {"i": i}, (thumbnail,))])
        largest = max(largest, log.stat().st_size)
    assert (store.folder / "jobs.sqlite").stat().st_size > 40 * MIB
    assert largest < 8 * MIB
    store.jobs.remove(job)
    while store._database.read("PRAGMA freelist_count")[0][0]:
        store.expire(Retention(), set(), time.time())
    store.close()
    assert (store.folder / "jobs.sqlite").stat().st_size < MIB
