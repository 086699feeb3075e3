"""A model is complete only when every byte of it is right, whatever the network, the hub and the disk do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from models_support import COMMIT, FLUX, FLUX_NEEDED, MOGE, TOKEN, WEIGHTS, Hub, contents, fill, running_hub

from splinescape.errors import CancelledError
from splinescape.models.errors import ModelError
from splinescape.models.manager import ModelStore

pytest.importorskip("huggingface_hub")
from huggingface_hub import constants

from splinescape.models import hub as hub_module
from splinescape.models import transfer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that the library in this process talks to, with no token of whoever runs the tests."""
    with running_hub() as hub:
        fill(hub)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            constants, "HF_HUB_DISABLE_TELEMETRY", True
        )  # as hub.py has it when it comes first
        monkeypatch.setattr(transfer, "_FIRST_WAIT_S", 0.01)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def assert_incomplete(store: ModelStore, id: str) -> None:
    assert store.status(id).state in ("absent", "partial")
    with pytest.raises(ModelError):
        store.path(id)


def test_a_download_brings_the_needed_files_and_nothing_else(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.accept("flux-fill")
    seen: list[tuple[int, int]] = []
    folder = store.download("flux-fill", lambda done, total: seen.append((done, total)))
    assert contents(folder) == {name: hub.repos[FLUX][name] for name in FLUX_NEEDED}
    total = sum(len(hub.repos[FLUX][name]) for name in FLUX_NEEDED)
    assert seen[0] == (0, total) and seen[-1] == (total, total)
    assert seen == sorted(seen)
    status = store.status("flux-fill")
    assert (status.state, status.on_disk, status.size, status.path) == ("complete", total, total, str(folder))
    assert json.loads((folder / "splinescape.json").read_text())["commit"] == COMMIT
    assert store.verify("flux-fill") == ()


def test_only_the_hub_gets_the_token_and_nobody_more_than_is_needed(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.download("moge-vitl")
    assert [(path, token, where) for path, _, token, where, _ in hub.requests] == [
        (f"/api/models/{MOGE}", True, "hub"),
        (f"/{MOGE}/resolve/{COMMIT}/model.pt", True, "hub"),
        (f"/{MOGE}/model.pt", False, "store"),
    ]
    assert not any("torch" in agent or "agent/" in agent for *_, agent in hub.requests)


def test_a_complete_model_is_not_fetched_again(hub: Hub, store: ModelStore) -> None:
    store.download("moge-vitl")
    hub.requests.clear()
    store.download("moge-vitl")
    assert hub.requests == []


def test_broken_connections_continue_where_they_broke(hub: Hub, store: ModelStore) -> None:
    hub.cuts = 8 * [100_000]
    folder = store.download("moge-vitl")
    assert contents(folder) == {"model.pt": WEIGHTS}
    starts = [int((range_ or "bytes=0-")[6:-1]) for _, range_ in hub.file_requests()]
    assert len(starts) == 9 and starts == sorted(starts) and starts[1] > 0
    assert hub.sent < 1.1 * len(WEIGHTS)


def test_a_connection_that_stays_broken_is_an_error_and_what_came_is_kept(
    hub: Hub, store: ModelStore
) -> None:
    hub.cuts = 100 * [0]
    with pytest.raises(ModelError, match="check the network; what has arrived is kept") as caught:
        store.download("moge-vitl")
    assert caught.value.code == "unavailable"
    assert_incomplete(store, "moge-vitl")
    hub.cuts = []
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}


def test_a_connection_that_falls_silent_is_opened_again(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gate.clear()

    def wake_the_hub() -> None:
        while len(hub.file_requests()) < 2:
            time.sleep(0.01)
        hub.gate.set()

    def lose_patience(_done: int, _total: int) -> None:
        monkeypatch.setattr(hub_module, "_TIMEOUT_S", 0.3)

    threading.Thread(target=wake_the_hub, daemon=True).start()
    assert contents(store.download("moge-vitl", lose_patience)) == {"model.pt": WEIGHTS}
    assert hub.gate.is_set()


@pytest.mark.parametrize("ranges_ignored", [1, 2, 100])
def test_a_server_that_sends_the_whole_file_again(hub: Hub, store: ModelStore, ranges_ignored: int) -> None:
    """Also when that breaks off earlier than the first time, and the next answer is a range."""
    hub.ignores_ranges = ranges_ignored
    hub.cuts = [300_000, 100_000, 200_000]
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}


def test_cancel_keeps_what_came_and_the_next_download_continues(hub: Hub, store: ModelStore) -> None:
    stop = threading.Event()

    def stop_halfway(done: int, total: int) -> None:
        if done > total / 2:
            stop.set()

    with pytest.raises(CancelledError, match="what has arrived is kept"):
        store.download("moge-vitl", stop_halfway, stop)
    assert_incomplete(store, "moge-vitl")
    assert store.status("moge-vitl").on_disk > len(WEIGHTS) / 2
    with pytest.raises(ModelError, match="only half downloaded: continue the download"):
        store.path("moge-vitl")
    hub.sent = 0
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}
    assert hub.sent < 0.6 * len(WEIGHTS)


