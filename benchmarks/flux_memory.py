"""Memory and speed of a full-size FLUX.1 Fill in every way of holding it, against what was predicted.

    python benchmarks/flux_memory.py           # needs a CUDA GPU; minutes
    python benchmarks/flux_memory.py --tiny    # a tiny model on the CPU: the same code, no figures that matter

The weights are random, written to a temporary folder in the published layout (40 GB) and loaded as real ones are; the
prompt's embeddings are random too. Time does not depend on the values. Prints a table in markdown and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "backend")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.flux_folder import (  # noqa: E402
    FLUX_FILL_PARTS,
    TINY_FLUX,
    TINY_VAE,
    write_index,
    write_scheduler,
    write_vae,
)
from splinescape.camera.view import View  # noqa: E402
from splinescape.errors import is_out_of_memory  # noqa: E402
from splinescape.inpaint.diffusion import FluxFillInpainter  # noqa: E402
from splinescape.inpaint.diffusion.loading import release  # noqa: E402
from splinescape.inpaint.diffusion.memory import (  # noqa: E402
    Mode,
    Place,
    expected_bytes,
    hindrance,
    modes_that_fit,
)

Shapes = dict[str, tuple[int, ...]]

FULL_TRANSFORMER = {
    "in_channels": 384,
    "out_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "axes_dims_rope": [16, 56, 56],
}
FULL_VAE = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16}
TINY_TRANSFORMER = FULL_TRANSFORMER | TINY_FLUX | {"in_channels": 16 + 16 + 256, "out_channels": 16}
ORDER: tuple[Mode, ...] = ("full", "nf4", "8bit", "gguf", "offload", "stream")
"""The ones that fill the machine's memory last."""
BLOCK = 32
"""Values in a Q8_0 block of a GGUF file: a float16 scale and as many bytes."""


@dataclass(frozen=True)
class Row:
    """One mode at one size; seconds and bytes.

    Attributes:
        step: between two steps of denoising, the median. picture: a whole picture of `steps` steps, warm.
        first: from the call to the end of the first step, warm. load: of the model, once per mode.
        peak: of the device's memory in a picture, None on a CPU. loading: likewise while it was loaded.
        expected: what was predicted for `peak`.
    """

    mode: str
    width: int
    height: int
    steps: int
    step: float
    picture: float
    first: float
    load: float
    peak: int | None
    loading: int | None
    expected: int

    @property
    def off(self) -> float | None:
        """How far the prediction is from what was measured, as a share of the latter."""
        return None if not self.peak else self.expected / self.peak - 1


class RandomPrompt(FluxFillInpainter):
    """Needs no text encoders: what they would say is random."""

    def _prompt_embeddings(self, place: Place) -> dict[str, torch.Tensor]:
        config = self._folder.configs["transformer"]
        noise = torch.Generator().manual_seed(0)
        tokens = torch.randn(1, 512, config["joint_attention_dim"], generator=noise)
        pooled = torch.randn(1, config["pooled_projection_dim"], generator=noise)
        made = {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}
        return {name: value.to(self._device, self._dtype(place)) for name, value in made.items()}


def write_pipeline(folder: Path, transformer: dict[str, Any], vae: dict[str, Any]) -> Path:
    """A FluxFillPipeline's folder with random weights, without text encoders."""
    torch.manual_seed(0)
    write_vae(folder, vae, torch.bfloat16)
    write_scheduler(folder)
    write_transformer(folder / "transformer", transformer)
    return write_index(folder, "FluxFillPipeline", FLUX_FILL_PARTS)


