"""Blender in a window, in each of Debian's suites; made on demand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from trees import MOVING, ROOT, SUITES, make_tree, why_not
from window import BlenderWindow, keep

from building import blenders, extension

OUT = ROOT / "out" / "gui"


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    if why_not():
        pytest.skip(why_not())
    return str(request.param)


@pytest.fixture(scope="session")
def tree(suite: str) -> Path:
    """The wrapper for commands in the suite's tree."""
    try:
        return make_tree(suite)
    except OSError as error:
        if suite == MOVING:
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip for this machine."""
    python = blenders.find_python()
    if python is None:
        pytest.skip(f"Blender's tool needs Python {blenders.BLENDER_PYTHON} on the PATH")
    builder = blenders.ensure_blender(blenders.NEWEST, python)
    archives = extension.build_extension(ROOT, tmp_path_factory.mktemp("extension"), builder)
    return next(each for each in archives if each.name.endswith("linux_x64.zip"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the screen shows when a test fails, while it still stands."""
    report = yield
    window = getattr(item, "funcargs", {}).get("window")
    if report.when == "call" and report.failed and window is not None and window.display:
        keep(window.screenshot("failed"), _folder(item))
    return report


def _folder(item: pytest.Item) -> Path:
    suite, name = item.callspec.params["suite"], item.originalname.removeprefix("test_")
    return OUT / str(suite) / name


@pytest.fixture
def window(tree: Path) -> Iterator[BlenderWindow]:
    """A screen and a home of its own; Blender is opened by the test."""
    folder = Path(tempfile.mkdtemp(prefix="splinescape-gui-", dir="/tmp"))
    blender = BlenderWindow(tree, folder)
    try:
        yield blender
    finally:
        blender.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def picture(window: BlenderWindow, request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Take a picture of the screen under a name, and keep it in out/gui."""
    shutil.rmtree(_folder(request.node), ignore_errors=True)

    def take(name: str) -> Path:
        file = window.screenshot(name)
        keep(file, _folder(request.node))
        return file

    return take
