"""Engines are found by name, chosen by what can run, and may be anything that has the role's method."""

from __future__ import annotations

import numpy as np
import pytest
from core_support import DepthOf, InpaintOf

from splinescape import SceneConfig, ScenePipeline, View, engines
from splinescape.engines import (
    Choice,
    EngineEntry,
    MemoryTier,
    choose,
    depth_estimator,
    inpainter,
    pick,
    rasterizer,
)
from splinescape.errors import EngineUnavailableError, InputError


def table(*names, missing=()):
    return [
        EngineEntry(
            n, lambda n=n: f"{n} needs a GPU" if n in missing else None, lambda c, n=n: (n, c), "a note"
        )
        for n in names
    ]


def test_the_first_that_can_run_is_taken_and_the_reason_said():
    choice = choose("paint", table("best", "good", "last", missing=["best"]), None, SceneConfig())
    assert choice.name == "good"
    assert choice.engine[0] == "good"
    for word in ("best available", "best not used: best needs a GPU", "a note"):
        assert word in choice.reason


def test_auto_means_the_best_available():
    assert choose("paint", table("a", "b"), "auto", SceneConfig()).name == "a"


def test_an_engine_asked_for_by_name_is_taken_or_refused_with_the_reason():
    engines_ = table("best", "good", missing=["best"])
    assert choose("paint", engines_, "good", SceneConfig()).reason.startswith("asked for")
    with pytest.raises(EngineUnavailableError, match="paint engine 'best' cannot run here: best needs a GPU"):
        choose("paint", engines_, "best", SceneConfig())


def test_engines_are_made_from_the_settings():
    config = SceneConfig(prompt="a barn")
    assert choose("paint", table("a"), None, config).engine[1] is config


@pytest.mark.parametrize(
    ("make", "known"),
    [(inpainter, ".*builtin"), (depth_estimator, "moge, .*builtin"), (rasterizer, "gsplat, cpu, torch")],
)
def test_an_unknown_name_lists_the_known_ones(make, known):
    with pytest.raises(InputError, match=f"there is no .* engine 'nope'; choose one of: {known}"):
        make("nope")


@pytest.mark.parametrize("role", ["inpainter", "depth", "rasterizer"])
def test_the_pipeline_refuses_unknown_names_at_once(role):
    with pytest.raises(InputError, match=r"there is no .* engine 'nope'"):
        ScenePipeline(**{role: "nope"})


def test_every_role_has_an_engine_that_runs_everywhere():
    for entries in (engines.INPAINTERS, engines.DEPTH_ESTIMATORS, engines.RASTERIZERS):
        assert any(entry.missing() is None for entry in entries)
        assert len({entry.name for entry in entries}) == len(entries)


def test_engines_of_the_public_functions_do_their_role():
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    view = View(64, 48, None, np.eye(4))
    mask = np.zeros((48, 64), bool)
    mask[:, 50:] = True
    filled = inpainter("builtin").inpaint(rgb, mask, view=view, seed=0)
    assert (filled.shape, filled.dtype) == (rgb.shape, np.uint8)
    prediction = depth_estimator("builtin").predict(rgb, K_33=None, view=view)
    assert prediction.depth.shape == (48, 64)
    assert rasterizer("cpu").name == "cpu"


def test_objects_and_names_are_both_accepted_and_reported():
    events = []
    pipeline = ScenePipeline(
        SceneConfig(),
        inpainter=InpaintOf(lambda rgb, *_: rgb),
        depth="builtin",
        rasterizer=rasterizer("cpu"),
    )
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    result = pipeline.run(rgb, on_event=events.append)
    assert result.scene.meta.engines == {
        "inpaint": "InpaintOf",
        "depth": "builtin",
        "raster": "CpuRasterizer",
    }
    assert any("depth engine: builtin (asked for; preview quality)" in str(event) for event in events)


def test_the_choice_of_the_best_available_is_told():
    events = []
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    ScenePipeline().run(rgb, on_event=events.append)
    told = "\n".join(map(str, events))
    for role in ("inpaint", "depth", "raster"):
        assert f"{role} engine: " in told
    assert "best available" in told


def test_an_engines_own_error_is_not_hidden():
    def fail(*_):
        raise RuntimeError("out of memory on device 3")

    with pytest.raises(RuntimeError, match="device 3"):
        ScenePipeline(depth=DepthOf(fail), rasterizer="cpu").run(np.zeros((32, 32, 3), np.uint8))


def test_below_the_first_tier_an_engine_is_made_to_take_less_memory_where_it_can():
    both = EngineEntry("both", lambda: None, lambda _: "full", make_lean=lambda _: "lean")
    assert [both.build(SceneConfig(), tier) for tier in MemoryTier] == ["full", "lean", "lean"]
    only = EngineEntry("only", lambda: None, lambda _: "full")
    assert [only.build(SceneConfig(), tier) for tier in MemoryTier] == ["full"] * 3


def test_at_the_last_tier_an_engine_that_needs_the_devices_memory_is_not_chosen_any_more():
    heavy = EngineEntry("heavy", lambda: None, lambda _: "heavy", heavy=True)
    light = EngineEntry("light", lambda: None, lambda _: "light")
    names = [pick("paint", [heavy, light], None, tier)[0].name for tier in MemoryTier]
    assert names == ["heavy", "heavy", "light"]
    assert (
        "heavy not used: there is not enough memory"
        in pick("paint", [heavy, light], None, MemoryTier.LEAST)[1]
    )
    with pytest.raises(
        EngineUnavailableError, match="paint engine 'heavy' cannot run here: there is not enough"
    ):
        pick("paint", [heavy, light], "heavy", MemoryTier.LEAST)


def test_a_choice_made_before_is_reported_as_if_the_pipeline_had_made_it():
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    events = []
    choice = Choice(rasterizer("cpu"), "cpu", "best available")
    result = ScenePipeline(rasterizer=choice).run(rgb, on_event=events.append)
    assert result.scene.meta.engines["raster"] == "cpu"
    assert "raster engine: cpu (best available)" in map(str, events)