def diffusers_shapes(transformer: dict[str, Any]) -> Shapes:
    """Names and shapes of the transformer's tensors in diffusers."""
    from diffusers import FluxTransformer2DModel

    with torch.device("meta"):
        state = FluxTransformer2DModel(**transformer).state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def write_transformer(folder: Path, transformer: dict[str, Any], shards: int = 3) -> None:
    """Random bfloat16 weights in safetensors files with an index, as published; fast, from one pool of noise."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel"} | transformer))
    shapes = diffusers_shapes(transformer)
    pool = (torch.randn(max(map(prod, shapes.values()))) * 0.02).to(torch.bfloat16).view(torch.uint8).numpy()
    names, index = list(shapes), {}
    for shard in range(shards):
        file = f"diffusion_pytorch_model-{shard + 1:05}-of-{shards:05}.safetensors"
        here = names[shard::shards]
        header, end = {}, 0
        for name in here:
            start, end = end, end + 2 * prod(shapes[name])
            header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [start, end]}
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for name in here:
                out.write(memoryview(pool[: 2 * prod(shapes[name])]))
        index |= dict.fromkeys(here, file)
    told = {
        "metadata": {"total_size": sum(2 * prod(shape) for shape in shapes.values())},
        "weight_map": index,
    }
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(told))


def published_shapes(transformer: dict[str, Any]) -> Shapes:
    """Names and shapes of the transformer's tensors as Black Forest Labs and GGUF files name them."""
    head = transformer["attention_head_dim"]
    d = transformer["num_attention_heads"] * head
    weights: Shapes = {
        "img_in": (d, transformer["in_channels"]),
        "txt_in": (d, transformer["joint_attention_dim"]),
        "time_in.in_layer": (d, 256),
        "time_in.out_layer": (d, d),
        "vector_in.in_layer": (d, transformer["pooled_projection_dim"]),
        "vector_in.out_layer": (d, d),
        "guidance_in.in_layer": (d, 256),
        "guidance_in.out_layer": (d, d),
        "final_layer.linear": (transformer["out_channels"], d),
        "final_layer.adaLN_modulation.1": (2 * d, d),
    }
    scales: list[str] = []
    for i in range(transformer["num_layers"]):
        for side in ("img", "txt"):
            at = f"double_blocks.{i}.{side}"
            weights |= {f"{at}_mod.lin": (6 * d, d), f"{at}_attn.qkv": (3 * d, d), f"{at}_attn.proj": (d, d)}
            weights |= {f"{at}_mlp.0": (4 * d, d), f"{at}_mlp.2": (d, 4 * d)}
            scales += [f"{at}_attn.norm.query_norm.scale", f"{at}_attn.norm.key_norm.scale"]
    for i in range(transformer["num_single_layers"]):
        at = f"single_blocks.{i}"
        weights |= {
            f"{at}.linear1": (7 * d, d),
            f"{at}.linear2": (d, 5 * d),
            f"{at}.modulation.lin": (3 * d, d),
        }
        scales += [f"{at}.norm.query_norm.scale", f"{at}.norm.key_norm.scale"]
    shapes: Shapes = {f"{name}.weight": shape for name, shape in weights.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in weights.items()}
    return shapes | dict.fromkeys(scales, (head,))


def write_gguf(path: Path, shapes: Shapes) -> Path:
    """Random weights as a GGUF file: matrices in Q8_0, the rest in float32."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "flux")
    most = max(map(prod, shapes.values())) // BLOCK
    pool = np.empty((most, 2 + BLOCK), np.uint8)
    pool[:, :2] = np.frombuffer(np.float16(0.0003).tobytes(), np.uint8)
    pool[:, 2:] = np.random.default_rng(0).integers(0, 256, (most, BLOCK), np.uint8)
    for name, shape in shapes.items():
        if len(shape) == 2 and shape[1] % BLOCK == 0:
            packed = pool[: prod(shape) // BLOCK].reshape(shape[0], -1)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, np.full(shape, 0.01, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class Clock:
    """Notes when each step of a picture ends."""

    def __init__(self, transformer: Any, device: torch.device) -> None:
        self.ends: list[float] = []
        self._device = device
        self._hook = transformer.register_forward_hook(lambda *_: self._note())

    def _note(self) -> None:
        settle(self._device)
        self.ends.append(time.perf_counter())

    def stop(self) -> None:
        self._hook.remove()


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(device: torch.device, reset: bool = False) -> int | None:
    """The most bytes that tensors took on the device since the last reset."""
    if device.type != "cuda":
        return None
    most = torch.cuda.max_memory_allocated(device)
    if reset:
        torch.cuda.reset_peak_memory_stats(device)
    return most


def measure_mode(
    folder: Path,
    gguf: Path | None,
    mode: Mode,
    device: torch.device,
    sizes: list[tuple[int, int]],
    steps: int,
) -> Iterator[Row]:
    """Load the model in a mode and fill a picture of each size twice; the second one counts."""
    engine = RandomPrompt(folder, device, steps=steps, memory=mode, gguf=gguf)
    load = 0.0
    for width, height in sizes:
        rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        mask = np.ones((height, width), bool)
        mask[height // 8 : -height // 8, width // 8 : -width // 8] = False
        view = View(width, height, None, np.eye(4))
        if not load:
            peak(device, reset=True)
            start = time.perf_counter()
            with torch.inference_mode():
                engine._ready(width, height)
            settle(device)
            load = time.perf_counter() - start
            print(engine.announced, flush=True)
        loading = peak(device, reset=True)
        engine.inpaint(rgb, mask, view=view, seed=0)
        settle(device)
        peak(device, reset=True)
        clock = Clock(engine._pipe.transformer, device)
        start = time.perf_counter()
        engine.inpaint(rgb, mask, view=view, seed=1)
        settle(device)
        picture = time.perf_counter() - start
        clock.stop()
        between = [b - a for a, b in zip(clock.ends, clock.ends[1:], strict=False)]
        expected = expected_bytes(engine._size, mode, width, height, engine._place().value).device
        yield Row(
            mode=mode,
            width=width,
            height=height,
            steps=steps,
            step=statistics.median(between),
            picture=picture,
            first=clock.ends[0] - start,
            load=load,
            peak=peak(device),
            loading=loading,
            expected=expected,
        )


def run(
    folder: Path, gguf: Path | None, device: torch.device, args: argparse.Namespace
) -> tuple[list[Row], list[str]]:
    """All modes that can work and fit, until the time is up; rows, and why others are missing."""
    sizes = [(256, 256), (304, 272)] if args.tiny else [(672, 512), (1344, 1024)]
    begun, rows, skipped = time.perf_counter(), [], []
    for mode in ORDER:
        if time.perf_counter() - begun > args.seconds:
            skipped.append(f"{mode}: the time was up")
            continue
        probe = RandomPrompt(folder, device, gguf=gguf)
        place = probe._place()
        reason = hindrance(probe._size, mode, place)
        if reason is None and mode not in modes_that_fit(probe._size, place, *sizes[-1]):
            reason = "it would not fit"
        if reason is None:
            try:
                for row in measure_mode(folder, gguf, mode, device, sizes, args.steps):
                    rows.append(row)
                    print(line(row), flush=True)
            except Exception as error:  # one mode that a library cannot do here must not cost the others
                said = f"{type(error).__name__}: {error}".splitlines()[0]
                reason = "out of memory" if is_out_of_memory(error) else said
        if reason is not None:
            skipped.append(f"{mode}: {reason}")
            print(skipped[-1], flush=True)
        release(device)
        save(args.json, device, rows, skipped)
    return rows, skipped


def save(path: Path, device: torch.device, rows: list[Row], skipped: list[str]) -> None:
    """Write what was measured so far."""
    figures = {
        "device": device_name(device),
        "torch": torch.__version__,
        "rows": [asdict(row) | {"off": row.off} for row in rows],
        "skipped": skipped,
    }
    path.write_text(json.dumps(figures, indent=1))


def device_name(device: torch.device) -> str:
    """As its driver calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


