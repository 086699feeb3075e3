"""What lies in a file of weights, read from its header alone: names and shapes, and whether the file is whole."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from splinescape.errors import InputError

_LONGEST_HEADER = 100_000_000
"""Bytes; the limit that the format's own library sets."""


@dataclass(frozen=True)
class Weights:
    """The tensors of one part of a model.

    Attributes:
        shapes: of every tensor, by its name.
        files: where they lie, in order of their names.
    """

    shapes: dict[str, tuple[int, ...]]
    files: tuple[Path, ...]

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(prod(shape) for shape in self.shapes.values())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: it is not there, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): download the model again") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: download the model again")
    return content


def read_weights(folder: Path) -> Weights:
    """What the safetensors files of a part hold; one file, or several with an index.

    Raises:
        InputError: there are none, one is missing, cut off or damaged.
    """
    indices = sorted(folder.glob("*.safetensors.index.json"))
    files = sorted(folder.glob("*.safetensors"))
    if indices:
        named = read_json(indices[0]).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            raise InputError(f"{indices[0]} is damaged: download the model again")
        files = [folder / name for name in sorted(set(named.values()))]
    elif len(files) > 1:
        files = [file for file in files if file.stem in ("model", "diffusion_pytorch_model")] or files[:1]
    if not files:
        raise InputError(f"{folder} has no safetensors file: download the model again")
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        shapes |= read_header(file)
    return Weights(shapes, tuple(files))


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file.

    The file is 8 bytes with the header's length, the header as JSON, then the data that the header's offsets divide
    (the format's own description, github.com/huggingface/safetensors).

    Raises:
        InputError: the file is missing, cut off or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            header: dict[str, Any] = json.loads(file.read(length if length <= _LONGEST_HEADER else 0))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
        shapes = {name: tuple(int(n) for n in entry["shape"]) for name, entry in tensors.items()}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): download the model again") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise InputError(f"{path} is damaged or no safetensors file: download the model again") from None
    if 8 + length + end != size:
        raise InputError(
            f"{path} has {size:,} bytes where its header promises {8 + length + end:,}: download the model again"
        )
    return shapes
