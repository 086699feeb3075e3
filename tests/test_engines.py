"""Engines are found by name, chosen by what can run, and may be anything that has the role's method."""

from __future__ import annotations

import importlib
import shutil

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
    engine_names,
    inpainter,
    pick,
    rasterizer,
)
from splinescape.errors import EngineUnavailableError, InputError
from splinescape.models.catalogue import CATALOGUE
from splinescape.models.manager import ModelStore


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
    assert any("depth engine: builtin (asked for; small network)" in str(event) for event in events)


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


# Engines with weights.


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The folder of models, empty."""
    monkeypatch.setenv("SPLINESCAPE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SPLINESCAPE_DEVICE", "cpu")
    importlib.import_module("splinescape.jit")  # which keeps its cache where it is
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_a, **_k: str(tmp_path / "cache"))
    return ModelStore()


def on_disk(store, tmp_path, *ids):
    """Put files in place that look like these models from outside."""
    for id in ids:
        for name in CATALOGUE[id].files:
            file = tmp_path / id / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(bytes(100))
        store.use(id, file if len(CATALOGUE[id].files) == 1 else file.parent)


def on_gpu(monkeypatch, free=10**12):
    """As if the device were a GPU with so much free memory; nothing is loaded on it."""
    monkeypatch.setattr("splinescape.availability.device_kind", lambda: "cuda")
    monkeypatch.setattr("splinescape.engines.device_kind", lambda: "cuda")
    monkeypatch.setattr("splinescape.engines.free_memory", lambda: free)


def depth(name=None, **more):
    entry, reason = pick("depth", engines.DEPTH_ESTIMATORS, name, config=SceneConfig(), **more)
    return entry.name, reason


@pytest.mark.usefixtures("store")
def test_without_weights_everything_still_runs_and_one_line_says_why():
    name, reason = depth()
    assert name == "builtin"
    assert "5 of moge, depth-pro, 4 of depth-anything not used: no weights on this disk" in reason
    assert len(reason) < 250 and "\n" not in reason


@pytest.mark.usefixtures("store")
def test_an_engine_without_weights_says_how_to_get_them():
    for table_, entry in ((engines.INPAINTERS, "flux-2-klein"), (engines.DEPTH_ESTIMATORS, "depth-pro")):
        with pytest.raises(
            EngineUnavailableError, match=r"splinescape models download (flux-2-klein-4b|depth-pro)"
        ):
            pick("role", table_, entry)


def test_every_model_of_the_catalogue_has_its_engine():
    made_for = {entry.model for entry in (*engines.INPAINTERS, *engines.DEPTH_ESTIMATORS)} - {""}
    assert made_for == {id for id in CATALOGUE if not id.endswith("-gguf")}
    for entry in (*engines.INPAINTERS, *engines.DEPTH_ESTIMATORS):
        if entry.model:
            assert bool(entry.licence) == CATALOGUE[entry.model].licence.non_commercial


def test_a_cpu_takes_the_small_network_by_itself(store, tmp_path):
    on_disk(store, tmp_path, "moge-2-vitl-normal", "moge-2-vitb-normal", "moge-2-vits-normal")
    name, reason = depth()
    assert name == "moge-2-vits-normal"
    assert "moge-2-vitl-normal, moge-2-vitb-normal not used: too slow on a CPU" in reason


def test_a_gpu_takes_the_best_network(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "moge-2-vitl-normal", "moge-2-vitb-normal", "moge-2-vits-normal")
    on_gpu(monkeypatch)
    assert depth() == ("moge-2-vitl-normal", "best available")


def test_a_large_network_runs_on_a_cpu_when_it_is_asked_for(store, tmp_path):
    on_disk(store, tmp_path, "moge-2-vitl-normal")
    assert depth()[0] == "builtin"
    assert depth("moge-2-vitl-normal") == ("moge-2-vitl-normal", "asked for")
    assert depth("moge") == ("moge-2-vitl-normal", "best of moge")


def test_a_family_stands_for_the_best_of_its_models_on_the_disk(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "moge-2-vits-normal", "moge-vitl", "depth-anything-v2-metric-indoor-small")
    on_gpu(monkeypatch)
    assert depth("moge")[0] == "moge-2-vits-normal"
    assert depth("depth-anything")[0] == "depth-anything-v2-metric-indoor-small"
    assert set(engine_names(engines.DEPTH_ESTIMATORS)) >= {"moge", "depth-anything", "depth-pro", "builtin"}


@pytest.mark.usefixtures("store")
def test_a_family_of_which_nothing_is_there_is_refused_with_the_reason():
    with pytest.raises(EngineUnavailableError, match=r"'moge' cannot run here: 5 of moge: no weights"):
        depth("moge")


def test_what_does_not_fit_is_left_out_with_the_figures(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "moge-2-vits-normal")
    on_gpu(monkeypatch, free=10**8)
    name, reason = depth()
    assert name == "builtin" and "needs about 1.1 GB of memory, 0.1 GB are free" in reason
    assert depth(free=2 * 10**9)[0] == "moge-2-vits-normal"  # what will be free counts
    assert depth(tier=MemoryTier.LEAN)[0] == "moge-2-vits-normal"


def test_an_estimate_of_memory_refuses_no_depth_network_that_was_asked_for(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "moge-2-vits-normal")
    on_gpu(monkeypatch, free=10**8)
    assert depth("moge-2-vits-normal") == ("moge-2-vits-normal", "asked for")
    with pytest.raises(EngineUnavailableError, match=r"needs about 1\.1 GB of memory"):
        depth("moge")


def test_in_half_precision_a_network_needs_less(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "depth-pro")
    on_gpu(monkeypatch, free=5 * 10**9)
    assert depth()[0] == "depth-pro"
    monkeypatch.setattr("splinescape.availability.device_kind", lambda: "xpu")
    assert "depth-pro not used: needs about 7.9 GB of memory, 5.0 GB are free" in depth()[1]


def test_the_need_of_every_depth_network_is_known():
    for entry in engines.DEPTH_ESTIMATORS:
        if entry.model:
            assert entry.short(SceneConfig(), 0) and entry.short(SceneConfig(), 10**10) is None


def test_weights_that_must_not_be_used_commercially_are_always_labelled(store, tmp_path, monkeypatch):
    on_disk(store, tmp_path, "depth-pro")
    on_gpu(monkeypatch)
    assert "Apple Machine Learning Research Model License, no commercial use" in depth()[1]


def test_an_engine_that_cannot_be_made_gives_way_unless_it_was_asked_for():
    failed = []

    def make(_config):
        failed.append("its code does not compile")
        raise EngineUnavailableError(failed[0])

    table_ = [EngineEntry("gpu", lambda: failed[0] if failed else None, make), *table("cpu")]
    choice = choose("raster", table_, None, SceneConfig())
    assert choice.name == "cpu" and "gpu not used: its code does not compile" in choice.reason
    failed.clear()
    with pytest.raises(EngineUnavailableError, match="does not compile"):
        choose("raster", table_, "gpu", SceneConfig())


def test_one_that_does_not_say_so_gives_way_too_with_the_reason():
    def make(_config):
        raise InputError("model.safetensors is cut off")

    broken = EngineEntry("large", lambda: None, make, family="nets")
    table_ = [broken, EngineEntry("small", lambda: None, lambda _: "small", family="nets"), *table("cpu")]
    for wanted in ("auto", "nets"):
        choice = choose("depth", table_, wanted, SceneConfig())
        assert choice.name == "small"
        assert "large not used: model.safetensors is cut off" in choice.reason
    with pytest.raises(InputError, match="cut off"):
        choose("depth", table_, "large", SceneConfig())
    with pytest.raises(
        EngineUnavailableError, match=r"'nets' cannot run here: model\.safetensors is cut off"
    ):
        choose("depth", [broken, *table("cpu")], "nets", SceneConfig())


@pytest.mark.parametrize("kind", ["xpu", "mps"])
def test_splats_are_drawn_on_the_cpu_beside_other_makers_gpus(kind, monkeypatch):
    monkeypatch.setattr("splinescape.engines.device_kind", lambda: kind)
    monkeypatch.setattr("splinescape.raster.gsplat.missing", lambda: "torch sees no CUDA device")
    entry, reason = pick("raster", engines.RASTERIZERS, None)
    assert entry.name == "cpu"
    assert "gsplat not used: its kernels are for NVIDIA GPUs; networks run on the GPU" in reason


# Diffusion.


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    """The folder of a tiny FLUX Fill."""
    pytest.importorskip("diffusers")
    from diffusion_support import make_flux_fill

    return make_flux_fill(tmp_path_factory.mktemp("flux"))


def test_a_diffusion_model_is_not_taken_by_itself_on_a_cpu(store, flux):
    store.use("flux-fill", flux)
    entry, reason = pick("inpaint", engines.INPAINTERS, None, config=SceneConfig())
    assert entry.name == "builtin" and "flux-fill not used: too slow on a CPU" in reason
    assert pick("inpaint", engines.INPAINTERS, "flux-fill", config=SceneConfig())[0].name == "flux-fill"


def test_on_a_gpu_it_is_taken_where_it_fits(store, flux, monkeypatch):
    store.use("flux-fill", flux)
    on_gpu(monkeypatch)
    assert pick("inpaint", engines.INPAINTERS, None, config=SceneConfig())[0].name == "flux-fill"
    on_gpu(monkeypatch, free=10**6)
    entry, reason = pick("inpaint", engines.INPAINTERS, None, config=SceneConfig())
    assert entry.name == "builtin"
    assert "flux-fill not used: needs at least" in reason and "GiB are free on cuda" in reason


def test_a_memory_mode_that_cannot_work_here_is_refused_before_anything_is_loaded(store, flux):
    store.use("flux-fill", flux)
    with pytest.raises(EngineUnavailableError, match="memory mode 'nf4' cannot work here"):
        inpainter("flux-fill", SceneConfig(model_memory="nf4"))
    with pytest.raises(EngineUnavailableError, match="no GGUF file"):
        inpainter("flux-fill", SceneConfig(model_memory="gguf"))


def test_the_expected_memory_is_told_before_it_is_loaded(store, flux):
    store.use("flux-fill", flux)
    told = choose("inpaint", engines.INPAINTERS, "flux-fill", SceneConfig()).reason
    assert "expected memory: full" in told and "free on cpu; chosen: full" in told


def test_a_folder_that_is_something_else_is_refused_with_the_reason(store, flux, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(flux, other)
    (other / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    store.use("flux-fill", other)
    with pytest.raises(EngineUnavailableError, match="StableDiffusionPipeline"):
        pick("inpaint", engines.INPAINTERS, "flux-fill")


def test_weights_that_go_while_they_are_looked_for_are_missing(store, flux, monkeypatch):
    store.use("flux-fill", flux)

    def gone(_id):
        store.remove("flux-fill")

    monkeypatch.setattr("splinescape.engines.weights_missing", gone)
    entry, reason = pick("inpaint", engines.INPAINTERS[:1] + table("last"), None)
    assert entry.name == "last" and "flux-fill not used: the model flux-fill is not on this disk" in reason


def test_a_kept_model_takes_another_jobs_prompt_without_being_loaded_again(store, flux):
    from splinescape.service.worker.runner import WarmEngines

    store.use("flux-fill", flux)
    wanted = {"inpaint": "flux-fill", "depth": "builtin", "raster": "cpu"}
    rgb = np.full((48, 64, 3), 90, np.uint8)
    mask = np.zeros((48, 64), bool)
    mask[:, 40:] = True
    view = View(64, 48, None, np.eye(4))
    warm, made = WarmEngines(), []
    for prompt in ("", "a red barn", ""):
        config = SceneConfig(prompt=prompt, num_steps=2)
        engine = warm.choose(wanted, config, MemoryTier.FULL)["inpaint"].engine
        made.append((engine, engine.inpaint(rgb, mask, view=view, seed=1)))
    assert made[0][0] is made[1][0] is made[2][0]
    assert not np.array_equal(made[0][1], made[1][1])
    assert np.array_equal(made[0][1], made[2][1])
    fewer = warm.choose(wanted, SceneConfig(num_steps=1), MemoryTier.FULL)["inpaint"]
    assert "loaded already" in fewer.reason
    assert not np.array_equal(made[0][1], fewer.engine.inpaint(rgb, mask, view=view, seed=1))
    other = warm.choose(wanted, SceneConfig(model_memory="full"), MemoryTier.FULL)["inpaint"].engine
    assert other is not made[0][0]
