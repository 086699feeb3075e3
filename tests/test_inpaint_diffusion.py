"""Diffusion inpainters on tiny models in the published formats: they load, fill, repeat themselves, and say what is
wrong with a model's files."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusion_support import FLUX, edit_weights, gpu, hole, make_flux_fill, make_gguf, make_klein, view

from splinescape.errors import CancelledError, EngineUnavailableError, InputError, NotEnoughMemoryError
from splinescape.inpaint.diffusion import FluxFillInpainter, KleinInpainter, memory
from splinescape.inpaint.diffusion.families import FLUX_FILL
from splinescape.inpaint.diffusion.folder import open_folder
from splinescape.inpaint.diffusion.loading import load_transformer, quantisation, release

CPU = torch.device("cpu")
ENGINES = {"fill": FluxFillInpainter, "klein": KleinInpainter}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {"fill": make_flux_fill(root / "fill"), "klein": make_klein(root / "klein")}


@pytest.fixture(scope="module")
def gguf(folders: dict[str, Path]) -> Path:
    folder = folders["fill"].parent / "gguf"
    folder.mkdir()
    return make_gguf(folder / "flux1-fill-dev-Q8_0.gguf", folders["fill"])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A cache of its own, and no network."""

    def refuse(*_args: object) -> None:
        raise AssertionError("loading a model touched the network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_a, **_k: str(tmp_path / "cache"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield


def fill(engine: Any, seed: int = 1, size: tuple[int, int] = (96, 80)) -> np.ndarray:
    rgb, mask = hole(*size)
    return engine.inpaint(rgb, mask, view=view(*size), seed=seed)


def make(kind: str, folder: Path, **settings: Any) -> Any:
    return ENGINES[kind](folder, CPU, steps=2, **settings)


@pytest.fixture(params=["fill", "klein"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


# What they promise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 80), (101, 67), (300, 270)])
def test_the_hole_is_filled_and_known_pixels_come_back_as_they_are(kind, folders, size):
    rgb, mask = hole(*size)
    filled = fill(make(kind, folders[kind]), size=size)
    assert filled.shape == rgb.shape and filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[~mask], rgb[~mask])
    assert filled[mask].std() > 1


def test_a_seed_means_one_picture(kind, folders):
    engine = make(kind, folders[kind])
    first = fill(engine, seed=7)
    np.testing.assert_array_equal(first, fill(engine, seed=7))
    np.testing.assert_array_equal(first, fill(make(kind, folders[kind]), seed=7))
    assert (first != fill(engine, seed=8)).any()


def test_the_prompt_reaches_the_picture(kind, folders):
    assert (fill(make(kind, folders[kind], prompt="a red house")) != fill(make(kind, folders[kind]))).any()


def test_guidance_reaches_flux_fill(folders):
    low, high = (fill(make("fill", folders["fill"], guidance=value)) for value in (1.0, 60.0))
    assert (low != high).any()


def test_nothing_to_fill_loads_nothing(kind, folders):
    rgb, mask = hole()
    engine = make(kind, folders[kind])
    np.testing.assert_array_equal(engine.inpaint(rgb, mask & False, view=view(), seed=0), rgb)
    assert engine.mode is None and engine.announced == ""


def test_a_picture_without_a_known_pixel_is_painted_whole(kind, folders):
    rgb, mask = hole()
    filled = make(kind, folders[kind]).inpaint(rgb, mask | True, view=view(), seed=0)
    assert filled.shape == rgb.shape and filled.std() > 1


def test_the_expected_memory_is_told_once_before_loading(kind, folders, caplog):
    caplog.set_level("INFO", "splinescape.inpaint.diffusion")
    engine = make(kind, folders[kind])
    fill(engine)
    fill(engine)
    told = [record.message for record in caplog.records if "expected memory" in record.message]
    assert told == [engine.announced]
    assert "full" in told[0] and "free on cpu" in told[0] and engine.mode == "full"


def test_the_first_step_of_the_second_picture_comes_at_once(kind, folders):
    engine = make(kind, folders[kind])
    fill(engine)
    before = id(engine._pipe)
    fill(engine)
    assert id(engine._pipe) == before


def test_a_distilled_klein_takes_four_steps_at_most(folders, tmp_path):
    steps = []
    for folder, guidance in ((folders["klein"], 30.0), (make_klein(tmp_path / "base", distilled=False), 4.0)):
        engine = KleinInpainter(folder, CPU, steps=6, guidance=guidance)
        fill(engine)
        steps.append(engine._pipe._num_timesteps)
    assert steps == [4, 6]


def test_every_step_is_told(kind, folders):
    told = []
    rgb, mask = hole()
    engine = make(kind, folders[kind])
    made = engine.inpaint(rgb, mask, view=view(), seed=1, on_step=lambda *step: told.append(step))
    assert told == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(made, fill(engine, seed=1))


@pytest.mark.parametrize("mode", ["full", "offload", "stream"])
def test_cancel_stops_after_the_step_and_the_next_picture_is_right(kind, folders, monkeypatch, mode):
    monkeypatch.setitem(memory._ON, "cpu", ("full", mode))
    engine = make(kind, folders[kind], memory=mode)
    whole, pipe = fill(engine), engine._pipe
    cancel, told = threading.Event(), []

    def on_step(step: int, total: int) -> None:
        told.append((step, total))
        cancel.set()

    rgb, mask = hole()
    with pytest.raises(CancelledError):
        engine.inpaint(rgb, mask, view=view(), seed=1, on_step=on_step, cancel=cancel)
    assert told == [(1, 2)]
    assert engine._pipe is (pipe if mode == "full" else None)  # what moves its weights is loaded anew
    np.testing.assert_array_equal(fill(engine), whole)


def test_cancel_comes_before_a_long_load(kind, folders):
    cancel = threading.Event()
    cancel.set()
    engine = make(kind, folders[kind])
    with pytest.raises(CancelledError):
        engine.inpaint(*hole(), view=view(), seed=1, cancel=cancel)
    assert engine.mode is None


# Prompts' embeddings -----------------------------------------------------------------------------------------------


def test_a_known_prompt_needs_no_text_encoder(kind, folders, tmp_path):
    folder = shutil.copytree(folders[kind], tmp_path / "model")
    first = fill(make(kind, folder, prompt="a lake"))
    for part in folder.glob("text_encoder*"):
        shutil.rmtree(part)
    np.testing.assert_array_equal(fill(make(kind, folder, prompt="a lake")), first)
    with pytest.raises(InputError, match=r"text_encoder.*never used"):
        fill(make(kind, folder, prompt="a forest"))


def test_a_new_prompt_without_room_for_text_encoders_is_refused(kind, folders, monkeypatch):
    whole = fill(make(kind, folders[kind]))
    engine, place = make(kind, folders[kind]), memory.Place("cpu", 1000, 1000, 4)
    monkeypatch.setattr(engine, "_place", lambda: place)
    monkeypatch.setattr(engine, "_choose", lambda *_: "full")
    np.testing.assert_array_equal(fill(engine), whole)  # a prompt that is known needs none
    assert "prompt:" not in engine.announced
    engine.adjust(steps=2, guidance=30.0, prompt="something new")
    with pytest.raises(NotEnoughMemoryError, match=r"text encoders of FLUX.*new prompt.*neither the device"):
        fill(engine)


def test_text_encoders_are_gone_before_the_rest_is_loaded(kind, folders, monkeypatch):
    from transformers import PreTrainedModel

    alive = []

    def look(*args: Any, **kwargs: Any) -> Any:
        gc.collect()
        alive.append(sum(isinstance(thing, PreTrainedModel) for thing in gc.get_objects()))
        return load_transformer(*args, **kwargs)

    monkeypatch.setattr("splinescape.inpaint.diffusion.engine.load_transformer", look)
    fill(make(kind, folders[kind], prompt="never seen before"))
    assert alive == [0]


def test_damaged_embeddings_are_made_anew(kind, folders, tmp_path):
    first = fill(make(kind, folders[kind]))
    (kept,) = (tmp_path / "cache" / "embeddings").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(fill(make(kind, folders[kind])), first)


def test_other_text_encoders_have_other_embeddings(folders, tmp_path):
    first = fill(make("fill", folders["fill"]))
    folder = shutil.copytree(folders["fill"], tmp_path / "model")
    edit_weights(folder / "text_encoder_2", lambda tensors: tensors["shared.weight"].mul_(3))
    assert (fill(make("fill", folder)) != first).any()


# Ways of holding the weights ---------------------------------------------------------------------------------------


def test_a_gguf_transformer_paints_nearly_the_same(folders, gguf):
    whole = fill(make("fill", folders["fill"])).astype(int)
    for path in (gguf, gguf.parent):
        engine = make("fill", folders["fill"], memory="gguf", gguf=path)
        assert np.abs(fill(engine).astype(int) - whole).mean() < 1
        assert engine.mode == "gguf"


def test_a_gguf_transformer_needs_no_other_one(folders, gguf, tmp_path):
    folder = shutil.copytree(folders["fill"], tmp_path / "model")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    engine = make("fill", folder, gguf=gguf)
    fill(engine)
    assert engine.mode == "gguf"
    with pytest.raises(EngineUnavailableError, match="only the GGUF file"):
        fill(make("fill", folder, gguf=gguf, memory="full"))


@pytest.fixture
def single(folders, tmp_path) -> Path:
    """A tiny transformer alone in a safetensors file, its tensors under diffusers' names."""
    (published,) = (folders["fill"] / "transformer").glob("*.safetensors")
    return Path(shutil.copy(published, tmp_path / "flux1-fill-dev.safetensors"))


def test_a_transformer_in_a_single_safetensors_file_paints_the_same(folders, single, tmp_path):
    folder = shutil.copytree(folders["fill"], tmp_path / "model")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    engine = make("fill", folder, gguf=single)
    np.testing.assert_array_equal(fill(engine), fill(make("fill", folders["fill"], memory="full")))
    assert engine.mode == "gguf" and "transformer from a single file" in engine.announced
    assert memory.transformer_bytes(engine._size, "gguf") == sum(
        2 * value.numel() for value in engine._pipe.transformer.state_dict().values()
    )


def test_what_is_wrong_with_a_single_file_is_told(folders, single, tmp_path):
    def told(file: Path) -> str:
        return complaint("fill", folders["fill"], memory="gguf", gguf=file)

    content = single.read_bytes()
    cut, packed = tmp_path / "cut.safetensors", tmp_path / "alone" / "packed.safetensors"
    cut.write_bytes(content[:-10])
    assert "its header promises" in told(cut)
    packed.parent.mkdir()
    shutil.copy(single, packed)
    edit_weights(packed.parent, lambda tensors: tensors.update({"x_embedder.scale_weight": torch.ones(1)}))
    assert "packed in a way" in told(packed)
    edit_weights(
        packed.parent,
        lambda tensors: (tensors.pop("x_embedder.scale_weight"), tensors.pop("x_embedder.bias")),
    )
    assert "lacks 1 of its" in told(packed) and "x_embedder.bias" in told(packed)


def test_a_transformer_that_is_streamed_computes_the_same(folders):
    from diffusers import FluxTransformer2DModel

    folder = open_folder(folders["fill"], FLUX_FILL.layout)
    told = {
        "hidden_states": torch.randn(1, 6, 288),
        "encoder_hidden_states": torch.randn(1, 4, 32),
        "pooled_projections": torch.randn(1, 32),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([30.0]),
        "img_ids": torch.zeros(6, 3),
        "txt_ids": torch.zeros(4, 3),
    }
    with torch.inference_mode():
        results = [
            load_transformer(folder, FluxTransformer2DModel, mode, CPU, torch.float32, None)(**told).sample
            for mode in ("full", "stream")
        ]
    torch.testing.assert_close(*results, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["offload", "stream"])
def test_weights_that_move_to_and_fro_paint_the_same(kind, folders, monkeypatch, mode):
    """From the CPU to the CPU: the same hooks as for a GPU, without its streams."""
    whole = fill(make(kind, folders[kind]))
    monkeypatch.setitem(memory._ON, "cpu", ("full", mode))
    engine = make(kind, folders[kind], memory=mode)
    np.testing.assert_array_equal(fill(engine), whole)
    np.testing.assert_array_equal(fill(engine), whole)
    assert engine.mode == mode


def test_a_lean_engine_takes_much_less_than_fits(folders):
    engine = make("fill", folders["fill"], lean=True)
    engine._size = FLUX
    for free, mode in ((140, "nf4"), (12, "stream")):
        assert engine._choose(gpu(free), 1344, 1024) == mode
    assert engine._choose(memory.Place("cpu", 10**12, 10**12), 672, 512) == "full"  # nothing leaner there


def test_pinned_memory_is_given_back_too(monkeypatch):
    # Only an accelerator pins memory, so that only the request can be looked at here.
    asked = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "empty_host_cache", lambda: asked.append(1), raising=False)
    release(CPU)
    assert asked == [1]


@pytest.mark.parametrize("mode", ["offload", "stream", "8bit", "nf4"])
def test_a_mode_that_cannot_work_here_is_refused_with_the_reason(kind, folders, mode):
    with pytest.raises(EngineUnavailableError, match=f"'{mode}' cannot work here.*cpu"):
        fill(make(kind, folders[kind], memory=mode))


def test_gguf_without_a_file_is_refused(folders):
    with pytest.raises(EngineUnavailableError, match="no GGUF file"):
        fill(make("fill", folders["fill"], memory="gguf"))


def test_bitsandbytes_is_told_to_pack_as_promised():
    # Its layers need a GPU in diffusers, so that only the request can be looked at here.
    eight = quantisation("8bit", torch.bfloat16)["quantization_config"]
    assert eight.load_in_8bit and not eight.load_in_4bit
    four = quantisation("nf4", torch.bfloat16)["quantization_config"]
    assert four.load_in_4bit and four.bnb_4bit_quant_type == "nf4" and four.bnb_4bit_use_double_quant
    assert four.bnb_4bit_compute_dtype == torch.bfloat16
    assert quantisation("full", torch.bfloat16) == {}


# What is wrong with a model's files --------------------------------------------------------------------------------


@pytest.fixture
def broken(kind, folders, tmp_path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(folders[kind], tmp_path / "broken")


def complaint(kind: str, folder: Path, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        fill(make(kind, folder, **settings))
    text = str(caught.value)
    assert "\n" not in text and len(text) < 600
    return text


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_a_missing_tensor_is_named(kind, broken, part):
    def drop(tensors: dict[str, Any]) -> None:
        name = next(name for name in tensors if name.endswith("weight") and "embed_tokens" not in name)
        del tensors[name]

    edit_weights(broken / part, drop)
    text = complaint(kind, broken)
    assert part in text and "lacks 1 of its" in text


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_a_truncated_file_is_named(kind, broken, part):
    (path,) = (broken / part).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])
    text = complaint(kind, broken)
    assert path.name in text and "download" in text


def test_tensors_of_another_size_are_named(kind, broken):
    edit_weights(broken / "transformer", lambda t: t.update({"proj_out.weight": torch.zeros(3, 5)}))
    assert (
        "proj_out.weight" in (text := complaint(kind, broken)) and "3x5" in text and "another model" in text
    )


def test_another_pipeline_is_named(kind, broken):
    index = json.loads((broken / "model_index.json").read_text())
    (broken / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPipeline"}))
    assert "StableDiffusionPipeline" in complaint(kind, broken)


def test_a_part_of_another_class_is_named(kind, broken):
    index = json.loads((broken / "model_index.json").read_text())
    (broken / "model_index.json").write_text(
        json.dumps(index | {"transformer": ["diffusers", "UNet2DModel"]})
    )
    assert "UNet2DModel" in complaint(kind, broken)


def test_a_flux_that_cannot_fill_is_told_apart(tmp_path):
    assert "cannot fill" in complaint("fill", make_flux_fill(tmp_path / "dev", in_channels=16))


@pytest.mark.parametrize(
    "file",
    ["model_index.json", "transformer/config.json", "vae/config.json", "scheduler/scheduler_config.json"],
)
def test_a_missing_or_garbled_file_is_named(kind, broken, file):
    (broken / file).write_text("{]")
    assert file.split("/")[0] in complaint(kind, broken)
    (broken / file).unlink()
    assert file.split("/")[0] in complaint(kind, broken)


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_missing_weights_are_told_before_anything_is_loaded(kind, broken, part):
    (path,) = (broken / part).glob("*.safetensors")
    path.unlink()
    with pytest.raises(InputError, match=part):
        make(kind, broken)


def test_a_shard_that_is_missing_is_named(folders, tmp_path):
    from diffusers import FluxTransformer2DModel

    broken = shutil.copytree(folders["fill"], tmp_path / "sharded")
    model = FluxTransformer2DModel.from_pretrained(broken / "transformer")
    shutil.rmtree(broken / "transformer")
    model.save_pretrained(broken / "transformer", max_shard_size="100KB")
    first, *_ = sorted((broken / "transformer").glob("*.safetensors"))
    whole, sharded = fill(make("fill", folders["fill"])), fill(make("fill", broken))
    # Not the same bits: where a weight lies in memory decides how a CPU's kernels cut their sums.
    np.testing.assert_allclose(sharded.astype(int), whole.astype(int), atol=1)
    first.unlink()
    assert first.name in complaint("fill", broken)


def test_what_is_no_folder_of_a_pipeline_is_refused(kind, tmp_path):
    assert "model_index.json" in complaint(kind, tmp_path)
    assert "model_index.json" in complaint(kind, tmp_path / "nowhere")


def test_a_pickle_is_never_read(kind, broken):
    (path,) = (broken / "transformer").glob("*.safetensors")
    torch.save({"x": torch.zeros(1)}, path.with_suffix(".bin"))
    path.unlink()
    assert "no safetensors file" in complaint(kind, broken)


def test_settings_that_name_code_elsewhere_are_not_followed(kind, broken):
    for file in broken.glob("text_encoder*/config.json"):
        elsewhere = {"_attn_implementation": "somebody/kernel", "attn_implementation": "somebody/kernel"}
        elsewhere |= {"auto_map": {"AutoModel": "somebody/code--model.Model"}}
        file.write_text(json.dumps(json.loads(file.read_text()) | elsewhere))
    fill(make(kind, broken))  # touching the network would fail


def test_weights_that_are_quantised_already_are_refused(kind, broken):
    file = broken / "transformer" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": {"quant_method": "x"}}))
    assert "quantised already" in complaint(kind, broken)


def test_damage_to_a_gguf_file_is_told(folders, gguf, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf.read_bytes()[:-5000])
    assert "cut.gguf" in complaint("fill", folders["fill"], memory="gguf", gguf=cut)
    lacking = make_gguf(tmp_path / "lacking.gguf", folders["fill"], drop="proj_out.weight")
    assert "proj_out.weight" in complaint("fill", folders["fill"], memory="gguf", gguf=lacking)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"nothing of the kind")
    assert "other.gguf" in complaint("fill", folders["fill"], memory="gguf", gguf=other)
    assert "nowhere.gguf" in complaint("fill", folders["fill"], gguf=tmp_path / "nowhere.gguf")


def test_a_gguf_file_of_another_model_is_told(folders, tmp_path):
    other = make_flux_fill(tmp_path / "wide", num_attention_heads=4)
    file = make_gguf(tmp_path / "wide.gguf", other)
    assert "another model" in complaint("fill", folders["fill"], memory="gguf", gguf=file)


@pytest.mark.parametrize("package", ["diffusers", "transformers"])
def test_a_missing_library_is_named_with_the_command(kind, folders, monkeypatch, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(EngineUnavailableError, match=rf"{package}.*pip install"):
        fill(make(kind, folders[kind]))


def test_running_out_of_memory_is_not_dressed_up(kind, folders, monkeypatch):
    from diffusers import ModelMixin

    def full(*_args: object, **_kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ModelMixin, "from_pretrained", full)
    with pytest.raises(torch.OutOfMemoryError):
        fill(make(kind, folders[kind]))


# The benchmark of memory, whose writers know the published layout --------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["gguf", "safetensors"])
def test_a_file_with_the_published_names_is_loaded(folders, tmp_path, ending):
    """At the full width, which diffusers' renaming takes for granted, with one block of each kind."""
    from diffusers import FluxTransformer2DModel
    from safetensors.torch import save_file

    from benchmarks.flux_memory import FULL_TRANSFORMER, published_shapes, write_gguf

    shape = FULL_TRANSFORMER | {"num_layers": 1, "num_single_layers": 1}
    copy = shutil.copytree(folders["fill"], tmp_path / "fill")
    config = {"_class_name": "FluxTransformer2DModel"} | shape
    (copy / "transformer" / "config.json").write_text(json.dumps(config))
    folder = open_folder(copy, FLUX_FILL.layout)
    file, shapes = tmp_path / f"flux1-fill-dev.{ending}", published_shapes(shape)
    if ending == "gguf":
        write_gguf(file, shapes)
    else:
        save_file(
            {name: 0.01 * torch.randn(size, dtype=torch.bfloat16) for name, size in shapes.items()}, file
        )
    transformer = load_transformer(folder, FluxTransformer2DModel, "gguf", CPU, torch.bfloat16, file)
    with torch.inference_mode():
        made = transformer(
            hidden_states=torch.randn(1, 4, 384).bfloat16(),
            encoder_hidden_states=torch.randn(1, 4, 4096).bfloat16(),
            pooled_projections=torch.randn(1, 768).bfloat16(),
            timestep=torch.tensor([0.5]).bfloat16(),
            guidance=torch.tensor([30.0]),
            img_ids=torch.zeros(4, 3),
            txt_ids=torch.zeros(4, 3),
        ).sample
    assert made.shape == (1, 4, 64) and made.isfinite().all()


@pytest.mark.slow
def test_the_benchmark_runs_on_a_tiny_model(tmp_path, capsys):
    from benchmarks.flux_memory import main

    rows = main(["--tiny", "--steps", "2", "--json", str(tmp_path / "figures.json")])
    assert [(row.mode, row.width) for row in rows] == [
        ("full", 256),
        ("full", 304),
        ("gguf", 256),
        ("gguf", 304),
    ]
    assert all(0 < row.step < row.picture and 0 < row.first < row.picture for row in rows)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["rows"]) == 4 and any("nf4" in reason for reason in figures["skipped"])
    assert capsys.readouterr().out.count("| full |") >= 2


def test_a_package_that_is_not_missed_is_not_asked_for() -> None:
    """bitsandbytes' own words; all others of its are heard."""
    from splinescape.inpaint.diffusion import loading  # noqa: F401 - it filters what is logged

    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    missed = "Failed to load CPU gemm_4bit_forward from kernels-community: %s. Please make sure you ..."
    for text, heard in ((missed, False), ("something else", True)):
        record = logger.makeRecord(logger.name, logging.WARNING, "", 0, text, ("why",), None)
        assert bool(logger.filter(record)) is heard


def test_bitsandbytes_is_imported_without_a_word() -> None:
    pytest.importorskip("bitsandbytes")
    code = "import splinescape.inpaint.diffusion.loading, bitsandbytes"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gemm_4bit" not in ran.stderr
