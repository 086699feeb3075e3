"""Ray-cast the example pictures room.png and valley.jpg.

    python examples/make_pictures.py [room] [valley] [--depth]

Takes some minutes, nearly all of it for the light. The pictures are made from nothing but this code, so they
are the project's own. `--depth` also writes the true camera-z depth in metres as <name>_depth.npy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from worlds import centred_intrinsics
from worlds.living_room import living_room
from worlds.valley import valley

WIDTH, HEIGHT, FOCAL = 1024, 768, 920.0
PICTURES = {"room": (living_room, ".png"), "valley": (valley, ".jpg")}
HERE = Path(__file__).resolve().parent


def make(name: str, with_depth: bool) -> None:
    """Write the picture `name` and, on request, its depth next to this file."""
    K_33 = centred_intrinsics(WIDTH, HEIGHT, FOCAL)
    world, suffix = PICTURES[name]
    image = world(FOCAL).render(np.eye(4), K_33, WIDTH, HEIGHT, supersample=3)
    Image.fromarray(image.rgb).save(HERE / f"{name}{suffix}", optimize=True, quality=93, subsampling=0)
    if with_depth:
        np.save(HERE / f"{name}_depth.npy", image.depth)


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if not name.startswith("--")] or list(PICTURES)
    unknown = sorted(set(wanted) - set(PICTURES))
    if unknown:
        sys.exit(f"there is no picture {unknown[0]}; choose from: {', '.join(PICTURES)}")
    for picture in wanted:
        make(picture, "--depth" in sys.argv)
