"""Memory of diffusion models is told before they are loaded, and the fastest way that fits is taken; canvases and
seams."""

from __future__ import annotations

import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusion_support import FLUX, GB, gpu, make_flux_fill, make_gguf, make_klein
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from splinescape.errors import EngineUnavailableError, InputError, NotEnoughMemoryError
from splinescape.inpaint.diffusion.canvas import Limits, canvas_size, make_canvas
from splinescape.inpaint.diffusion.families import FLUX_FILL, KLEIN, Family, model_size
from splinescape.inpaint.diffusion.klein import whole_tokens
from splinescape.inpaint.diffusion.memory import (
    FASTEST_FIRST,
    Place,
    announcement,
    choose_mode,
    expected_bytes,
    fits,
    leaner,
    modes_that_fit,
    picture_bytes,
    prompt_bytes,
    prompt_place,
    transformer_bytes,
)
from splinescape.inpaint.diffusion.seam import paste

# What is expected --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [FLUX_FILL, KLEIN], ids=["fill", "klein"])
def test_weights_are_counted_to_the_byte(family, tmp_path):
    import diffusers

    make = make_flux_fill if family is FLUX_FILL else make_klein
    size = model_size(family, make(tmp_path / "model"))
    for part, parameters, value in (("transformer", size.parameters, 4), ("vae", size.vae, 2)):
        model = getattr(diffusers, family.layout.models[part]).from_pretrained(tmp_path / "model" / part)
        model.to(torch.float32 if value == 4 else torch.bfloat16)
        held = [*model.parameters(), *(b for n, b in model.named_buffers() if n in model.state_dict())]
        assert parameters == sum(tensor.numel() for tensor in held)
        if part == "transformer":
            assert transformer_bytes(size, "full", 4) == sum(t.numel() * t.element_size() for t in held)
    matrices = [m.weight for m in model_blocks(family, tmp_path) if isinstance(m, torch.nn.Linear)]
    assert size.linear == sum(weight.numel() for weight in matrices)
    assert size.rows == sum(weight.shape[0] for weight in matrices)


def model_blocks(family: Family, tmp_path: Path) -> Any:
    import diffusers

    kind = getattr(diffusers, family.layout.models["transformer"])
    return kind.from_pretrained(tmp_path / "model" / "transformer").modules()


def test_packed_weights_are_as_small_as_bitsandbytes_makes_them():
    bitsandbytes = pytest.importorskip("bitsandbytes")
    weight = torch.randn(512, 384, dtype=torch.bfloat16)
    packed, state = bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    held = packed.numel() + state.absmax.numel() * state.absmax.element_size()
    held += state.state2.absmax.numel() * 4
    size = replace(FLUX, parameters=weight.numel(), linear=weight.numel(), rows=512)
    assert transformer_bytes(size, "nf4") == pytest.approx(held, rel=0.01)


def test_a_gguf_transformer_takes_what_its_file_has(tmp_path):
    folder = make_flux_fill(tmp_path / "model")
    file = make_gguf(tmp_path / "a.gguf", folder)
    assert transformer_bytes(model_size(FLUX_FILL, folder, file), "gguf") == file.stat().st_size


