"""Does every fault of the service's fault table many times, and prints a table of what came of it.

    python benchmarks/soak.py                      every fault 200 times; hours
    python benchmarks/soak.py --rounds 20 "full disk" "line cut"

Linux; the full disk needs root. Any lost job, damaged result, orphan process or file left over ends it with an error.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from service_faults import FAULTS, ground  # noqa: E402


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(FAULTS)))
@click.option("--rounds", default=200, show_default=True, help="How often each fault is done.")
@click.option("--seed", default=0, show_default=True, help="Chooses the random moments.")
def soak(names: tuple[str, ...], rounds: int, seed: int) -> None:
    """Do the faults one after the other."""
    failed = []
    for name in names or FAULTS:
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder, ground(Path(folder), seed) as here:
                FAULTS[name](here, rounds)
            outcome = "nothing lost"
        except Exception as error:
            outcome = f"FAILED: {' '.join(str(error).split())[:300]}"
            failed.append(name)
        click.echo(f"| {name} | {rounds} | {time.monotonic() - began:.0f} s | {outcome} |")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    soak()
