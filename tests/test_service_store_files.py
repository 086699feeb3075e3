"""Uploads arrive whole or not at all, and of a job's folder only what its worker listed can be fetched."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_support import PICTURE, SHA256, add_job, finish, show_splats, upload

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import new_id, unpack
from splinescape.service.store.store import Store
from splinescape.service.store.uploads import UploadLimits

MIB = 2**20
LIMITS = UploadLimits(max_bytes=MIB, owner_bytes=2 * MIB)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store", LIMITS)
    yield store
    store.close()


def reopened(store: Store) -> Store:
    store.close()
    return Store.open(store.folder, LIMITS)


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ServiceError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value.code


def uploads_of(store: Store) -> set[str]:
    return {path.name for path in (store.folder / "uploads").iterdir()}


# Uploads.


def test_a_file_arrives_in_pieces(store: Store) -> None:
    data = some_bytes(250_000)
    sha256 = sha256_of(data)
    for start in range(0, len(data), 100_000):
        assert refused(lambda: store.uploads.path(sha256)) == "not_found"
        piece = memoryview(data)[start : start + 100_000]
        assert store.uploads.append("a", sha256, len(data), start, piece) == start + len(piece)
    assert store.uploads.path(sha256).read_bytes() == data


def test_a_piece_in_the_wrong_place_changes_nothing_and_the_reply_says_where_to_go_on(store: Store) -> None:
    data = some_bytes(1000)
    sha256 = sha256_of(data)
    assert store.uploads.append("a", sha256, 1000, 300, data[300:]) == 0
    assert store.uploads.append("a", sha256, 1000, 0, b"") == 0
    assert not uploads_of(store)
    assert store.uploads.append("a", sha256, 1000, 0, data[:400]) == 400
    for offset in (0, 300, 500, 1000):
        assert store.uploads.append("a", sha256, 1000, offset, data[offset:400]) == 400
    assert store.uploads.append("a", sha256, 1000, 400, b"") == 400
    assert store.uploads.append("a", sha256, 1000, 400, data[400:]) == 1000
    assert store.uploads.append("a", sha256, 1000, 0, data) == 1000  # sent again: it is here already


def test_an_upload_goes_on_after_a_restart(store: Store) -> None:
    data = some_bytes(1000)
    sha256 = sha256_of(data)
    store.uploads.append("a", sha256, 1000, 0, data[:400])
    store = reopened(store)
    assert store.uploads.append("a", sha256, 1000, 0, b"") == 400
    assert store.uploads.append("a", sha256, 1000, 400, data[400:]) == 1000
    store = reopened(store)
    assert store.uploads.path(sha256).read_bytes() == data
    store.close()


def test_an_upload_that_was_complete_but_not_yet_verified_is_verified_after_the_restart(store: Store) -> None:
    data = some_bytes(1000)
    sha256 = sha256_of(data)
    store.uploads.append("a", sha256, 1000, 0, data[:400])
    [part] = (store.folder / "uploads").iterdir()
    part.write_bytes(data)
    store = reopened(store)
    assert store.uploads.append("a", sha256, 1000, 0, b"") == 1000
    assert store.uploads.path(sha256).read_bytes() == data
    store.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_not_what_its_sha256_says_is_dropped(store: Store, restart: bool) -> None:
    data = some_bytes(1000)
    store.uploads.append("a", sha256_of(data), 1000, 0, data[:400])
    if restart:
        [part] = (store.folder / "uploads").iterdir()
        part.write_bytes(bytes(400))  # what a power failure may leave
        store = reopened(store)
        data = data[:400] + data[400:]
    else:
        data = data[:400] + bytes(600)
    sha256 = sha256_of(some_bytes(1000))
    assert refused(lambda: store.uploads.append("a", sha256, 1000, 400, data[400:])) == "bad_input"
    assert not uploads_of(store)
    assert store.uploads.append("a", sha256, 1000, 0, some_bytes(1000)) == 1000
    store.close()


def test_nobody_can_spoil_anothers_upload(store: Store) -> None:
    data = some_bytes(1000)
    sha256 = sha256_of(data)
    store.uploads.append("a", sha256, 1000, 0, data[:400])
    store.uploads.append("b", sha256, 1000, 0, bytes(500))
    assert refused(lambda: store.uploads.append("b", sha256, 1000, 500, bytes(500))) == "bad_input"
    assert store.uploads.append("a", sha256, 1000, 400, data[400:]) == 1000
    assert store.uploads.append("b", sha256, 1000, 0, bytes(500)) == 1000
    assert store.uploads.path(sha256).read_bytes() == data


@pytest.mark.parametrize(
    ("sha256", "size", "offset", "data", "code"),
    [
        ("../../../etc/passwd", 10, 0, b"x", "bad_input"),
        ("a" * 63, 10, 0, b"x", "bad_input"),
        ("A" * 64, 10, 0, b"x", "bad_input"),
        ("a" * 64 + "\n", 10, 0, b"x", "bad_input"),
        ("a" * 64, 0, 0, b"", "bad_input"),
        ("a" * 64, -1, 0, b"x", "bad_input"),
        ("a" * 64, 10, -1, b"x", "bad_input"),
        ("a" * 64, 10, 11, b"x", "bad_input"),
        ("a" * 64, 10, 0, b"x" * 11, "bad_input"),
        ("a" * 64, MIB + 1, 0, b"x", "too_large"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    store: Store, sha256: str, size: int, offset: int, data: bytes, code: str
) -> None:
    assert refused(lambda: store.uploads.append("a", sha256, size, offset, data)) == code
    assert all(name.endswith(".part") for name in uploads_of(store))
    assert refused(lambda: store.uploads.path(sha256)) == "not_found"


def test_an_owners_uploads_are_limited_together(store: Store) -> None:
    for number in range(2):  # what was announced counts, not what has arrived
        store.uploads.append("a", sha256_of(some_bytes(MIB, number)), MIB, 0, b"x")
    third = some_bytes(1000, 3)
    assert refused(lambda: upload(store, third, "a")) == "too_large"
    upload(store, third, "b")
    store = reopened(store)
    assert refused(lambda: upload(store, some_bytes(1000, 4), "a")) == "too_large"
    store.close()


def test_many_tiny_uploads_are_limited_too(store: Store) -> None:
    for number in range(32):
        upload(store, f"tiny {number}".encode(), "a")
    assert refused(lambda: upload(store, b"one more", "a")) == "too_large"


def test_what_jobs_have_got_makes_room(store: Store) -> None:
    pictures = [some_bytes(MIB, number) for number in range(3)]
    for data in pictures[:2]:
        store.files.create(new_id(), {}, store.uploads.path(upload(store, data)), None)
    upload(store, pictures[2])
    assert refused(lambda: store.uploads.path(sha256_of(pictures[0]))) == "not_found"
    assert store.uploads.path(sha256_of(pictures[1])).read_bytes() == pictures[1]


def test_uploads_that_nobody_used_expire(store: Store) -> None:
    upload(store)
    store.uploads.append("a", "a" * 64, 1000, 0, b"half")
    store.uploads.expire(60.0, time.time() + 1e9)  # a clock that jumps is no age
    assert len(uploads_of(store)) == 2
    store.uploads.expire(0.0, time.time() + 1.0)
    assert not uploads_of(store)
    assert refused(lambda: store.uploads.path(SHA256)) == "not_found"


def test_an_upload_that_was_deleted_behind_our_back_is_sent_again(store: Store) -> None:
    upload(store)
    store.uploads.path(SHA256).unlink()
    assert refused(lambda: store.uploads.path(SHA256)) == "not_found"
    upload(store)
    assert store.uploads.path(SHA256).read_bytes() == PICTURE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.data())
def test_whatever_order_pieces_come_in_a_complete_file_is_right(store: Store, choices: st.DataObject) -> None:
    seed = choices.draw(st.integers(0, 2**32))
    data = some_bytes(64, seed)
    for _ in range(20):
        offset = choices.draw(st.integers(0, 64))
        piece = data[offset : offset + choices.draw(st.integers(0, 64))]
        have = store.uploads.append("a", sha256_of(data), 64, offset, piece)
        if have == 64:
            assert store.uploads.path(sha256_of(data)).read_bytes() == data
        else:
            assert refused(lambda: store.uploads.path(sha256_of(data))) == "not_found"
    store.uploads.expire(0.0, time.time() + 1.0)


# Folders of jobs.


def test_a_folder_holds_what_was_submitted(store: Store) -> None:
    job = new_id()
    upload(store)
    store.files.create(job, {"prompt": "ä"}, store.uploads.path(SHA256), b'{"frames": []}')
    folder = store.files.folder(job)
    assert {path.name for path in folder.iterdir()} == {"spec.json", "picture", "path.json"}
    assert json.loads((folder / "spec.json").read_text()) == {"prompt": "ä"}
    assert (folder / "picture").read_bytes() == PICTURE
    assert (folder / "path.json").read_bytes() == b'{"frames": []}'
    assert refused(lambda: store.files.create(job, {}, store.uploads.path(SHA256), None)) == "conflict"
    store.uploads.expire(0.0, time.time() + 1.0)
    assert (folder / "picture").read_bytes() == PICTURE


def test_a_folder_that_cannot_be_made_leaves_nothing(store: Store) -> None:
    missing = store.folder / "uploads" / SHA256
    assert refused(lambda: store.files.create(new_id(), {}, missing, None)) == "internal"
    assert not list((store.folder / "jobs").iterdir())


def test_a_job_that_was_not_accepted_after_all_is_discarded(store: Store) -> None:
    job = add_job(store).id
    store.files.discard(job)
    assert not store.files.folder(job).exists()
    store.files.discard(job)


@pytest.mark.parametrize("job", ["", "..", "../" * 10 + "etc", "/etc", "a" * 31, "G" * 32, "a" * 32 + "\n"])
def test_only_ids_name_folders(store: Store, job: str) -> None:
    for call in (store.files.folder, store.files.results, store.files.preview, store.files.size):
        assert refused(lambda call=call: call(job)) == "not_found"  # type: ignore[misc]
    assert refused(lambda: store.files.log(job, 0, 10)) == "not_found"


def test_results_are_fetched_piece_by_piece(store: Store) -> None:
    job = add_job(store).id
    assert store.files.results(job) == []
    data = some_bytes(100_000)
    finish(store, job, {"gf.ply": data, "film.mp4": b"film"})
    ply, film = store.files.results(job)
    assert (ply.name, ply.size, ply.sha256) == ("gf.ply", 100_000, sha256_of(data))
    pieces = [
        store.files.read(job, "gf.ply", ply.sha256, start, 30_000) for start in range(0, 120_000, 30_000)
    ]
    assert b"".join(piece for piece, _ in pieces) == data and {size for _, size in pieces} == {100_000}
    assert store.files.read(job, "film.mp4", film.sha256, 0, 100) == (b"film", 4)
    assert store.files.read(job, "film.mp4", film.sha256, 2**70, 2**70) == (b"", 4)
    for offset, length in ((-1, 10), (0, -1)):
        assert refused(lambda: store.files.read(job, "film.mp4", film.sha256, offset, length)) == "bad_input"  # noqa: B023


def test_only_listed_files_are_served(store: Store) -> None:
    job = add_job(store).id
    finish(store, job, {"gf.ply": b"splats"})
    (store.files.folder(job) / "results" / "secret").write_bytes(b"x")
    spec = (store.files.folder(job) / "spec.json").read_bytes()
    right = sha256_of(b"splats")
    for name in ("secret", "../spec.json", "spec.json", "/etc/passwd", "", ".", "gf.ply\0", "results/gf.ply"):
        for sha256 in (right, sha256_of(spec), sha256_of(b"x"), ""):
            assert refused(lambda: store.files.read(job, name, sha256, 0, 10)) == "not_found"  # noqa: B023
    assert refused(lambda: store.files.read(job, "gf.ply", sha256_of(b"x"), 0, 10)) == "superseded"
    assert refused(lambda: store.files.read(new_id(), "gf.ply", right, 0, 10)) == "not_found"


@pytest.mark.parametrize(
    "listed",
    [
        {"name": "../../../keys/server", "size": 3, "sha256": "x"},
        {"name": ".hidden", "size": 3, "sha256": "x"},
        {"name": "a", "size": "3", "sha256": "x"},
        {"name": None, "size": 3, "sha256": "x"},
        {"name": "a", "size": 3},
        7,
    ],
)
def test_even_a_list_of_results_names_no_other_place(store: Store, listed: object) -> None:
    """A worker that was taken over writes what it likes."""
    job = add_job(store).id
    (store.files.folder(job) / "results.json").write_text(json.dumps({"files": [listed]}))
    assert refused(lambda: store.files.results(job)) == "internal"


def test_preview_splats_are_served_until_they_are_gone(store: Store) -> None:
    job = add_job(store).id
    assert store.files.preview(job) is None
    first = show_splats(store, job, 1, b"first")
    packed = store.files.preview(job)
    assert packed is not None and unpack(packed).content["splats"]["sha256"] == first
    assert store.files.read(job, "scene_1.ply", first, 0, 10) == (b"first", 5)
    second = show_splats(store, job, 2, b"second")
    assert store.files.read(job, "scene_2.ply", second, 0, 10) == (b"second", 6)
    assert store.files.read(job, "scene_1.ply", first, 2, 10) == (b"rst", 5)  # who is fetching it may finish
    (store.files.folder(job) / "preview" / "scene_1.ply").unlink()
    assert refused(lambda: store.files.read(job, "scene_1.ply", first, 2, 10)) == "superseded"
    assert refused(lambda: store.files.read(job, "scene_0.ply", first, 0, 10)) == "superseded"
    assert refused(lambda: store.files.read(job, "scene_2.ply", first, 0, 10)) == "superseded"


def test_a_file_that_changed_under_its_name_is_not_served(store: Store) -> None:
    job = add_job(store).id
    finish(store, job, {"gf.ply": b"splats"})
    (store.files.folder(job) / "results" / "gf.ply").write_bytes(b"cut")
    assert refused(lambda: store.files.read(job, "gf.ply", sha256_of(b"splats"), 0, 10)) == "superseded"


def test_asking_for_jobs_that_do_not_exist_keeps_nothing_in_memory(store: Store) -> None:
    for _ in range(100):
        refused(lambda: store.files.read(new_id(), "scene_1.ply", SHA256, 0, 10))
    assert not store.files._previews and not store.files._read_lists


def test_the_log_is_read_from_where_one_was(store: Store) -> None:
    job = add_job(store).id
    assert store.files.log(job, 0, 100) == (b"", 0)
    store.files.append_log(job, "grün")
    store.files.append_log(job, "blau")
    assert store.files.log(job, 0, 6) == ("grün\n".encode(), 11)
    assert store.files.log(job, 6, 100) == (b"blau\n", 11)
    assert store.files.log(job, 2**70, 2**70) == (b"", 11)
    store.files.append_log(new_id(), "there is no such job, and that is no error")


def test_the_size_of_a_job_is_that_of_all_its_files(store: Store) -> None:
    job = add_job(store).id
    before = store.files.size(job)
    finish(store, job, {"gf.ply": bytes(1000)})
    assert store.files.size(job) == before + 1000 + (store.files.folder(job) / "results.json").stat().st_size
    assert store.files.size(new_id()) == 0
