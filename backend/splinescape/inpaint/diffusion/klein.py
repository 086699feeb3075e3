"""FLUX.2 [klein] 4B through diffusers: openly licensed, four steps, a third of FLUX Fill's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.inpaint.builtin.pushpull import push_pull
from splinescape.inpaint.diffusion.canvas import Canvas
from splinescape.inpaint.diffusion.engine import AfterStep, DiffusionInpainter, to_uint8
from splinescape.inpaint.diffusion.families import KLEIN, TEXT_TOKENS
from splinescape.inpaint.diffusion.folder import PipelineFolder

if TYPE_CHECKING:
    import torch

_DISTILLED_STEPS = 4
"""It was distilled to this many; more are only slower."""
_BASE_GUIDANCE = 4.0
"""The most that the undistilled model is published with; it is another scale than FLUX Fill's."""
_TASK = "Fill in the blurred parts of this photo so that it goes on naturally, with the same place, light and style."


class KleinInpainter(DiffusionInpainter):
    """FLUX.2 [klein] 4B. Arguments and errors as its base.

    An editing model: it is shown the picture beside what it paints, and told what to do. The hole is therefore
    filled smoothly from its surroundings before, and the prompt begins with the task. Distilled weights take at most
    four steps and no guidance.
    """

    family = KLEIN
    name = KLEIN.id

    def _check(self, folder: PipelineFolder) -> None:
        takes, gives = (
            folder.configs["transformer"]["in_channels"],
            4 * int(folder.configs["vae"]["latent_channels"]),
        )
        if takes != gives:
            raise InputError(
                f"the transformer in {folder.path} takes {takes} channels where its picture encoder gives {gives}: "
                "these parts belong to different models"
            )

    def _distilled(self) -> bool:
        return bool(self._folder.index.get("is_distilled", False))

    def _options(self) -> dict[str, Any]:
        return {"is_distilled": self._distilled()}

    def _instruction(self) -> str:
        return f"{_TASK} {self._prompt}".strip()

    def _encode(self, pipe: Any, prompt: str, device: torch.device) -> dict[str, torch.Tensor]:
        made = {}
        for name, text in (("prompt_embeds", prompt), ("negative_prompt_embeds", "")):
            if name == "prompt_embeds" or not self._distilled():
                made[name], _ = pipe.encode_prompt(text, device=device, max_sequence_length=TEXT_TOKENS)
        return made

    def _paint(
        self, pipe: Any, canvas: Canvas, generator: torch.Generator, after: AfterStep
    ) -> NDArray[np.uint8]:
        import torch

        distilled = self._distilled()
        rgb = push_pull(np.asarray(canvas.rgb_hw3 / 255, np.float32), np.logical_not(canvas.mask_hw))
        made = pipe(
            image=torch.from_numpy(rgb).permute(2, 0, 1)[None],
            mask_image=torch.from_numpy(whole_tokens(canvas.mask_hw, KLEIN.limits.grid))[None, None],
            num_inference_steps=min(self._steps, _DISTILLED_STEPS) if distilled else self._steps,
            guidance_scale=1.0 if distilled else min(self._guidance, _BASE_GUIDANCE),
            strength=1.0,  # nothing of what the hole was filled with before is kept
            generator=generator,
            output_type="np",
            callback_on_step_end=after,
            **self._embeddings,
        )
        return to_uint8(made.images[0])


def whole_tokens(mask_hw: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    """(H, W) float32, 1 on every token that the mask touches.

    The pipeline samples the mask once per token, so that a thin hole could fall through.
    """
    height, width = mask_hw.shape
    tokens = mask_hw.reshape(height // side, side, width // side, side).any((1, 3))
    return np.repeat(np.repeat(tokens, side, 0), side, 1).astype(np.float32)