@pytest.mark.parametrize("more", [0, 1, 10**6])
def test_wrong_contents_are_thrown_away(hub: Hub, store: ModelStore, more: int) -> None:
    hub.lies = {"model.pt": bytes(len(WEIGHTS) + more)}
    with pytest.raises(ModelError, match="other contents than announced and was deleted: try again"):
        store.download("moge-vitl")
    assert_incomplete(store, "moge-vitl")
    assert store.status("moge-vitl").on_disk == 0
    hub.lies = {}
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}


@pytest.mark.parametrize("name", ["tokenizer/merges.txt", "model_index.json"])
def test_wrong_contents_of_small_files_are_seen_too(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.lies = {name: bytes(len(hub.repos[FLUX][name]))}
    store.accept("flux-fill")
    with pytest.raises(ModelError, match=f"{name} of .* arrived with other contents"):
        store.download("flux-fill")
    assert_incomplete(store, "flux-fill")


@pytest.mark.usefixtures("hub")
def test_bytes_that_went_bad_on_disk_are_fetched_again(store: ModelStore) -> None:
    stop = threading.Event()
    with pytest.raises(CancelledError):
        store.download("moge-vitl", lambda done, _: stop.set() if done > 400_000 else None, stop)
    (part,) = (store.folders.partial("moge-vitl") / ".parts").iterdir()
    part.write_bytes(bytes(part.stat().st_size))  # what a power cut leaves behind
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}


