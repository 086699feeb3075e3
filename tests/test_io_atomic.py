"""Whatever happens while a file is written, the one that was there before survives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from io_support import make_meta, make_splats

from splinescape.errors import InputError
from splinescape.io.atomic import atomic_file
from splinescape.io.film import film_writer
from splinescape.io.formats import save_scene
from splinescape.io.frames import write_exr, write_png

NOISE = np.random.default_rng(0).random((200, 201, 3))


def write_film(path: Path) -> None:
    with film_writer(path) as film:
        for i in range(10):
            film.add(np.random.default_rng(i).random((100, 161, 3)))


def write_scene(path: Path) -> None:
    save_scene(path, make_splats(20_000), make_meta())


WRITERS: dict[str, Callable[[Path], None]] = {
    "gf.ply": write_scene,
    "gf.compressed.ply": write_scene,
    "gf.spz": write_scene,
    "gf.splat": write_scene,
    "a.png": lambda path: write_png(path, NOISE),
    "a.exr": lambda path: write_exr(path, rgb=NOISE),
    "a.mp4": write_film,
}


def assert_old_file_survives(folder: Path, name: str, cause: str) -> None:
    path = folder / name
    path.write_bytes(b"the old one")
    with pytest.raises(InputError) as caught:
        WRITERS[name](path)
    assert str(path) in str(caught.value) and cause in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in folder.iterdir()] == [name]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 80 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tiny file system needs root on Linux")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@contextlib.contextmanager
def small_files_only(size: int) -> Iterator[None]:
    """Limit the files that this process writes to `size` bytes; not a fixture, or pytest's own log would be cut too."""
    resource = pytest.importorskip("resource", reason="file size limits are those of POSIX")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("name", WRITERS)
def test_full_disk(tiny_disk: Path, name: str) -> None:
    assert_old_file_survives(tiny_disk, name, "No space left on device; free some space")


@pytest.mark.parametrize("size", [100, 4096, 60_000])
@pytest.mark.parametrize("name", WRITERS)
def test_file_too_large_for_the_disk(tmp_path: Path, name: str, size: int) -> None:
    with small_files_only(size):
        assert_old_file_survives(tmp_path, name, "File too large")


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_replaces_an_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new folder" / name
    WRITERS[name](path)
    first = path.read_bytes()
    assert len(first) > 60_000  # larger than the limits above
    path.write_bytes(b"the old one")
    WRITERS[name](path)
    assert path.read_bytes() == first  # and deterministic
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_an_error_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"the old one")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write(b"half of the new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_error_about_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_file(tmp_path / "a"):
        (tmp_path / "elsewhere").read_bytes()
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"the old one")
    program = (
        "import sys, time; from splinescape.io.atomic import atomic_file\n"
        "with atomic_file(sys.argv[1]) as file:\n"
        "    file.write(b'half of the new'); file.flush(); print('writing', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    assert path.read_bytes() == b"the old one"


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"the old one")
    with atomic_file(path) as file:
        file.write(b"the new one")
        file.flush()
        assert path.read_bytes() == b"the old one"
    assert path.read_bytes() == b"the new one"


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot write .*gf\.ply.*a part of this path is a file"):
        write_scene(tmp_path / "file" / "gf.ply")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "gf.ply").mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        write_scene(tmp_path / "gf.ply")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gf.ply")
    started = time.monotonic()
    with pytest.raises(InputError, match="not a regular file"):
        write_scene(tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").is_fifo()
    assert time.monotonic() - started < 5


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere; be somebody else meanwhile."""
    if not hasattr(os, "geteuid"):
        pytest.skip("users and permission bits are those of POSIX")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_an_unwritable_folder(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tmp_path.chmod(0o500)
    request.getfixturevalue("ordinary_user")
    with pytest.raises(InputError, match=r"cannot write .*gf\.ply: Permission denied; choose a folder"):
        write_scene(tmp_path / "gf.ply")


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose a shorter name"):
        write_scene(tmp_path / ("x" * 300 + ".ply"))


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.ply").symlink_to(tmp_path / "b.ply")
    (tmp_path / "b.ply").symlink_to(tmp_path / "a.ply")
    with pytest.raises(InputError, match="cannot write"):
        write_scene(tmp_path / "a.ply")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.ply").symlink_to(tmp_path / "real.ply")
    write_scene(tmp_path / "link.ply")
    assert (tmp_path / "link.ply").is_symlink()
    assert (tmp_path / "real.ply").stat().st_size > 60_000


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_new_files_have_ordinary_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_png(tmp_path / "a.png", NOISE)
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640
