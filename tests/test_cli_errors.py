"""Wrong input: one line that says what to do, exit code 2, no traceback, nothing overwritten."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from cli_support import Ran, splinescape_command, write_path
from PIL import Image

from splinescape.cli.errors import explain
from splinescape.config import SceneConfig
from splinescape.io.formats import save_scene
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats

Cli = Callable[..., Ran]
OLDER = b"an older scene"
DIFFUSION = "splinescape.inpaint.diffusion.engine"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder of its own that already holds an older result."""
    folder = tmp_path / "here"
    (folder / "out").mkdir(parents=True)
    (folder / "out" / "gf.ply").write_bytes(OLDER)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SPLINESCAPE_DEBUG", raising=False)
    return folder


def assert_refused(ran: Ran, *expected: str) -> None:
    lines = ran.err.splitlines()
    assert ran.code == 2, ran
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) < 400
    for text in expected:
        assert text in lines[0]
    assert ran.out == ""
    assert Path("out/gf.ply").read_bytes() == OLDER
    assert sorted(p.name for p in Path("out").iterdir()) == ["gf.ply"]


def _text_as_jpg() -> Path:
    Path("notes.jpg").write_text("this is not a picture")
    return Path("notes.jpg")


def _picture(width: int, height: int) -> Path:
    path = Path(f"{width}x{height}.png")
    Image.new("L", (width, height)).save(path)
    return path


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Path("missing.jpg"), "there is no file missing.jpg"),
        (_text_as_jpg, "notes.jpg is not a picture that can be read; give a JPEG"),
        (lambda: _picture(1, 1), "1x1 px; at least 32x32 px are needed"),
        (lambda: _picture(20_000, 20_000), "scale it down"),
        (lambda: _picture(20_000, 40), "crop it, or set max_resolution"),
        (lambda: Path(), "is a folder; give a picture file"),
    ],
    ids=["missing", "text", "1x1", "20000x20000", "20000x40", "folder"],
)
def test_unusable_pictures(cli: Cli, make: Callable[[], Path], expected: str) -> None:
    assert_refused(cli("generate", make(), "--out", "out"), expected)


def _nan_path() -> Path:
    file = write_path(Path("nan.json"), [(0, 0, 0), (1, 0, 0)])
    file.write_text(file.read_text().replace("-1.0", "NaN", 1))
    return file


def _not_json() -> Path:
    Path("broken.json").write_text('{"version": 1, "poses": [')
    return Path("broken.json")


PATHS: list[tuple[Callable[[], Path], str]] = [
    (lambda: Path("missing.json"), "missing.json"),
    (lambda: write_path(Path("one.json"), [(0, 0, 0)]), "at least 2"),
    (_nan_path, "finite"),
    (_not_json, "broken.json"),
]


@pytest.mark.parametrize(("make", "expected"), PATHS, ids=["missing", "one pose", "NaN", "not JSON"])
def test_unusable_paths(
    cli: Cli, small_picture: Path, tiny_scene: Path, make: Callable[[], Path], expected: str
) -> None:
    path = make()
    generated = cli("generate", small_picture, "--stage", "coarse", "--path", path, "--out", "out")
    assert_refused(generated, "camera path", expected)
    rendered = cli("render", tiny_scene, "--path", path, "--out", "frames")
    assert_refused(rendered, "camera path", expected)
    assert not Path("frames").exists()


@pytest.fixture
def tiny_scene(tmp_path: Path) -> Path:
    """A scene file with one splat."""
    import torch

    path = tmp_path / "tiny.ply"
    splats = Splats(
        torch.tensor([[0.0, 0.0, 3.0]]),
        torch.full((1, 3), -1.0),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.tensor([2.0]),
        torch.ones(1, 1, 3),
    )
    save_scene(
        path,
        splats,
        SceneMeta(K_33=np.array([[60, 0, 32], [0, 60, 24], [0, 0, 1]], float), width=64, height=48),
    )
    return path


def _damaged(tiny_scene: Path) -> Path:
    path = Path("damaged.ply")
    path.write_bytes(tiny_scene.read_bytes()[:-10])
    return path


def _text_as_ply(_tiny_scene: Path) -> Path:
    Path("notes.ply").write_text("this is not a scene")
    return Path("notes.ply")


