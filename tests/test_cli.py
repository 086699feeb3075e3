"""The command line: every setting has its flag, and every command leaves what it promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
from cli_support import Ran, splinescape_command
from PIL import Image

from splinescape.cli.generate import EXTRA_FORMATS, generate
from splinescape.cli.options import flag_of, take_config
from splinescape.cli.outputs import ply_path
from splinescape.config import SceneConfig
from splinescape.io.formats import SUFFIXES, load_splats
from splinescape.render import final_frame_count

Cli = Callable[..., Ran]

OTHER_VALUES: dict[str, Any] = {
    "stage": "fine",
    "expansion_percent": 0.45,
    "n_frames": 7,
    "max_resolution": 640,
    "num_steps": 12,
    "guidance": 3.5,
    "prompt": "a quiet street",
    "model_memory": "nf4",
    "seed": 2**40,
    "coarse_dense_multiplier": 3,
    "coarse_margin": 16,
    "coarse_min_inpaint_ratio": 0.01,
    "coarse_max_inpaint_ratio": 0.6,
    "coarse_adjacent_exclusion": 4,
    "coarse_fallback_mode": "closest",
    "coarse_print_summary": False,
    "traj_type": "spline",
    "traj_forward_ratio": 0.9,
    "traj_backward_ratio": 0.8,
    "traj_min_percentage": 11.0,
    "traj_max_percentage": 77.0,
}


def parsed(*arguments: str) -> SceneConfig:
    """The settings that `splinescape generate` would use."""
    return take_config(dict(generate.make_context("generate", ["photo.jpg", *arguments]).params))


def test_defaults_are_those_of_the_settings() -> None:
    assert parsed() == SceneConfig()


@pytest.mark.parametrize("field", SceneConfig.model_fields)
def test_every_setting_has_its_flag(field: str) -> None:
    value = OTHER_VALUES[field]
    assert value != SceneConfig.model_fields[field].default
    flag = flag_of(field)
    arguments = ["--no-" + flag[2:]] if value is False else [flag, str(value)]
    assert parsed(*arguments) == SceneConfig(**{field: value})


def test_help_names_every_setting_with_its_default(cli: Cli) -> None:
    ran = cli("generate", "--help")
    text = " ".join(ran.out.split())
    assert ran.code == 0
    for field, info in SceneConfig.model_fields.items():
        assert flag_of(field) in text
        assert str(info.description) in text
    assert "From 2 to 200." in text


def test_version_and_bare_command(cli: Cli) -> None:
    from splinescape import __version__

    assert cli("--version").out == f"splinescape, version {__version__}\n"
    bare = cli()
    assert bare.code == 0
    for command in ("generate", "render", "inspect"):
        assert command in bare.out


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from splinescape.cli.main import run; run(['generate', '--help']); "
        "print([m for m in ('torch', 'numpy', 'numba', 'cv2', 'rerun', 'rich') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr


def test_extra_formats_are_all_that_can_be_saved() -> None:
    assert {f".{suffix}" for suffix in EXTRA_FORMATS} == set(SUFFIXES) - {".ply"}


@pytest.mark.parametrize(
    ("wanted", "path"),
    [("scene.ply", "scene.ply"), ("SCENE.PLY", "SCENE.PLY"), ("out", "out/gf.ply"), ("a.b/", "a.b/gf.ply")],
)
def test_ply_path_without_suffix_is_a_folder(wanted: str, path: str) -> None:
    assert ply_path(Path(wanted)) == Path(path)


@pytest.mark.parametrize(("frames", "pictures"), [(1, 150), (2, 150), (3, 75), (5, 125), (6, 150), (10, 150)])
def test_final_render_length(frames: int, pictures: int) -> None:
    assert final_frame_count(frames) == pictures


@pytest.fixture(scope="module")
def made(small_picture: Path, side_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """One complete job with everything it can leave behind, run as users run it."""
    out = tmp_path_factory.mktemp("made") / "out"
    command = splinescape_command(
        *("generate", small_picture, "--stage", "coarse", "--path", side_path, "--out", out),
        *("--n-frames", "4", "--coarse-min-inpaint-ratio", "0.01", "--coarse-max-inpaint-ratio", "0.6"),
        *("--video", "--rerun", "save", *(w for f in EXTRA_FORMATS for w in ("--format", f))),
    )
    ran = subprocess.run(command, capture_output=True, text=True)
    return out, Ran(ran.returncode, ran.stdout, ran.stderr)


def film_frames(path: Path) -> list[np.ndarray]:
    """The pictures of a film."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_generate_leaves_what_was_asked_for(made: tuple[Path, Ran]) -> None:
    out, ran = made
    assert ran.code == 0, ran.err
    names = {"gf.ply", "film.mp4", "scene.rrd", *(f"gf.{suffix}" for suffix in EXTRA_FORMATS)}
    assert {p.name for p in out.iterdir()} == names, "and no checkpoints once everything is written"
    for name in names - {"gf.ply"}:
        assert str(out / name) in ran.out
    splats, meta = load_splats(out / "gf.ply")
    assert f"{out / 'gf.ply'} ({len(splats):,} splats)" in ran.out
    assert (meta.width, meta.height) == (64, 64)
    for suffix in EXTRA_FORMATS:
        assert len(load_splats(out / f"gf.{suffix}")[0]) == len(splats)


