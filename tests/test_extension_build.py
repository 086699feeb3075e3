"""The extension's packages: the same bytes every time, in each zip the wheels of its platform and no other."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from building import blenders, extension, wheels

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = {
    "linux_x64": "manylinux_2_26_x86_64",
    "windows_x64": "win_amd64",
    "macos_arm64": "macosx_10_15_arm64",
    "macos_x64": "macosx_10_15_x86_64",
}
PARTS = (
    "addon",
    "backend",
    "building",
    "blender_manifest.toml",
    "pyproject.toml",
    "LICENSE",
    "README.md",
    ".gitignore",
)

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def builder() -> blenders.BlenderEnvironment:
    python = blenders.find_python()
    if python is None:
        pytest.skip(f"Blender's tool needs Python {blenders.BLENDER_PYTHON} on the PATH")
    return blenders.ensure_blender(blenders.NEWEST, python)


@pytest.fixture(scope="module")
def repositories(
    tmp_path_factory: pytest.TempPathFactory, builder: blenders.BlenderEnvironment
) -> tuple[Path, Path]:
    """Two repositories, made from two copies of the project that were written at different times."""
    made = []
    for name, mode in (("first", 0o644), ("second", 0o600)):
        source = _copy(tmp_path_factory.mktemp(f"{name}-source"), mode)
        folder = tmp_path_factory.mktemp(name)
        assert extension.build_repository(source, folder, builder) == folder / "index.json"
        made.append(folder)
    return made[0], made[1]


def _copy(folder: Path, mode: int) -> Path:
    """The project as a fresh clone has it; file permissions and leftovers must make no difference."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / part)
    for file in folder.rglob("*.*"):
        if file.is_file():
            file.chmod(mode)
    leftover = folder / "addon" / "__pycache__" / f"old-{mode}.pyc"
    leftover.parent.mkdir()
    leftover.write_text("leftover")
    return folder


def _archive(repository: Path, platform: str) -> Path:
    return repository / f"splinescape-{version('splinescape')}-{platform}.zip"


@slow
def test_two_builds_are_the_same_byte_for_byte(repositories: tuple[Path, Path]) -> None:
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in repositories)
    assert set(first) == {"index.json", "index.html", *(_archive(Path(), p).name for p in PLATFORMS)}
    assert first == second


@slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_zip_has_the_wheels_of_its_platform(repositories: tuple[Path, Path], platform: str) -> None:
    with zipfile.ZipFile(_archive(repositories[0], platform)) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    inside = sorted(name.removeprefix("wheels/") for name in names if name.endswith(".whl"))
    assert inside == [
        f"pyzmq-27.3.0-0-cp312.cp313.cp314.cp315.cp316-none-{PLATFORMS[platform]}.whl",
        f"pyzmq-27.3.0-cp311-cp311-{PLATFORMS[platform]}.whl",
        f"splinescape-{version('splinescape')}-py3-none-any.whl",
    ]
    generated = manifest["build"]["generated"]
    assert generated["platforms"] == [platform.replace("_", "-")]
    assert sorted(generated["wheels"]) == [f"./wheels/{name}" for name in inside]


@slow
def test_a_zip_holds_the_addon_and_nothing_else(repositories: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(_archive(repositories[0], "linux_x64")) as archive:
        names = {name for name in archive.namelist() if not name.startswith("wheels/")}
        modules = {name for name in names if name.endswith(".py")}
    tracked = subprocess.run(
        ["git", "ls-files", "addon"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {name.removeprefix("addon/") for name in tracked if name.endswith(".py")} <= modules
    assert {"blender_manifest.toml", "LICENSE", "__init__.py"} <= names
    assert not [
        name for name in names if {"__pycache__", "tests"} & set(name.split("/")) or name.startswith(".")
    ]


@slow
def test_the_list_names_all_zips_with_size_and_hash(repositories: tuple[Path, Path]) -> None:
    listed = json.loads((repositories[0] / "index.json").read_text())["data"]
    assert {tuple(entry["platforms"]) for entry in listed} == {(p.replace("_", "-"),) for p in PLATFORMS}
    for entry in listed:
        data = (repositories[0] / entry["archive_url"]).read_bytes()
        assert entry["archive_size"] == len(data)
        assert entry["archive_hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert entry["blender_version_min"] == "4.2.0"


@slow
def test_versions_that_differ_are_refused(tmp_path: Path, builder: blenders.BlenderEnvironment) -> None:
    source = _copy(tmp_path / "source", 0o644)
    manifest = source / "blender_manifest.toml"
    manifest.write_text(manifest.read_text().replace('version = "0', 'version = "9', 1))
    with pytest.raises(SystemExit, match="they must be the same"):
        extension.build_extension(source, tmp_path / "out", builder)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_extension_is_the_version_of_the_backend() -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    import splinescape

    assert manifest["version"] == project["version"] == splinescape.__version__ == version("splinescape")


def test_permissions_say_why_as_blender_wants_it() -> None:
    permissions = tomllib.loads((ROOT / "blender_manifest.toml").read_text())["permissions"]
    assert set(permissions) == {"files", "network"}
    assert all(len(reason) <= 64 and reason[-1].isalnum() for reason in permissions.values())


def test_a_download_that_is_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "CACHE", tmp_path)
    (tmp_path / wheels.PYZMQ_WHEELS[0].file).write_text("something else")
    with pytest.raises(SystemExit, match="is not the file that"):
        wheels.collect_wheels(ROOT, tmp_path / "out", blenders.BlenderEnvironment(blenders.NEWEST))


def test_pyzmq_is_the_one_that_the_tests_run_with() -> None:
    bundled = {wheel.file.split("-")[1] for wheel in wheels.PYZMQ_WHEELS}
    tested = {
        line.removeprefix("pyzmq==")
        for line in blenders.BlenderEnvironment("4.2").requirements
        if "pyzmq" in line
    }
    assert bundled == tested


def test_of_two_wheels_of_pyzmq_the_one_for_old_pythons_sorts_last() -> None:
    """Blender 4.2.0 takes the last name and has Python 3.11."""
    for platform in PLATFORMS.values():
        names = sorted(
            n for w in wheels.PYZMQ_WHEELS for n in w.blender_names if n.endswith(f"-{platform}.whl")
        )
        assert "-cp311-" in names[-1]
