"""The scenes that can be rendered: the one in the making, straight from memory, and those in job folders."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from splinescape.errors import InputError
from splinescape.io.formats import load_splats
from splinescape.protocol.errors import ServiceError
from splinescape.raster import Rasterizer, Rendering
from splinescape.scene.harmonics import view_colors
from splinescape.scene.splats import Splats
from splinescape.service.worker import preview

_CACHE_BYTES = 2**30
_TRIES = 3

_Key = tuple[str, str, int, int]


@dataclass(frozen=True, eq=False)
class Drawable:
    """Splats as a rasteriser takes them, prepared once for many renderings.

    Attributes:
        splats: on the rasteriser's device. scales, opacities: (N, 3) and (N,), as `Splats` makes them.
        colors: (N, 3), None when they depend on the view.
        revision: number of this version of the scene.
    """

    splats: Splats
    scales: Tensor
    opacities: Tensor
    colors: Tensor | None
    revision: int

    @staticmethod
    def of(splats: Splats, revision: int, device: torch.device) -> Drawable:
        """Prepare splats for a device."""
        there = Splats(*(tensor.to(device) for _, tensor in splats.tensors()))
        colors = there.base_colors if there.sh.shape[1] == 1 else None
        return Drawable(there, there.scales, there.opacities, colors, revision)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        made = [tensor for tensor in (self.scales, self.opacities, self.colors) if tensor is not None]
        return sum(tensor.nbytes for tensor in [*made, *(tensor for _, tensor in self.splats.tensors())])

    def draw(
        self, rasterizer: Rasterizer, cam_T_world: np.ndarray, K_33: np.ndarray, width: int, height: int
    ) -> Rendering:
        """Render one view, the same numbers as `Scene.render`; stays on the device."""
        cam = torch.from_numpy(np.ascontiguousarray(cam_T_world, np.float32))
        K = torch.from_numpy(np.ascontiguousarray(K_33, np.float32))
        device = rasterizer.device
        cam, K = cam.to(device), K.to(device)
        colors = view_colors(self.splats, cam) if self.colors is None else self.colors
        with torch.no_grad():
            return rasterizer.rasterize(
                self.splats.means,
                self.splats.quats,
                self.scales,
                self.opacities,
                colors,
                cam,
                K,
                width,
                height,
            )


class Scenes:
    """Finds the newest version of a job's scene. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: tuple[str, Splats, int] | None = None
        self._kept: OrderedDict[_Key, Drawable] = OrderedDict()

    def show(self, job: str, splats: Splats, revision: int) -> None:
        """The job in the making has new splats."""
        with self._lock:
            self._live = (job, splats, revision)

    def hide(self) -> None:
        """No job is in the making any more."""
        with self._lock:
            self._live = None

    def forget(self) -> None:
        """Drop everything that can be loaded again."""
        with self._lock:
            self._kept.clear()

    def find(self, job: str, folder: Path, device: torch.device) -> Drawable:
        """The newest splats of a job, ready for a device.

        Raises:
            ServiceError: "conflict" when it has none yet, "not_found" when its files are gone.
        """
        with self._lock:
            live = self._live
        if live is not None and live[0] == job:
            _, splats, number = live
            return self._drawable((job, "", number, 0), lambda: splats, number, device)
        for _ in range(_TRIES):  # a running job replaces its files
            revision, path = _newest_file(folder)
            try:
                status = path.stat()
                key = (job, path.name, status.st_size, status.st_mtime_ns)
                return self._drawable(key, partial(_load, path), revision, device)
            except (FileNotFoundError, InputError):
                if path.exists():
                    raise
        raise ServiceError("not_found", "the job's files are gone")

    def _drawable(
        self, key: _Key, load: Callable[[], Splats], revision: int, device: torch.device
    ) -> Drawable:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        drawable = Drawable.of(load(), revision, device)
        with self._lock:
            for old in [old for old in self._kept if old[:2] == key[:2]]:
                del self._kept[old]  # an earlier version
            self._kept[key] = drawable
            while len(self._kept) > 1 and sum(d.nbytes for d in self._kept.values()) > _CACHE_BYTES:
                self._kept.popitem(last=False)
        return drawable


def _load(path: Path) -> Splats:
    return load_splats(path)[0]


def _newest_file(folder: Path) -> tuple[int, Path]:
    """Revision and path of the result, or else of the newest preview."""
    previews = preview.scenes(folder / preview.FOLDER)
    if (folder / "results.json").exists():
        return previews[0][0] if previews else 0, folder / "results" / "gf.ply"
    if not previews:
        raise ServiceError("conflict", "the job has no splats yet: wait for its first frame")
    return previews[0]
