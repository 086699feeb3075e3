"""`build.py test`: the tests inside each Blender, then all others, whose summary is the last thing printed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import blenders
from .steps import ROOT

BLENDER_TESTS = ROOT / "tests" / "blender"
NOTHING_COLLECTED = 5
"""pytest's exit code when no test was chosen: with `-k`, only some of the runs may have one."""


@dataclass(frozen=True)
class Plan:
    """Which of the runs take place, and what pytest is given in both kinds."""

    blender: bool
    main: bool
    blender_arguments: tuple[str, ...]
    main_arguments: tuple[str, ...]


def plan(extra: list[str]) -> Plan:
    """Sort the user's arguments: test files belong to one kind of run, all else to both; `--quick` is ours."""
    quick = ("-m", "not slow") if "--quick" in extra else ()
    inside: list[str] = []
    outside: list[str] = []
    options: list[str] = []
    for argument in extra:
        if argument == "--quick":
            continue
        path = Path(ROOT, argument.partition("::")[0])
        if argument.startswith("-") or not path.exists():
            options.append(argument)
        elif path.resolve().is_relative_to(BLENDER_TESTS):
            inside.append(argument)
        else:
            outside.append(argument)
    everywhere = not inside and not outside
    return Plan(
        blender=everywhere or bool(inside),
        main=everywhere or bool(outside),
        blender_arguments=(*quick, *options, *(inside or [str(BLENDER_TESTS.relative_to(ROOT))])),
        main_arguments=(*quick, *options, *outside),
    )


def run_tests(main_python: Path, extra: list[str]) -> None:
    """Run what the arguments choose; the first run that fails is the last, and gives the exit code."""
    chosen = plan(extra)
    codes = [*(_blender_codes(chosen) if chosen.blender else ())]
    if chosen.main and not any(code not in (0, NOTHING_COLLECTED) for code in codes):
        codes.append(_pytest(main_python, chosen.main_arguments))
    sys.exit(_verdict(codes))


def _blender_codes(chosen: Plan) -> list[int]:
    python = blenders.find_python()
    if python is None:
        print(
            f"SKIPPED the tests inside Blender: its packages need Python {blenders.BLENDER_PYTHON}, which is not "
            f"on the PATH as python{blenders.BLENDER_PYTHON}",
            flush=True,
        )
        return []
    codes: list[int] = []
    for version in blenders.VERSIONS:
        environment = blenders.ensure_blender(version, python)
        print(f"Blender {version}", flush=True)
        codes.append(_pytest(environment.python, chosen.blender_arguments))
        if codes[-1] not in (0, NOTHING_COLLECTED):
            break
    return codes


def _verdict(codes: list[int]) -> int:
    """The last failure; that nothing was collected counts only when no run had a test."""
    failures = [code for code in codes if code not in (0, NOTHING_COLLECTED)]
    if failures:
        return failures[-1]
    return 0 if 0 in codes or not codes else NOTHING_COLLECTED


def _pytest(python: Path, arguments: tuple[str, ...]) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(python), "-m", "pytest", *arguments], cwd=ROOT, env=environment).returncode
