"""The native kernels: compiled once for this machine with the C++ compiler at hand, kept in the user's cache.

The sources are plain C++ without a header of torch, called through pointers: they compile in seconds rather than a minute,
and one build serves every version of torch. Without a compiler, or where the build fails, everything runs on torch's own
operators; nothing else changes.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Choice = Literal["auto", "torch"]

_SOURCES = Path(__file__).parent / "native"
_FLAGS = (
    "-O3",
    "-std=c++17",
    "-fopenmp",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
_choice: Choice = "auto"


@dataclass(frozen=True)
class Status:
    """Whether the native kernels are there, and how they were built or why they were not."""

    functions: ctypes.CDLL | None
    detail: str


def use(choice: Choice) -> None:
    """The one switch: ``auto`` takes the native kernels where they can be built, ``torch`` never does."""
    global _choice
    _choice = choice


@contextmanager
def using(choice: Choice) -> Iterator[None]:
    """The switch for a while."""
    before = _choice
    use(choice)
    try:
        yield
    finally:
        use(before)


def functions() -> ctypes.CDLL | None:
    """The native kernels, built on the first call; None where they are turned off or cannot be built."""
    return None if _choice == "torch" else status().functions


def active() -> str:
    """Which kernels run: `native` or `torch`."""
    return "torch" if functions() is None else "native"


@cache
def status() -> Status:
    """Load the native kernels, building them first if this machine has not done so yet."""
    return load(_instructions())


@cache
def load(instructions: str, cache_folder: Path | None = None) -> Status:
    """Build the kernels for an instruction set, or take the earlier build of the same sources.

    Args:
        instructions: the compiler's options for the processor, e.g. ``-march=native``; empty for what all processors have.
        cache_folder: where builds are kept; the user's cache folder if not given.
    """
    compiler = next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)
    if compiler is None:
        return Status(None, "no C++ compiler (g++ or clang++) is installed")
    command = [compiler, *_FLAGS, *instructions.split()]
    sources = sorted(_SOURCES.glob("*.cpp"))
    texts = b"".join(path.read_bytes() for path in sorted(_SOURCES.iterdir()) if path.is_file())
    key = hashlib.sha256(texts + repr((command, processor(), _version(compiler))).encode()).hexdigest()[:16]
    folder = cache_folder or Path.home() / ".cache" / "adarts" / "kernels"
    target = folder / f"{key}.so"
    try:
        if not target.exists():
            _build(command, sources, target)
        return Status(ctypes.CDLL(str(target)), f"{compiler} {instructions}".strip())
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return Status(None, " ".join(str(said).split())[:300])


def _build(command: list[str], sources: list[Path], target: Path) -> None:
    """Compile into a temporary file and move it: a build that is killed leaves nothing, and two at once do no harm."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        subprocess.run([*command, *map(str, sources), "-o", str(built)], check=True, capture_output=True, text=True)
        built.replace(target)


def _instructions() -> str:
    """All that this processor has. GCC prefers half of AVX-512's width unless told; here whole vectors pay."""
    return (
        "-march=native" if platform.machine() not in ("x86_64", "AMD64") else "-march=native -mprefer-vector-width=512"
    )


def processor() -> str:
    """Home folders are shared between machines, so a build belongs to one kind of processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