def test_a_newer_commit_in_between_never_mixes(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.accept("flux-fill")
    stop = threading.Event()
    with pytest.raises(CancelledError):
        store.download("flux-fill", lambda done, _: stop.set() if done > 600_000 else None, stop)
    hub.commit = "b" * 40
    whole, half, gone = FLUX_NEEDED[3], FLUX_NEEDED[4], FLUX_NEEDED[1]
    for name in (whole, half):
        hub.repos[FLUX][name] = hub.repos[FLUX][name][::-1]
    del hub.repos[FLUX][gone]
    expected = {name: hub.repos[FLUX][name] for name in FLUX_NEEDED if name != gone}
    assert contents(store.download("flux-fill")) == expected
    assert store.verify("flux-fill") == ()


@pytest.mark.parametrize(
    ("token", "hint"), [(None, "hf auth login"), ("hf_wrong", "refuses .* to your token")]
)
@pytest.mark.usefixtures("hub")
def test_gated_models_say_how_to_get_access(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, token: str | None, hint: str
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    store.accept("flux-fill")
    with pytest.raises(ModelError, match=hint) as caught:
        store.download("flux-fill")
    text = str(caught.value)
    assert f"https://huggingface.co/{FLUX}" in text and "https://huggingface.co/settings/tokens" in text
    assert "\n" not in text and "hf_wrong" not in text
    assert_incomplete(store, "flux-fill")


def test_a_licence_without_commercial_use_must_be_accepted_once(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert not store.status("flux-fill").accepted
    with pytest.raises(ModelError, match=r"FLUX.1 \[dev\] Non-Commercial License.*LICENSE.md") as caught:
        store.download("flux-fill")
    assert caught.value.code == "not_allowed"
    assert hub.requests == []
    store.accept("flux-fill")
    store.download("flux-fill")
    store.remove("flux-fill")
    assert ModelStore(store.folders.root).status("flux-fill").accepted
    store.download("flux-fill")


def test_a_repository_that_is_gone(hub: Hub, store: ModelStore) -> None:
    del hub.repos[MOGE]
    with pytest.raises(ModelError, match="no longer has Ruicheng/moge-vitl") as caught:
        store.download("moge-vitl")
    assert caught.value.code == "not_found"
    hub.repos[MOGE] = {"other.pt": WEIGHTS}
    with pytest.raises(ModelError, match="no longer has the files that moge-vitl needs"):
        store.download("moge-vitl")
    assert store.status("moge-vitl").state == "absent"


@pytest.mark.parametrize("status", [404, 410, 416, 418])
def test_a_file_that_is_refused(hub: Hub, store: ModelStore, status: int) -> None:
    hub.statuses = {"model.pt": status}
    with pytest.raises(ModelError) as caught:
        store.download("moge-vitl")
    assert "\n" not in str(caught.value) and "Ruicheng/moge-vitl" in str(caught.value)
    assert_incomplete(store, "moge-vitl")


@pytest.mark.parametrize("what", ["model.pt", "api"])
def test_a_busy_hub(hub: Hub, store: ModelStore, what: str) -> None:
    hub.statuses = {what: 503}
    with pytest.raises(ModelError, match=r"is busy \(HTTP 503\): try again later"):
        store.download("moge-vitl")
    hub.statuses = {}
    store.download("moge-vitl")


def test_no_network(hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"cannot reach 127.0.0.1:9 \(.*\): check the network") as caught:
        store.download("moge-vitl")
    assert caught.value.code == "unavailable" and "\n" not in str(caught.value)
    assert hub.requests == []


@pytest.mark.usefixtures("hub")
def test_offline_mode(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.download("moge-vitl")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert store.path("moge-vitl") == store.download("moge-vitl")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids"):
        store.download("moge-2-vitl")


def test_a_network_that_wants_a_login(hub: Hub, store: ModelStore) -> None:
    hub.nonsense = True
    with pytest.raises(ModelError, match="does this network need a login") as caught:
        store.download("moge-vitl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["transformer/../../../evil.json", "/transformer/x.json", "transformer/a:b.json", "vae/..\\x.json"],
)
def test_file_names_that_leave_the_folder_are_refused(
    hub: Hub, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.accept("flux-fill")
    hub.repos[FLUX][name] = b"{}"
    with pytest.raises(ModelError, match="dangerous name"):
        store.download("flux-fill")
    assert not list(tmp_path.rglob("evil*"))


def test_a_disk_without_room_is_seen_before_anything_is_fetched(
    hub: Hub, tiny_disk: Callable[[int], Path]
) -> None:
    store = ModelStore(tiny_disk(1_000_000) / "models")
    with pytest.raises(
        ModelError, match=r"needs 1\.5 MB more, but .* has only \d\.\d MB free: free some"
    ) as caught:
        store.download("moge-vitl")
    assert caught.value.code == "disk_full"
    assert hub.file_requests() == []


@pytest.mark.usefixtures("hub")
def test_a_disk_that_fills_up_meanwhile(tiny_disk: Callable[[int], Path]) -> None:
    disk = tiny_disk(2_000_000)
    store = ModelStore(disk / "models")
    ballast = disk / "ballast"

    def fill_disk(done: int, _total: int) -> None:
        if done > 200_000 and not ballast.exists():
            ballast.write_bytes(bytes(1_000_000))

    with pytest.raises(ModelError, match="No space left on device; free some space") as caught:
        store.download("moge-vitl", fill_disk)
    assert caught.value.code == "disk_full"
    assert_incomplete(store, "moge-vitl")
    ballast.unlink()
    assert contents(store.download("moge-vitl")) == {"model.pt": WEIGHTS}


@pytest.mark.usefixtures("hub")
def test_a_folder_that_cannot_be_written_to(read_only_folder: Path) -> None:
    store = ModelStore(read_only_folder / "models")
    with pytest.raises(ModelError, match="choose a folder that you may write to"):
        store.download("moge-vitl")


def test_two_downloads_of_one_model_exclude_each_other(hub: Hub, store: ModelStore) -> None:
    hub.gate.clear()
    begun, stop, ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with pytest.raises(CancelledError):
            store.download("moge-vitl", lambda done, _: begun.set() if done else None, stop)
        ended.set()

    threading.Thread(target=first, daemon=True).start()
    assert begun.wait(20)
    other = ModelStore(store.folders.root)
    mine = store.folders.root / "mine.pt"
    mine.write_bytes(b"weights")
    for act in (other.download, other.remove, other.verify, lambda id: other.use(id, mine)):
        with pytest.raises(ModelError, match="another process is fetching or changing moge-vitl") as caught:
            act("moge-vitl")
        assert caught.value.code == "conflict"
    stop.set()
    hub.gate.set()
    assert ended.wait(20)
    assert contents(other.download("moge-vitl")) == {"model.pt": WEIGHTS}


def test_a_damaged_model_is_repaired_by_fetching_only_what_is_wrong(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.accept("flux-fill")
    folder = store.download("flux-fill")
    first, second, third = FLUX_NEEDED[3:]
    (folder / first).write_bytes(bytes(400_000))
    (folder / second).write_bytes((folder / second).read_bytes()[:250_000])
    assert store.verify("flux-fill") == (first, second)
    assert store.status("flux-fill").state == "damaged"
    hub.requests.clear()
    assert contents(store.download("flux-fill")) == {name: hub.repos[FLUX][name] for name in FLUX_NEEDED}
    assert hub.file_requests() == [(first, None), (second, "bytes=250000-")]
    assert third and store.verify("flux-fill") == ()


@pytest.mark.usefixtures("hub")
def test_what_others_put_in_the_place_of_a_model_is_not_touched(store: ModelStore) -> None:
    folder = store.folders.complete("moge-vitl")
    folder.mkdir(parents=True)
    (folder / "mine.pt").write_bytes(b"precious")
    for act in (store.download, store.remove):
        with pytest.raises(ModelError, match="was not made by Splinescape"):
            act("moge-vitl")
    assert (folder / "mine.pt").read_bytes() == b"precious"