def test_the_full_models_need_what_is_known_of_them():
    """24 GB for FLUX's transformer in bfloat16, half of that in 8 bits, 6 to 7 GB in NF4."""
    taken = {mode: transformer_bytes(FLUX, mode) / GB for mode in ("full", "8bit", "nf4")}
    assert taken == pytest.approx({"full": 23.8, "8bit": 11.9, "nf4": 6.15}, rel=0.01)


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, op by op; `known` ones do not count."""

    def __init__(self, known: Any) -> None:
        super().__init__()
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.seen:
                storage = tensor.untyped_storage()
                self.seen.add(storage._cdata)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        return result

    def _gone(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def flux_parts() -> tuple[Any, Any]:
    from diffusers import AutoencoderKL, FluxTransformer2DModel

    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    channels = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16}
    vae = AutoencoderKL(**blocks, **channels, use_quant_conv=False, use_post_quant_conv=False)
    return FluxTransformer2DModel(in_channels=384, out_channels=64, guidance_embeds=True), vae


def klein_parts() -> tuple[Any, Any]:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    shape = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 7680}
    return Flux2Transformer2DModel(**shape, guidance_embeds=False), AutoencoderKLFlux2()


def flux_arguments(tokens: int) -> dict[str, torch.Tensor]:
    return {
        "hidden_states": torch.empty(1, tokens, 384),
        "encoder_hidden_states": torch.empty(1, 512, 4096),
        "pooled_projections": torch.empty(1, 768),
        "guidance": torch.empty(1),
        "img_ids": torch.empty(tokens, 3),
        "txt_ids": torch.empty(512, 3),
    }


def klein_arguments(tokens: int) -> dict[str, torch.Tensor]:
    return {
        "hidden_states": torch.empty(1, 2 * tokens, 128),
        "encoder_hidden_states": torch.empty(1, 512, 7680),
        "img_ids": torch.empty(1, 2 * tokens, 4),
        "txt_ids": torch.empty(1, 512, 4),
    }


@pytest.mark.slow
@pytest.mark.parametrize("size", [(672, 512), (1344, 1024)])
@pytest.mark.parametrize("family", [FLUX_FILL, KLEIN], ids=["fill", "klein"])
def test_a_picture_takes_what_the_full_size_model_has_alive(family, size, monkeypatch):
    """The whole model without data, on the device where tensors have no memory; attention keeps only its result."""
    monkeypatch.setattr(
        "torch.nn.functional.scaled_dot_product_attention",
        lambda query, *_, **__: torch.empty_like(query),
    )
    width, height = size
    tokens = (width // 16) * (height // 16)
    make, arguments = (flux_parts, flux_arguments) if family is FLUX_FILL else (klein_parts, klein_arguments)
    with torch.device("meta"), torch.inference_mode():
        transformer, vae = (part.to(torch.bfloat16) for part in make())
        given = {
            name: value.to(torch.bfloat16) if "ids" not in name else value
            for name, value in arguments(tokens).items()
        }
        with Living(list(transformer.parameters())) as denoising:
            transformer(timestep=torch.empty(1), **given)
        latents = torch.empty(1, vae.config.latent_channels, height // 8, width // 8, dtype=torch.bfloat16)
        with Living(list(vae.parameters())) as decoding:
            vae.decode(latents)
    told = picture_bytes(replace(FLUX, activity=family.activity), "full", width, height)
    assert told == pytest.approx((denoising.peak, decoding.peak), rel=0.03)


@pytest.mark.parametrize(
    ("mode", "small", "large"),
    [
        ("full", 23.15, 25.50),
        ("nf4", 6.70, 9.05),
        ("8bit", 12.09, 14.44),
        ("gguf", 12.91, 15.25),
        ("offload", 22.56, 22.97),
        ("stream", 1.73, 3.33),
    ],
)
def test_the_expected_memory_is_what_an_h200_took(mode, small, large):
    """GiB at 672x512 and 1344x1024, full-size FLUX Fill, by benchmarks/flux_memory.py; the file's values in Q8_0."""
    size = replace(FLUX, gguf=12_650_000_000)
    told = [expected_bytes(size, mode, *canvas).device / 2**30 for canvas in ((672, 512), (1344, 1024))]
    assert told == pytest.approx([small, large], rel=0.05)


# What is chosen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "host", "size", "mode"),
    [
        (140, 128, (1344, 1024), "full"),
        (32, 64, (1344, 1024), "full"),
        (26.3, 64, (1344, 1024), "nf4"),
        (24, 64, (672, 512), "nf4"),
        (12, 64, (1344, 1024), "nf4"),
        (8, 64, (672, 512), "nf4"),
        (6, 64, (1344, 1024), "stream"),
    ],
)
def test_the_fastest_mode_that_fits_is_chosen(free, host, size, mode):
    assert choose_mode(FLUX, "auto", gpu(free, host), *size) == mode


def test_a_gguf_file_is_taken_where_it_is_the_best_that_fits():
    size = replace(FLUX, gguf=8_290_000_000)
    assert choose_mode(size, "auto", gpu(6), 1344, 1024) == "stream"
    assert "gguf" in modes_that_fit(size, gpu(13), 1344, 1024)
    assert choose_mode(replace(size, parameters=0), "auto", gpu(140), 672, 512) == "gguf"


def test_moving_weights_needs_room_in_the_machine():
    assert "stream" not in modes_that_fit(FLUX, gpu(6, host=16), 672, 512)
    with pytest.raises(EngineUnavailableError):
        choose_mode(FLUX, "auto", gpu(6, host=16), 672, 512)


