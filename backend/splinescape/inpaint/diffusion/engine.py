"""What the diffusion inpainters share: choosing how to hold the model, prompts, canvases and the seam."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.devices import free_bytes
from splinescape.errors import CancelledError, InputError, NotEnoughMemoryError
from splinescape.inpaint.diffusion.canvas import Canvas, make_canvas
from splinescape.inpaint.diffusion.embeddings import Embeddings
from splinescape.inpaint.diffusion.families import Family
from splinescape.inpaint.diffusion.folder import PipelineFolder, open_folder
from splinescape.inpaint.diffusion.loading import (
    hush,
    library,
    load_part,
    load_small,
    load_transformer,
    release,
)
from splinescape.inpaint.diffusion.memory import (
    MemoryMode,
    Mode,
    Place,
    announcement,
    choose_mode,
    expected_bytes,
    find_gguf,
    hindrance,
    leaner,
    measure,
    prompt_bytes,
    prompt_place,
)
from splinescape.inpaint.diffusion.seam import paste

if TYPE_CHECKING:
    import torch

AfterStep = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""What diffusers calls after each step."""

_log = logging.getLogger(__name__)

_SMALL = 2 * 2**30
"""Bytes in float32 up to which a model runs in it on a CPU: exact, and faster there than bfloat16."""

_MUCH_LESS = 0.8
"""Share of the expected memory below which a leaner way is worth trying once memory ran out."""


