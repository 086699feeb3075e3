"""Where the time of a coarse run goes outside the models, on a GPU or on the CPU.

    PYTHONPATH=backend python benchmarks/gpu_pipeline.py                    # gsplat, with the cpu engine beside it
    PYTHONPATH=backend python benchmarks/gpu_pipeline.py --no-compare       # gsplat alone
    PYTHONPATH=backend python benchmarks/gpu_pipeline.py --engine cpu --quick   # this script's logic, anywhere

Perfect models answer from an analytic room (examples/worlds), a path that looks round makes the walk expand eight
frames of 5 to 12 % each, 512x384 with its border, then 150 pictures are rendered along the path. The runs: one to warm
up; some with nothing measured but the whole, its models and its memory; one with every function of the pipeline timed,
the GPU waited for at its ends; one under torch's profiler, for kernels, copies and waits.

Needs torch, numpy, scipy, opencv (headless), numba, pydantic, pillow, platformdirs, filelock, psutil, click, plyfile,
av and, for gsplat, gsplat with ninja and a CUDA toolkit; splinescape itself need not be installed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "backend")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

import worlds  # noqa: E402
from splinescape import CameraPath, SceneConfig, ScenePipeline, engines  # noqa: E402
from splinescape.render import render_path, views_along  # noqa: E402

TIMED = {
    "splinescape.pipeline": "match_colors train_splats lift_frame shell_radius add_border fit_picture expand_view "
    "grow_scene",
    "splinescape.coarse.expand": "render_view hole_mask align_depth snap_ramps push_behind clean_rims "
    "already_seen keep_inside floating lift_frame tuck_in joined colors_matched _older_views _cropped trained "
    "whole_scene call_inpainter call_depth",
    "splinescape.coarse.walk": "can_see uncovered_shares",
    "splinescape.train.trainer": "resident Step brought_back",
    "splinescape.train.step": "_draw _structure masked_smooth_l1",
    "splinescape.align": "fit_inverse_depth fill_harmonic occlusion_edges",
    "splinescape.scene.lift": "far_rims occlusion_edges",
}
"""Functions to time, by the module that calls them."""


def look_round(count: int = 101) -> np.ndarray:
    """(count, 4, 4) cam_T_world: 28 degrees to both sides, nodding by 9, half a metre to both sides."""
    s = np.linspace(0, 1, count)
    poses = []
    for yaw, pitch, t in zip(
        np.radians(28) * np.sin(2 * np.pi * s), np.radians(9) * np.sin(4 * np.pi * s), s, strict=True
    ):
        ca, sa, cb, sb = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        turn = np.array([[1, 0, 0], [0, cb, -sb], [0, sb, cb]]) @ np.array(
            [[ca, 0, -sa], [0, 1, 0], [sa, 0, ca]]
        )
        eye = np.array([0.5 * np.sin(2 * np.pi * t), 0, 0.3 * np.sin(np.pi * t)])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, -turn @ eye
        poses.append(pose)
    return np.stack(poses)


class Job:
    """The work: a room, a path and what is asked of the pipeline."""

    def __init__(self, quick: bool) -> None:
        self.width, self.height = (128, 96) if quick else (512, 384)
        self.K = worlds.centred_intrinsics(self.width, self.height, 460 * self.width / 512).astype(np.float64)
        self.world = worlds.soften(worlds.plain_room(), 0.06)
        self.poses = look_round()
        self.picture = self.world.render(np.eye(4), self.K, self.width, self.height).rgb
        self.config = SceneConfig(
            stage="coarse",
            max_resolution=self.width,
            n_frames=5 if quick else 10,
            coarse_min_inpaint_ratio=0.02,
            coarse_max_inpaint_ratio=0.12,
        )
        self.films = 24 if quick else 150
        self.answers: dict[tuple[Any, ...], Any] = {}


class Model:
    """A perfect model whose time is counted, and whose answers are kept: later runs ask the same."""

    def __init__(self, job: Job, spent: dict[str, float]) -> None:
        self._job, self._spent = job, spent
        self._paint = worlds.OracleInpainter(job.world, job.K)
        self._depth = worlds.OracleDepth(job.world, job.K)

    def inpaint(self, rgb, mask, *, view, seed):  # type: ignore[no-untyped-def]
        with self._counted():
            everywhere = np.ones_like(mask)
            true = self._once(
                ("paint", view.cam_T_world.tobytes(), mask.shape),
                lambda: self._paint.inpaint(rgb, everywhere, view=view, seed=seed),
            )
            return np.where(mask[..., None], true, rgb)

    def predict(self, rgb, *, K_33, view):  # type: ignore[no-untyped-def]
        with self._counted():
            return self._once(
                ("depth", view.cam_T_world.tobytes(), rgb.shape, K_33 is None),
                lambda: self._depth.predict(rgb, K_33=K_33, view=view),
            )

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._job.answers:
            self._job.answers[key] = make()
        return self._job.answers[key]

    @contextmanager
    def _counted(self) -> Iterator[None]:
        wait()
        began = time.perf_counter()
        yield
        self._spent["models"] += time.perf_counter() - began


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Clock:
    """Time inside functions: with and without the timed functions that they call; the GPU is waited for."""

    def __init__(self) -> None:
        self.whole: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inner = [0.0]

    @contextmanager
    def installed(self) -> Iterator[None]:
        before = []
        for module_name, names in TIMED.items():
            module = importlib.import_module(module_name)
            for name in names.split():
                if hasattr(module, name):
                    before.append((module, name, getattr(module, name)))
                    setattr(module, name, self._timed(name, getattr(module, name)))
        try:
            yield
        finally:
            for module, name, function in before:
                setattr(module, name, function)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            wait()
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                wait()
                spent = time.perf_counter() - began
                inner = self._inner.pop()
                self._inner[-1] += spent
                self.whole[name] += spent
                self.own[name] += spent - inner
                self.calls[name] += 1

        return timed


def run(job: Job, engine: Any, film: bool = True) -> dict[str, Any]:
    """One whole run.

    Returns:
        seconds of the run and of the film, of the models, per stage; the result and its pictures.
    """
    spent: dict[str, float] = defaultdict(float)
    stages: dict[str, float] = defaultdict(float)
    model = Model(job, spent)
    current = ["begin"]
    last = [time.perf_counter(), 0.0]

    def on_event(event: Any) -> None:
        if type(event).__name__ != "StageStarted":
            return
        now = time.perf_counter()
        stages[current[0]] += now - last[0] - (spent["models"] - last[1])
        current[0], last[0], last[1] = event.stage, now, spent["models"]

    pipeline = ScenePipeline(job.config, inpainter=model, depth=model, rasterizer=engine)
    wait()
    began = last[0] = time.perf_counter()
    result = pipeline.run(job.picture, path=CameraPath.from_matrices(job.poses), on_event=on_event)
    wait()
    stages[current[0]] += time.perf_counter() - last[0] - (spent["models"] - last[1])
    seconds = time.perf_counter() - began
    shown: list[np.ndarray] = []
    began = time.perf_counter()
    if film:
        path = CameraPath.from_matrices(job.poses)
        views = views_along(path, job.films, job.K, job.width, job.height)
        render_path(result.scene, views, lambda frame: shown.append(frame.rgb))
    filmed = time.perf_counter() - began
    return {
        "outside_s": seconds - spent["models"] + filmed,
        "coarse_s": seconds - spent["models"],
        "film_s": filmed,
        "models_s": spent["models"],
        "stages_s": dict(stages),
        "result": result,
    }


def quality(job: Job, result: Any) -> dict[str, float]:
    """PSNR of the input view and of eleven poses between the dense ones, and the open share of the worst."""

    def psnr(a: np.ndarray, b: np.ndarray) -> float:
        return float(-10 * np.log10(np.mean((a.astype(np.float64) - b / 255) ** 2)))

    def shown(cam: np.ndarray) -> tuple[np.ndarray, float]:
        out = result.scene.render(cam, job.K, job.width, job.height)
        return out.rgb.clamp(0, 1).numpy(), float((out.alpha < 0.5).float().mean())

    scores, opens = [], []
    for i in range(11):
        cam = job.poses[round((i + 0.5) / 11 * 100)]
        rgb, uncovered = shown(cam)
        key = ("truth", i)
        if key not in job.answers:
            job.answers[key] = job.world.render(cam, job.K, job.width, job.height).rgb
        scores.append(psnr(rgb, job.answers[key]))
        opens.append(uncovered)
    return {
        "input_db": psnr(shown(np.eye(4))[0], job.picture),
        "path_db": statistics.mean(scores),
        "worst_open": max(opens),
        "splats": result.scene.num_splats,
        "frames": len(result.frames) - 2,
    }


def profiled(job: Job, engine: Any) -> dict[str, Any]:
    """Kernels, copies and waits of one run, as torch's profiler counts them."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        run(job, engine)
        wait()
    kernels, copies, waits = [], defaultdict(lambda: [0, 0.0]), defaultdict(int)
    for event in profile.key_averages():
        device = getattr(event, "self_device_time_total", getattr(event, "self_cuda_time_total", 0)) / 1e3
        if event.key.startswith(("Memcpy", "Memset")):
            copies[event.key] = [event.count, device]
        elif "Synchronize" in event.key or event.key in ("aten::item", "aten::_local_scalar_dense"):
            waits[event.key] = event.count
        elif event.device_type == torch.autograd.DeviceType.CUDA:  # others repeat the time of their kernels
            kernels.append((event.key[:90], event.count, device))
    kernels.sort(key=lambda k: -k[2])
    return {
        "kernel_ms": sum(k[2] for k in kernels),
        "kernel_launches": sum(k[1] for k in kernels),
        "kernels": kernels[:15],
        "copies": dict(copies),
        "waits": dict(waits),
    }