@pytest.mark.parametrize("family", [FLUX_FILL, KLEIN], ids=["fill", "klein"])
def test_streaming_counts_what_torch_pins(family, tmp_path):
    """Each tensor of a block takes the next power of two; the rest is not pinned."""
    from safetensors.torch import load_file

    make = make_flux_fill if family is FLUX_FILL else make_klein
    folder = make(tmp_path / "model")
    (file,) = (folder / "transformer").glob("*.safetensors")
    taken = 0
    for name, tensor in load_file(file).items():
        powers = (2**power for power in range(40))
        taken += next(p for p in powers if p >= tensor.numel()) if "blocks." in name else tensor.numel()
    assert expected_bytes(model_size(family, folder), "stream", 512, 512).host == 2 * taken


def test_a_streamed_flux_needs_half_as_much_again_in_the_machine():
    assert expected_bytes(FLUX, "stream", 672, 512).host / 2**30 == pytest.approx(34.6, abs=0.1)
    assert "stream" in modes_that_fit(FLUX, gpu(6, host=40), 672, 512)
    assert "stream" not in modes_that_fit(FLUX, gpu(6, host=32), 672, 512)


@pytest.mark.parametrize(("free", "host", "place"), [(24, 64, "device"), (8, 64, "host"), (8, 8, None)])
def test_text_encoders_work_where_there_is_room(free, host, place):
    assert prompt_bytes(FLUX) == pytest.approx(10.75 * GB, rel=0.01)
    assert prompt_place(FLUX, gpu(free, host)) == place
    where = {"device": "once, on the device", "host": "once, in main memory", None: "there is no room"}
    assert f"{where[place]};" in announcement(FLUX, gpu(free, host), 672, 512, "nf4")
    assert "prompt" not in announcement(FLUX, gpu(free, host), 672, 512, "nf4", new_prompt=False)


def test_a_wish_is_followed_even_where_it_is_not_expected_to_fit():
    assert choose_mode(FLUX, "full", gpu(6), 672, 512) == "full"


def test_nothing_that_fits_is_said_with_the_figures():
    with pytest.raises(NotEnoughMemoryError, match=r"1344x1024.*stream [\d.]+ GiB.*0\.9 GiB free.*inpainter"):
        choose_mode(FLUX, "auto", gpu(1), 1344, 1024)


@pytest.mark.parametrize(
    ("mode", "kind", "why"),
    [
        ("nf4", "mps", "mps"),
        ("8bit", "cpu", "cpu"),
        ("offload", "mps", "mps"),
        ("gguf", "cuda", "no GGUF file"),
    ],
)
def test_a_wish_that_cannot_work_is_refused(mode, kind, why):
    with pytest.raises(EngineUnavailableError, match=f"'{mode}' cannot work here.*{why}"):
        choose_mode(FLUX, mode, Place(kind, 100 * GB, 100 * GB), 672, 512)


@pytest.mark.parametrize(
    ("mode", "package"), [("nf4", "bitsandbytes"), ("gguf", "gguf"), ("full", "accelerate")]
)
def test_a_missing_package_is_named(mode, package, monkeypatch):
    from importlib.util import find_spec

    monkeypatch.setattr(
        "splinescape.inpaint.diffusion.memory.find_spec",
        lambda name: None if name == package else find_spec(name),
    )
    with pytest.raises(EngineUnavailableError, match=rf"{package} is not installed.*pip install"):
        choose_mode(replace(FLUX, gguf=7 * GB), mode, gpu(100), 672, 512)


def test_leaner_modes_take_less_until_there_is_none():
    taken, mode = [], "full"
    while mode is not None:
        taken.append(expected_bytes(FLUX, mode, 1344, 1024).device)
        mode = leaner(mode)
    assert taken == sorted(taken, reverse=True) and len(taken) == 3
    assert leaner("gguf") == "stream"


def test_what_fits_leaves_some_room():
    need = expected_bytes(FLUX, "full", 672, 512)
    assert not fits(need, Place("cuda", need.device, 64 * GB))
    assert fits(need, Place("cuda", int(need.device * 1.07), 64 * GB))


def test_the_announcement_has_every_mode_that_can_work():
    told = announcement(replace(FLUX, gguf=7 * GB), gpu(24), 672, 512, "8bit")
    assert all(f"{mode} " in told for mode in FASTEST_FIRST)
    assert "chosen: 8bit (transformer in 8 bits)" in told and "22.4 GiB free on cuda" in told
    assert "nf4" not in announcement(FLUX, Place("mps", 24 * GB, 24 * GB), 672, 512)


