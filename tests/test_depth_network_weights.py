"""The file of the depth network's weights: what was written comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from splinescape.depth.network.model import DepthNetwork
from splinescape.depth.network.weights import Origin, load_network, read_weights, write_weights
from splinescape.errors import InputError
from training.depth import checkpoint
from training.depth.export import export

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    return {name: value.detach() for name, value in DepthNetwork().state_dict().items()}


@pytest.fixture(scope="module")
def written(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    assert write_weights(file, tensors, Origin(7, 900)) == file.stat().st_size
    return file


def changed(written: Path, folder: Path, change) -> Path:
    """A copy whose header went through `change`, with the same body."""
    data = written.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    file = folder / "changed.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return file


def refusal(file: Path) -> str:
    with pytest.raises(InputError) as error:
        read_weights(file)
    return str(error.value)


def test_what_was_written_comes_back_in_float16(written: Path, tensors: dict[str, torch.Tensor]) -> None:
    network, origin = load_network(written, CPU)
    assert origin == Origin(step=7, pictures=900)
    assert written.stat().st_size < 50e6
    for name, value in network.state_dict().items():
        assert torch.equal(value, tensors[name].half().float())


def test_the_same_weights_make_the_same_bytes(
    written: Path, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    write_weights(tmp_path / "again", dict(reversed(tensors.items())), Origin(7, 900))
    assert (tmp_path / "again").read_bytes() == written.read_bytes()


def test_other_programs_read_the_file(written: Path, tensors: dict[str, torch.Tensor]) -> None:
    load_file = pytest.importorskip("safetensors.torch").load_file
    theirs = load_file(written)
    assert theirs.keys() == tensors.keys()
    assert torch.equal(theirs["head.weight"], tensors["head.weight"].half())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.safetensors cannot be read" in refusal(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 300, -2, -1_000_000])
def test_a_cut_file_is_refused(written: Path, tmp_path: Path, kept: int) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(written.read_bytes()[:kept])
    assert "cut off" in refusal(file) or "damaged" in refusal(file)


def test_a_file_that_goes_on_is_refused(written: Path, tmp_path: Path) -> None:
    file = tmp_path / "long.safetensors"
    file.write_bytes(written.read_bytes() + bytes(64))
    assert "damaged" in refusal(file)


def test_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.safetensors"
    file.write_text("these are not weights at all, " * 40)
    assert "no safetensors file" in refusal(file)
    file.write_bytes(struct.pack("<Q", 400) + b"{" * 400)
    assert "header" in refusal(file)


def test_weights_of_another_network_are_refused(written: Path, tmp_path: Path) -> None:
    def other_format(header: dict) -> None:
        header["__metadata__"]["format"] = "another-9"

    def renamed(header: dict) -> None:
        header["tail.weight"] = header.pop("head.weight")

    def turned(header: dict) -> None:
        header["head.weight"]["shape"].reverse()

    def widened(header: dict) -> None:
        header["head.weight"]["dtype"] = "F32"

    assert "another-9" in refusal(changed(written, tmp_path, other_format))
    assert "head.weight is missing" in refusal(changed(written, tmp_path, renamed))
    assert "head.weight has the shape" in refusal(changed(written, tmp_path, turned))
    assert "F32" in refusal(changed(written, tmp_path, widened))


def test_two_tensors_in_one_place_are_refused(written: Path, tmp_path: Path) -> None:
    def doubled(header: dict) -> None:
        header["enc2.first.bias"]["data_offsets"] = header["enc2.second.weight"]["data_offsets"]
        header["enc2.first.bias"]["shape"] = header["enc2.second.weight"]["shape"]

    assert "damaged" in refusal(changed(written, tmp_path, doubled))


@pytest.mark.parametrize("offsets", [[0, 10], [-4, 0], [1 << 40, 1 << 41], ["a", "b"], [0], None])
def test_tensors_that_lie_elsewhere_are_refused(written: Path, tmp_path: Path, offsets: object) -> None:
    def moved(header: dict) -> None:
        header["head.bias"]["data_offsets"] = offsets

    assert "damaged" in refusal(changed(written, tmp_path, moved))


def test_weights_that_no_training_should_end_with_are_not_written(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    huge = tensors | {"head.bias": torch.full((6,), 1e30)}
    with pytest.raises(InputError, match=r"head\.bias are not finite in float16"):
        write_weights(tmp_path / "w", huge, Origin(1, 1))
    lacking = {name: value for name, value in tensors.items() if name != "head.bias"}
    with pytest.raises(InputError, match=r"head\.bias is missing"):
        write_weights(tmp_path / "w", lacking, Origin(1, 1))
    assert not (tmp_path / "w").exists()


def test_what_ships_is_the_average_of_a_checkpoint(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    average = {name: value + 1e-3 for name, value in tensors.items()}
    state = checkpoint.State(tensors, average, meta={"step": 12, "images": 3456, "world": 5})
    checkpoint.save(state, tmp_path / "checkpoint")
    export(tmp_path / "checkpoint", tmp_path / "out.safetensors")
    found, origin = read_weights(tmp_path / "out.safetensors")
    assert origin == Origin(step=12, pictures=3456)
    for name, value in found.items():
        torch.testing.assert_close(value.float(), average[name], rtol=1e-3, atol=1e-4)
