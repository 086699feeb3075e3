"""Makes the file of weights that the package ships from a checkpoint: the average, in float16.

python -m training.depth.export --checkpoint training/depth/checkpoint --out FILE.safetensors

Unlike training it needs the installed package, which knows the format.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from splinescape.depth.network.weights import Origin, write_weights

from . import checkpoint


def export(folder: Path, file: Path) -> int:
    """Write the averaged weights of a checkpoint; returns the bytes.

    Raises:
        checkpoint.DamagedCheckpointError: the checkpoint cannot be read.
        splinescape.errors.InputError: it is one of another network.
    """
    state = checkpoint.load(folder)
    return write_weights(file, state.average, Origin(int(state.meta["step"]), int(state.meta["images"])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(f"{arguments.out}: {export(arguments.checkpoint, arguments.out)} bytes")
