"""Batches of photographs with their truth, made in the background while the network trains."""

from __future__ import annotations

import collections
import queue
import threading
import time
from dataclasses import dataclass, replace

import torch

from . import photo
from .generator import Generator, Views, seeds_from
from .losses import Labels, labels_of

SIZES = (
    (256, 352), (288, 384), (288, 384), (320, 416), (384, 512), (256, 448), (288, 512), (384, 384),
    (384, 288), (512, 384), (448, 320), (224, 448), (320, 576), (448, 608),
)  # fmt: skip
"""Height and width of the pictures of a batch; multiples of 32."""

HELD_OUT = 1 << 40
"""Seeds from here on are never trained on."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures (B, 3, H, W) in [0, 1] and their truth."""

    rgb: torch.Tensor
    labels: Labels


@dataclass(frozen=True)
class FeedSettings:
    """How batches are made.

    Attributes:
        pixels: of a batch; the number of pictures follows from their size.
        samples: colour rays per busy pixel.
        uses: how often a rendered view is photographed anew and shown.
        seed: of sizes and photographs.
        rank, ranks: of those who make pictures side by side, which one this is: each has worlds of its own.
    """

    pixels: int = 128 * 288 * 384
    samples: int = 4
    uses: int = 1
    seed: int = 0
    sizes: tuple[tuple[int, int], ...] = SIZES
    rank: int = 0
    ranks: int = 1


class Feed:
    """Makes batch after batch; `next` hands them out in order.

    The pictures depend on the settings, the first step and the first world alone, not on time.
    """

    def __init__(self, generator: Generator, settings: FeedSettings, step: int, world: int) -> None:
        """Start the background thread.

        Args:
            generator: builds and renders.
            settings: how.
            step: number of the first batch.
            world: seed of the first world.
        """
        self.world = world
        self._generator, self._settings, self._step = generator, settings, step
        self._pool: collections.deque[Views] = collections.deque()
        self._ready: queue.Queue[tuple[Batch, int, torch.cuda.Event | None] | BaseException] = queue.Queue(2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.waited = 0.0
        """Seconds that `next` has waited."""

    def next(self) -> Batch:
        """The next batch; its pictures may be used on the current stream.

        Raises:
            Exception: whatever the background thread raised.
        """
        start = time.perf_counter()
        got = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(got, BaseException):
            raise got
        batch, self.world, event = got
        if event is not None:
            torch.cuda.current_stream().wait_event(event)
            for tensor in (batch.rgb, *vars(batch.labels).values()):
                tensor.record_stream(torch.cuda.current_stream())
        return batch

    def close(self) -> None:
        """Stop the background thread."""
        self._stop.set()
        while self._thread.is_alive():
            with_room = not self._ready.empty()
            if with_room:
                self._ready.get_nowait()
            self._thread.join(0.05)

    def _work(self) -> None:
        device = self._generator.device
        stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        step, world = self._step, self.world
        try:
            while not self._stop.is_set():
                if stream is None:
                    batch, world = self._make(step, world)
                    event = None
                else:
                    with torch.cuda.stream(stream):
                        batch, world = self._make(step, world)
                        event = torch.cuda.Event()
                        event.record(stream)
                self._ready.put((batch, world, event))
                step += 1
        except BaseException as error:
            self._ready.put(error)

    def _make(self, step: int, world: int) -> tuple[Batch, int]:
        """Batch number `step`; new worlds start at `world`. Returns where the next ones start."""
        uses = self._settings.uses
        if uses > 1 and step % uses and len(self._pool) >= 8:
            views = self._pool.popleft()
        else:
            views = self._fresh(step, world)
            world += len(views.depth) * self._settings.ranks
            if uses > 1:
                kept = replace(views, rgb=views.rgb.half())
                self._pool.extend([kept] * (uses - 1))
        s = self._settings
        return photograph(views, s.seed + 1_000_003 * step + 7_368_787 * s.rank), world

    def _fresh(self, step: int, world: int) -> Views:
        s = self._settings
        dice = torch.Generator().manual_seed(s.seed * 7_919 + step)
        height, width = s.sizes[int(torch.randint(len(s.sizes), (1,), generator=dice))]
        count = max(1, s.pixels // (height * width))
        seeds = seeds_from(world, count * s.ranks)[s.rank :: s.ranks]
        return self._generator.render(self._generator.build(seeds), height, width, s.samples)


def photograph(views: Views, seed: int) -> Batch:
    """Take the pictures, half of them mirrored left to right."""
    views = _mirrored(views, seed)
    rgb = photo.develop(views.rgb.float(), views.depth, photo.Dice.of(seed, views.depth.device))
    return Batch(rgb.contiguous(memory_format=torch.channels_last), labels_of(views))


def _mirrored(views: Views, seed: int) -> Views:
    n = len(views.depth)
    flip = (torch.rand(n, generator=torch.Generator().manual_seed(seed)) < 0.5).to(views.depth.device)
    other = torch.tensor([-1.0, 1.0, 1.0], device=views.depth.device)

    def turned(x: torch.Tensor) -> torch.Tensor:
        return torch.where(flip.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)

    normal = torch.where(flip.view(-1, 1, 1, 1), views.normal.flip(-1) * other.view(1, 3, 1, 1), views.normal)
    return replace(
        views,
        rgb=turned(views.rgb),
        depth=turned(views.depth),
        what=turned(views.what),
        normal=normal,
        up=torch.where(flip.view(-1, 1), views.up * other, views.up),
    )
