"""A real Blender in a window on a virtual screen, driven by mouse and keys as a person would, and looked at."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGENT = Path(__file__).with_name("agent.py")
WIDTH, HEIGHT = 1600, 1000
START_SECONDS = 180
"""The first start compiles Blender's shaders in software."""

OCR_SCALE = 3
TAB_STRIP = 24
"""Pixels at the right of the sidebar in which the tabs' names stand, turned by 90 degrees."""

WITHOUT_TITLES = """\
<openbox_config xmlns="http://openbox.org/3.4/rc">
<keyboard><keybind key="A-F4"><action name="Close"/></keybind></keyboard>
<applications><application class="*"><decor>no</decor></application></applications>
</openbox_config>
"""
"""Openbox: a window's corner is then the screen's, so that Blender's coordinates are the mouse's."""


@dataclass(frozen=True)
class Word:
    """A piece of text on the screen, in pixels from the top left corner."""

    text: str
    left: int
    top: int
    width: int
    height: int
    line: tuple[int, ...]

    @property
    def centre(self) -> tuple[int, int]:
        return self.left + self.width // 2, self.top + self.height // 2


@dataclass(frozen=True)
class Box:
    """A part of the screen, in pixels from the top left corner."""

    left: int
    top: int
    width: int
    height: int


SCREEN = Box(0, 0, WIDTH, HEIGHT)

_CHOSEN_FILE = (
    "next((a.spaces.active.params.filename for w in bpy.context.window_manager.windows for a in w.screen.areas"
    " if a.type == 'FILE_BROWSER'), '')"
)


