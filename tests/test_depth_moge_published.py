"""Our MoGe networks say what the published ones say.

`moge_golden.npz` holds what microsoft/MoGe at commit 0744441 (moge.model.v1 and moge.model.v2, float32 on a CPU, torch
2.13) answered for the checkpoints and pictures below, at every 31st value of each map: points, mask, normals and metric
scale of `forward`, focal length and shift of `recover_focal_shift`, and depth and focal length of `infer` with and
without a given field of view. It was written by running this file as a script where that repository can be imported:

    PYTHONPATH=path/to/MoGe:backend:tests python tests/test_depth_moge_published.py

Where it can be imported when tests run, whole maps are compared too, for the published ViT-S settings and for other
settings that the published classes accept (norms, resamplers, activations, blocks, remappings), and so are the layouts
of all five published models. Largest differences found: points, mask, normals and scale 0 (the same bits), focal length
1.4e-7, shift 2.4e-7, depth 2.2e-7, relative to the largest value where that is above 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moge_support import PUBLISHED, SMALL_V1, SMALL_V2, layout, noise_picture, random_state
from numpy.typing import NDArray

from splinescape.camera.intrinsics import pixel_rays
from splinescape.depth.moge.config import V1Config, read_config
from splinescape.depth.moge.recover import least_squares_fit, sample_grid
from splinescape.depth.moge.v1 import MogeV1
from splinescape.depth.moge.v2 import MogeV2
from splinescape.picture.focal import centred_intrinsics

GOLDEN = Path(__file__).with_name("moge_golden.npz")
CASES: dict[str, dict[str, Any]] = {"v1": SMALL_V1, "v2": SMALL_V2}
PICTURES = ((48, 64, 40), (66, 22, 64), (20, 90, 64), (97, 131, 90))
"""Height, width, tokens."""
FOV_X_DEG = 50.0
EVERY = 31

Answers = dict[str, NDArray[np.float32]]


@cache
def _weights(case: str) -> dict[str, torch.Tensor]:
    return random_state(CASES[case], seed=7)


def _network(config: Mapping[str, Any], state: dict[str, torch.Tensor]) -> MogeV1 | MogeV2:
    read = read_config(dict(config))
    with torch.device("meta"):
        network = MogeV1(read) if isinstance(read, V1Config) else MogeV2(read)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def _image(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(noise_picture(height, width)).permute(2, 0, 1).float()[None] / 255


def ours(network: MogeV1 | MogeV2, height: int, width: int, tokens: int) -> Answers:
    """Everything that is compared, from our code."""
    with torch.inference_mode():
        maps = network(_image(height, width), tokens)
    points, mask = maps.points.numpy(), maps.mask.numpy()
    known = mask > network.mask_threshold
    half_diagonal = float(np.hypot(height, width)) / 2
    grid = np.ix_(sample_grid(height), sample_grid(width))
    rays = pixel_rays(width, height, centred_intrinsics(half_diagonal, width, height))
    uv, xyz = rays[grid][known[grid]][:, :2], points[grid][known[grid]].astype(np.float64)
    given = width / 2 / np.tan(np.radians(FOV_X_DEG) / 2) / half_diagonal
    free, fixed = least_squares_fit(uv, xyz), least_squares_fit(uv, xyz, focal=given)
    scale = 1.0 if maps.scale is None else float(maps.scale)
    answers = {
        "points": points,
        "mask": mask,
        "focal": np.array(free.focal),
        "shift": np.array(free.shift),
        "shift with a given focal": np.array(fixed.shift),
        "depth": (points[..., 2] + free.shift) * scale,
        "depth with a given focal": (points[..., 2] + fixed.shift) * scale,
        "focal in pixels": np.array(free.focal * half_diagonal),
        "focal in pixels with a given focal": np.array(given * half_diagonal),
    }
    if maps.normals is not None:
        answers["normals"] = maps.normals.numpy()
    if maps.scale is not None:
        answers["scale"] = maps.scale.numpy()
    return {name: np.asarray(values, np.float32) for name, values in answers.items()}


def theirs(model: Any, height: int, width: int, tokens: int) -> Answers:
    """The same from the published code."""
    from moge.utils.geometry_torch import recover_focal_shift

    image = _image(height, width)
    with torch.inference_mode():
        maps = model(image, tokens)
        mask = maps["mask"] > getattr(model, "mask_threshold", 0.5)
        focal, shift = recover_focal_shift(maps["points"].clone(), mask)
        half_diagonal = np.hypot(height, width) / 2
        given = torch.tensor([width / 2 / np.tan(np.radians(FOV_X_DEG) / 2) / half_diagonal])
        _, fixed = recover_focal_shift(maps["points"].clone(), mask, focal=given.float())
        answers = {
            "points": maps["points"][0],
            "mask": maps["mask"][0],
            "focal": focal[0],
            "shift": shift[0],
            "shift with a given focal": fixed[0],
        }
        for end, fov in (("", None), (" with a given focal", FOV_X_DEG)):
            inferred = model.infer(image[0], num_tokens=tokens, fov_x=fov, apply_mask=False, use_fp16=False)
            answers["depth" + end] = inferred["depth"]
            answers["focal in pixels" + end] = inferred["intrinsics"][0, 0] * width
            assert inferred["intrinsics"][1, 1] * height == pytest.approx(
                float(inferred["intrinsics"][0, 0] * width), rel=1e-6
            )
        for name, key in (("normals", "normal"), ("scale", "metric_scale")):
            if key in maps:
                answers[name] = maps[key][0]
    return {name: np.asarray(values, np.float32) for name, values in answers.items()}


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Largest difference, the largest value as unit where that is above 1."""
    assert one.shape == other.shape and np.isfinite(one).all() and np.isfinite(other).all()
    return float(np.abs(one - other).max() / max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("case", CASES)
def test_answers_are_those_that_the_published_code_gave(case: str, picture: tuple[int, int, int]) -> None:
    answers = ours(_network(CASES[case], _weights(case)), *picture)
    with np.load(GOLDEN) as golden:
        prefix = f"{case} {picture} "
        recorded = {key[len(prefix) :]: golden[key] for key in golden.files if key.startswith(prefix)}
    assert recorded.keys() == answers.keys()
    for name, values in recorded.items():
        assert difference(answers[name].ravel()[::EVERY], values) < 1e-4, name


LAYOUTS = {  # written by the script below from the state dicts of the published classes
    "moge-vitl": (421, 314174026, "31e0a3e0bb2c41698c994c54ba65ac0fb32c02b1e8d6d5b4c63e3194abe14478"),
    "moge-2-vitl": (483, 326209227, "b7a2fdf396ba37c314fc4490fcee94bf9391bf52473da92787e6e44acf85808c"),
    "moge-2-vitl-normal": (
        521,
        330901550,
        "cf14560eaaed93c2054361953a7fafe277c5642dc96fa86fc0f427e7c482d97d",
    ),
    "moge-2-vitb-normal": (
        337,
        104743598,
        "27dcd4e64a9b5dada0902aa114505a47be6aaac1e9a5c7b7245fe6dc1aa2e00d",
    ),
    "moge-2-vits-normal": (337, 35103662, "b6a394e21f4bf1071f82b46100f457aafa5c4e7948cc727da46b5ae42ffb9dff"),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_names_and_shapes_are_the_published_ones(model: str) -> None:
    assert digest(layout(PUBLISHED[model])) == LAYOUTS[model]


@pytest.mark.parametrize(
    ("model", "size"), [("moge-2-vits-normal", 140550416), ("moge-2-vitb-normal", 419110160)]
)
def test_the_published_files_are_as_long_as_their_weights(model: str, size: int) -> None:
    """Both files have the same overhead of zip and pickle, as both have the same number of tensors."""
    assert size - 4 * digest(layout(PUBLISHED[model]))[1] == 135768


def digest(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, str]:
    """Number of tensors, number of elements, and a hash of all names and shapes."""
    lines = "\n".join(f"{name} {json.dumps(list(shape))}" for name, shape in sorted(shapes.items()))
    elements = sum(int(np.prod(shape)) for shape in shapes.values())
    return len(shapes), elements, hashlib.sha256(lines.encode()).hexdigest()


def _v2_with(**changes: Any) -> dict[str, Any]:
    return SMALL_V2 | {"neck": SMALL_V2["neck"] | changes}


OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "v2, norms, other resamplers and activation": _v2_with(
        res_block_in_norm="layer_norm",
        res_block_hidden_norm="group_norm",
        activation="silu",
        resamplers=["pixel_shuffle", "nearest", "conv_transpose", "bilinear"],
        dim_times_res_block_hidden=2,
    ),
    "v2, instance norms, elu": _v2_with(
        res_block_in_norm="instance_norm", res_block_hidden_norm="layer_norm", activation="elu"
    ),
    "v2, no mask, no scale": {
        key: SMALL_V2[key] for key in SMALL_V2 if key not in ("mask_head", "scale_head")
    },
    "v2, sinh": SMALL_V2 | {"remap_output": "sinh"},
    "v2, sinh_exp": SMALL_V2 | {"remap_output": "sinh_exp"},
    "v2, last three blocks": SMALL_V2
    | {"encoder": {"backbone": "dinov2_vits14", "intermediate_layers": 3, "dim_out": 384}},
    "v1, named blocks, layer norm, residual output": SMALL_V1
    | {
        "intermediate_layers": [2, 5, 11],
        "res_block_norm": "layer_norm",
        "last_res_blocks": 1,
        "last_conv_size": 3,
        "remap_output": "linear",
    },
    "v1, defaults": {"encoder": "dinov2_vits14"},
}


@pytest.mark.skipif(
    find_spec("moge") is None, reason="the published code is not here: PYTHONPATH=path/to/MoGe"
)
@pytest.mark.parametrize("name", [*CASES, *OTHER_SETTINGS])
def test_whole_maps_are_the_published_ones(name: str) -> None:
    config = CASES.get(name) or OTHER_SETTINGS[name]
    state = _weights(name) if name in CASES else random_state(config, seed=3)
    published = _published(config, state)
    network = _network(config, state)
    for height, width, tokens in (*PICTURES, (5, 7, 30), (224, 224, 256), (12, 100, 64)):
        with torch.inference_mode():
            image = _image(height, width)
            theirs, ours = published(image, tokens), network(image, tokens)
        pairs = [
            ("points", ours.points),
            ("mask", ours.mask),
            ("normal", ours.normals),
            ("metric_scale", ours.scale),
        ]
        for key, values in pairs:
            if key in theirs:
                found = difference(np.asarray(values), theirs[key][0].numpy())
                print(f"{name} {height}x{width} {key}: {found:.1e}")
                assert found < 1e-4


@pytest.mark.skipif(
    find_spec("moge") is None, reason="the published code is not here: PYTHONPATH=path/to/MoGe"
)
@pytest.mark.parametrize("model", PUBLISHED)
def test_layouts_are_those_of_the_published_classes(model: str) -> None:
    assert LAYOUTS[model] == _published_digest(model)


def _published_class(config: Mapping[str, Any]) -> Callable[..., Any]:
    from moge.model import import_model_class_by_version

    return import_model_class_by_version("v1" if isinstance(config["encoder"], str) else "v2")


def _published(config: Mapping[str, Any], state: dict[str, torch.Tensor]) -> Any:
    model = _published_class(config)(**config)
    model.load_state_dict(state, strict=True)
    return model.eval()


def _published_digest(model: str) -> tuple[int, int, str]:
    state = _published_class(PUBLISHED[model])(**PUBLISHED[model]).state_dict()
    return digest({name: tuple(tensor.shape) for name, tensor in state.items()})


def _record() -> None:
    """Write the golden file and print the layouts, both from the published code."""
    golden: Answers = {}
    for case in CASES:
        model = _published(CASES[case], _weights(case))
        network = _network(CASES[case], _weights(case))
        for picture in PICTURES:
            published, port = theirs(model, *picture), ours(network, *picture)
            for name, values in published.items():
                golden[f"{case} {picture} {name}"] = values.ravel()[::EVERY]
                print(
                    f"{case} {picture} {name}: {difference(port[name], values):.1e} of {np.abs(values).max():.3g}"
                )
    np.savez_compressed(GOLDEN, **golden)  # type: ignore[arg-type]
    for model_id in PUBLISHED:
        print(f'    "{model_id}": {_published_digest(model_id)},')


if __name__ == "__main__":
    _record()
