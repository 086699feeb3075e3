"""Bring your own engines: a scene from a world that knows its own depth and what is behind things.

    python examples/known_geometry.py [OUT_FOLDER]

An engine is any object with the right method. `WorldDepth` and `WorldInpainter` ask a small analytic world;
yours can ask a laser scan, a blocked-out model or a renderer in the same way. Writes gf.ply, the picture, and
the view from the end of the path beside the true one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import worlds
from splinescape import CameraPath, DepthPrediction, SceneConfig, ScenePipeline, View

WIDTH, HEIGHT = 512, 384
K_33 = worlds.centred_intrinsics(WIDTH, HEIGHT)


class WorldDepth:
    """Depth of the world in the view it is asked about; +inf and no confidence for sky."""

    def __init__(self, world: worlds.World) -> None:
        self.world = world

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """A `DepthEstimator`: when the pipeline does not know the intrinsics, this engine decides them."""
        height, width = rgb_hw3.shape[:2]
        known = worlds.centred_intrinsics(width, height) if K_33 is None else K_33
        depth = self.world.render_depth(view.cam_T_world, known, width, height)
        return DepthPrediction(depth, np.isfinite(depth).astype(np.float32), known)


class WorldInpainter:
    """What is really there where the picture has a hole."""

    def __init__(self, world: worlds.World) -> None:
        self.world = world

    def inpaint(
        self, rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], *, view: View, seed: int
    ) -> NDArray[np.uint8]:
        """An `Inpainter`; nothing here is random, so that the seed has nothing to decide."""
        del seed
        height, width = mask_hw.shape
        known = worlds.centred_intrinsics(width, height) if view.K_33 is None else view.K_33
        return np.where(
            mask_hw[..., None], self.world.render(view.cam_T_world, known, width, height).rgb, rgb_hw3
        )


def main(out: Path) -> None:
    """Make the scene and show how near it comes to the truth."""
    out.mkdir(parents=True, exist_ok=True)
    world = worlds.indoor()
    picture = world.render(np.eye(4), K_33, WIDTH, HEIGHT).rgb
    poses = worlds.forward_side_path(n=60)
    pipeline = ScenePipeline(
        SceneConfig(stage="coarse", n_frames=4), inpainter=WorldInpainter(world), depth=WorldDepth(world)
    )
    result = pipeline.run(picture, path=CameraPath.from_matrices(poses), on_event=print)
    result.save_ply(out / "gf.ply")

    truth = world.render(poses[-1], K_33, WIDTH, HEIGHT).rgb
    rendering = result.scene.render(poses[-1], K_33, WIDTH, HEIGHT)
    made = np.round(rendering.rgb.clamp(0, 1).numpy() * 255).astype(np.uint8)
    Image.fromarray(picture).save(out / "picture.png")
    Image.fromarray(np.hstack([made, truth])).save(out / "end_of_path_made_and_true.png")
    error = np.mean((made.astype(float) - truth) ** 2)
    print(f"{result.scene.num_splats} splats; {10 * np.log10(255**2 / error):.1f} dB at the end of the path")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo/known_geometry"))