class BlenderWindow:
    """Xvfb, a window manager and Blender with the extension, all ended by `close`.

    `folder` must lie below /tmp, which the tree shares; it becomes Blender's home.
    """

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree = tree
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.commands = folder / "commands"
        self.pictures = folder / "pictures"
        self.pictures.mkdir(exist_ok=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.blender: subprocess.Popen[bytes] | None = None
        self.display = ""
        self.sent = 0

    # Processes

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BLENDER_HOME": str(self.home),
            "BIND": str(Path(__file__).resolve().parents[2]),
            "DISPLAY": self.display,
            "SPLINESCAPE_GUI_AGENT": str(self.commands),
            "MESA_SHADER_CACHE_DIR": f"/tmp/splinescape-gui-shaders-{self.tree.stem}",
            "OMP_NUM_THREADS": "1",
            "OMP_THREAD_LIMIT": "1",
        }

    def inside(self, *command: str | Path, seconds: float = 120) -> str:
        """Run a command in the tree to its end; what it printed. AssertionError if it fails."""
        ran = subprocess.run(
            [str(part) for part in (self.tree, *command)],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=self.folder,
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def _start(self, *command: str | Path, log: str, stdout: Any = None) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as file:
            process = subprocess.Popen(
                [str(part) for part in (self.tree, *command)],
                env=self._environment(),
                stdout=stdout or file,
                stderr=file,
                cwd=self.folder,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def prepare(self, archive: Path | None, expression: str = "") -> str:
        """Without a window: install the extension's zip and save preferences; Blender's words."""
        said = ""
        if archive is not None:
            said = self.inside(
                "blender", "--command", "extension", "install-file", "-r", "user_default", "-e", archive
            )
        setup = (
            "import bpy\n"
            "bpy.context.preferences.view.show_splash = False\n"
            "bpy.context.preferences.view.use_save_prompt = False\n"
            f"{expression}\n"
            "bpy.ops.wm.save_userpref()\n"
        )
        return said + self.inside("blender", "-b", "--python-exit-code", "3", "--python-expr", setup)

    def open(self, file: Path | None = None) -> None:
        """Start the screen and Blender, and wait until it answers."""
        if not self.display:
            self._open_screen()
        self.commands = self.folder / f"commands-{time.monotonic_ns()}"
        self.commands.mkdir()
        self.sent = 0
        geometry = ("--window-geometry", "0", "0", str(WIDTH), str(HEIGHT))
        self.blender = self._start(
            *("blender", *geometry, *((file,) if file else ()), "-P", AGENT), log="blender.log"
        )
        self.ask("result = True", seconds=START_SECONDS)
        self.until("len(agent.draws) > 0", seconds=START_SECONDS)

    def _open_screen(self) -> None:
        screen = self._start(
            *("Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"),
            log="xvfb.log",
            stdout=subprocess.PIPE,
        )
        assert screen.stdout is not None
        number = screen.stdout.readline().decode().strip()
        assert number, f"Xvfb did not start: {(self.folder / 'xvfb.log').read_text()}"
        self.display = f":{number}"
        settings = self.folder / "openbox.xml"
        settings.write_text(WITHOUT_TITLES)
        self._start("openbox", "--config-file", settings, log="openbox.log")

    def kill_blender(self) -> None:
        """End Blender as a crash would; the screen stays."""
        if self.blender is not None:
            self.blender.kill()
            self.blender.wait()
            self.blender = None

    def close(self) -> None:
        """End everything."""
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.processes.clear()

    def log(self) -> str:
        """What Blender has printed."""
        return (self.folder / "blender.log").read_text(errors="replace")

    # Python inside

    def ask(self, code: str, seconds: float = START_SECONDS) -> Any:
        """Run Python in Blender's main loop; what it leaves in `result`."""
        command = self.commands / f"{self.sent}.py"
        part = command.with_suffix(".new")
        part.write_text(code)
        part.rename(command)
        self.sent += 1
        answer = command.with_suffix(".json")
        deadline = time.monotonic() + seconds
        while not answer.exists():
            assert self.blender is not None and self.blender.poll() is None, (
                f"Blender ended: {self.log()[-3000:]}"
            )
            assert time.monotonic() < deadline, f"no answer within {seconds} s: {code}\n{self.log()[-3000:]}"
            time.sleep(0.01)
        answered = json.loads(answer.read_text())
        assert "error" not in answered, answered.get("error")
        return answered["result"]

    def value(self, expression: str, seconds: float = START_SECONDS) -> Any:
        """What a Python expression is inside Blender."""
        return self.ask(f"result = {expression}", seconds)

    def until(self, expression: str, seconds: float = 30) -> Any:
        """Wait until a Python expression is true inside Blender; its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.value(expression)
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}\n{self.log()[-3000:]}"
            time.sleep(0.05)

    # Mouse and keys

    def mouse(self, x: int, y: int) -> None:
        """Move the mouse; the last step is a small one, which Blender needs to notice what is below."""
        self.inside(
            "xdotool", "mousemove", str(x - 3), str(y - 1), "sleep", "0.15", "mousemove", str(x), str(y)
        )
        time.sleep(0.15)

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Move there and click."""
        self.mouse(x, y)
        self.inside("xdotool", "click", str(button))
        time.sleep(0.3)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press at one place and let go at another."""
        self.mouse(*start)
        self.inside(
            *("xdotool", "mousedown", "1", "sleep", "0.2", "mousemove", str(end[0] - 3), str(end[1] - 3)),
            *("sleep", "0.2", "mousemove", str(end[0]), str(end[1]), "sleep", "0.2", "mouseup", "1"),
        )
        time.sleep(0.3)

    def key(self, *keys: str) -> None:
        """Press keys, one after the other, where the mouse is."""
        for key in keys:
            self.inside("xdotool", "key", key)
            time.sleep(0.2)

    def choose_file(self, name: str, button: str) -> None:
        """In an open file browser, which begins in `home`: click the file, or type its name, and accept."""
        x, y = self.find("Cancel")
        time.sleep(1)
        for attempt in range(6):
            place = locate(self.words(), name)
            if place is not None:
                self.click(*place)
            elif attempt > 1:
                self._type_file_name(x - 200, y, name)
            time.sleep(1)
            if self.value(_CHOSEN_FILE) == name:
                break
        self.click(*self.find(button, Box(x, y - 20, WIDTH - x, 40)))

    def _type_file_name(self, x: int, y: int, name: str) -> None:
        self.click(x, y)
        time.sleep(1)
        if not self.words(
            Box(x - 400, y - 16, 540, 32)
        ):  # an empty field: keys elsewhere would choose something
            self.type(name)
        self.key("Return")

    def type(self, text: str) -> None:
        """Type text."""
        self.inside("xdotool", "type", "--delay", "30", text)
        time.sleep(0.2)

    def scroll(self, x: int, y: int, steps: int) -> None:
        """Turn the wheel: down with positive steps."""
        self.mouse(x, y)
        button = "5" if steps > 0 else "4"
        self.inside("xdotool", "click", "--repeat", str(abs(steps)), "--delay", "60", button)
        time.sleep(0.4)

    # What can be seen

    def region(self, kind: str) -> Box:
        """Where a region of the 3D viewport is on the screen: "WINDOW", "UI", "HEADER"."""
        left, bottom, width, height, window_height = self.ask(
            f"window, area = view3d()\n"
            f"r = next(r for r in area.regions if r.type == {kind!r})\n"
            "result = r.x, r.y, r.width, r.height, window.height"
        )
        return Box(left, window_height - bottom - height, width, height)

    def screenshot(self, name: str) -> Path:
        """A picture of the screen."""
        file = self.pictures / f"{name}.png"
        self.inside("import", "-window", "root", file)
        return file

    def words(self, box: Box = SCREEN) -> list[Word]:
        """The text that can be read in a part of the screen, in reading order."""
        picture = self.pictures / "reading.png"
        self.inside("import", "-window", "root", picture)
        crop = f"{box.width}x{box.height}+{box.left}+{box.top}"
        self.inside("convert", picture, "-crop", crop, "+repage", picture)
        return self._read(picture, box)

    def _read(self, picture: Path, box: Box) -> list[Word]:
        """The text in a picture, which is a part of the screen; the picture is changed."""
        clear = ("-colorspace", "Gray", "-resize", f"{100 * OCR_SCALE}%", "-level", "36%,70%", "-negate")
        self.inside("convert", picture, *clear, picture)
        table = self.inside("tesseract", picture, "-", "--dpi", "220", "--psm", "11", "tsv")
        found = []
        for row in table.splitlines()[1:]:
            cells = row.split("\t")
            if len(cells) < 12 or not cells[11].strip():
                continue
            left, top, width, height = (int(cell) // OCR_SCALE for cell in cells[6:10])
            line = tuple(int(cell) for cell in cells[1:5])
            found.append(Word(cells[11].strip(), box.left + left, box.top + top, width, height, line))
        return found

    def text(self, box: Box = SCREEN) -> str:
        """The same as one text, a line for each line."""
        lines: dict[tuple[int, ...], list[str]] = {}
        for word in self.words(box):
            lines.setdefault(word.line, []).append(word.text)
        return "\n".join(" ".join(words) for words in lines.values())

    def find(self, label: str, box: Box = SCREEN, seconds: float = 45) -> tuple[int, int]:
        """Where a label is on the screen. AssertionError with all that can be read if it is not there."""
        deadline = time.monotonic() + seconds
        while True:
            words = self.words(box)
            place = locate(words, label)
            if place is not None:
                return place
            assert time.monotonic() < deadline, f"no {label!r} among: {[word.text for word in words]}"

    def open_sidebar(self, tab: str) -> None:
        """Point at the viewport, press N unless its sidebar is open, and click a tab."""
        viewport = self.region("WINDOW")
        self.mouse(viewport.left + viewport.width // 3, viewport.top + viewport.height // 2)
        if not self.value("view3d()[1].spaces.active.show_region_ui"):
            self.key("n")
        self.until("view3d()[1].spaces.active.show_region_ui")
        self.click(*self._find_tab(tab))

    def _find_tab(self, name: str, seconds: float = 45) -> tuple[int, int]:
        """Where a tab of the sidebar is; names are read with the picture turned."""
        picture = self.pictures / "reading.png"
        deadline = time.monotonic() + seconds
        while True:
            bar = self.region("UI")
            strip = Box(bar.left + bar.width - TAB_STRIP, bar.top, TAB_STRIP, bar.height)
            self.inside("import", "-window", "root", picture)
            crop = f"{strip.width}x{strip.height}+{strip.left}+{strip.top}"
            self.inside("convert", picture, "-crop", crop, "+repage", "-rotate", "-90", picture)
            words = self._read(picture, Box(0, 0, strip.height, strip.width))
            place = locate(words, name)
            if place is not None:
                return strip.left + strip.width // 2, strip.top + place[0]
            assert time.monotonic() < deadline, f"no tab {name!r} among: {[word.text for word in words]}"

    def reach(self, label: str) -> None:
        """Turn the wheel over the sidebar until a label can be seen."""
        sidebar = self.region("UI")
        x, y = sidebar.left + sidebar.width // 3, sidebar.top + sidebar.height // 2
        self.scroll(x, y, -40)
        for _ in range(12):
            words = self.words(Box(sidebar.left, sidebar.top, sidebar.width, sidebar.height - 40))
            if locate(words, label) is not None:
                return
            self.scroll(x, y, 8)
        raise AssertionError(f"no {label!r} in the sidebar; at its end: {[word.text for word in words]}")

    def click_label(self, label: str, box: Box = SCREEN) -> None:
        """Click what carries a label."""
        self.click(*self.find(label, box))


def locate(words: list[Word], label: str) -> tuple[int, int] | None:
    """The centre of a label, whose words stand beside each other; None if it is not there.

    Reading cuts words at the wrong places and takes icons for punctuation: only letters and digits count. A line that
    says nothing else is preferred to one that mentions the label.
    """
    wanted = _letters(label)
    found: list[tuple[bool, tuple[int, int]]] = []
    for start, first in enumerate(words):
        run: list[Word] = []
        for word in words[start:]:
            if word.line != first.line or not wanted.startswith(
                _letters("".join(w.text for w in [*run, word]))
            ):
                break
            run.append(word)
        if run and _letters("".join(word.text for word in run)) == wanted:
            alone = _letters("".join(word.text for word in words if word.line == first.line)) == wanted
            centre = (run[0].left + run[-1].left + run[-1].width) // 2, run[0].centre[1]
            found.append((not alone, centre))
    return min(found)[1] if found else None


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def wait(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for something outside Blender."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def keep(picture: Path, folder: Path) -> None:
    """Keep a picture as test output."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(picture, folder / picture.name)
