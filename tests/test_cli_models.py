"""`splinescape models`: what a user types to get, check, use and lose models, here and at a service."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_support import Ran, splinescape_command
from models_support import TOKEN, WEIGHTS, Hub, contents, fill, running_hub
from service_support import RunningService, until

from splinescape.models.catalogue import CATALOGUE
from splinescape.models.manager import ModelStore

Cli = Callable[..., Ran]
Typed = Callable[..., Ran]

hub_library = pytest.importorskip("huggingface_hub")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        fill(hub)
        yield hub


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The folder of models of every command here."""
    monkeypatch.setenv("SPLINESCAPE_MODELS", str(tmp_path / "models"))
    return ModelStore(tmp_path / "models")


def environment(hub: Hub, store: ModelStore, **more: str) -> dict[str, str]:
    """What a command needs to talk to the hub of these tests and to no other."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    env |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(store.folders.root.parent / "hf")}
    return env | {"SPLINESCAPE_MODELS": str(store.folders.root), "NO_PROXY": "127.0.0.1"} | more


@pytest.fixture
def typed(hub: Hub, store: ModelStore) -> Typed:
    """Run a command in a process of its own: the hub's address is read when its library is imported."""

    def run(*arguments: str, answer: str = "", **more: str) -> Ran:
        env = environment(hub, store, **more)
        command = splinescape_command("models", *arguments)
        done = subprocess.run(command, env=env, input=answer, capture_output=True, text=True, timeout=60)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


# Getting.


def test_download_fetches_with_progress_and_says_where(typed: Typed, store: ModelStore) -> None:
    ran = typed("download", "moge-vitl")
    assert ran.code == 0, ran.err
    assert str(store.path("moge-vitl")) in ran.out
    assert "fetching moge-vitl" in ran.err and "1.5 MB" not in ran.out
    assert (store.path("moge-vitl") / "model.pt").read_bytes() == WEIGHTS
    assert "is complete" in typed("download", "moge-vitl").out


def test_a_licence_is_shown_and_has_to_be_accepted_once(typed: Typed, hub: Hub) -> None:
    refused = typed("download", "flux-fill", HF_TOKEN=TOKEN)
    assert refused.code == 2 and "--accept-licence" in refused.err
    assert "forbids commercial use" in refused.err and "https://" in refused.err
    assert hub.sent == 0
    accepted = typed("download", "flux-fill", "--accept-licence", HF_TOKEN=TOKEN)
    assert accepted.code == 0, accepted.err
    assert typed("remove", "flux-fill").code == 0
    assert typed("download", "flux-fill", HF_TOKEN=TOKEN).code == 0


def test_accept_is_enough_too(typed: Typed) -> None:
    ran = typed("accept", "flux-fill")
    assert "Non-Commercial" in ran.out and "https://" in ran.out
    assert typed("download", "flux-fill", HF_TOKEN=TOKEN).code == 0


@pytest.mark.parametrize(
    ("token", "words"), [("", ("log in", "hf auth login", "HF_TOKEN")), ("wrong", ("to your token",))]
)
def test_a_gated_model_says_what_to_do(typed: Typed, token: str, words: tuple[str, ...]) -> None:
    ran = typed("download", "flux-fill", "--accept-licence", **({"HF_TOKEN": token} if token else {}))
    assert ran.code == 2
    for word in (*words, "https://huggingface.co/black-forest-labs/FLUX.1-Fill-dev"):
        assert word in ran.err


