"""What the tests of the job store share: small jobs, uploads, and looking at a closed store from outside."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from splinescape.protocol.wire import Buffer, Message, new_id, pack
from splinescape.service.store.jobs import JobRow, NewJob
from splinescape.service.store.store import Store

PICTURE = b"any bytes that are a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def new_job(**values: Any) -> NewJob:
    job = NewJob(
        id=new_id(),
        owner="local",
        session=new_id(),
        request=new_id(),
        name="garden",
        spec={"name": "garden"},
        pinned=False,
        n_frames=10,
    )
    return replace(job, **values)


def upload(store: Store, data: bytes = PICTURE, owner: str = "local") -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    assert store.uploads.append(owner, sha256, len(data), 0, data) == len(data)
    return sha256


def add_job(store: Store, **values: Any) -> JobRow:
    """Accept a job as the service does: picture, folder, row."""
    new = new_job(**values)
    store.files.create(new.id, new.spec, store.uploads.path(upload(store)), b"[]")
    return store.jobs.add(new)


def finish(store: Store, job: str, files: dict[str, bytes]) -> None:
    """Put results into a job's folder as a worker does."""
    results = store.files.folder(job) / "results"
    results.mkdir()
    listed = []
    for name, data in files.items():
        (results / name).write_bytes(data)
        listed.append({"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    (store.files.folder(job) / "results.json").write_text(json.dumps({"files": listed}))
    store.jobs.set(job, state="done")


def show_splats(store: Store, job: str, revision: int, data: bytes) -> str:
    """Replace a job's preview as a worker does; returns the sha256 of its splats."""
    folder = store.files.folder(job) / "preview"
    folder.mkdir(exist_ok=True)
    name, sha256 = f"scene_{revision}.ply", hashlib.sha256(data).hexdigest()
    (folder / name).write_bytes(data)
    splats = {"name": name, "size": len(data), "sha256": sha256, "count": 1, "revision": revision}
    message = Message("reply", {"splats": splats}, buffers=(Buffer.of_bytes("rgb", b"abc"),))
    (folder / "new.msg").write_bytes(pack(message))
    (folder / "new.msg").replace(folder / "latest.msg")
    return sha256


@contextmanager
def database_of(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of a store that is closed; what is changed is kept."""
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as connection, connection:
        yield connection


def assert_consistent(store: Store) -> None:
    """Rows and folders belong together, and nothing half-made is left."""
    rows = store.jobs.list(limit=-1)
    assert {entry.name for entry in (store.folder / "jobs").iterdir()} == {row.id for row in rows}
    for row in rows:
        folder = store.files.folder(row.id)
        assert json.loads((folder / "spec.json").read_text()) == store.jobs.spec(row.id)
        assert (folder / "picture").read_bytes() == PICTURE
    assert not list(store.folder.rglob(".*.tmp"))
