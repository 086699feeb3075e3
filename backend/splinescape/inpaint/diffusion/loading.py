"""Loading the parts of a diffusers pipeline from a folder, in the chosen way of holding them.

Nothing is fetched, no pickle is read, and what is wrong with the files is said in one sentence.
"""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinescape.errors import EngineUnavailableError, InputError, is_out_of_memory
from splinescape.inpaint.diffusion.folder import PipelineFolder, only_local
from splinescape.inpaint.diffusion.memory import Mode
from splinescape.inpaint.diffusion.weights import read_header

if TYPE_CHECKING:
    import torch

_COUNTED_ONLY = "num_batches_tracked"
"""A batch norm's counter, which inference never reads."""

_PUBLISHED = re.compile(r"(model\.diffusion_model\.)?double_blocks\.")
"""Names as the model's publisher gave them; diffusers renames those itself."""


_PACKED = re.compile(r"scale_weight|weight_scale|scaled_fp8|\.absmax|bitsandbytes|quant_map")
"""What packed weights in a safetensors file have beside them."""


# On import it misses a package that only quickens 4 bits on some CPUs, where nobody runs them.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(
    lambda said: "gemm_4bit_forward" not in str(said.msg)
)


def library(module: str, name: str) -> Any:
    """A class of diffusers or transformers.

    Raises:
        EngineUnavailableError: the package is not installed or too old to have it.
    """
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"{module} has no usable {name}: {_first_line(error)}. pip install --upgrade 'splinescape[models]'"
        ) from error


def hush() -> None:
    """Keep the libraries' own progress bars out of the terminal; ours tell the same."""
    from importlib import import_module

    for module in ("diffusers.utils.logging", "transformers.utils.logging"):
        import_module(module).disable_progress_bar()