@posix
def test_ctrl_c_keeps_what_has_arrived_and_says_how_to_go_on(
    hub: Hub, store: ModelStore, typed: Typed
) -> None:
    hub.gate.clear()
    process = subprocess.Popen(
        splinescape_command("models", "download", "moge-vitl"),
        env=environment(hub, store),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: store.status("moge-vitl").on_disk >= 2**14, what="the first piece")
    hub.pace = 0.2  # slowly on, so that the command looks at its event
    hub.gate.set()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what has arrived" in err and "splinescape models download moge-vitl" in err
    arrived = store.status("moge-vitl").on_disk
    assert store.status("moge-vitl").state == "partial" and 0 < arrived < len(WEIGHTS)
    hub.pace = 0
    assert typed("download", "moge-vitl").code == 0
    assert hub.file_requests()[-1] == ("model.pt", f"bytes={arrived}-")


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_for(typed: Typed, hub: Hub, how: str) -> None:
    ran = (
        typed("download", "moge-vitl", how) if how[0] == "-" else typed("download", "moge-vitl", **{how: "1"})
    )
    assert ran.code == 2 and "moge-vitl" in ran.err and ran.err.count("\n") == 1
    assert hub.requests == []


def test_a_wrong_name_is_said_before_anything_is_fetched(typed: Typed, hub: Hub) -> None:
    ran = typed("download", "moge-vitl", "moge-3")
    assert ran.code == 2 and "moge-2-vits-normal" in ran.err
    assert hub.requests == []


# Looking.


