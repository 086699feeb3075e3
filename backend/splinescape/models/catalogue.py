"""The models that engines can use: where they come from, under which licence, which of their files are needed.

Plain data. The list is closed on purpose: nobody who talks to the service can name a repository or an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from splinescape.models.errors import ModelError

Role = Literal["inpaint", "depth"]


@dataclass(frozen=True)
class Licence:
    """Terms of a model's weights; one that forbids commercial use has to be accepted before the download."""

    name: str
    url: str
    non_commercial: bool


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    Attributes:
        id: what users type. role: what an engine does with it.
        repo: repository on the Hugging Face hub.
        files: patterns of the files that are needed; `*` does not stop at a slash. Weights are safetensors, or a
            state dict that torch reads with `weights_only`.
        summary: what it is for, in one line.
        size: bytes to fetch, roughly: stated by the publisher, or four for each parameter; None when neither is known.
            The hub is asked before a download.
        gated: the hub hands it out only to accounts that have asked for it.
        revision: a commit of the repository; None for the newest.
    """

    id: str
    role: Role
    repo: str
    files: tuple[str, ...]
    licence: Licence
    summary: str
    size: int | None = None
    gated: bool = False
    revision: str | None = None


_APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", non_commercial=False)
_MIT_MOGE = Licence("MIT", "https://github.com/microsoft/MoGe/blob/main/LICENSE", non_commercial=False)
_FLUX_DEV = Licence(
    "FLUX.1 [dev] Non-Commercial License",
    "https://huggingface.co/black-forest-labs/FLUX.1-Fill-dev/blob/main/LICENSE.md",
    non_commercial=True,
)
_APPLE_RESEARCH = Licence(
    "Apple Machine Learning Research Model License",
    "https://huggingface.co/apple/DepthPro/blob/main/LICENSE",
    non_commercial=True,
)
_CC_BY_NC = Licence("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/", non_commercial=True)

_BYTES_PER_MILLION = 4_000_000  # parameters

_TRANSFORMERS_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def _pipeline_files(*parts: str) -> tuple[str, ...]:
    """A diffusers pipeline's folders, without copies in other formats and never a pickle."""
    inside = (
        f"{part}/*.{kind}" for part in parts for kind in ("json", "safetensors", "txt", "model", "jinja")
    )
    return ("model_index.json", *inside)


def _moge(id: str, licence: Licence, summary: str, millions: int) -> ModelEntry:
    return ModelEntry(
        id,
        "depth",
        f"Ruicheng/{id}",
        ("model.pt",),
        licence,
        f"{summary}, {millions} M parameters",
        size=millions * _BYTES_PER_MILLION,
    )


def _depth_anything(place: str, size: str, licence: Licence, millions: int) -> ModelEntry:
    return ModelEntry(
        f"depth-anything-v2-metric-{place}-{size}".lower(),
        "depth",
        f"depth-anything/Depth-Anything-V2-Metric-{place}-{size}-hf",
        _TRANSFORMERS_FILES,
        licence,
        f"metric depth for {place.lower()} pictures, {millions} M parameters",
        size=millions * _BYTES_PER_MILLION,
    )


_ENTRIES = (
    ModelEntry(
        "flux-fill",
        "inpaint",
        "black-forest-labs/FLUX.1-Fill-dev",
        _pipeline_files(
            "scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "transformer", "vae"
        ),
        _FLUX_DEV,
        "outpainting and inpainting of high quality",
        size=33_700_000_000,  # transformer 23.8, T5 9.5, CLIP 0.2, VAE 0.2
        gated=True,
    ),
    ModelEntry(
        "flux-fill-gguf",
        "inpaint",
        "YarvixPA/FLUX.1-Fill-dev-gguf",
        ("flux1-fill-dev-Q5_K_S.gguf",),
        _FLUX_DEV,
        "flux-fill's transformer in 5 bits for GPUs of 12 GB; the other parts come from flux-fill",
        size=8_290_000_000,
    ),
    ModelEntry(
        "flux-2-klein-4b",
        "inpaint",
        "black-forest-labs/FLUX.2-klein-4B",
        _pipeline_files("scheduler", "text_encoder", "tokenizer", "transformer", "vae"),
        _APACHE,
        "openly licensed inpainting in few steps",
        size=15_000_000_000,
    ),
    _moge("moge-vitl", _APACHE, "depth up to an unknown scale, version 1", 314),
    _moge("moge-2-vitl", _MIT_MOGE, "metric depth, version 2", 326),
    _moge("moge-2-vitl-normal", _MIT_MOGE, "metric depth and normals, version 2", 331),
    _moge("moge-2-vitb-normal", _MIT_MOGE, "metric depth and normals, version 2", 104),
    _moge("moge-2-vits-normal", _MIT_MOGE, "metric depth and normals, version 2, for CPUs too", 35),
    ModelEntry(
        "depth-pro",
        "depth",
        "apple/DepthPro-hf",
        _TRANSFORMERS_FILES,
        _APPLE_RESEARCH,
        "metric depth with sharp edges; for research only",
        size=1_900_000_000,  # stated on the hub; half precision
    ),
    _depth_anything("Indoor", "Small", _APACHE, 25),
    _depth_anything("Outdoor", "Small", _APACHE, 25),
    _depth_anything("Indoor", "Large", _CC_BY_NC, 335),
    _depth_anything("Outdoor", "Large", _CC_BY_NC, 335),
)

CATALOGUE: dict[str, ModelEntry] = {entry.id: entry for entry in _ENTRIES}
"""Every model by its id, inpainting first."""


def model_entry(id: str) -> ModelEntry:
    """The model of that id.

    Raises:
        ModelError: "not_found"; the text lists the ids there are.
    """
    if id not in CATALOGUE:
        raise ModelError("not_found", f"there is no model '{id}'; choose one of: {', '.join(CATALOGUE)}")
    return CATALOGUE[id]