def wanted_shapes(folder: PipelineFolder, model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a transformer's configuration makes; takes no memory for them."""
    import torch

    with torch.device("meta"), readable("transformer", folder.path):
        made = model.from_config(folder.configs["transformer"])
    return {name: tuple(value.shape) for name, value in made.state_dict().items()}


def check_transformer(folder: PipelineFolder, model: Any) -> None:
    """Compare names and shapes in the transformer's files with what its configuration makes, before a long load.

    Args:
        model: its class.

    Raises:
        InputError: tensors are missing or of other shapes, or files are missing, cut off or damaged.
    """
    found, wanted = folder.weights("transformer").shapes, wanted_shapes(folder, model)
    _complete(f"the transformer in {folder.path}", wanted.keys() - found.keys(), len(wanted))
    for name, shape in wanted.items():
        if found[name] != shape:
            raise InputError(
                f"{name} of the transformer in {folder.path} is {_times(found[name])} where its configuration says "
                f"{_times(shape)}: these files belong to another model"
            )


def _complete(what: str, missing: Iterable[str], total: int) -> None:
    names = sorted(missing)
    if names:
        raise InputError(
            f"{what} lacks {len(names)} of its {total} tensors, such as {names[0]}: download the model again"
        )


def load_transformer(
    folder: PipelineFolder,
    model: Any,
    mode: Mode,
    device: torch.device,
    dtype: torch.dtype,
    gguf: Path | None,
) -> Any:
    """Load the transformer; in the modes that move weights to and fro it stays in the machine's memory.

    Raises:
        InputError: the files are not right; the text says what.
        torch.OutOfMemoryError: it does not fit after all.
    """
    if mode == "gguf" and gguf is not None:
        return _load_single(folder, model, device, dtype, gguf)
    check_transformer(folder, model)
    waits = mode in ("offload", "stream")
    with readable("transformer", folder.path):
        transformer = model.from_pretrained(
            folder.path,
            subfolder="transformer",
            torch_dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            **({} if waits else {"device_map": {"": device}}),
            **quantisation(mode, dtype),
        )
        if mode == "stream":
            transformer.enable_group_offload(
                onload_device=device,
                offload_type="block_level",
                num_blocks_per_group=1,
                use_stream=device.type in ("cuda", "xpu"),
            )
    return transformer


def quantisation(mode: Mode, dtype: torch.dtype) -> dict[str, Any]:
    """What from_pretrained is told so that it packs the transformer's matrices as they arrive."""
    if mode not in ("8bit", "nf4"):
        return {}
    config = library("diffusers", "BitsAndBytesConfig")
    if mode == "8bit":
        return {"quantization_config": config(load_in_8bit=True)}
    return {
        "quantization_config": config(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
        )
    }


def _load_single(
    folder: PipelineFolder, model: Any, device: torch.device, dtype: torch.dtype, file: Path
) -> Any:
    """A transformer in one file: GGUF, which stays packed, or safetensors with plain weights."""
    is_gguf = file.suffix != ".safetensors"
    what = "GGUF file" if is_gguf else "transformer"
    found = _gguf_names(file) if is_gguf else _plain_names(file)
    wanted = wanted_shapes(folder, model)
    if not any(_PUBLISHED.match(name) for name in found):
        _complete(str(file), wanted.keys() - found, len(wanted))
    kind = {}
    if is_gguf:
        kind["quantization_config"] = library("diffusers", "GGUFQuantizationConfig")(compute_dtype=dtype)
    with readable(what, file):
        transformer = model.from_single_file(
            str(file),
            config=str(folder.path),
            subfolder="transformer",
            torch_dtype=dtype,
            local_files_only=True,
            device=str(device),
            **kind,
        )
    absent = [name for name, value in transformer.named_parameters() if value.is_meta]
    _complete(str(file), absent, len(wanted))
    return transformer


def _gguf_names(file: Path) -> set[str]:
    reader = library("gguf", "GGUFReader")
    with readable("GGUF file", file):
        return {tensor.name for tensor in reader(str(file)).tensors}


def _plain_names(file: Path) -> set[str]:
    names = set(read_header(file))
    packed = sorted(name for name in names if _PACKED.search(name))
    if packed:
        raise InputError(
            f"the weights in {file} are packed in a way that cannot be read ({packed[0]}): take a GGUF file, or "
            "safetensors with plain weights"
        )
    return names


def load_part(
    folder: PipelineFolder, part: str, module: str, name: str, device: torch.device, dtype: torch.dtype
) -> Any:
    """Load the VAE or a text encoder onto a device.

    Args:
        module: the package that has its class. name: of the class.

    Raises:
        InputError: the files are not right; the text says what.
        torch.OutOfMemoryError: it does not fit.
    """
    folder.weights(part)  # says what is cut off or missing
    model = library(module, name)
    with readable(part, folder.path):
        kind: dict[str, Any] = {
            "torch_dtype": dtype,
            "low_cpu_mem_usage": False,
        }  # what is missing is told only then
        if module == "transformers":
            config = model.config_class.from_dict(only_local(folder.configs[part]))
            kind = {
                "dtype": dtype,
                "device_map": {"": device},
                "config": config,
                "attn_implementation": "sdpa",
            }
        loaded, told = model.from_pretrained(
            folder.path / part,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **kind,
        )
    lacking = {key for key in told["missing_keys"] if not key.endswith(_COUNTED_ONLY)}
    lacking |= {str(entry[0]) for entry in told.get("mismatched_keys") or ()}
    _complete(f"the {part} in {folder.path}", lacking, len(loaded.state_dict()))
    return loaded.to(device).eval()


def load_small(folder: PipelineFolder, part: str, module: str, name: str) -> Any:
    """Load a tokenizer or a scheduler. Raises InputError when its files are missing or damaged."""
    with readable(part, folder.path):
        return library(module, name).from_pretrained(folder.path / part, local_files_only=True)


@contextmanager
def readable(what: str, path: Path) -> Iterator[None]:
    """Turn what the libraries raise about files into one sentence; running out of memory passes through."""
    try:
        yield
    except (EngineUnavailableError, InputError, MemoryError):
        raise
    except ImportError as error:
        raise EngineUnavailableError(
            f"the {what} of {path} needs a package that is not installed: {_first_line(error)}"
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"the {what} of {path} cannot be loaded ({_first_line(error)}): download the model again, or it is "
            "another model"
        ) from error


def release(device: torch.device) -> None:
    """Give back what deleted models held on a device, and in the machine's memory for it."""
    import torch

    gc.collect()
    if device.type in ("cuda", "xpu", "mps"):
        getattr(torch, device.type).empty_cache()
    accelerator = getattr(torch, "accelerator", None)
    if hasattr(accelerator, "empty_host_cache") and torch.accelerator.is_available():
        torch.accelerator.empty_host_cache()  # pinned memory of a streamed transformer


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".:")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