@pytest.mark.parametrize("command", ["render", "inspect"])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda _scene: Path("missing.ply"), "missing.ply"),
        (_text_as_ply, "notes.ply"),
        (_damaged, "damaged.ply"),
        (lambda scene: scene.rename("scene.xyz"), ".compressed.ply, .ply, .spz, .splat"),
    ],
    ids=["missing", "text", "damaged", "suffix"],
)
def test_unusable_scenes(
    cli: Cli, tiny_scene: Path, side_path: Path, command: str, make: Callable[[Path], Path], expected: str
) -> None:
    scene = make(tiny_scene)
    arguments = ("--path", side_path, "--out", "frames") if command == "render" else ()
    assert_refused(cli(command, scene, *arguments), expected)
    assert not Path("frames").exists()


def test_unwritable_output(
    cli: Cli, small_picture: Path, tiny_scene: Path, side_path: Path, read_only_folder: Path
) -> None:
    for out in (read_only_folder, read_only_folder / "deeper"):
        assert_refused(cli("generate", small_picture, "--out", out), "cannot write", str(out), "choose")
        assert_refused(
            cli("render", tiny_scene, "--path", side_path, "--out", out), "cannot write", str(out), "choose"
        )
    preview = read_only_folder / "preview.png"
    ran = cli("inspect", tiny_scene, "--preview", preview)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert f"cannot write {preview}" in ran.err


def test_output_under_a_file(cli: Cli, small_picture: Path, tiny_scene: Path, side_path: Path) -> None:
    Path("file").write_text("in the way")
    for out in ("file", "file/deeper"):
        assert_refused(cli("generate", small_picture, "--out", out), "cannot write", "choose another folder")
        assert_refused(cli("render", tiny_scene, "--path", side_path, "--out", out), "cannot write")
    assert_refused(
        cli("generate", small_picture, "--out", "new", "--export-gaussians-ply-path", "file"), "cannot write"
    )
    assert Path("file").read_text() == "in the way"


def test_disk_too_small_for_the_scene(
    cli: Cli, small_picture: Path, tiny_disk: Callable[[int], Path]
) -> None:
    disk = tiny_disk(64 * 1024)
    assert_refused(cli("generate", small_picture, "--out", disk / "out"), "MB free", "free some space")


def test_disk_that_fills_up_on_the_way(
    cli: Cli, small_picture: Path, tiny_disk: Callable[[int], Path]
) -> None:
    disk = tiny_disk(256 * 1024)
    (disk / "gf.ply").write_bytes(OLDER)
    ran = cli("generate", small_picture, "--out", disk, "--quiet")
    assert_refused(ran, "cannot write", "No space left on device", "free some space")
    assert (disk / "gf.ply").read_bytes() == OLDER


@pytest.mark.parametrize("extra", [["--depth"], ["--video", "film.mp4"]], ids=["depth", "film"])
def test_disk_full_of_frames(
    cli: Cli, tiny_scene: Path, side_path: Path, tiny_disk: Callable[[int], Path], extra: list[str]
) -> None:
    disk = tiny_disk(12 * 1024)
    extra = [str(disk / word) if word.endswith(".mp4") else word for word in extra]
    ran = cli("render", tiny_scene, "--path", side_path, "--out", disk, "--frames", 30, "--quiet", *extra)
    assert_refused(ran, "cannot write", "No space left on device")
    assert not (disk / "film.mp4").exists()


def test_disk_full_of_preview(cli: Cli, tiny_scene: Path, tiny_disk: Callable[[int], Path]) -> None:
    disk = tiny_disk(4096)
    (disk / "fill").write_bytes(bytes(4096))
    ran = cli("inspect", tiny_scene, "--preview", disk / "preview.png")
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--n-frames", "1"], "--n-frames must be from 2 to 200, not 1"),
        (["--max-resolution", "16"], "--max-resolution must be from 32 to 8192, not 16"),
        (["--seed", "-3"], f"--seed must be from 0 to {2**63 - 1}, not -3"),
        (["--expansion-percent", "nan"], "--expansion-percent must be from 0 to 2, not nan"),
        (["--n-frames", "many"], "--n-frames"),
        (["--stage", "rough"], "'no-outpaint', 'outpaint', 'coarse', 'fine'"),
        (
            ["--coarse-min-inpaint-ratio", "0.5"],
            "--coarse-min-inpaint-ratio must not exceed --coarse-max-inpaint-ratio",
        ),
        (["--traj-min-percentage", "60"], "--traj-min-percentage must be below --traj-max-percentage"),
        (["--traj-type", "json"], "add --path FILE"),
        (["--traj-type", "spline"], "add --path FILE"),
        (
            ["--inpainter", "magic"],
            "there is no inpaint engine 'magic'; choose one of: flux-fill, flux-2-klein, builtin",
        ),
        (["--rasterizer", "magic"], "choose one of: gsplat, cpu, torch"),
        (["--no-such-option"], "see splinescape generate --help"),
        (["--rerun", "connect", "--rerun-url", "rerun+http://127.0.0.1:1/proxy"], "no Rerun viewer listens"),
    ],
)
def test_wrong_settings(cli: Cli, small_picture: Path, arguments: list[str], expected: str) -> None:
    assert_refused(cli("generate", small_picture, "--out", "out", *arguments), expected)


