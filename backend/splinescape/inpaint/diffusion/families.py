"""The diffusion models there are engines for: how their folders look, what sizes they take. Never loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from splinescape.inpaint.diffusion.canvas import Limits
from splinescape.inpaint.diffusion.folder import Layout, open_folder
from splinescape.inpaint.diffusion.memory import Activity, ModelSize, measure

TEXT_TOKENS = 512
"""Tokens of a prompt, padded to this number as both models were trained."""


@dataclass(frozen=True)
class Family:
    """A model.

    Attributes:
        id: in the catalogue.
        pipeline: the diffusers class that runs it.
        tokenizers: their classes in transformers, by the folder.
    """

    id: str
    pipeline: str
    layout: Layout
    limits: Limits
    activity: Activity
    tokenizers: dict[str, str]


FLUX_FILL = Family(
    "flux-fill",
    "FluxFillPipeline",
    Layout(
        "FLUX.1 Fill",
        ("FluxFillPipeline",),
        {
            "transformer": "FluxTransformer2DModel",
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": "T5EncoderModel",
        },
        ("text_encoder", "text_encoder_2"),
    ),
    Limits(grid=16, shortest=256, most=2048 * 1024),
    Activity(per_token=17.5, pictures=1, text_tokens=TEXT_TOKENS),
    {"tokenizer": "CLIPTokenizer", "tokenizer_2": "T5TokenizerFast"},
)

KLEIN = Family(
    "flux-2-klein-4b",
    "Flux2KleinInpaintPipeline",
    Layout(
        "FLUX.2 klein",
        ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
        {
            "transformer": "Flux2Transformer2DModel",
            "vae": "AutoencoderKLFlux2",
            "text_encoder": "Qwen3ForCausalLM",
        },
        ("text_encoder",),
    ),
    Limits(grid=16, shortest=256, most=1024 * 1024),
    Activity(per_token=21.7, pictures=2, text_tokens=TEXT_TOKENS),
    {"tokenizer": "Qwen2TokenizerFast"},
)

FAMILIES = {family.id: family for family in (FLUX_FILL, KLEIN)}
"""By their id in the catalogue."""


def model_size(family: Family, folder: Path, gguf: Path | None = None) -> ModelSize:
    """The numbers of a model on disk that its memory follows from, read from the headers of its files.

    Args:
        gguf: a GGUF file with the transformer.

    Raises:
        InputError: the folder is not that of such a pipeline, or files are missing, cut off or damaged.
    """
    return measure(open_folder(folder, family.layout), family.activity, family.layout.text, gguf)