class DiffusionInpainter(ABC):
    """Fills holes with a diffusers pipeline from a local folder; loaded at the first picture and then kept.

    Args:
        folder: of the pipeline, with model_index.json.
        device: where it works.
        steps: of denoising.
        guidance: how closely it follows the prompt; the scale is the model's own.
        prompt: what to imagine; may be empty.
        memory: how its weights are held; None or "auto" for the fastest that fits.
        gguf: a GGUF or safetensors file with the transformer, or a folder with a GGUF file, for the mode of that name.
        lean: where "auto" chooses, take the next way that needs much less, as memory ran out before.

    Raises:
        InputError: the folder is not that of such a pipeline, or files are missing or damaged.
        EngineUnavailableError: a library is missing.

    Attributes:
        mode: how the weights are held; None before they are loaded.
        announced: the expected memory of every mode and the choice, in one line; empty before.
    """

    family: ClassVar[Family]

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        steps: int = 25,
        guidance: float = 30.0,
        prompt: str = "",
        memory: MemoryMode | None = None,
        gguf: Path | None = None,
        lean: bool = False,
    ) -> None:
        self.mode: Mode | None = None
        self.announced = ""
        self._layout = self.family.layout
        self._folder = open_folder(Path(folder), self._layout)
        self._check(self._folder)
        self._size = measure(self._folder, self.family.activity, self._layout.text, gguf)
        self._device = device
        self._steps, self._guidance, self._prompt = steps, guidance, prompt
        self._memory, self._lean = memory or "auto", lean
        self._gguf = None if gguf is None else find_gguf(gguf)
        self._pipe: Any = None
        self._embeddings: dict[str, torch.Tensor] = {}
        library("diffusers", self.family.pipeline)

    def inpaint(
        self,
        rgb_hw3: NDArray[np.uint8],
        mask_hw: NDArray[np.bool_],
        *,
        view: View,  # noqa: ARG002
        seed: int,
        on_step: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> NDArray[np.uint8]:
        """Fill the True pixels of `mask_hw`; the others come back as they are.

        The first call loads the model, which takes seconds to minutes; later ones start at once. The noise is drawn
        on the CPU, so that a seed means the same picture on every device up to rounding.

        Args:
            on_step: called with the steps that are done and those there are.
            cancel: set it to stop after the step that is being worked on.

        Raises:
            CancelledError: `cancel` was set.
            InputError: the picture is too long and narrow, or the model's files are damaged.
            EngineUnavailableError: the memory mode cannot work here.
            NotEnoughMemoryError: no mode fits, or the text encoders do not and the prompt is new.
            torch.OutOfMemoryError: there was less memory than expected; `memory.leaner` has the next mode.
        """
        if not mask_hw.any():
            return rgb_hw3.copy()
        import torch

        canvas = make_canvas(rgb_hw3, np.asarray(mask_hw, bool), self.family.limits)
        _stop(cancel)
        with torch.inference_mode():
            pipe = self._ready(*canvas.size)
            _stop(cancel)
            noise = torch.Generator("cpu").manual_seed(seed % 2**63)
            try:
                painted = self._paint(pipe, canvas, noise, _after_step(on_step, cancel))
            except BaseException:
                if self.mode in (
                    "offload",
                    "stream",
                ):  # weights are where the next picture does not expect them
                    self._pipe = self.mode = None
                raise
        return paste(rgb_hw3, mask_hw, canvas.back(painted))

    def adjust(self, *, steps: int, guidance: float, prompt: str) -> None:
        """Take other settings for the pictures to come; what is loaded stays loaded."""
        if prompt != self._prompt:
            self._embeddings = {}
        self._steps, self._guidance, self._prompt = steps, guidance, prompt

    @abstractmethod
    def _check(self, folder: PipelineFolder) -> None:
        """Refuse a transformer that is of the right class but made for something else."""

    @abstractmethod
    def _encode(self, pipe: Any, prompt: str, device: torch.device) -> dict[str, torch.Tensor]:
        """What the text encoders make of a prompt, under the names of the pipeline's arguments."""

    @abstractmethod
    def _paint(
        self, pipe: Any, canvas: Canvas, generator: torch.Generator, after: AfterStep
    ) -> NDArray[np.uint8]:
        """Run the pipeline on a canvas and return its picture; `after` is for each step."""

    def _instruction(self) -> str:
        """The prompt as the text encoders get it."""
        return self._prompt

    def _ready(self, width: int, height: int) -> Any:
        """The pipeline, loaded now if it is not yet."""
        if self._pipe is None:
            hush()
            release(self._device)  # what is left of a picture that failed is not counted against this one
            place = self._place()
            mode = self._choose(place, width, height)
            known = self._prompt_embeddings(place)
            told = announcement(self._size, place, width, height, mode, new_prompt=known is None)
            self.announced = f"{self._layout.title}: {told}"
            _log.info("%s", self.announced)
            self._embeddings = self._here(known or self._new_embeddings(place))
            self._pipe = self._load(mode, place)
            self.mode = mode
        if not self._embeddings:
            place = self._place()
            self._embeddings = self._here(self._prompt_embeddings(place) or self._new_embeddings(place))
        return self._pipe

    def _choose(self, place: Place, width: int, height: int) -> Mode:
        mode = choose_mode(self._size, self._memory, place, width, height)
        if not (self._lean and self._memory == "auto"):
            return mode
        taken = expected_bytes(self._size, mode, width, height, place.value).device
        below = leaner(mode)
        while below is not None:
            saves = expected_bytes(self._size, below, width, height, place.value).device < _MUCH_LESS * taken
            if saves and hindrance(self._size, below, place) is None:
                return below
            below = leaner(below)
        return mode

    def _place(self) -> Place:
        import psutil

        value = 2
        if self._device.type == "cpu" and (self._size.parameters + self._size.vae) * 4 <= _SMALL:
            value = 4
        return Place(
            self._device.type, free_bytes(self._device), int(psutil.virtual_memory().available), value
        )

    def _dtype(self, place: Place) -> torch.dtype:
        import torch

        return torch.float32 if place.value == 4 else torch.bfloat16

    def _kept(self, place: Place) -> Embeddings:
        variant = f"{self._dtype(place)} {self._options()}"
        return Embeddings(self._folder, self._layout.text, tuple(self.family.tokenizers), variant)

    def _prompt_embeddings(self, place: Place) -> dict[str, torch.Tensor] | None:
        """What is kept of the prompt; None if it is new."""
        return self._kept(place).get(self._instruction())

    def _new_embeddings(self, place: Place) -> dict[str, torch.Tensor]:
        """Made by text encoders that are loaded alone and gone before the rest is loaded."""
        import torch

        self._check_encoders()
        where = prompt_place(self._size, place)
        if where is None:
            raise NotEnoughMemoryError(
                f"the text encoders of {self._layout.title} take "
                f"{prompt_bytes(self._size, place.value) / 2**30:.1f} GiB for a new prompt, and neither the device "
                f"({place.free / 2**30:.1f} GiB free) nor the machine ({place.host_free / 2**30:.1f} GiB free) has "
                "room for them: close other programs, use a prompt that was used before, or take another inpainter"
            )
        device = self._device if where == "device" else torch.device("cpu")
        made = self._encode_once(self._instruction(), device, self._dtype(place))
        self._kept(place).put(self._instruction(), made)
        return made

    def _here(self, made: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self._device) for name, tensor in made.items()}

    def _check_encoders(self) -> None:
        for part in self._layout.text:
            if part not in self._folder.configs or not self._folder.has_weights(part):
                raise InputError(
                    f"{self._folder.path} has no {part}, and this prompt was never used with it before: download "
                    "the model again"
                )

    def _encode_once(self, prompt: str, device: torch.device, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        parts: dict[str, Any] = {
            part: load_small(self._folder, part, "transformers", name)
            for part, name in self.family.tokenizers.items()
        }
        for part in self._layout.text:
            parts[part] = load_part(
                self._folder, part, "transformers", self._layout.models[part], device, dtype
            )
        pipe = library("diffusers", self.family.pipeline)(scheduler=None, vae=None, transformer=None, **parts)
        made = {name: tensor.cpu() for name, tensor in self._encode(pipe, prompt, device).items()}
        parts.clear()
        del pipe
        release(device)
        return made

    def _load(self, mode: Mode, place: Place) -> Any:
        import torch

        dtype = self._dtype(place)
        here = self._device
        transformer = load_transformer(
            self._folder,
            library("diffusers", self._layout.models["transformer"]),
            mode,
            here,
            dtype,
            self._gguf,
        )
        beside = torch.device("cpu") if mode == "offload" else here
        vae = load_part(self._folder, "vae", "diffusers", self._layout.models["vae"], beside, dtype)
        scheduler = load_small(self._folder, "scheduler", "diffusers", "FlowMatchEulerDiscreteScheduler")
        absent = dict.fromkeys((*self._layout.text, *self.family.tokenizers))
        pipe = library("diffusers", self.family.pipeline)(
            scheduler=scheduler, vae=vae, transformer=transformer, **absent, **self._options()
        )
        pipe.set_progress_bar_config(disable=True)
        if mode == "offload":
            pipe.enable_model_cpu_offload(device=here)
        return pipe

    def _options(self) -> dict[str, Any]:
        """Further arguments of the pipeline's constructor."""
        return {}


def _stop(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("stopped on request")


def _after_step(on_step: Callable[[int, int], None] | None, cancel: threading.Event | None) -> AfterStep:
    def after(pipe: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if on_step is not None:
            on_step(step + 1, pipe.num_timesteps)
        _stop(cancel)
        return tensors

    return after


def to_uint8(rgb_hw3: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A pipeline's picture in [0, 1] as bytes."""
    return np.asarray(np.rint(np.asarray(rgb_hw3) * 255).clip(0, 255), np.uint8)