def test_the_summary_is_printed_with_its_diagnostics(made: tuple[Path, Ran]) -> None:
    _, ran = made
    assert "[COARSE] Summary: selected_extra_frames=" in ran.out
    assert "dense_pose_index=" in ran.out
    assert "[COARSE]" not in ran.err


def test_progress_goes_to_stderr_in_plain_lines(made: tuple[Path, Ran]) -> None:
    _, ran = made
    assert "inpaint engine: builtin" in ran.err
    assert "frame 0 (input): 64x64" in ran.err
    assert "s left" in ran.err
    assert "\x1b" not in ran.err
    assert "\r" not in ran.err


def test_the_film_shows_the_scene(made: tuple[Path, Ran], small_picture: Path) -> None:
    frames = film_frames(made[0] / "film.mp4")
    assert len(frames) in (75, 100)
    difference = frames[0].astype(float) - np.asarray(Image.open(small_picture), float)
    assert np.sqrt((difference**2).mean()) < 12
    assert (frames[-1] != frames[0]).any()


def test_render_writes_frames_depth_and_film(
    cli: Cli, made: tuple[Path, Ran], side_path: Path, tmp_path: Path
) -> None:
    frames, film = tmp_path / "frames", tmp_path / "deeper" / "film.mp4"
    ran = cli(
        *("render", made[0] / "gf.ply", "--path", side_path, "--out", frames),
        *("--depth", "--video", film, "--frames", 4, "--width", 96),
    )
    assert ran.code == 0, ran.err
    names = [
        f"{kind}_{i:04d}{end}"
        for i in range(1, 5)
        for kind, end in (("frame", ".png"), ("frame", ".exr"), ("depth", ".png"))
    ]
    assert sorted(p.name for p in frames.iterdir()) == sorted(names)
    with Image.open(frames / "frame_0001.png") as picture:
        assert picture.size == (96, 96)
    with OpenEXR.File(str(frames / "frame_0001.exr"), separate_channels=True) as exr:
        depth = exr.channels()["Z"].pixels
    splats, _ = load_splats(made[0] / "gf.ply")
    nearest, farthest = splats.means[:, 2].min().item(), splats.means[:, 2].max().item()
    assert nearest * 0.9 < np.median(depth) < farthest * 1.1
    assert len(film_frames(film)) == 4


def test_render_keeps_the_field_of_view_at_any_size(
    cli: Cli, made: tuple[Path, Ran], side_path: Path, tmp_path: Path
) -> None:
    for name, size in (("small", ["--height", 32]), ("wide", ["--width", 96, "--height", 32])):
        ran = cli(
            *(
                "render",
                made[0] / "gf.ply",
                "--path",
                side_path,
                "--out",
                tmp_path / name,
                "--frames",
                1,
                *size,
            )
        )
        assert ran.code == 0, ran.err
    small = np.asarray(Image.open(tmp_path / "small" / "frame_0001.png"), float)
    wide = np.asarray(Image.open(tmp_path / "wide" / "frame_0001.png"), float)
    assert small.shape == (32, 32, 3)
    np.testing.assert_allclose(wide[:, 32:64], small, atol=1.5)


