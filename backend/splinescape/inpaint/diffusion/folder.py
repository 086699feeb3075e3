"""A diffusers pipeline's folder on disk: whether it is the right one and whole, told before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splinescape.errors import InputError
from splinescape.inpaint.diffusion.weights import Weights, read_json, read_weights

_LOOKS_ELSEWHERE = ("auto_map", "attn_implementation")
"""Settings that can make transformers fetch code."""


@dataclass(frozen=True)
class Layout:
    """What a pipeline's folder has to look like.

    Attributes:
        title: what to call the model in messages.
        pipelines: class names that its model_index.json may state.
        models: class of each part that has weights, by the part's folder. "transformer" and "vae" are always there.
        text: which of them are text encoders.
    """

    title: str
    pipelines: tuple[str, ...]
    models: dict[str, str]
    text: tuple[str, ...]


@dataclass(frozen=True)
class PipelineFolder:
    """A folder that has been looked at.

    Attributes:
        path: of the folder.
        index: content of model_index.json.
        configs: content of each part's config.json, by the part's name.
    """

    path: Path
    index: dict[str, Any]
    configs: dict[str, dict[str, Any]]

    def weights(self, part: str) -> Weights:
        """Names and shapes of a part's tensors. Raises InputError when files are missing, cut off or damaged."""
        return read_weights(self.path / part)

    def has_weights(self, part: str) -> bool:
        """Whether any file of weights is there; it may still be damaged."""
        return any((self.path / part).glob("*.safetensors"))


def open_folder(path: Path, layout: Layout) -> PipelineFolder:
    """Look at a pipeline's folder. Reads small files only; weights are looked at when they are needed.

    Raises:
        InputError: it is not such a folder, holds another pipeline or other classes; the text says which.
    """
    if not (path / "model_index.json").is_file():
        raise InputError(
            f"{path} is not the folder of a diffusers pipeline: it has no model_index.json. {layout.title} comes as "
            "a folder with model_index.json, transformer, vae and so on"
        )
    index = read_json(path / "model_index.json")
    if index.get("_class_name") not in layout.pipelines:
        raise InputError(
            f"{path} holds a {index.get('_class_name')}; {layout.title} needs a {' or '.join(layout.pipelines)}"
        )
    configs = {}
    for part, wanted in layout.models.items():
        entry = index.get(part)
        found = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if found != wanted:
            raise InputError(f"the {part} of {path} is a {found}; {layout.title} needs a {wanted}")
        if part in layout.text and not (path / part / "config.json").is_file():
            continue  # a prompt whose embeddings are kept needs no text encoder
        configs[part] = read_json(path / part / "config.json")
        if "quantization_config" in configs[part]:
            raise InputError(
                f"the {part} of {path} is quantised already: take the weights as they were published, they are "
                "quantised while they are loaded"
            )
    return PipelineFolder(path, index, configs)


def only_local(config: Any) -> Any:
    """The same settings without those that name code or kernels somewhere else, at any depth."""
    if not isinstance(config, dict):
        return config
    return {
        key: only_local(value)
        for key, value in config.items()
        if not any(word in key for word in _LOOKS_ELSEWHERE)
    }