def measure(name: str, job: Job, repeats: int, detail: bool) -> dict[str, Any]:
    """Everything about one engine."""
    began = time.perf_counter()
    engine = engines.rasterizer(name)
    report: dict[str, Any] = {"engine": name, "made_s": time.perf_counter() - began}
    report["first_s"] = run(job, engine)["outside_s"]
    on_gpu = engine.device.type == "cuda"
    runs = []
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats):
        runs.append(run(job, engine))
    if on_gpu:
        report["peak_allocated_mib"] = torch.cuda.max_memory_allocated() / 2**20
        report["peak_reserved_mib"] = torch.cuda.max_memory_reserved() / 2**20
    runs.sort(key=lambda r: r["outside_s"])
    middle = runs[len(runs) // 2]
    report |= {k: middle[k] for k in ("outside_s", "coarse_s", "film_s", "models_s", "stages_s")}
    report["all_outside_s"] = [r["outside_s"] for r in runs]
    report["quality"] = quality(job, middle["result"])
    if detail:
        clock = Clock()
        with clock.installed():
            timed = run(job, engine)
        report["timed_outside_s"] = timed["outside_s"]
        report["functions"] = {
            n: {"calls": clock.calls[n], "whole_ms": clock.whole[n] * 1e3, "own_ms": clock.own[n] * 1e3}
            for n in sorted(clock.own, key=lambda n: -clock.own[n])
        }
    if detail and on_gpu:
        try:
            report["profile"] = profiled(job, engine)
        except Exception as error:  # the profiler needs rights that a container may lack
            report["profile_failed"] = str(error)[:300]
    return report


def print_report(report: dict[str, Any]) -> None:
    q = report["quality"]
    print(f"\n### {report['engine']}\n")
    print(
        "| outside the models | coarse | film | first run | engine made | peak memory (allocated / reserved) |"
    )
    print("|---|---|---|---|---|---|")
    memory = "-"
    if "peak_allocated_mib" in report:
        memory = f"{report['peak_allocated_mib']:.0f} / {report['peak_reserved_mib']:.0f} MiB"
    times = [report[k] for k in ("outside_s", "coarse_s", "film_s", "first_s", "made_s")]
    print("| " + " | ".join(f"{t:.3f} s" for t in times) + f" | {memory} |")
    print("\n| input | path | worst view open | splats | expanded frames |\n|---|---|---|---|---|")
    print(
        f"| {q['input_db']:.2f} dB | {q['path_db']:.2f} dB | {100 * q['worst_open']:.3f} % | {q['splats']:,} |"
        f" {q['frames']} |"
    )
    print("\n| stage | ms |\n|---|---|")
    for stage, seconds in sorted(report["stages_s"].items(), key=lambda s: -s[1]):
        print(f"| {stage} | {seconds * 1e3:.0f} |")
    if "functions" in report:
        print("\n| function | calls | with what it calls, ms | itself, ms |\n|---|---|---|---|")
        for name, f in report["functions"].items():
            print(f"| `{name}` | {f['calls']} | {f['whole_ms']:.1f} | {f['own_ms']:.1f} |")
    if "profile" in report:
        p = report["profile"]
        print(f"\nGPU busy {p['kernel_ms']:.0f} ms in {p['kernel_launches']:,} kernels.\n")
        print("| kernel | calls | ms |\n|---|---|---|")
        for name, count, ms in p["kernels"]:
            print(f"| `{name}` | {count} | {ms:.1f} |")
        print("\n| copy or wait | times | ms |\n|---|---|---|")
        for name, (count, ms) in p["copies"].items():
            print(f"| {name} | {count} | {ms:.1f} |")
        for name, count in p["waits"].items():
            print(f"| {name} | {count} | |")
    if "profile_failed" in report:
        print(f"\nprofiler: {report['profile_failed']}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="gsplat", help="gsplat, cpu or torch")
    parser.add_argument("--no-compare", action="store_true", help="leave the cpu engine's quality out")
    parser.add_argument("--quick", action="store_true", help="128x96, three expanded frames")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    job = Job(options.quick)
    reports = [measure(options.engine, job, options.repeats, detail=True)]
    print_report(reports[0])
    if not options.no_compare and options.engine != "cpu":
        reports.append(measure("cpu", job, 1, detail=False))
        print_report(reports[1])
        ours, cpu = (r["quality"] for r in reports)
        print(
            f"\n{options.engine} against cpu: input {ours['input_db'] - cpu['input_db']:+.2f} dB,"
            f" path {ours['path_db'] - cpu['path_db']:+.2f} dB"
        )
    if options.json:
        options.json.write_text(json.dumps({"device": device, "reports": reports}, indent=1))


if __name__ == "__main__":
    main()
