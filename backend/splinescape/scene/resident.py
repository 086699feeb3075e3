"""Splats as a rasteriser takes them, kept on its device for as long as they are looked at.

A scene is rendered dozens of times between two changes. What a change costs is then one copy to the device, or none
where the change was made there.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinescape.scene.harmonics import seen_colors
from splinescape.scene.splats import SH_C0, Splats

_MOST_BYTES = 2**28

_lock = threading.RLock()
_kept: weakref.WeakKeyDictionary[Splats, Resident] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Resident:
    """The tensors of `Splats` on a device, and what every rendering needs of them.

    Attributes:
        device: as the rasteriser names it.
        params: the five tensors of `Splats` by name; nobody changes them in place.
        scales, opacities: (N, 3) and (N,). colors: (N, 3), None when they depend on the view.
    """

    device: torch.device
    params: dict[str, Tensor]
    scales: Tensor
    opacities: Tensor
    colors: Tensor | None

    @staticmethod
    def of(params: dict[str, Tensor], device: torch.device) -> Resident:
        """Take over tensors that lie on `device`."""
        sh = params["sh"]
        colors = 0.5 + SH_C0 * sh[:, 0] if sh.shape[1] == 1 else None
        scales, opacities = torch.exp(params["log_scales"]), torch.sigmoid(params["opacity_logits"])
        return Resident(device, params, scales, opacities, colors)

    def recoloured(self, sh: Tensor) -> Resident:
        """The same with other harmonics (N, K, 3); what does not depend on them is shared."""
        colors = 0.5 + SH_C0 * sh[:, 0] if sh.shape[1] == 1 else None
        return replace(self, params=self.params | {"sh": sh}, colors=colors)

    def colors_from(self, cams_T_world: Tensor) -> Tensor:
        """Colours seen by (C, 4, 4) cameras: (N, 3) when all see the same, else (C, N, 3)."""
        if self.colors is not None:
            return self.colors
        return torch.stack(
            [seen_colors(self.params["means"], self.params["sh"], cam) for cam in cams_T_world]
        )

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        made = [t for t in (self.scales, self.opacities, self.colors) if t is not None]
        return sum(t.nbytes for t in [*made, *self.params.values()])


def resident(splats: Splats, device: torch.device) -> Resident:
    """`splats` on `device`: what is there already, or a copy made now."""
    with _lock:
        found = _kept.get(splats)
    if found is not None and found.device == device:
        return found
    there = {name: t.detach().to(device, torch.float32, non_blocking=True) for name, t in splats.tensors()}
    return keep(splats, Resident.of(there, device))


def forget() -> None:
    """Let go of everything that is kept on devices; it is copied there again when it is next looked at."""
    with _lock:
        _kept.clear()


def brought_back(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of a GPU's tensors in page-locked memory, where a copy runs several times faster; others as they are."""
    if not any(t.is_cuda for t in tensors.values()):
        return {name: t.cpu() for name, t in tensors.items()}
    here = {n: torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for n, t in tensors.items()}
    for name, tensor in tensors.items():
        here[name].copy_(tensor, non_blocking=True)
    torch.cuda.current_stream().synchronize()
    return here


def keep(splats: Splats, ready: Resident) -> Resident:
    """Remember that `splats` lie on a device as `ready`, until they are gone or newer ones need the room."""
    with _lock:
        _kept.pop(splats, None)
        _kept[splats] = ready
        for old in list(_kept)[:-1]:
            if sum(r.nbytes for r in _kept.values()) <= _MOST_BYTES:
                break
            _kept.pop(old, None)
    return ready
