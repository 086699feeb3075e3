"""From an empty Blender to a rendered picture of a scene that was made of one photo, with mouse and keys only."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from service_support import RunningService
from trees import ROOT
from window import BlenderWindow, Box

pytestmark = pytest.mark.slow

ADDON = "bl_ext.user_default.splinescape"
SCENE = "bpy.context.scene.splinescape"
SECONDS_TO_GENERATE = 600
SECONDS_TO_ANSWER = 60
"""How long anything may take; how long it does take is noted beside the pictures, for benchmarks/README.md."""

F12 = "96"
"""The key itself: by its name, xdotool holds Alt down where the newest keyboard tables have the name twice."""


@pytest.fixture
def service(window: BlenderWindow) -> Iterator[RunningService]:
    service = RunningService(
        window.folder / "service", env={"NUMBA_NUM_THREADS": "1", "SPLINESCAPE_THREADS": "1"}
    )
    yield service
    service.stop()


def test_journey(
    window: BlenderWindow, suite: str, archive: Path, service: RunningService, picture: Callable[[str], Path]
) -> None:
    photo = _photo(window.home / "room.png")
    window.prepare(archive, _preferences(service.connection))
    window.open()
    _remove_everything(window)
    window.open_sidebar("Splinescape")
    picture("01_tab")

    _choose_image(window, photo)
    picture("02_image")

    _add_and_edit_path(window, picture)

    answers = _generate(window, picture)
    _check_scene(window)
    picture("08_scene")

    _show_splats(window)
    picture("09_splats")

    _render(window, picture)
    _note(suite, window, answers)
    assert "Traceback" not in window.log(), window.log()[-4000:]


def _photo(file: Path) -> Path:
    with Image.open(ROOT / "examples" / "room.png") as image:
        image.resize((256, 192)).save(file)
    return file


def _preferences(connection: str) -> str:
    return (
        f"chosen = bpy.context.preferences.addons[{ADDON!r}].preferences\n"
        f"chosen.backend, chosen.connection_file, chosen.quality = 'FILE', {connection!r}, 'DRAFT'"
    )


def _remove_everything(window: BlenderWindow) -> None:
    viewport = window.region("WINDOW")
    window.mouse(viewport.left + viewport.width // 3, viewport.top + viewport.height // 2)
    window.key("a", "Delete")
    window.until("len(bpy.data.objects) == 0 or not bpy.context.scene.objects[:]")


def _choose_image(window: BlenderWindow, photo: Path) -> None:
    window.click_label("Open", window.region("UI"))
    window.choose_file(photo.name, "Open Image")
    window.until(f"{SCENE}.image.image is not None and {SCENE}.image.camera is not None")
    assert window.value(f"{SCENE}.image.image.size[:]") == [256, 192]


def _add_and_edit_path(window: BlenderWindow, picture: Callable[[str], Path]) -> None:
    window.reach("Add Path")
    window.click_label("Add Path", window.region("UI"))
    window.click_label("Dolly In")
    window.until(f"{SCENE}.path.object is not None")
    _point_at_viewport(window)
    window.key("Home")
    time.sleep(2)
    picture("03_path")
    window.key("Tab")
    window.until("bpy.context.mode == 'EDIT_CURVE'")
    before = window.value(f"[list(p.co) for p in {SCENE}.path.object.data.splines[0].bezier_points]")
    window.key("a")
    _start_moving(window)
    window.key("z")
    window.type("0.05")
    picture("04_editing")
    window.key("Return", "Tab")
    window.until("bpy.context.mode == 'OBJECT'")
    after = window.value(f"[list(p.co) for p in {SCENE}.path.object.data.splines[0].bezier_points]")
    assert before != after, "the points were moved"
    window.key("KP_0")
    time.sleep(1)
    picture("05_path_edited")


def _start_moving(window: BlenderWindow) -> None:
    """Press G until Blender moves what is selected: a busy one drops keys."""
    for _ in range(5):
        window.key("g")
        time.sleep(1)
        if "TRANSFORM_OT_translate" in window.value("[m.bl_idname for m in view3d()[0].modal_operators]"):
            return
    raise AssertionError("G does not move the points")


def _point_at_viewport(window: BlenderWindow) -> None:
    viewport = window.region("WINDOW")
    window.mouse(viewport.left + viewport.width // 3, viewport.top + 2 * viewport.height // 3)


def _generate(window: BlenderWindow, picture: Callable[[str], Path]) -> list[float]:
    """Click the button and watch; seconds that the viewport took to answer keys meanwhile."""
    window.reach("Generate Scene")
    window.ask("agent.longest_gap = 0")
    window.click_label("Generate Scene", window.region("UI"))
    window.until(f"{SCENE}.generate.job")
    picture("06_sent")
    answers: list[float] = []
    grown = False
    deadline = time.monotonic() + SECONDS_TO_GENERATE
    while not window.value(f"{SCENE}.generate.delivered"):
        assert time.monotonic() < deadline, window.text(window.region("UI"))
        answers.append(_time_of_an_answer(window))
        if not grown and window.value("len(bpy.data.pointclouds) > 0"):
            grown = True
            picture("07_growing")
        time.sleep(0.5)
    assert grown, "splats appeared before the end"
    assert len(answers) > 3, answers
    return answers


def _time_of_an_answer(window: BlenderWindow) -> float:
    """Seconds from a key in the viewport (the toolbar comes or goes) to its effect, and the drawing of that."""
    _point_at_viewport(window)
    window.ask(
        "space = view3d()[1].spaces.active\n"
        "shown, drawn = space.show_region_toolbar, len(agent.draws)\n"
        "agent.watch(lambda: space.show_region_toolbar != shown and len(agent.draws) > drawn)"
    )
    pressed = time.time()
    window.inside("xdotool", "key", "t")
    window.until("agent.watched_at is not None", seconds=SECONDS_TO_ANSWER)
    return float(window.value("agent.watched_at")) - pressed


def _check_scene(window: BlenderWindow) -> None:
    cloud = f"{SCENE}.generate.scene_object"
    window.until(f"{cloud} is not None")
    assert window.value(f"{cloud}.type") == "POINTCLOUD"
    assert window.value(f"len({cloud}.data.points)") > 40_000
    assert window.value(f"{cloud}['splinescape_splats']") == 1


def _show_splats(window: BlenderWindow) -> None:
    window.reach("Material")
    window.click(*window.find("Splats", _beside(window, "Material")))
    window.until(f"{SCENE}.generate.scene_object.splinescape.display.mode == 'SPLATS'")
    time.sleep(3)


def _beside(window: BlenderWindow, label: str) -> Box:
    """The row of the sidebar in which a label stands."""
    sidebar = window.region("UI")
    _, y = window.find(label, sidebar)
    return Box(sidebar.left, y - 12, sidebar.width, 24)


def _render(window: BlenderWindow, picture: Callable[[str], Path]) -> None:
    """F12 with the extension's own engine, seen through the camera of the picture."""
    window.ask(
        "scene = bpy.context.scene\n"
        "scene.render.engine, scene.camera = 'SPLINESCAPE', scene.splinescape.image.camera\n"
        "finished = []\n"
        "bpy.app.handlers.render_complete.append(lambda *_: finished.append(True))"
    )
    _point_at_viewport(window)
    window.key(F12)
    window.until("finished", seconds=120)
    time.sleep(2)
    picture("10_render")
    result = window.folder / "render.png"
    window.ask(f"bpy.data.images['Render Result'].save_render({str(result)!r})")
    with Image.open(result) as rendered, Image.open(window.home / "room.png") as photo:
        assert rendered.size == photo.size
        difference = _mean_difference(rendered.convert("RGB"), photo.convert("RGB"))
    assert difference < 10, f"the render shows the photo: {difference} levels apart"


def _mean_difference(first: Image.Image, second: Image.Image) -> float:
    pairs = zip(first.tobytes(), second.tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / len(first.tobytes())


def _note(suite: str, window: BlenderWindow, answers: list[float]) -> None:
    """Keep the measured times beside the pictures."""
    folder = ROOT / "out" / "gui" / suite / "journey"
    times = {
        "blender": window.value("bpy.app.version_string"),
        "answers": len(answers),
        "median answer": round(sorted(answers)[len(answers) // 2], 3),
        "slowest answer": round(max(answers), 3),
        "longest turn of the main loop": round(window.value("agent.longest_gap"), 3),
    }
    (folder / "times.json").write_text(json.dumps(times, indent=1))
    shutil.copyfile(window.folder / "render.png", folder / "11_result.png")
