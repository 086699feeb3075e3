"""What is on this disk is told cheaply and truly; the user's own files are used and never touched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from splinescape.models.catalogue import CATALOGUE, model_entry
from splinescape.models.errors import ModelError
from splinescape.models.folders import default_root
from splinescape.models.manager import ModelStore
from splinescape.models.record import FileRecord, Record, write_record


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def put(store: ModelStore, id: str, files: dict[str, bytes]) -> Path:
    """Make a model as a finished download leaves it, with hashes that are not right."""
    folder = store.folders.complete(id)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    records = tuple(FileRecord(name, len(data), "0" * 64, "0" * 64) for name, data in files.items())
    write_record(folder, Record(id, CATALOGUE[id].repo, "0" * 40, records))
    return folder


def test_the_catalogue_is_in_order() -> None:
    assert {"flux-fill", "moge-vitl", "moge-2-vits-normal", "depth-pro"} <= CATALOGUE.keys()
    for id, entry in CATALOGUE.items():
        assert entry.id == id and entry.role in ("inpaint", "depth")
        assert entry.repo.count("/") == 1 and entry.files and "\n" not in entry.summary
        assert entry.licence.name and entry.licence.url.startswith("https://")
        assert not any(pattern.endswith((".bin", ".ckpt", ".pkl", "*")) for pattern in entry.files)
    assert len({entry.repo for entry in CATALOGUE.values()}) == len(CATALOGUE)
    flux = model_entry("flux-fill")
    assert flux.gated and flux.licence.non_commercial


def test_the_documentation_lists_the_catalogue() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\S+/[^ ,|]+)(.*?) \| (.*?) \|", page, re.MULTILINE)
    shown = {id: (repo, "gated" in gated, licence) for id, repo, gated, licence in rows}
    assert shown == {
        id: (
            entry.repo,
            entry.gated,
            entry.licence.name + (", **must be accepted**" if entry.licence.non_commercial else ""),
        )
        for id, entry in CATALOGUE.items()
    }


def test_an_unknown_model(store: ModelStore) -> None:
    for act in (store.status, store.path, store.download, store.remove, store.verify, store.accept):
        with pytest.raises(
            ModelError, match="there is no model 'flux'; choose one of: flux-fill, "
        ) as caught:
            act("flux")
        assert caught.value.code == "not_found"
    with pytest.raises(ModelError, match=r"there is no model '\.\./x'"):
        store.use("../x", "/")


def test_an_empty_disk(store: ModelStore) -> None:
    models = store.list()
    assert [model.id for model in models] == list(CATALOGUE)
    assert {(model.state, model.on_disk, model.path) for model in models} == {("absent", 0, None)}
    assert json.loads(json.dumps([asdict(model) for model in models]))
    with pytest.raises(ModelError, match="not on this disk: download it, or name a folder that has it"):
        store.path("moge-vitl")
    assert store.remove("moge-vitl") == 0


def test_listing_is_light() -> None:
    """A broker lists models: nothing heavy may come with it, and it takes no time."""
    code = """
import sys
from splinescape.models.manager import ModelStore
assert len(ModelStore().list()) > 5
heavy = {"numpy", "torch", "huggingface_hub", "httpx2", "pydantic", "asyncio", "zmq", "bpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPLINESCAPE_MODELS", str(tmp_path / "elsewhere"))
    assert ModelStore().folders.root == default_root() == tmp_path / "elsewhere"
    monkeypatch.setenv("SPLINESCAPE_MODELS", "~/weights")
    assert default_root() == Path.home() / "weights"
    monkeypatch.delenv("SPLINESCAPE_MODELS")
    assert default_root().name == "models" and "splinescape" in str(default_root())


def test_a_missing_or_short_file_is_damage(store: ModelStore) -> None:
    folder = put(store, "moge-vitl", {"model.pt": b"weights"})
    assert store.status("moge-vitl").state == "complete" and store.path("moge-vitl") == folder
    for spoil in (lambda file: file.write_bytes(b"weight"), Path.unlink):
        spoil(folder / "model.pt")
        status = store.status("moge-vitl")
        assert (status.state, status.path) == ("damaged", None)
        assert "model.pt; download it again to repair it" in str(status.problem)
        with pytest.raises(ModelError, match=r"cannot be used: damaged or gone: model.pt"):
            store.path("moge-vitl")


def test_verify_remembers_what_it_found(store: ModelStore) -> None:
    put(store, "moge-vitl", {"model.pt": b"weights"})
    assert store.verify("moge-vitl") == ("model.pt",)
    assert ModelStore(store.folders.root).status("moge-vitl").state == "damaged"
    with pytest.raises(ModelError, match="not on this disk"):
        store.verify("moge-2-vitl")


def test_a_record_that_cannot_be_read_counts_as_none(store: ModelStore) -> None:
    folder = put(store, "moge-vitl", {"model.pt": b"weights"})
    for text in ("", "[]", "{}", '{"model": 3}', "\0"):
        (folder / "splinescape.json").write_text(text)
        assert store.status("moge-vitl").state == "absent"


