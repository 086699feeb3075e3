"""Trains the network for one piece of time and writes a checkpoint from which the next piece goes on.

python -m training.depth.train --minutes 9 --out "$OUT"
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from . import checkpoint, evaluate, pictures, together
from . import compile as compiling
from .feed import Batch, Feed, FeedSettings, photograph
from .generator import Generator
from .losses import losses
from .network import DepthNetwork
from .together import Team

CHECKPOINT = Path(__file__).parent / "checkpoint"
_WARM_UP = 600  # steps
_AVERAGE = 0.9995  # per step
_END_SECONDS = 55.0  # kept for figures, pictures and the checkpoint
_LOG_EVERY = 20
_ASK_EVERY = 4


@dataclass(frozen=True)
class Recipe:
    """One piece of training.

    Attributes:
        minutes: of wall time for everything, from the start of the process.
        steps: end after so many steps instead, for exact repetition; 0: by time.
        decay: let the rate fall to nothing over this piece: the last one.
        rate: of AdamW at the plateau.
        feed: of pictures; a batch of it per GPU.
        started: time.time() when it began.
    """

    minutes: float
    steps: int
    decay: bool
    rate: float
    feed: FeedSettings
    started: float = field(default_factory=time.time)


class Trainer:
    """The network, its average and its optimiser on one device; the same in every process of a team."""

    def __init__(self, device: torch.device, seed: int, rate: float, team: Team | None = None) -> None:
        torch.manual_seed(seed)
        self.device, self.team = device, team or Team()
        self.model = _network(device)
        decayed = [p for p in self.model.parameters() if p.ndim >= 2 and p.shape[0] > 1]
        rest = [p for p in self.model.parameters() if not (p.ndim >= 2 and p.shape[0] > 1)]
        groups = [{"params": decayed, "weight_decay": 0.03}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=device.type == "cuda")
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.meta: dict[str, Any] = {"step": 0, "world": 0, "images": 0, "seconds": 0.0, "pieces": 0}

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            checkpoint.DamagedCheckpointError: it cannot be read.
        """
        state = checkpoint.load(folder)
        checkpoint.into_training(state, self.model, self.average, self.optimizer)
        self.meta = state.meta

    def save(self, folder: Path) -> int:
        """Write a checkpoint; returns its bytes."""
        return checkpoint.save(
            checkpoint.from_training(self.model, self.average, self.optimizer, self.meta), folder
        )

    def step(self, batch: Batch, rate: float) -> tuple[float, dict[str, torch.Tensor]]:
        """Learn from one batch per member of the team. Returns the norm of the gradient and the parts of the loss.

        A step whose gradient is not finite changes nothing; `meta["skipped"]` counts them.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            prediction = self.model(batch.rgb)
        total, parts = losses(prediction, batch.labels)
        total.backward()
        self.team.average([p.grad for p in self.model.parameters() if p.grad is not None])
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        self.meta["step"] += 1
        self.meta["images"] += len(batch.rgb) * self.team.size
        if math.isfinite(norm):
            self.optimizer.step()
            self._follow()
        else:
            self.meta["skipped"] = self.meta.get("skipped", 0) + 1
        return norm, parts | {"total": total.detach()}

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(_AVERAGE, (1 + self.meta["step"]) / (20 + self.meta["step"]))
        names = list(self.average)
        parameters = dict(self.model.named_parameters())
        torch._foreach_lerp_([self.average[n] for n in names], [parameters[n] for n in names], 1 - keep)

    def averaged(self) -> DepthNetwork:
        """A network with the averaged weights."""
        model = _network(self.device).eval()
        model.load_state_dict(self.average)
        return model


def _network(device: torch.device) -> DepthNetwork:
    model = DepthNetwork().to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def rate_at(recipe: Recipe, step: int, done: float) -> float:
    """The learning rate: warm-up, plateau, and in a last piece a fall to nothing.

    Args:
        recipe: of the piece.
        step: over all pieces.
        done: share of this piece that is over.
    """
    rate = recipe.rate * min(1.0, (step + 1) / _WARM_UP)
    return rate * max(0.0, 1 - math.sqrt(done)) if recipe.decay else rate


def train(
    recipe: Recipe,
    out: Path,
    resume: Path | None,
    photos: Path | None,
    team: Team,
    device: torch.device,
) -> None:
    """Run one piece as a member of a team; everything it makes goes under `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.jsonl").open("a") if team.leads else nullcontext() as log:
        say = _logger(log)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        feed = replace(recipe.feed, rank=team.rank, ranks=team.size)
        generator = Generator(device, max(1, ((os.cpu_count() or 2) - 2) // team.size))
        trainer = Trainer(device, feed.seed, recipe.rate, team)
        if resume is not None and checkpoint.exists(resume):
            trainer.resume(resume)
        before = trainer.meta["seconds"]
        ready = round(time.time() - recipe.started, 1)
        recipe = replace(recipe, feed=feed)
        say(
            "start",
            meta=dict(trainer.meta),
            recipe=asdict(recipe),
            device=_name(device),
            gpus=team.size,
            ready_s=ready,
        )
        _loop(trainer, generator, recipe, say)
        if not team.leads:
            return
        trainer.meta["seconds"] = before + time.time() - recipe.started
        trainer.meta["pieces"] += 1
        say("saved", bytes=trainer.save(out / "checkpoint"), after_s=_since(recipe.started))
        report(trainer.averaged(), generator, out, photos, say, per_kind=8 if device.type == "cuda" else 1)
        say("end", meta=dict(trainer.meta), after_s=_since(recipe.started))


def _loop(trainer: Trainer, generator: Generator, recipe: Recipe, say: Callable[..., None]) -> None:
    settings, begin, first = recipe.feed, time.time(), trainer.meta["step"]
    end = math.inf if recipe.steps else recipe.started + recipe.minutes * 60 - _END_SECONDS
    feed = Feed(generator, settings, first, trainer.meta["world"])
    mark, images = begin, trainer.meta["images"]
    over = False
    try:
        while not over:
            taken = trainer.meta["step"] - first
            done = taken / recipe.steps if recipe.steps else (time.time() - begin) / max(end - begin, 1.0)
            if recipe.decay:
                done = trainer.team.told(done, trainer.device)  # clocks differ, rates must not
            rate = rate_at(recipe, trainer.meta["step"], done)
            try:
                batch = feed.next()
                norm, parts = trainer.step(batch, rate)
            except torch.cuda.OutOfMemoryError as error:
                if trainer.team.size > 1:
                    raise  # the others wait for this one's gradients
                feed.close()
                trainer.optimizer.zero_grad(set_to_none=True)
                settings = replace(settings, pixels=int(settings.pixels * 0.7))
                say("memory", problem=str(error)[:200], pixels=settings.pixels)
                if settings.pixels < 100_000:
                    raise
                torch.cuda.empty_cache()
                feed = Feed(generator, settings, trainer.meta["step"], feed.world)
                continue
            trainer.meta["world"] = feed.world
            if trainer.meta["step"] % _LOG_EVERY == 0 or taken == 0:
                values = {name: round(float(value), 4) for name, value in parts.items()}
                now = time.time()
                speed = (trainer.meta["images"] - images) / max(now - mark, 1e-6)
                say("step", step=trainer.meta["step"], rate=round(rate, 7), norm=round(norm, 3), loss=values,
                    size=list(batch.rgb.shape), per_s=round(speed, 1), waited_s=round(feed.waited, 2))  # fmt: skip
                mark, images, feed.waited = now, trainer.meta["images"], 0.0
            over = _is_over(trainer, recipe, first, end)
    finally:
        feed.close()


def _is_over(trainer: Trainer, recipe: Recipe, first: int, end: float) -> bool:
    """By the number of steps, which all know, or by the leader's clock, asked now and then."""
    step = trainer.meta["step"]
    if recipe.steps:
        return bool(step - first >= recipe.steps)
    return step % _ASK_EVERY == 0 and trainer.team.agree(time.time() >= end, trainer.device)


def report(
    model: DepthNetwork,
    generator: Generator,
    out: Path,
    photos: Path | None,
    say: Callable[..., None],
    per_kind: int,
    size: tuple[int, int] = (288, 384),
) -> None:
    """Figures of held-out worlds into the log; worlds.png, photos.png."""
    views, batch = evaluate.held_out(generator, per_kind, size)
    p = evaluate.predict(model, batch.rgb)
    say("figures", **evaluate.figures(p, batch, views))
    pictures.save_png(
        evaluate.world_sheet(p, batch, views, list(range(0, len(views.depth), per_kind))), out / "worlds.png"
    )
    if photos is not None and photos.is_dir():
        sheet = evaluate.photo_sheet(model, photos, generator.device)
        if sheet is not None:
            pictures.save_png(sheet, out / "photos.png")


def probe(out: Path, device: torch.device, seconds: float = 55.0) -> None:
    """Measure in under a minute what generator and training reach for a few batch sizes."""
    start = time.time()
    out.mkdir(parents=True, exist_ok=True)
    big = device.type == "cuda"
    height, width = (288, 384) if big else (64, 96)
    with (out / "probe.jsonl").open("a") as log:
        say = _logger(log)
        generator, trainer = Generator(device), Trainer(device, 0, 1e-6)
        say("probe", device=_name(device), ready_s=_since(start), threads=generator.threads)
        start = time.time()  # compiling does not count
        for count in (64, 128, 192, 256) if big else (2, 4):
            if _since(start) > seconds * 0.8:
                break
            try:
                say(
                    "size",
                    count=count,
                    height=height,
                    width=width,
                    **_measure(generator, trainer, count, height, width),
                )
            except torch.cuda.OutOfMemoryError as error:
                say("memory", count=count, problem=str(error)[:200])
                trainer.optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        _sample(generator, out / "generated.png", 24 if big else 4, (192, 256) if big else (64, 96))
        say("end", after_s=_since(start))


def _measure(generator: Generator, trainer: Trainer, count: int, height: int, width: int) -> dict[str, float]:
    device = generator.device
    worlds = generator.build(list(range(count)))
    views = generator.render(worlds, height, width)
    batch = photograph(views, 0)
    trainer.step(batch, 1e-6)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    build = _timed(device, 2, lambda i: generator.build(list(range(i * count, (i + 1) * count))))
    one = _timed(device, 2, lambda _: generator.render(worlds, height, width, 1))
    four = _timed(device, 2, lambda _: generator.render(worlds, height, width, 4))
    develop = _timed(device, 3, lambda i: photograph(views, i))
    step = _timed(device, 4, lambda _: trainer.step(batch, 1e-6))
    if device.type == "cuda" and count == 128:
        torch.backends.cudnn.benchmark = True
        tuned = _timed(device, 4, lambda _: trainer.step(batch, 1e-6))
        torch.backends.cudnn.benchmark = False
    else:
        tuned = step
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    values = {
        "build_per_s": count / build, "render1_per_s": count / one, "render4_per_s": count / four,
        "photo_per_s": count / develop, "train_per_s": count / step, "train_tuned_per_s": count / tuned,
        "memory_gib": memory,
        "kb_per_world": worlds.data.numel() / count / 1e3,
    }  # fmt: skip
    return {name: round(value, 1) for name, value in values.items()}


def _timed(device: torch.device, times: int, job: Callable[[int], Any]) -> float:
    """Seconds per call, after one call that does not count."""
    job(0)
    _wait(device)
    start = time.perf_counter()
    for i in range(times):
        job(i)
    _wait(device)
    return (time.perf_counter() - start) / times


def _sample(generator: Generator, path: Path, count: int, size: tuple[int, int]) -> None:
    """A sheet of generated photographs above their depth."""
    views = generator.render(generator.build(list(range(count))), *size, samples=4)
    batch = evaluate.as_seen(views)
    cells = []
    for rgb, depth in zip(batch.rgb.float().cpu(), views.depth.cpu(), strict=True):
        shown = (rgb.permute(1, 2, 0).numpy() * 255).round().astype("uint8")
        cells.append(pictures.grid([shown, pictures.depth_picture(depth.numpy())], 1))
    pictures.save_png(pictures.grid(cells, 6), path)


def _logger(log: TextIO | None) -> Callable[..., None]:
    def say(event: str, **values: Any) -> None:
        if log is None:
            return
        line = json.dumps({"event": event, "at": round(time.time(), 1), **values})
        print(line, flush=True)
        log.write(line + "\n")
        log.flush()

    return say


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _since(start: float) -> float:
    return round(time.time() - start, 2)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="wall time of this piece, everything included"
    )
    parser.add_argument("--steps", type=int, default=0, help="end after so many steps instead of by time")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the checkpoint, the log and the pictures"
    )
    parser.add_argument(
        "--resume", type=Path, default=CHECKPOINT, help="folder of the checkpoint to go on from"
    )
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever lies there")
    parser.add_argument("--photos", type=Path, help="folder of photographs to look at in the end")
    parser.add_argument("--batch", type=int, default=128, help="pictures of 384 x 288; others by their area")
    parser.add_argument("--samples", type=int, default=4, help="colour rays for busy pixels")
    parser.add_argument("--uses", type=int, default=1, help="photographs taken of each rendered view")
    parser.add_argument("--rate", type=float, default=8e-4, help="learning rate of the plateau")
    parser.add_argument("--decay", action="store_true", help="the last piece: the rate falls to nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="small pictures, to try it on a processor")
    parser.add_argument("--probe", action="store_true", help="only measure, in under a minute")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--gpus", type=int, default=0, help="processes; 0: one for each GPU")
    return parser.parse_args()


def main() -> None:
    """The command."""
    a = _arguments()
    feed = FeedSettings(a.batch * 288 * 384, a.samples, a.uses, a.seed)
    if a.tiny:
        feed = replace(feed, pixels=2 * 64 * 96, sizes=((64, 96), (96, 64)))
    recipe = Recipe(a.minutes, a.steps, a.decay, a.rate, feed)
    device = torch.device(a.device)
    if a.probe:
        probe(a.out, device)
    else:
        compiling.library(device.type)  # once, before there are several who need it
        resume = None if a.fresh else a.resume
        gpus = a.gpus or (torch.cuda.device_count() if device.type == "cuda" else 1)
        together.run(gpus, partial(train, recipe, a.out, resume, a.photos), device.type)


if __name__ == "__main__":
    main()
