"""`model_config` of a MoGe checkpoint: the arguments of the published model classes, checked.

Names and defaults: microsoft/MoGe, moge/model/v1.py, v2.py and modules.py (commit 0744441). Like those classes, this
ignores arguments it does not know: the published version 1 file still carries two that mean nothing any more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from splinescape.depth.moge.layers import Activation, Norm, Remap
from splinescape.depth.moge.vit import PATCH, VIT_SIZES, VitSize
from splinescape.errors import InputError

LEVELS = 5
"""Of the decoders of version 2, each twice as large as the one before."""

Channels = Annotated[int, Field(ge=1, le=8192)]
Count = Annotated[int, Field(ge=0, le=64)]
TokensRange = tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(ge=1)]]
Resampling = Literal["conv_transpose", "pixel_shuffle", "nearest", "bilinear"]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Taken(_Config):
    """A transformer and the blocks whose tokens are used."""

    encoder: str
    layers: tuple[int, ...]

    @classmethod
    def of(cls, encoder: str, layers: int | tuple[int, ...]) -> Taken:
        """`layers` as published: indices, or how many of the last blocks; raises ValueError."""
        if encoder not in VIT_SIZES:
            raise ValueError(f"'{encoder}' is none of {', '.join(VIT_SIZES)}")
        depth = VIT_SIZES[encoder].depth
        taken = tuple(range(depth - layers, depth)) if isinstance(layers, int) else tuple(sorted(layers))
        if not taken or not all(0 <= layer < depth for layer in taken):
            raise ValueError(f"{encoder} has no blocks {layers}")
        return cls(encoder=encoder, layers=taken)

    @property
    def size(self) -> VitSize:
        return VIT_SIZES[self.encoder]


class V1Config(_Config):
    """MoGe 1."""

    encoder: str
    intermediate_layers: int | tuple[int, ...] = 4
    dim_proj: Channels = 512
    dim_upsample: tuple[Channels, ...] = (256, 128, 128)
    dim_times_res_block_hidden: Count = 1
    num_res_blocks: Count = 1
    remap_output: Remap = "linear"
    res_block_norm: Literal["group_norm", "layer_norm"] = "group_norm"
    num_tokens_range: TokensRange = (1200, 2500)
    last_res_blocks: Count = 0
    last_conv_channels: Channels = 32
    last_conv_size: Literal[1, 3] = 1
    mask_threshold: float = 0.5

    @model_validator(mode="before")
    @classmethod
    def _area_range_is_the_old_name(cls, data: dict[str, Any]) -> dict[str, Any]:
        area = data.get("trained_area_range")
        return data if area is None else {**data, "num_tokens_range": [each // PATCH**2 for each in area]}

    @model_validator(mode="after")
    def _encoder_exists(self) -> V1Config:
        assert self.taken
        return self

    @property
    def taken(self) -> Taken:
        return Taken.of(self.encoder, self.intermediate_layers)


class EncoderConfig(_Config):
    """The transformer of MoGe 2 and the width that its features are projected to."""

    backbone: str
    intermediate_layers: int | tuple[int, ...]
    dim_out: Channels

    @property
    def taken(self) -> Taken:
        return Taken.of(self.backbone, self.intermediate_layers)


class StackConfig(_Config):
    """One convolutional decoder of MoGe 2, one entry per level."""

    dim_in: tuple[Channels | None, ...]
    dim_res_blocks: tuple[Channels, ...]
    dim_out: tuple[Channels | None, ...]
    resamplers: tuple[Resampling, ...]
    num_res_blocks: tuple[Count, ...]
    dim_times_res_block_hidden: Count = 1
    res_block_in_norm: Norm = "layer_norm"
    res_block_hidden_norm: Norm = "group_norm"
    activation: Activation = "relu"

    @model_validator(mode="before")
    @classmethod
    def _one_value_stands_for_all_levels(cls, data: dict[str, Any]) -> dict[str, Any]:
        data = {"num_res_blocks": 1} | data
        for name in ("dim_in", "dim_out", "num_res_blocks", "resamplers"):
            if name in data and not isinstance(data[name], list | tuple):
                data[name] = [data[name]] * (LEVELS - (name == "resamplers"))
        return data

    @model_validator(mode="after")
    def _all_levels_are_there(self) -> StackConfig:
        per_level = (self.dim_in, self.dim_res_blocks, self.dim_out, self.num_res_blocks)
        if any(len(values) != LEVELS for values in per_level) or len(self.resamplers) != LEVELS - 1:
            raise ValueError(f"a decoder has {LEVELS} levels")
        return self

    @property
    def out(self) -> tuple[int, ...]:
        """Channels that come out of each level."""
        return tuple(out or inner for out, inner in zip(self.dim_out, self.dim_res_blocks, strict=True))


class MlpConfig(_Config):
    """Widths of the layers of a small perceptron."""

    dims: Annotated[tuple[Channels, ...], Field(min_length=2)]


class V2Config(_Config):
    """MoGe 2."""

    encoder: EncoderConfig
    neck: StackConfig
    points_head: StackConfig
    mask_head: StackConfig | None = None
    normal_head: StackConfig | None = None
    scale_head: MlpConfig | None = None
    remap_output: Remap = "linear"
    num_tokens_range: TokensRange = (1200, 3600)

    @model_validator(mode="after")
    def _parts_fit(self) -> V2Config:
        given = (self.encoder.dim_out + 2, *[2] * (LEVELS - 1))
        _check_channels("neck", self.neck, given)
        for name, channels in (("points_head", 3), ("mask_head", 1), ("normal_head", 3)):
            head: StackConfig | None = getattr(self, name)
            if head is not None:
                _check_channels(name, head, self.neck.out)
                if head.out[-1] != channels:
                    raise ValueError(f"{name} has {head.out[-1]} outputs instead of {channels}")
        if self.scale_head is not None:
            dims = self.scale_head.dims
            if (dims[0], dims[-1]) != (self.encoder.taken.size.width, 1):
                raise ValueError(f"scale_head maps {dims[0]} values to {dims[-1]}")
        return self


def _check_channels(name: str, stack: StackConfig, given: tuple[int, ...]) -> None:
    for level, (channels, fed) in enumerate(zip(given, stack.dim_in, strict=True)):
        if channels != (fed or stack.dim_res_blocks[level]):
            raise ValueError(f"level {level} of {name} does not take the {channels} channels it is given")


def read_config(config: object) -> V1Config | V2Config:
    """Which version it is, and its settings, from the `model_config` of a checkpoint.

    The files state no version: in version 1 `encoder` is a name, in version 2 it is a table.

    Raises:
        InputError: it is of neither version, or no network can be built from it.
    """
    if not isinstance(config, dict):
        raise InputError("its model_config is not a table of settings")
    kind: type[V1Config | V2Config]
    if isinstance(config.get("encoder"), str):
        kind = V1Config
    elif isinstance(config.get("encoder"), dict) and "neck" in config:
        kind = V2Config
    else:
        raise InputError("its model_config is of neither version 1 nor version 2 of MoGe")
    try:
        return kind.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InputError(f"its model_config cannot be used ({where}: {first['msg']})") from error
