"""FLUX.1 Fill through diffusers: paints holes and borders of high quality; weights for non-commercial use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.inpaint.diffusion.canvas import Canvas
from splinescape.inpaint.diffusion.engine import AfterStep, DiffusionInpainter, to_uint8
from splinescape.inpaint.diffusion.families import FLUX_FILL, TEXT_TOKENS
from splinescape.inpaint.diffusion.folder import PipelineFolder

if TYPE_CHECKING:
    import torch


class FluxFillInpainter(DiffusionInpainter):
    """FLUX.1 Fill [dev]. Arguments and errors as its base; guidance is the model's own, 30 as published.

    The pipeline greys out what is under the mask before the model sees it, so nothing need be put there.
    """

    family = FLUX_FILL
    name = FLUX_FILL.id

    def _check(self, folder: PipelineFolder) -> None:
        transformer, vae = folder.configs["transformer"], folder.configs["vae"]
        latent = 4 * int(vae["latent_channels"])
        mask = (2 ** len(vae["block_out_channels"])) ** 2
        if transformer["in_channels"] != 2 * latent + mask:
            raise InputError(
                f"the transformer in {folder.path} takes {transformer['in_channels']} channels where one that "
                f"fills takes {2 * latent + mask}: this is a FLUX.1 that cannot fill, take FLUX.1-Fill-dev"
            )

    def _encode(self, pipe: Any, prompt: str, device: torch.device) -> dict[str, torch.Tensor]:
        tokens, pooled, _ = pipe.encode_prompt(prompt, None, device=device, max_sequence_length=TEXT_TOKENS)
        return {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}

    def _paint(
        self, pipe: Any, canvas: Canvas, generator: torch.Generator, after: AfterStep
    ) -> NDArray[np.uint8]:
        import torch

        width, height = canvas.size
        made = pipe(
            image=torch.from_numpy(canvas.rgb_hw3).permute(2, 0, 1)[None].float() / 255,
            mask_image=torch.from_numpy(canvas.mask_hw)[None, None].float(),
            width=width,
            height=height,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            generator=generator,
            output_type="np",
            callback_on_step_end=after,
            **self._embeddings,
        )
        return to_uint8(made.images[0])
