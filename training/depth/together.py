"""Several processes, one per GPU, that train one network."""

from __future__ import annotations

import os
import tempfile
import traceback
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
        return bool(self.told(float(answer), device))

    def told(self, number: float, device: torch.device) -> float:
        """The leader's number, to everybody."""
        if self.size == 1:
            return number
        said = torch.tensor([number], dtype=torch.float64, device=device)
        distributed.broadcast(said, 0)
        return float(said)


def run(size: int, work: Callable[[Team, torch.device], None], kind: str) -> None:
    """Do `work` in `size` processes, each with a device of its own.

    Args:
        size: how many; with 1 it is done right here.
        work: picklable.
        kind: "cuda" or "cpu".

    Raises:
        torch.multiprocessing.ProcessExitedException: one of several failed; its traceback is on stderr, all have ended.
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
    if kind == "cuda":  # nothing of this process can land on another one's
        seen = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[rank] if seen else str(rank)
    backend = "nccl" if kind == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=size)
        work(Team(rank, size), torch.device(kind))
        distributed.destroy_process_group()
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # a proper end would wait for the others, who wait for this one; `run` ends them