def test_inspect_prints_numbers_and_makes_a_preview(cli: Cli, made: tuple[Path, Ran], tmp_path: Path) -> None:
    preview = tmp_path / "preview.png"
    ran = cli("inspect", made[0] / "gf.ply", "--preview", preview)
    assert ran.code == 0, ran.err
    for text in ("splats", "non-finite    0", "bounds", "opacity", "64x64 px, focal", "depth builtin"):
        assert text in ran.out
    with Image.open(preview) as picture:
        assert picture.size == (64, 64)
        assert np.asarray(picture).std() > 10


@pytest.mark.parametrize("suffix", EXTRA_FORMATS)
def test_inspect_finds_a_camera_for_scenes_without_one(
    cli: Cli, made: tuple[Path, Ran], tmp_path: Path, suffix: str
) -> None:
    preview = tmp_path / "preview.png"
    ran = cli("inspect", made[0] / f"gf.{suffix}", "--preview", preview)
    assert ran.code == 0, ran.err
    assert np.asarray(Image.open(preview)).std() > 2


def test_inspect_counts_damaged_splats(cli: Cli, made: tuple[Path, Ran], tmp_path: Path) -> None:
    data = bytearray((made[0] / "gf.ply").read_bytes())
    body = data.index(b"end_header\n") + len(b"end_header\n")
    data[body : body + 4] = np.float32(np.nan).tobytes()
    damaged = tmp_path / "damaged.ply"
    damaged.write_bytes(data)
    ran = cli("inspect", damaged, "--no-preview")
    assert ran.code == 0
    assert "non-finite    1 left out: the file is damaged" in ran.out


def test_quiet_prints_nothing(cli: Cli, small_picture: Path, tmp_path: Path) -> None:
    ran = cli("generate", small_picture, "--out", tmp_path / "out", "--quiet")
    assert ran == Ran(0, "", "")
    assert (tmp_path / "out" / "gf.ply").exists()


def test_ply_path_alone_decides_the_folder(cli: Cli, small_picture: Path, tmp_path: Path) -> None:
    ran = cli("generate", small_picture, "--export-gaussians-ply-path", tmp_path / "a" / "room.ply", "-q")
    assert ran.code == 0, ran.err
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["room.ply"]


def _interrupted(out: Path, path: Path, how: int) -> tuple[int, str]:
    """Begin a job, send it the signal `how` once it has something to continue from, and wait for its end."""
    process = subprocess.Popen(
        splinescape_command(*JOB, "--path", path, "--out", out), stderr=subprocess.PIPE, text=True
    )
    while not (out / "checkpoint" / "scene.npz").exists():  # written after its frames
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate()
    return process.returncode, err


ROOM = Path(__file__).parents[1] / "examples" / "room.png"
JOB = (
    *("generate", ROOM, "--max-resolution", "96", "--stage", "coarse", "--n-frames", "5"),
    *("--video", "--no-coarse-print-summary"),
    *("--coarse-min-inpaint-ratio", "0.01", "--coarse-max-inpaint-ratio", "0.6"),
)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupted_job_is_continued_to_the_same_bytes(cli: Cli, side_path: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    assert cli(*JOB, "--path", side_path, "--out", whole, "--quiet").code == 0

    stopped = tmp_path / "stopped"
    code, err = _interrupted(stopped, side_path, signal.SIGINT)
    assert code == 130
    assert err.splitlines()[-1] == (
        f"stopped: finished frames are kept; continue with: splinescape generate --resume {stopped}"
    )
    assert not (stopped / "gf.ply").exists()

    killed = tmp_path / "killed"
    code, _ = _interrupted(killed, side_path, signal.SIGKILL)
    assert code == -signal.SIGKILL

    for out in (stopped, killed):
        ran = cli("generate", "--resume", out)
        assert ran.code == 0, ran.err
        assert "continuing after" in ran.err
        assert "[COARSE]" not in ran.out
        assert {p.name for p in out.iterdir()} == {"gf.ply", "film.mp4"}
        assert (out / "gf.ply").read_bytes() == (whole / "gf.ply").read_bytes()
        assert (out / "film.mp4").read_bytes() == (whole / "film.mp4").read_bytes()