def test_spiral_and_path_contradict(cli: Cli, small_picture: Path, side_path: Path) -> None:
    ran = cli("generate", small_picture, "--path", side_path, "--traj-type", "spiral")
    assert_refused(ran, "leave out --path or --traj-type")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--resume", "nowhere"], "there is nothing to resume in nowhere"),
        (["--resume", "out", "--stage", "fine"], "leave out --stage"),
        (["picture.png", "--resume", "out"], "leave out PICTURE"),
        ([], "give a picture, or --resume"),
    ],
)
def test_resume_needs_a_job(cli: Cli, arguments: list[str], expected: str) -> None:
    assert_refused(cli("generate", *arguments), expected)


def test_another_jobs_folder_is_left_alone(cli: Cli, small_picture: Path) -> None:
    from splinescape.checkpoint import Checkpoint, Job

    other = np.zeros((64, 64, 3), np.uint8)
    Checkpoint(Path("busy/checkpoint")).begin(Job(other, SceneConfig(), None, None, {}))
    before = {p: p.read_bytes() for p in Path("busy").rglob("*") if p.is_file()}
    assert_refused(
        cli("generate", small_picture, "--out", "busy", "--quiet"), "checkpoint", "another job", "--resume"
    )
    assert {p: p.read_bytes() for p in Path("busy").rglob("*") if p.is_file()} == before


def test_verbose_and_the_environment_show_the_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in cli("generate", "missing.jpg", "--verbose").err
    monkeypatch.setenv("SPLINESCAPE_DEBUG", "1")
    ran = cli("inspect", "missing.ply")
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert ran.code == 2


def test_as_a_process_of_its_own() -> None:
    ran = subprocess.run(splinescape_command("generate", "missing.jpg"), capture_output=True, text=True)
    assert_refused(Ran(ran.returncode, ran.stdout, ran.stderr), "there is no file missing.jpg")


def test_a_reader_that_goes_away_is_no_error(tiny_scene: Path) -> None:
    process = subprocess.Popen(
        splinescape_command("inspect", tiny_scene, "--no-preview"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait()


def test_settings_of_text_name_their_flag(cli: Cli, small_picture: Path) -> None:
    assert_refused(cli("generate", small_picture, "--prompt", "x" * 4001), "--prompt: ", "4000 characters")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory"),
    ],
)
def test_too_little_memory_has_a_cure(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, DIFFUSION, raising=False)
    assert explain(error) == "not enough memory: lower --max-resolution or close other programs"


def test_where_a_diffusion_model_was_in_use_it_may_take_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, DIFFUSION, None)
    assert "--model-memory stream" in str(explain(RuntimeError("CUDA out of memory")))
    assert "stream" in get_args(SceneConfig.model_fields["model_memory"].annotation)


def test_only_a_diffusion_model_that_is_made_counts_as_one_in_use() -> None:
    code = (
        "import sys; from splinescape.cli.main import run; run(['doctor']); from splinescape.pipeline import *;"
        f"ScenePipeline(inpainter='builtin', depth='builtin', rasterizer='cpu'); print({DIFFUSION!r} in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"
    from splinescape.inpaint.diffusion import FluxFillInpainter, KleinInpainter

    assert {FluxFillInpainter.__mro__[1].__module__, KleinInpainter.__mro__[1].__module__} == {DIFFUSION}


def test_our_own_faults_are_not_dressed_up() -> None:
    assert explain(RuntimeError("a bug")) is None
    assert explain(ValueError("a bug")) is None