def test_list_shows_every_model_with_licence_size_and_state(
    cli: Cli, store: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.pt").write_bytes(WEIGHTS)
    store.use("moge-2-vitl", tmp_path / "own")
    lines = {line.split()[0]: line for line in cli("models", "list").out.splitlines()}
    assert lines.keys() == {"model", *CATALOGUE}
    assert "to be accepted, gated" in lines["flux-fill"] and "33.7 GB" in lines["flux-fill"]
    assert "your own" in lines["moge-2-vitl"] and "MIT" in lines["moge-2-vitl"]


def test_list_as_json_is_one_object_a_line(cli: Cli, store: ModelStore) -> None:
    store.accept("depth-pro")
    listed = [json.loads(line) for line in cli("models", "list", "--json").out.splitlines()]
    assert [model["id"] for model in listed] == list(CATALOGUE)
    assert {model["id"] for model in listed if not model["accepted"]} == {
        id for id, entry in CATALOGUE.items() if entry.licence.non_commercial
    } - {"depth-pro"}


@pytest.mark.usefixtures("store")
def test_path_prints_it_or_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    assert cli("models", "path", "moge-vitl").code == 2
    assert "splinescape models download" in cli("models", "path", "moge-vitl").err
    file = tmp_path / "mine.pt"
    file.write_bytes(b"x")
    assert cli("models", "use", "moge-vitl", file).code == 0
    assert cli("models", "path", "moge-vitl").out == f"{file}\n"


# Own files.


@pytest.mark.parametrize("wrong", ["nowhere", "empty", "notes.txt"])
@pytest.mark.usefixtures("store")
def test_what_cannot_be_the_model_is_refused(cli: Cli, tmp_path: Path, wrong: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    ran = cli("models", "use", "moge-vitl", tmp_path / wrong)
    assert ran.code == 2 and wrong in ran.err and ran.err.count("\n") == 1


def test_removing_leaves_own_files_alone(cli: Cli, store: ModelStore, tmp_path: Path) -> None:
    file = tmp_path / "mine.pt"
    file.write_bytes(WEIGHTS)
    cli("models", "use", "moge-vitl", file)
    assert "your files stay" in cli("models", "remove", "moge-vitl").out
    assert file.read_bytes() == WEIGHTS
    assert store.status("moge-vitl").state == "absent"


# Checking.


def test_verify_names_what_is_damaged_and_a_download_repairs_it(typed: Typed, store: ModelStore) -> None:
    typed("download", "moge-vitl")
    whole = typed("verify")
    assert whole.code == 0 and "moge-vitl: whole" in whole.out
    file = store.path("moge-vitl") / "model.pt"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    bad = typed("verify")
    assert bad.code == 2
    assert "damaged: model.pt" in bad.out and "splinescape models download" in bad.err
    assert typed("download", "moge-vitl").code == 0
    assert contents(store.path("moge-vitl")) == {"model.pt": WEIGHTS}


@pytest.mark.usefixtures("store")
def test_verify_without_models_says_so(cli: Cli) -> None:
    ran = cli("models", "verify")
    assert ran.code == 0 and "no models" in ran.out


# At a service.


@pytest.fixture
def service(hub: Hub, store: ModelStore, tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path / "data", "--device", "cpu", env=environment(hub, store))
    yield running
    running.close()


def test_a_service_fetches_lists_and_removes(service: RunningService, store: ModelStore, cli: Cli) -> None:
    at = ("--remote", service.connection)
    refused = cli("models", "download", "flux-fill", *at)
    assert refused.code == 2 and "--accept-licence" in refused.err
    gated = cli("models", "download", "flux-fill", "--accept-licence", *at)
    assert gated.code == 2 and "hf auth login" in gated.err
    fetched = cli("models", "download", "moge-vitl", *at)
    assert fetched.code == 0, fetched.err
    assert "fetching moge-vitl" in fetched.err and "complete there" in fetched.out
    assert store.status("moge-vitl").state == "complete"
    assert "here" in next(
        line for line in cli("models", "list", *at).out.splitlines() if "moge-vitl " in line
    )
    assert cli("models", "remove", "moge-vitl", *at).code == 0
    assert store.status("moge-vitl").state == "absent"
    assert cli("models", "remove", "nope", *at).code == 2


# Making scenes with them. The weights are random and tiny, in the published formats.


@pytest.fixture
def with_models(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Tiny FLUX Fill and MoGe in place, through `splinescape models use`."""
    pytest.importorskip("diffusers")
    from diffusion_support import make_flux_fill
    from moge_support import SMALL_V2, random_state, write_checkpoint

    importlib.import_module("splinescape.jit")  # which keeps its cache where it is
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_a, **_k: str(tmp_path / "cache"))
    monkeypatch.setenv("SPLINESCAPE_DEVICE", "cpu")
    store.use("flux-fill", make_flux_fill(tmp_path / "flux"))
    write_checkpoint(tmp_path / "model.pt", SMALL_V2, random_state(SMALL_V2, 0))
    store.use("moge-2-vits-normal", tmp_path / "model.pt")
    return store


SMALL = ("--stage", "outpaint", "--max-resolution", "64", "--num-steps", "2")


@pytest.mark.slow
@pytest.mark.usefixtures("with_models")
def test_a_scene_is_made_with_models_on_the_disk_and_names_them(
    cli: Cli, small_picture: Path, tmp_path: Path
) -> None:
    ran = cli(
        "generate",
        small_picture,
        *SMALL,
        "--inpainter",
        "flux-fill",
        "--depth",
        "moge",
        "--out",
        tmp_path / "out",
    )
    assert ran.code == 0, ran.err
    assert "inpaint engine: flux-fill (asked for; FLUX.1 [dev] Non-Commercial License" in ran.err
    assert "expected memory: full" in ran.err
    assert "depth engine: moge-2-vits-normal (best of moge" in ran.err
    described = cli("inspect", tmp_path / "out" / "gf.ply", "--no-preview").out
    assert "depth moge-2-vits-normal, inpaint flux-fill" in described
    assert "non-finite    0" in described


@pytest.mark.slow
@pytest.mark.usefixtures("with_models")
def test_the_prompt_reaches_the_model(cli: Cli, small_picture: Path, tmp_path: Path) -> None:
    scenes = []
    for number, prompt in enumerate(("a red barn", "the open sea", "a red barn")):
        out = tmp_path / f"out{number}"
        ran = cli(
            "generate", small_picture, *SMALL, "--inpainter", "flux-fill", "--depth", "builtin", "--prompt", prompt,
            "--out", out,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        scenes.append((out / "gf.ply").read_bytes())
    assert scenes[0] == scenes[2]
    assert scenes[0] != scenes[1]