def test_remove_frees_what_it_says(store: ModelStore) -> None:
    folder = put(store, "flux-fill", {"vae/x.safetensors": bytes(1000), "model_index.json": b"{}"})
    put(store, "flux-2-klein-4b", {"vae/x.safetensors": bytes(1000)})
    assert store.remove("flux-fill") == 1002
    assert not folder.exists() and not list((store.folders.root / ".trash").iterdir())
    assert store.status("flux-fill").state == "absent"
    assert store.status("flux-2-klein-4b").state == "complete"


def test_a_removal_that_was_killed_is_finished_by_the_next_change(store: ModelStore) -> None:
    left = store.folders.root / ".trash" / "moge-vitl.1234"
    left.mkdir(parents=True)
    (left / "model.pt").write_bytes(b"weights")
    store.remove("moge-vitl")
    assert not left.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_files_of_the_user_are_used_and_never_touched(store: ModelStore, tmp_path: Path, kind: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "model.pt").write_bytes(b"weights")
    place = mine if kind == "folder" else mine / "model.pt"
    store.use("moge-vitl", place)
    status = store.status("moge-vitl")
    assert (status.state, status.local, status.on_disk) == ("complete", True, 7)
    assert store.path("moge-vitl") == place == store.download("moge-vitl")
    assert store.verify("moge-vitl") == ()
    store.use("moge-vitl", place)  # again, or another one
    store.remove("moge-vitl")
    assert store.status("moge-vitl").state == "absent"
    assert (mine / "model.pt").read_bytes() == b"weights"


def test_files_of_the_user_that_went_away(store: ModelStore, tmp_path: Path) -> None:
    mine = tmp_path / "model.pt"
    mine.write_bytes(b"weights")
    store.use("moge-vitl", mine)
    mine.unlink()
    assert store.status("moge-vitl").state == "damaged"
    with pytest.raises(ModelError, match=r"model.pt, which was to be used, is gone; bring it back"):
        store.path("moge-vitl")


def test_files_of_the_user_that_cannot_be_reached(store: ModelStore) -> None:
    """As on a share that is not connected: the system answers with an error other than that nothing is there."""
    place = f"/{'x' * 300}/model.pt"
    write_record(store.folders.complete("moge-vitl"), Record("moge-vitl", "", local=place))
    status = store.status("moge-vitl")
    assert status.state == "damaged"
    assert "cannot be reached (File name too long)" in str(status.problem)
    with pytest.raises(ModelError, match="cannot be reached"):
        store.path("moge-vitl")


def test_only_what_looks_like_the_model_can_be_used(store: ModelStore, tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"png")
    with pytest.raises(ModelError, match=r"photo.png is no file of moge-vitl: it should end in .pt or .pth"):
        store.use("moge-vitl", picture)
    with pytest.raises(ModelError, match=r"has none of the files of moge-vitl \(model.pt\)"):
        store.use("moge-vitl", tmp_path)
    with pytest.raises(ModelError, match="there is no file or folder"):
        store.use("moge-vitl", tmp_path / "nowhere")
    put(store, "moge-vitl", {"model.pt": b"weights"})
    (tmp_path / "model.pt").write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"has been downloaded to .*: remove it first"):
        store.use("moge-vitl", tmp_path / "model.pt")


def test_a_single_file_that_no_engine_loads_is_refused(store: ModelStore, tmp_path: Path) -> None:
    for ending in ("safetensors", "gguf", "pt"):
        (tmp_path / f"flux.{ending}").write_bytes(b"weights")
    for id, ending, why in (
        (
            "flux-fill",
            "safetensors",
            "folder of a diffusers pipeline.*single file is given to flux-fill-gguf",
        ),
        ("flux-2-klein-4b", "safetensors", "folder of a diffusers pipeline"),
        (
            "depth-pro",
            "safetensors",
            "single file, but depth-pro is a folder with config.json, .* and model.safetensors: give that folder",
        ),
        (
            "depth-anything-v2-metric-indoor-small",
            "pt",
            "folder with config.json, .*: give that folder",
        ),
        ("flux-fill-gguf", "pt", "it should end in .gguf or .safetensors"),
        ("moge-vitl", "safetensors", "it should end in .pt"),
    ):
        with pytest.raises(ModelError, match=why):
            store.use(id, tmp_path / f"flux.{ending}")
    for ending in ("gguf", "safetensors"):
        store.use("flux-fill-gguf", tmp_path / f"flux.{ending}")


def test_another_licence_has_to_be_accepted_anew(store: ModelStore) -> None:
    store.accept("depth-pro")
    assert store.accepted("depth-pro") and not store.accepted("flux-fill")
    store.folders.licence("depth-pro").write_text('{"licence": "an older one"}')
    assert not store.accepted("depth-pro")
    assert store.accepted("moge-vitl")
