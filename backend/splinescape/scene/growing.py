"""Scenes that grow at their end: new splats join on the device, and in main memory without a copy of the older ones."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from splinescape.scene.resident import Resident, brought_back, keep, resident
from splinescape.scene.splats import Splats

_SPARE = 1.5
"""Room to make, in scenes; memory that nothing was written to yet takes none."""

_lock = threading.Lock()


@dataclass(eq=False)
class _Room:
    """Memory whose first `used` splats are a scene's; who is not the last to use it makes room elsewhere."""

    tensors: dict[str, Tensor]
    used: int

    def fits(self, older: int, newer: int) -> bool:
        return self.used == older and older + newer <= len(self.tensors["means"])


_rooms: weakref.WeakKeyDictionary[Splats, _Room] = weakref.WeakKeyDictionary()


def joined(older: Splats, newer: Splats, device: torch.device) -> Resident:
    """Both on `device`, one after the other; where the older ones are there already, only the newer ones travel."""
    there = resident(older, device).params
    added = {name: t.detach().to(device, torch.float32, non_blocking=True) for name, t in newer.tensors()}
    return Resident.of({name: torch.cat([t, added[name]]) for name, t in there.items()}, device)


def whole_scene(older: Splats, ready: Resident) -> Splats:
    """In main memory, the scene that lies on a device as `ready`; that it does is remembered.

    Args:
        older: its first splats, which must be the same there as here.
    """
    if ready.device.type == "cpu":
        whole = Splats(**ready.params)
    else:
        whole = appended(older, brought_back({n: t[len(older) :] for n, t in ready.params.items()}))
    keep(whole, ready)
    return whole


def appended(older: Splats, tail: dict[str, Tensor]) -> Splats:
    """`older` and, after it, the splats of `tail`, the tensors of `Splats` by name.

    The result shares the memory of `older`, whose numbers nobody may change.
    """
    first, count = len(older), len(tail["means"])
    with _lock:
        room = _rooms.get(older)
        if room is None or not room.fits(first, count):
            room = _Room(_copied(older, int(_SPARE * (first + count))), first)
        room.used = first + count
    for name, tensor in tail.items():
        room.tensors[name][first : first + count] = tensor
    whole = Splats(**{name: t[: first + count] for name, t in room.tensors.items()})
    with _lock:
        _rooms[whole] = room
    return whole


def _copied(splats: Splats, capacity: int) -> dict[str, Tensor]:
    """The tensors at the start of longer ones."""
    out = {name: t.new_empty(capacity, *t.shape[1:]) for name, t in splats.tensors()}
    for name, tensor in splats.tensors():
        out[name][: len(tensor)] = tensor
    return out