def test_memory_is_told_without_torch():
    code = "import sys, splinescape.inpaint.diffusion.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Canvases ----------------------------------------------------------------------------------------------------------

LIMITS = Limits(grid=16, shortest=256, most=1024 * 1024)


@pytest.mark.parametrize("size", [(512, 384), (513, 385), (700, 257)])
def test_a_picture_in_range_is_widened_never_stretched(size):
    width, height = size
    rgb = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), bool)
    mask[:, -5:] = True
    canvas = make_canvas(rgb, mask, LIMITS)
    assert canvas.size == canvas_size(width, height, LIMITS)
    assert all(side % 16 == 0 for side in canvas.size)
    np.testing.assert_array_equal(canvas.rgb_hw3[:height, :width], rgb)
    assert canvas.mask_hw[:, width - 5 :].all()  # what is added beside a hole is hole too
    np.testing.assert_array_equal(canvas.back(canvas.rgb_hw3), rgb)


@pytest.mark.parametrize("size", [(64, 48), (40, 300), (1344, 1024), (3000, 2000)])
def test_a_picture_out_of_range_is_scaled_and_comes_back_in_its_size(size):
    width, height = size
    v, u = np.mgrid[:height, :width]
    rgb = np.stack([255 * u // width, 255 * v // height, 0 * u + 90], -1).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[height // 2, width // 3] = True
    canvas = make_canvas(rgb, mask, LIMITS)
    assert canvas.size[0] * canvas.size[1] <= LIMITS.most and min(canvas.size) >= 256
    assert canvas.mask_hw.any()  # the smallest hole is still there
    back = canvas.back(canvas.rgb_hw3)
    assert back.shape == rgb.shape and np.abs(back.astype(int) - rgb).mean() < 4
    aspect = canvas.inner[0] / canvas.inner[1]
    assert aspect == pytest.approx(width / height, rel=0.01)


def test_a_ribbon_is_refused():
    with pytest.raises(InputError, match=r"4000x100.*too long and narrow"):
        make_canvas(np.zeros((100, 4000, 3), np.uint8), np.ones((100, 4000), bool), LIMITS)


def test_a_thin_hole_does_not_fall_between_tokens():
    mask = np.zeros((64, 64), bool)
    mask[:, 31] = True
    np.testing.assert_array_equal(whole_tokens(mask, 16)[:, 16:32], 1)
    assert whole_tokens(mask, 16).sum() == 64 * 16


# Seams -------------------------------------------------------------------------------------------------------------


def test_a_tint_of_what_was_painted_leaves_no_seam_and_known_pixels_are_untouched():
    height, width = 240, 320
    v, u = np.mgrid[:height, :width] / 100
    true = np.stack([130 + 60 * np.sin(3 * u + v), 120 + 50 * np.cos(2 * v), 130 + 40 * np.sin(2 * u)], -1)
    true += np.random.default_rng(0).normal(0, 8, true.shape)
    mask = np.ones((height, width), bool)
    mask[60:-60, 60:-60] = False
    mask[100:130, 150:170] = True
    rgb = np.clip(true, 0, 255).astype(np.uint8)
    rgb[mask] = 0
    tint = np.array([14, -9, 6]) * (0.6 + 0.4 * np.sin(2 * v))[..., None]
    painted = np.clip(cv2.GaussianBlur(true, (0, 0), 0.8) + tint, 0, 255).astype(np.uint8)
    result = paste(rgb, mask, painted)
    np.testing.assert_array_equal(result[~mask], rgb[~mask])

    def step(picture: np.ndarray) -> float:
        """Mean difference across the upper rim of what is just outside and inside, away from noise."""
        rows = cv2.blur(picture[:, 70:250].astype(np.float32), (41, 1))
        return float(np.abs(rows[56:60].mean(0) - rows[60:64].mean(0) - trend).mean())

    truth = cv2.blur(true[:, 70:250].astype(np.float32), (41, 1))
    trend = truth[56:60].mean(0) - truth[60:64].mean(0)

    assert step(np.where(mask[..., None], painted, rgb)) > 4
    assert step(result) < 1.2
    deep = mask & (cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) > 33)
    np.testing.assert_array_equal(result[deep], painted[deep])


def test_a_hole_without_a_rim_is_taken_as_it_was_painted():
    painted = np.full((20, 30, 3), 77, np.uint8)
    np.testing.assert_array_equal(paste(np.zeros_like(painted), np.ones((20, 30), bool), painted), painted)
