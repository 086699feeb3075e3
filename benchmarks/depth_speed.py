"""Time and memory of the depth networks at full size, with random weights in the published layouts.

    python benchmarks/depth_speed.py             # on a GPU: every model; minutes on a CPU
    python benchmarks/depth_speed.py --only moge-2-vits-normal

Weights are made in a temporary folder (up to 4 GB) and loaded as real ones are. Time does not depend on their values. A
picture is looked at five times; the median of the last four counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "backend")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from moge_support import PUBLISHED, noise_picture, random_state, write_checkpoint  # noqa: E402
from pretrained_support import full_depth_anything, full_depth_pro, write_settings  # noqa: E402

from splinescape.camera.view import View  # noqa: E402
from splinescape.depth.moge import MogeDepth  # noqa: E402
from splinescape.depth.pretrained import DepthAnythingDepth, DepthProDepth  # noqa: E402

SIZES = ((672, 512), (1344, 1024))


def moge(model: str) -> Callable[[Path, torch.device], Any]:
    def make(folder: Path, device: torch.device) -> Any:
        write_checkpoint(folder / "model.pt", PUBLISHED[model], random_state(PUBLISHED[model], 0))
        return MogeDepth(folder, device)

    return make


def depth_pro(folder: Path, device: torch.device) -> Any:
    from transformers import DepthProForDepthEstimation

    DepthProForDepthEstimation(full_depth_pro()).half().save_pretrained(folder)
    write_settings(folder, size=1536, image_processor_type="DepthProImageProcessorFast", resample=2)
    return DepthProDepth(folder, device)


def depth_anything(size: str) -> Callable[[Path, torch.device], Any]:
    def make(folder: Path, device: torch.device) -> Any:
        from transformers import DepthAnythingForDepthEstimation

        DepthAnythingForDepthEstimation(full_depth_anything(size)).save_pretrained(folder)
        settings = {"image_processor_type": "DPTImageProcessor", "resample": 3, "ensure_multiple_of": 14}
        write_settings(folder, size=518, keep_aspect_ratio=True, **settings)
        return DepthAnythingDepth(folder, device)

    return make


MODELS: dict[str, Callable[[Path, torch.device], Any]] = {
    **{name: moge(name) for name in PUBLISHED},
    "depth-pro": depth_pro,
    "depth-anything-v2-metric-outdoor-small": depth_anything("small"),
    "depth-anything-v2-metric-outdoor-large": depth_anything("large"),
}


def measure(name: str, device: torch.device) -> list[dict[str, Any]]:
    """Load a model and look at a picture of each size, with its field of view given and not."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        engine = MODELS[name](Path(folder), device)
        for width, height in SIZES:
            rgb = noise_picture(height, width)
            K = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], np.float32)
            row: dict[str, Any] = {"model": name, "width": width, "height": height}
            for label, given in (("free_s", None), ("given_s", K)):
                view = View(width, height, given, np.eye(4))
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                times = []
                for _ in range(5):
                    start = time.perf_counter()
                    engine.predict(rgb, K_33=given, view=view)
                    times.append(time.perf_counter() - start)
                row[label] = statistics.median(times[1:])
            if device.type == "cuda":
                row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=MODELS, action="append", help="one of them; may be repeated")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(torch.cuda.get_device_name() if device.type == "cuda" else "CPU", torch.__version__)
    print("| model | picture | field of view found | given | peak |\n|---|---|---|---|---|", flush=True)
    rows = []
    for name in options.only or MODELS:
        for row in measure(name, device):
            rows.append(row)
            peak = f"{row['peak_gib']:.2f} GiB" if "peak_gib" in row else ""
            print(
                f"| {name} | {row['width']}x{row['height']} | {row['free_s'] * 1e3:.0f} ms | "
                f"{row['given_s'] * 1e3:.0f} ms | {peak} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
