"""All settings of a scene, in one checked place; the CLI, the API and the service read the same fields."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Stage = Literal["no-outpaint", "outpaint", "coarse", "fine"]
ModelMemory = Literal["auto", "full", "offload", "stream", "8bit", "nf4", "gguf"]


class SceneConfig(BaseModel):
    """Settings of one scene.

    Raises:
        pydantic.ValidationError: a value is out of range, of the wrong type, or the name is unknown.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),  # for `model_memory`; older pydantic warns of its name
    )

    stage: Stage = Field(
        "no-outpaint",
        description="How far to go: the picture alone, with an outpainted border, expanded along the "
        "path, refined.",
    )
    expansion_percent: float = Field(
        0.3,
        ge=0,
        le=2,
        description="Border added around the picture, as a fraction of its size; half on each side.",
    )
    n_frames: int = Field(
        10,
        ge=2,
        le=200,
        description="Frames of the scene at most, picture and outpainted picture included.",
    )
    max_resolution: int = Field(
        512,
        ge=32,
        le=8192,
        description="Longest side of the working picture in pixels, on a multiple of 32.",
    )
    num_steps: int = Field(25, ge=1, le=1000, description="Denoising steps of a diffusion inpainter.")
    guidance: float = Field(30.0, ge=0, le=1000, description="Guidance of a diffusion inpainter.")
    prompt: str = Field("", max_length=4000, description="What a diffusion inpainter should imagine.")
    model_memory: ModelMemory = Field(
        "auto",
        description="How a diffusion inpainter is held in memory: as fits best, whole, moved in parts, streamed, in 8 "
        "bits, in 4 bits, from a GGUF file.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of every random choice.")
    coarse_dense_multiplier: int = Field(
        10,
        ge=1,
        le=1000,
        description="Candidate poses per frame when choosing where to expand.",
    )
    coarse_margin: int = Field(
        32,
        ge=0,
        le=1024,
        description="Pixels added to the size of an expanded view for context (half a side each); they "
        "never count as a hole.",
    )
    coarse_min_inpaint_ratio: float = Field(
        0.05,
        ge=0,
        le=1,
        description="A pose that uncovers less than this share of its view is not expanded.",
    )
    coarse_max_inpaint_ratio: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A pose that uncovers more than this share of its view is not expanded yet.",
    )
    coarse_adjacent_exclusion: int = Field(
        1,
        ge=0,
        le=100000,
        description="Dense poses on either side of a chosen one that are not chosen again.",
    )
    coarse_fallback_mode: Literal["none", "closest"] = Field(
        "none",
        description="When no pose is in range: stop, or take the one closest to the range.",
    )
    coarse_print_summary: bool = Field(True, description="Print the coarse summary and diagnostics.")
    traj_type: Literal["spiral", "spline", "json"] = Field(
        "spiral",
        description="Where the camera path comes from.",
    )
    traj_forward_ratio: float = Field(
        0.3,
        ge=0,
        le=100,
        description="How far the spiral moves forward, times its radius.",
    )
    traj_backward_ratio: float = Field(
        0.4,
        ge=0,
        le=100,
        description="How far the spiral moves back, times its radius.",
    )
    traj_min_percentage: float = Field(
        5,
        ge=0,
        le=100,
        description="Lower percentile of the scene's extent that sets the spiral's radius.",
    )
    traj_max_percentage: float = Field(
        50,
        ge=0,
        le=100,
        description="Upper percentile of the scene's extent that sets the spiral's radius.",
    )

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> SceneConfig:
        if self.coarse_min_inpaint_ratio > self.coarse_max_inpaint_ratio:
            raise ValueError("coarse_min_inpaint_ratio must not exceed coarse_max_inpaint_ratio")
        if self.traj_min_percentage >= self.traj_max_percentage:
            raise ValueError("traj_min_percentage must be below traj_max_percentage")
        return self
