"""Small worlds that build in milliseconds, and engines that misbehave, for the tests of the core."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline
from splinescape.scene.frame import Frame
from worlds import textures as tx
from worlds.light import BakeQuality, Lighting
from worlds.shapes import box, ground
from worlds.world import World

# Threads of a busy machine wait for each other longer than a 96x64 picture takes.
torch.set_num_threads(1)

W, H = 96, 64
K_33 = worlds.centred_intrinsics(W, H, 90.0).astype(np.float64)

_SHADELESS = Lighting((), (0.9, 0.9, 0.9), (0.9, 0.9, 0.9), 0.1)


def _lit(shapes, sky) -> World:
    return World.lit(shapes, _SHADELESS, sky, BakeQuality(texel=2.0, most=2, around=4))


def _stripes(*colors) -> Any:
    return tx.softened(tx.cloth(3, colors, 0.5), 0.1)


@cache
def room() -> World:
    """A striped room 6 m deep with a card 2.2 m ahead, a little to the right."""
    walls = _stripes((0.8, 0.3, 0.2), (0.2, 0.5, 0.7), (0.9, 0.8, 0.4))
    card = _stripes((0.2, 0.7, 0.3), (0.9, 0.9, 0.8))
    return _lit(
        [
            box((0, 0, 2.5), (7.0, 4.0, 7.0), walls, inside=True),
            box((0.35, 0.1, 2.3), (0.7, 0.8, 0.2), card),
        ],
        np.zeros_like,
    )


@cache
def field() -> World:
    """A striped ground 1 m below, a block on it, and sky that turns from white to blue."""

    def sky(dirs):
        up = np.clip(-dirs[1], 0, 1)
        return np.array([[0.9], [0.9], [0.95]], np.float32) * (1 - up) + np.array([[0.2], [0.4], [0.8]]) * up

    stripes = _stripes((0.3, 0.5, 0.2), (0.6, 0.6, 0.3))
    block = box((0.4, 0.4, 4.0), (1.0, 1.2, 1.0), _stripes((0.7, 0.3, 0.2), (0.9, 0.8, 0.7)))
    return _lit([ground(1.0, stripes, ((-9.0, 0.0), (9.0, 18.0))), block], sky)


def moved(x: float, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """View matrix of an unturned camera at (x, y, z)."""
    cam_T_world = np.eye(4)
    cam_T_world[:3, 3] = -np.array([x, y, z])
    return cam_T_world


def sideways(far: float = 0.5, n: int = 5) -> CameraPath:
    """A path to the right."""
    return CameraPath.from_matrices(np.stack([moved(x) for x in np.linspace(0, far, n)]))


@cache
def picture(world: World, width: int = W, height: int = H, focal: float = 90.0) -> np.ndarray:
    """What the input camera sees of a world, (H, W, 3) uint8."""
    return world.render(np.eye(4), worlds.centred_intrinsics(width, height, focal), width, height).rgb


def oracle(world: World, focal: float = 90.0, **settings: Any) -> ScenePipeline:
    """A pipeline with perfect engines for a world."""
    K = worlds.centred_intrinsics(W, H, focal)
    return ScenePipeline(
        SceneConfig(**settings),
        inpainter=worlds.OracleInpainter(world, K),
        depth=worlds.OracleDepth(world, K),
        rasterizer="cpu",
    )


def psnr(shown: Any, truth_u8: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of a rendering in [0, 1] against a uint8 picture."""
    error = (np.clip(np.asarray(shown, np.float64), 0, 1) - truth_u8 / 255) ** 2
    return float(-10 * np.log10(error.mean()))


def frame(depth, rgb=None, K=None, cam_T_world=None, mask=None) -> Frame:
    """A frame of the given depth; grey, all pixels new, camera at the origin unless said otherwise."""
    depth = np.asarray(depth, np.float32)
    height, width = depth.shape
    everything = np.ones(depth.shape, bool)
    return Frame(
        rgb=np.full((height, width, 3), 0.5, np.float32) if rgb is None else rgb,
        depth=depth,
        confidence=np.isfinite(depth).astype(np.float32),
        inpaint=everything if mask is None else mask,
        inpaint_wo_edge=everything if mask is None else mask,
        K_33=worlds.centred_intrinsics(width, height, 90.0).astype(np.float64) if K is None else K,
        cam_T_world=np.eye(4) if cam_T_world is None else cam_T_world,
    )


def plane_depth(normal, distance: float, K: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) float32 camera z of the plane normal . P = distance; +inf where the ray misses it."""
    v, u = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    along = rays @ np.asarray(normal, np.float64)
    return np.where(along > 1e-9, distance / np.maximum(along, 1e-9), np.inf).astype(np.float32)


class DepthOf:
    """A depth engine that answers with what a function makes of (rgb, K, view)."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rgb_hw3, *, K_33, view):
        """As `splinescape.depth.DepthEstimator.predict`."""
        return self.answer(rgb_hw3, K_33, view)


class InpaintOf:
    """An inpainting engine that answers with what a function makes of (rgb, mask, view, seed)."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def inpaint(self, rgb_hw3, mask_hw, *, view, seed):
        """As `splinescape.inpaint.Inpainter.inpaint`."""
        return self.answer(rgb_hw3, mask_hw, view, seed)
