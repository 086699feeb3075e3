"""Compiles the ray caster: one C++ source for the processor (c++) and for NVIDIA GPUs (nvcc)."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "world"
BUILD = Path(__file__).parents[2] / "out" / "depth-build"

_CPU_FLAGS = (
    "-O2",
    "-std=c++17",
    # -ffast-math less what it does to the process that loads the result: there, subnormal numbers would become 0.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-freciprocal-math",
    "-Wno-unknown-pragmas",
    "-shared",
    "-fPIC",
)
_CUDA_FLAGS = (
    "-O3",
    "-std=c++17",
    "-arch=sm_90",
    "--use_fast_math",
    "-x",
    "cu",
    "-shared",
    "-Xcompiler",
    "-fPIC",
)


class CompilerMissingError(RuntimeError):
    """No compiler for this kind of device on this machine."""


def find_compiler(kind: str) -> str | None:
    """The path of the compiler for "cpu" or "cuda", or None."""
    names = ("nvcc", "/usr/local/cuda/bin/nvcc") if kind == "cuda" else ("c++", "g++", "clang++")
    return next((found for name in names if (found := shutil.which(name))), None)


def library(kind: str) -> ctypes.CDLL:
    """The ray caster for "cpu" or "cuda", compiled if these very sources were not yet compiled here.

    Raises:
        CompilerMissingError: it has to be compiled and there is no compiler.
        RuntimeError: the compiler failed; the message ends with what it said.
    """
    flags = _CUDA_FLAGS if kind == "cuda" else _CPU_FLAGS
    target = BUILD / f"world-{kind}-{_fingerprint(flags)}.so"
    if target.exists():
        try:
            return ctypes.CDLL(str(target))
        except OSError:  # carried here from a machine with other system libraries
            target.unlink()
    _compile(kind, flags, target)
    return ctypes.CDLL(str(target))


def _fingerprint(flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256(repr(flags).encode())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _compile(kind: str, flags: tuple[str, ...], target: Path) -> None:
    compiler = find_compiler(kind)
    if compiler is None:
        raise CompilerMissingError(
            f"no {'nvcc' if kind == 'cuda' else 'C++ compiler'} was found; install one"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        threads = () if kind == "cuda" else ("-pthread",)
        command = [compiler, *flags, *threads, str(SOURCE / "entry.cpp"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{compiler} failed on the ray caster:\n{done.stderr[-4000:]}")
        made.replace(target)


if __name__ == "__main__":
    for device in ("cpu", "cuda"):
        try:
            print(library(device)._name)
        except (CompilerMissingError, OSError, RuntimeError) as problem:
            print(f"{device}: {problem}")
