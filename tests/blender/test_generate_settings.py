"""Every setting of a scene is there in Blender under the service's name, with its range and default."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from bl_ext.user_default.splinescape import preferences
from bl_ext.user_default.splinescape.backend import connect
from bl_ext.user_default.splinescape.generate import jobs, logs, presets, properties, request
from generate_support import picture, set_up
from service import RunningService, main_python, until, use

OWN_DEFAULTS = {"stage": "coarse"}
NOT_IN_BLENDER = {"traj_type", "coarse_print_summary"}
"""Follows from whether there is a path; is about printing."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, object]]]:
    service = RunningService(tmp_path_factory.mktemp("service") / "data")
    use(service.connection)
    client = connect.current_client()
    assert client is not None
    until(lambda: client.capabilities, 30, client.poll)
    yield client.capabilities.settings["properties"]
    service.kill()


def test_every_setting_is_there_with_its_range_and_default(schema: dict[str, dict[str, object]]) -> None:
    assert set(properties.SETTINGS) == schema.keys() - NOT_IN_BLENDER
    shown = bpy.context.scene.splinescape.generate.bl_rna.properties
    for name, wanted in schema.items():
        if name in NOT_IN_BLENDER:
            continue
        own = shown[name]
        assert own.default == pytest.approx(OWN_DEFAULTS.get(name, wanted["default"])), name
        if own.type in ("INT", "FLOAT"):
            assert own.hard_min >= wanted["minimum"] - 1e-6, name
            assert own.hard_max <= wanted.get("maximum", wanted.get("exclusiveMaximum")) + 1e-6, name
        elif own.type == "ENUM":
            assert [each.identifier for each in own.enum_items] == wanted["enum"], name


def test_engines_are_those_of_the_backend_and_the_choice_outlives_it(
    schema: dict[str, object],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = connect.current_client()
    assert client is not None
    until(lambda: client.capabilities and client.capabilities.engines, 60, lambda: _ask(client))
    items = {name: text for name, _, text, _, _ in properties.engine_items("depth")}
    assert items["auto"]
    assert items["builtin"] == "small network"
    own = bpy.context.scene.splinescape.generate
    own.depth, own.raster = (
        "builtin",
        "torch",
    )  # the latter is not among those that are known without a backend
    monkeypatch.setattr(connect, "current_client", lambda: None)
    assert (own.depth, own.inpaint) == ("builtin", "auto")
    assert properties.chosen_engine(own, "raster") in ("torch", "auto")
    monkeypatch.undo()
    assert own.raster == "torch"


@pytest.mark.slow
def test_the_menu_of_engines_hears_of_models_without_a_new_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLINESCAPE_MODELS", str(tmp_path / "models"))
    service = RunningService(tmp_path / "data")
    use(service.connection)

    def label() -> str:
        return next((text for name, text, *_ in properties.engine_items("depth") if name == "moge-vitl"), "")

    until(lambda: label() == "moge-vitl (unavailable)", 60, jobs.tick)
    shown = jobs.changes()
    weights = tmp_path / "model.pt"
    weights.write_bytes(bytes(100))
    command = [main_python(), "-m", "splinescape.cli.main", "models", "use", "moge-vitl", str(weights)]
    subprocess.run(command, check=True)
    until(lambda: label() == "moge-vitl", 30, jobs.tick)
    assert jobs.changes() != shown  # or nobody would draw the panel again
    service.kill()


def _ask(client: object) -> None:
    client.hello()  # type: ignore[attr-defined]
    client.poll()  # type: ignore[attr-defined]


def test_numbers_are_sent_as_they_are_shown(tmp_path: Path) -> None:
    scene = set_up(tmp_path, {})
    made = request.request_of(scene, bpy.context.evaluated_depsgraph_get())
    assert made.order.settings["expansion_percent"] == 0.3
    assert made.order.settings["coarse_min_inpaint_ratio"] == 0.05
    assert made.order.settings["traj_type"] == "json"
    assert made.order.engines == {"inpaint": "auto", "depth": "auto", "raster": "auto"}
    assert made.order.focal_px is None
    assert len(json.loads(made.order.path_json)["poses"]) > 10
    assert json.loads(made.facts())["settings"] == dict(made.order.settings)


def test_the_cameras_lens_is_sent_when_it_is_wanted(tmp_path: Path) -> None:
    scene = set_up(tmp_path, {})
    scene.splinescape.image.use_camera_lens = True
    scene.splinescape.image.camera.data.lens = 36.0
    made = request.request_of(scene, bpy.context.evaluated_depsgraph_get())
    assert made.order.focal_px == pytest.approx(96.0)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [("coarse_min_inpaint_ratio", 0.9, "Least Uncovered"), ("traj_min_percentage", 60.0, "Lower Percentile")],
)
def test_settings_that_contradict_each_other_are_said(
    tmp_path: Path, name: str, value: float, word: str
) -> None:
    scene = set_up(tmp_path, {name: value})
    with pytest.raises(ValueError, match=word):
        request.request_of(scene, bpy.context.evaluated_depsgraph_get())


def test_the_first_picture_brings_the_preferred_quality(tmp_path: Path) -> None:
    preferences.preferences().quality = "DRAFT"
    try:
        own = bpy.context.scene.splinescape.generate
        bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "a.png")))
        assert presets.quality_of(own) == "DRAFT"
        bpy.ops.splinescape.set_quality(quality="HIGH")
        assert presets.quality_of(own) == "HIGH"
        bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "b.png")))
        assert presets.quality_of(own) == "HIGH"
        own.n_frames = 7
        assert presets.quality_of(own) == ""
    finally:
        preferences.preferences().quality = "PREVIEW"


def test_presets_are_within_the_settings() -> None:
    for quality in presets.PRESETS:
        target = SimpleNamespace()
        presets.apply_preset(target, quality)
        own = bpy.context.scene.splinescape.generate
        presets.apply_preset(own, quality)
        assert all(getattr(own, name) == value for name, value in vars(target).items())


def test_the_log_of_a_dead_backend_is_refused_at_once(tmp_path: Path) -> None:
    use(tmp_path / "nobody.json")
    begin = time.monotonic()
    with pytest.raises(request.GenerateError, match="click Reconnect"):
        logs.read_log("0" * 32)
    assert time.monotonic() - begin < 2.0
