"""Several processes, one per GPU, that train one network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import distributed


class Team:
    """The processes that train together; alone, nothing has to be agreed on."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this one writes logs and checkpoints."""
        return self.rank == 0

    def average(self, gradients: Sequence[torch.Tensor]) -> None:
        """Replace gradients by their mean over the team."""
        if self.size > 1:
            flat = torch.cat([g.reshape(-1) for g in gradients])
            distributed.all_reduce(flat)
            parts = (flat / self.size).split([g.numel() for g in gradients])
            torch._foreach_copy_(
                list(gradients), [p.view_as(g) for p, g in zip(parts, gradients, strict=True)]
            )

    def agree(self, answer: bool, device: torch.device) -> bool:
        """What the leader says, to everybody."""
        if self.size == 1:
            return answer
        said = torch.tensor([int(answer)], device=device)
        distributed.broadcast(said, 0)
        return bool(said)


def run(size: int, work: Callable[[Team, torch.device], None], kind: str) -> None:
    """Do `work` in `size` processes, each with a device of its own.

    Args:
        size: how many; with 1 it is done right here.
        work: picklable; what it raises in one process ends all.
        kind: "cuda" or "cpu".
    """
    if size == 1:
        work(Team(), torch.device(kind))
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        torch.multiprocessing.spawn(_member, (size, work, kind, meeting), nprocs=size)


def _member(
    rank: int, size: int, work: Callable[[Team, torch.device], None], kind: str, meeting: str
) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = str(rank)  # nothing of this process can land on another one's
    backend = "nccl" if kind == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=size)
    try:
        work(Team(rank, size), torch.device(kind))
    finally:
        distributed.destroy_process_group()
