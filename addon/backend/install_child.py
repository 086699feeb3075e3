"""A program of its own that makes the backend's environment: `python -I install_child.py PLAN`.

Prints lines of JSON: {"text": ..., "fraction": ...} on the way, {"done": true} or {"error": sentence} at the end. What
pip says goes to install.log. An environment counts only from the moment when environment.json names it, which comes
last, so being killed at any moment leaves what was there before. Ends, with everything that it has started, when its
standard input is closed: whoever has started it is gone or has changed their mind.

Standard library only, and nothing of the extension's.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_LARGE = 5_000_000
_PIP_QUIRKS = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_USER", "PIP_QUIET")
_PIP_OPTIONS = (
    "--no-input",
    "--disable-pip-version-check",
    "--no-warn-script-location",
    *("--retries", "2", "--timeout", "30"),
)
_CHECK = (
    "import json, torch, splinescape, splinescape.cli.main, splinescape.service.serve;"
    "print(json.dumps({'splinescape': splinescape.__version__, 'torch': torch.__version__}))"
)


def say(**what: Any) -> None:
    """Tell whoever has started this."""
    print(json.dumps(what), flush=True)


def fail(sentence: str) -> NoReturn:
    """End with an error for people."""
    say(error=sentence)
    sys.exit(1)


def end_with_parent() -> None:
    """Kill this process and all below it as soon as standard input is closed."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        if os.name == "nt":
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(os.getpid())], capture_output=True)
        else:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of however this process ends."""
    with (home / "install.lock").open("a+") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fail("Another Blender is installing the backend right now: wait until it is through")
        yield


def check_python(home: Path, needs: int) -> None:
    """End with a sentence when this Python or the disk will not do."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the chosen one may be older than Blender's
        have = ".".join(map(str, sys.version_info[:2]))
        fail(f"The backend needs Python 3.11 or newer, the chosen one is {have}: choose another Python")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        package = f"python3.{sys.version_info.minor}-venv"
        fail(
            f"This Python cannot make environments: run 'sudo apt install {package}' or choose another Python"
        )
    free = shutil.disk_usage(home).free
    if free < needs:
        fail(
            f"The backend needs {needs / 1e9:.0f} GB of disk, {free / 1e9:.1f} GB are free in {home}: "
            "make room, or choose another folder"
        )


def remove_others(home: Path, keep: set[str]) -> None:
    """Delete environments that are half made or no longer used; one that is in use on Windows stays for now."""
    for folder in [*home.glob("env-*"), *home.glob("removed-*")]:
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    files = (Path(root) / name for root, _folders, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)


def present(pointer: Path) -> str:
    """Name of the environment that counts now."""
    try:
        return str(json.loads(pointer.read_bytes())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class Meter:
    """Turns what pip says into a fraction between two bounds."""

    def __init__(self, text: str, low: float, high: float) -> None:
        self._text, self._low, self._high = text, low, high
        self._told = 0.0
        self.tell(0.0)

    def tell(self, part: float, detail: str = "") -> None:
        """Say how far it is, from 0 to 1 within the bounds; never less than before."""
        part = max(self._told, min(part, 1.0))
        self._told = part
        say(text=self._text + detail, fraction=round(self._low + part * (self._high - self._low), 3))

    def hear(self, line: str) -> None:
        """Take a line of pip's."""
        progress = _PROGRESS.match(line)
        if progress is not None:
            done, total = int(progress[1]), int(progress[2])
            if total >= _LARGE:  # the large ones are what takes long
                part = 0.8 * done / total * min(1.0, total / 1e8)
                self.tell(part, f": {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        elif line.startswith(("Collecting ", "Processing ", "Obtaining ")):
            self.tell(self._told + 0.05 * (0.8 - self._told))
        elif line.startswith("Installing collected packages"):
            self.tell(0.85, ": unpacking, which takes a while")


class Runner:
    """Runs commands whose output goes to the log."""

    def __init__(self, log: TextIO, home: Path) -> None:
        self._log = log
        self._home = home
        self._environment = {name: text for name, text in os.environ.items() if name not in _PIP_QUIRKS}
        # Downloads survive a cancelled installation, and are on the same disk as what becomes of them.
        self._environment["PIP_CACHE_DIR"] = str(home / "cache")

    def run(self, *command: str, hear: Callable[[str], None] = lambda _line: None) -> tuple[int, str]:
        """Run a command; its exit code and its last line."""
        self._log.write(f"\n> {' '.join(command)}\n")
        self._log.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self._home,
            env=self._environment,
        )
        last = ""
        assert process.stdout is not None
        for line in process.stdout:
            if not _PROGRESS.match(line):
                self._log.write(line)
                self._log.flush()
            last = line.strip() or last
            hear(line)
        return process.wait(), last


def install(plan: dict[str, Any], log: TextIO) -> None:
    """Make the environment, fill it, check it, and let it count."""
    home, pointer = Path(plan["home"]), Path(plan["home"]) / plan["pointer"]
    folder = home / plan["name"]
    runner = Runner(log, home)
    say(text="Making room", fraction=0.0)
    remove_others(home, {present(pointer)})
    say(text="Making the environment", fraction=0.01)
    code, last = runner.run(sys.executable, "-I", "-m", "venv", str(folder))
    if code:
        fail(f"The environment could not be made ({last[:200]}): choose another Python")
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = (python, "-I", "-m", "pip", "install", *_PIP_OPTIONS)
    say(text="Preparing pip", fraction=0.04)
    # Older ones cannot tell how far a download is.
    told = runner.run(*pip, "--upgrade", "pip>=24.1")[0] == 0
    raw = ("--progress-bar", "raw") if told else ()
    bounds = ((0.06, 0.65), (0.65, 0.95))
    for (text, arguments), (low, high) in zip(plan["steps"], bounds, strict=True):
        meter = Meter(text, low, high)
        code, _last = runner.run(*pip, *raw, *arguments, hear=meter.hear)
        if code:
            say(failed=text)
            sys.exit(1)
    say(text="Checking the installation", fraction=0.96)
    code, last = runner.run(python, "-P", "-c", _CHECK)
    if code:
        fail(f"The installed backend does not start ({last[:200]}): open the log")
    versions = json.loads(last)
    if versions["splinescape"] != plan["version"]:
        fail(
            f"The extension's files are damaged: they hold the backend {versions['splinescape']}; install them again"
        )
    stamp = {"folder": folder.name, "kind": plan["kind"], "bytes": size_of(folder), **versions}
    temp = pointer.with_suffix(".tmp")
    temp.write_text(json.dumps(stamp))
    temp.replace(pointer)
    remove_others(home, {folder.name})
    shutil.rmtree(home / "cache", ignore_errors=True)
    say(done=True, fraction=1.0, text="Installed")


def main() -> None:
    """Carry out the plan that is given as the only argument."""
    plan = json.loads(sys.argv[1])
    home = Path(plan["home"])
    end_with_parent()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with only_one(home), (home / "install.log").open("w", encoding="utf-8", errors="replace") as log:
            log.write(f"Python {sys.version} at {sys.executable} on {sys.platform}\n")
            check_python(home, plan["needs_bytes"])
            install(plan, log)
    except OSError as error:
        fail(f"The folder {home} cannot be used ({error.strerror or error}): choose another one")


if __name__ == "__main__":
    main()