HEAD = (
    "| mode | canvas | s/step | picture | first step, warm | load | peak | expected | off | peak of loading |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def line(row: Row) -> str:
    """A row of the table."""

    def gib(count: int | None) -> str:
        return "" if count is None else f"{count / 2**30:.2f} GiB"

    off = "" if row.off is None else f"{row.off:+.1%}"
    return (
        f"| {row.mode} | {row.width}x{row.height} | {row.step:.3f} | {row.picture:.2f} s ({row.steps} steps) | "
        f"{row.first:.2f} s | {row.load:.0f} s | {gib(row.peak)} | {gib(row.expected)} | {off} | {gib(row.loading)} |"
    )


def main(arguments: list[str] | None = None) -> list[Row]:
    """Write the model, measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--steps", type=int, default=5, help="of denoising in each picture")
    parser.add_argument("--seconds", type=float, default=330, help="after which no further mode is begun")
    parser.add_argument("--folder", type=Path, default=None, help="where 40 GB may be written for a while")
    default = Path(os.environ.get("OUT", ".")) / "flux_memory.json"
    parser.add_argument("--json", type=Path, default=default, help="where the figures are written")
    args = parser.parse_args(arguments)
    if not args.tiny and not torch.cuda.is_available():
        parser.error("there is no CUDA GPU here; --tiny runs on a CPU")
    device = torch.device("cpu" if args.tiny else "cuda")
    transformer, vae = (TINY_TRANSFORMER, TINY_VAE) if args.tiny else (FULL_TRANSFORMER, FULL_VAE)
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        start = time.perf_counter()
        folder = write_pipeline(Path(temporary) / "flux-fill", transformer, vae)
        try:
            # diffusers renames published tensors only at the full width
            shapes = diffusers_shapes(transformer) if args.tiny else published_shapes(transformer)
            gguf = write_gguf(Path(temporary) / "flux1-fill-dev-Q8_0.gguf", shapes)
        except ImportError:
            gguf = None
        print(f"written in {time.perf_counter() - start:.0f} s", flush=True)
        rows, skipped = run(folder, gguf, device, args)
    print(f"\n{device_name(device)}, torch {torch.__version__}\n\n{HEAD}\n" + "\n".join(map(line, rows)))
    print("\n".join(f"not measured: {reason}" for reason in skipped))
    return rows


if __name__ == "__main__":
    main()
