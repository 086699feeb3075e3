"""A model's folder that is not what it should be ends in one sentence that names it and says what to do."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pretrained_support import change_json, picture, save_depth_anything, save_depth_pro

from splinescape.camera.view import View
from splinescape.depth.pretrained import DepthAnythingDepth, DepthProDepth, missing
from splinescape.errors import EngineUnavailableError, InputError

CPU = torch.device("cpu")
MAKE = {"pro": DepthProDepth, "anything": DepthAnythingDepth}
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "pro": save_depth_pro(root / "pro"),
        "anything": save_depth_anything(root / "anything"),
        "relative": save_depth_anything(root / "relative", kind="relative", limit=1),
    }


@pytest.fixture
def folders(originals: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    return {name: Path(shutil.copytree(path, tmp_path / name)) for name, path in originals.items()}


def refusal(which: str, folder: Path) -> str:
    """The sentence with which the engine refuses `folder`."""
    with pytest.raises(InputError) as caught:
        MAKE[which](folder, CPU)
    sentence = str(caught.value)
    assert str(folder) in sentence and "\n" not in sentence and len(sentence) < 600
    return sentence


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("which", MAKE)
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_missing(which: str, name: str, folders: dict[str, Path]) -> None:
    (folders[which] / name).unlink()
    told = refusal(which, folders[which])
    assert f"{name} missing" in told and "download" in told


@pytest.mark.parametrize("which", MAKE)
def test_there_is_no_folder(which: str, folders: dict[str, Path]) -> None:
    assert "there is no folder" in refusal(which, folders[which] / "nowhere")
    assert "there is no folder" in refusal(which, folders[which] / "model.safetensors")


@pytest.mark.parametrize("which", MAKE)
@pytest.mark.parametrize("left", [0, 5, 1000, 0.5, -1])
def test_the_weights_are_cut_off(which: str, left: float, folders: dict[str, Path]) -> None:
    path = folders[which] / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data)) if isinstance(left, float) else left])
    assert "damaged or cut off" in refusal(which, folders[which])


@pytest.mark.parametrize("which", MAKE)
@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_something_else(which: str, name: str, folders: dict[str, Path]) -> None:
    for contents in (b"<html>Log in</html>", b"[1, 2]", b"\xff\xfe\x00", b""):
        (folders[which] / name).write_bytes(contents)
        assert "download the model again" in refusal(which, folders[which])


def test_the_folder_of_the_other_model(folders: dict[str, Path]) -> None:
    assert "'depth_anything', not Depth Pro" in refusal("pro", folders["anything"])
    assert "'depth_pro', not Depth Anything" in refusal("anything", folders["pro"])
    change_json(folders["pro"] / "config.json", model_type="zoedepth")
    assert "'zoedepth', not Depth Pro" in refusal("pro", folders["pro"])


@pytest.mark.parametrize("which", MAKE)
def test_the_weights_of_the_other_model(which: str, folders: dict[str, Path]) -> None:
    other = folders["anything" if which == "pro" else "pro"]
    shutil.copy(other / "model.safetensors", folders[which])
    told = refusal(which, folders[which])
    assert "does not fit" in told and "lacks" in told and "more" in told


LAYERS = {
    "pro": [
        "head.layers.4.bias",
        "fov_model.conv.weight",
        "depth_pro.encoder.patch_encoder.model.layernorm.bias",
    ],
    "anything": [
        "head.conv3.weight",
        "backbone.encoder.layer.2.attention.attention.key.weight",
        "neck.convs.0.weight",
    ],
}


@pytest.mark.parametrize(("which", "key"), [(which, key) for which, keys in LAYERS.items() for key in keys])
def test_one_weight_is_missing_or_of_another_size(which: str, key: str, folders: dict[str, Path]) -> None:
    """transformers itself would put random numbers there and go on."""
    folder = folders[which]
    change_weights(folder, lambda weights: weights.update({key: weights[key][:-1]}))
    told = refusal(which, folder)
    assert "wrong sizes" in told and key.rsplit(".", 1)[-1] in told
    change_weights(folder, lambda weights: weights.pop(key))
    assert "lacks" in refusal(which, folder)


@pytest.mark.parametrize("which", MAKE)
def test_a_weight_that_nobody_knows(which: str, folders: dict[str, Path]) -> None:
    change_weights(folders[which], lambda weights: weights.update({"lora.up": torch.zeros(3)}))
    told = refusal(which, folders[which])
    assert "unknown to the network" in told and "lora.up" in told


def test_a_model_of_disparity_is_refused(folders: dict[str, Path]) -> None:
    told = refusal("anything", folders["relative"])
    assert "relative" in told and "take a metric one" in told


@pytest.mark.parametrize("limit", [None, 0, -3, "far", float("inf")])
def test_a_metric_model_without_a_limit(limit: object, folders: dict[str, Path]) -> None:
    change_json(folders["anything"] / "config.json", max_depth=limit)
    assert "max_depth" in refusal("anything", folders["anything"])


@pytest.mark.parametrize(
    ("which", "changes"),
    [
        ("pro", {"scaled_images_ratios": [1, 0.5, 0.25]}),
        ("pro", {"fusion_hidden_size": "many"}),
        ("pro", {"image_model_config": {"model_type": "no-such-encoder"}}),
        ("anything", {"backbone_config": {"model_type": "no-such-encoder"}}),
        ("anything", {"backbone_config": 7}),
        ("anything", {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet18"}}),
        ("anything", {"neck_hidden_sizes": [8, 8]}),
    ],
)
def test_settings_that_describe_no_network(which: str, changes: dict, folders: dict[str, Path]) -> None:
    change_json(folders[which] / "config.json", **changes)
    refusal(which, folders[which])


@pytest.mark.parametrize("which", MAKE)
@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"height": 100, "width": 64}, "ensure_multiple_of": 5},
        {"size": 518},
        {"image_mean": [0.5]},
        {"image_std": [0.5, 0, 0.5]},
        {"do_normalize": False},
        {"resample": 17},
        {"rescale_factor": "1/255"},
    ],
    ids=str,
)
def test_preprocessing_that_does_not_fit(which: str, changes: dict, folders: dict[str, Path]) -> None:
    change_json(folders[which] / "preprocessor_config.json", **changes)
    assert "preprocessor_config.json" in refusal(which, folders[which])


@pytest.mark.parametrize("which", MAKE)
def test_a_missing_library_is_named_with_what_installs_it(
    which: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "transformers" else find_spec(name, *rest),
    )
    assert missing() == "the package transformers is not installed (pip install 'splinescape[models]')"
    with pytest.raises(EngineUnavailableError, match="transformers is not installed"):
        MAKE[which](folders[which], CPU)


@pytest.mark.parametrize("which", MAKE)
def test_a_transformers_without_the_model_is_named(
    which: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = types.ModuleType("transformers")
    old.__spec__ = importlib.util.find_spec("transformers")
    monkeypatch.setitem(sys.modules, "transformers", old)
    with pytest.raises(EngineUnavailableError, match=r"transformers does not offer it .*pip install"):
        MAKE[which](folders[which], CPU)


def test_asking_what_is_missing_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\nfrom splinescape.depth.pretrained import missing\nmissing()\n"
        "print([name for name in ('torch', 'transformers', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("which", MAKE)
def test_loading_asks_no_network_and_says_nothing(
    which: str,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    rgb = picture(20, 30)
    depth = MAKE[which](folders[which], CPU).predict(rgb, K_33=None, view=View(30, 20, None, np.eye(4))).depth
    assert depth.shape == (20, 30)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("which", MAKE)
def test_a_pickle_beside_the_weights_is_never_opened(which: str, folders: dict[str, Path]) -> None:
    (folders[which] / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    MAKE[which](folders[which], CPU)
    (folders[which] / "model.safetensors").unlink()
    assert "model.safetensors missing" in refusal(which, folders[which])


def test_the_weights_have_the_published_names(folders: dict[str, Path]) -> None:
    """What these tests load has the names of the real files, which are older than transformers 5."""
    from safetensors import safe_open

    for which, keys in LAYERS.items():
        with safe_open(folders[which] / "model.safetensors", framework="pt") as weights:
            assert set(keys) <= set(weights.keys())
        assert json.loads((folders[which] / "config.json").read_text())["model_type"].startswith("depth")
