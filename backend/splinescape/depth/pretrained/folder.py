"""A model's folder on disk: everything that can be said about it before its weights are read."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splinescape.errors import EngineUnavailableError, InputError

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
INSTALL = "pip install 'splinescape[models]'"
_LOOKS_ELSEWHERE = ("auto_map", "attn_implementation", "quantization_config")
"""Settings that can make transformers fetch code or load weights in another way."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input, as `preprocessor_config.json` says.

    Attributes:
        height, width: target size in pixels. keep_aspect: fit the picture to it instead of stretching.
        multiple: both sides become a multiple of this.
        resample: Pillow's number of the filter (2 bilinear, 3 bicubic).
        scale: factor from 8-bit values to the range of mean and std.
        mean, std: per channel, subtracted and divided by.
    """

    height: int
    width: int
    keep_aspect: bool
    multiple: int
    resample: int
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files are there and belong together.

    Attributes:
        path: the folder. title: the model's name in messages.
        config: the contents of `config.json`, without what could make transformers look elsewhere.
        preprocessing: the contents of `preprocessor_config.json`.
    """

    path: Path
    title: str
    config: dict[str, Any]
    preprocessing: Preprocessing


def missing() -> str | None:
    """Say in one line which library these engines lack, or None; imports none of them."""
    for name in ("transformers", "safetensors"):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is not installed ({INSTALL})"
    return None


def open_folder(path: Path, title: str, model_type: str) -> ModelFolder:
    """Look into a folder without loading the weights; only the header of `model.safetensors` is read.

    Args:
        path: folder in the published format of transformers. title: the model's name in messages.
        model_type: what `config.json` must say.

    Raises:
        EngineUnavailableError: a library is not installed.
        InputError: a file is missing, damaged, cut off, or belongs to another model.
    """
    reason = missing()
    if reason:
        raise EngineUnavailableError(f"{title} cannot run here: {reason}")
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"there is no folder {path} with the files of {title}; download the model first")
    absent = [name for name in _FILES if not (path / name).is_file()]
    if absent:
        raise InputError(f"{title} in {path} is not complete: {', '.join(absent)} missing; download it again")
    config = _read_json(path / "config.json")
    found = config.get("model_type")
    if found != model_type:
        raise InputError(f"{path} holds a model of type '{found}', not {title} ('{model_type}')")
    preprocessing = _preprocessing(path / "preprocessor_config.json")
    _check_weights(path / "model.safetensors")
    return ModelFolder(path, title, _only_local(config), preprocessing)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        contents = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); download the model again") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path} is not a model's settings; download the model again")
    return contents


def _only_local(value: Any) -> Any:
    """The same settings without those that name code, kernels or weights somewhere else, at any depth."""
    if isinstance(value, dict):
        return {
            k: _only_local(v) for k, v in value.items() if not any(word in k for word in _LOOKS_ELSEWHERE)
        }
    return value


def _preprocessing(path: Path) -> Preprocessing:
    contents = _read_json(path)
    try:
        if not all(contents.get(f"do_{step}", True) for step in ("resize", "rescale", "normalize")):
            raise ValueError("it skips a step that the published model needs")
        size = contents["size"]
        found = Preprocessing(
            height=int(size["height"]),
            width=int(size["width"]),
            keep_aspect=bool(contents.get("keep_aspect_ratio")),
            multiple=int(contents.get("ensure_multiple_of") or 1),
            resample=int(contents.get("resample", 2)),
            scale=float(contents.get("rescale_factor", 1 / 255)),
            mean=_three(contents["image_mean"]),
            std=_three(contents["image_std"]),
        )
        if min(found.height, found.width, found.multiple) < 1 or min(found.std) <= 0 or found.scale <= 0:
            raise ValueError("a size or a deviation is not positive")
        if found.resample not in range(6):
            raise ValueError(f"there is no filter {found.resample}")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path} cannot be used: {reason}; download the model again") from error
    return found


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _check_weights(path: Path) -> None:
    """The header of a safetensors file says how long the file is, so a cut one is found without reading it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or cut off ({error}); download the model again") from error
