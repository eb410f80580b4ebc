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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Choice = Literal["auto", "torch"]

_SOURCES = Path(__file__).parent / "native"
_COMPILERS = ("g++", "clang++", "c++")
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
_ABANDONED = 3600  # seconds after which the folder of a build was left behind by one that was killed
_choice: Choice = "auto"


@dataclass(frozen=True)
class Status:
    """Whether the native kernels are there.

    Attributes:
        functions: the library; None where there is none.
        detail: how it was built, or why it was not.
        build: what may change its last bits, in short: the compiler, and a key of sources, options and processor.
    """

    functions: ctypes.CDLL | None
    detail: str
    build: str | None = None


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


def active(precision: str = "float32") -> str:
    """Which kernels run on a CPU in this precision: `native` (in float32 only) or `torch`."""
    return "torch" if precision != "float32" or functions() is None else "native"


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
    problems = []
    for compiler in filter(shutil.which, _COMPILERS):
        try:
            return _load(compiler, instructions, cache_folder)
        except Exception as error:  # whatever it is: the kernels are never required
            said = getattr(error, "stderr", None) or error
            problems.append(f"{compiler}: {' '.join(str(said).split())[:300]}")
    return Status(None, "; ".join(problems) or "no C++ compiler (g++ or clang++) is installed")


def _load(compiler: str, instructions: str, cache_folder: Path | None) -> Status:
    command = [compiler, *_FLAGS, *instructions.split()]
    version = _output(compiler, "--version")
    texts = b"".join(path.read_bytes() for path in sorted(_SOURCES.iterdir()) if path.is_file())
    key = hashlib.sha256(texts + repr((command, processor(), version)).encode()).hexdigest()[:16]
    name = version.partition("\n")[0]
    detail, build = f"{compiler} {instructions}".strip(), f"{name}, {key}"
    try:
        folder = cache_folder or Path.home() / ".cache" / "adarts" / "kernels"
        return Status(_kept(folder, key) or _built(command, folder, key), detail, build)
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        with tempfile.TemporaryDirectory() as temporary:  # a library that is loaded needs its file no more
            library = _built(command, Path(temporary), key)
        return Status(library, f"{detail}, built for this process alone: the cache cannot be written", build)


def _kept(folder: Path, key: str) -> ctypes.CDLL | None:
    """An earlier build. Its name says what it must contain: to load a file that was cut off would kill the process."""
    for path in folder.glob(f"{key}-*.so"):
        if path.name == _name(key, path):
            with suppress(OSError):
                return ctypes.CDLL(str(path))
        path.unlink()
    return None


def _built(command: list[str], folder: Path, key: str) -> ctypes.CDLL:
    """Compile in a folder beside, and move: a build that is killed leaves nothing in the way, and two at once do no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("tmp*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        built = Path(beside) / "kernels.so"
        _output(*command, *map(str, sorted(_SOURCES.glob("*.cpp"))), "-o", str(built))
        target = built.replace(folder / _name(key, built))
    return ctypes.CDLL(str(target))


def _name(key: str, path: Path) -> str:
    return f"{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"


def _instructions() -> str:
    """All that this processor has. GCC prefers half of AVX-512's width unless told; here whole vectors pay."""
    return (
        "-march=native" if platform.machine() not in ("x86_64", "AMD64") else "-march=native -mprefer-vector-width=512"
    )


def processor() -> str:
    """Home folders are shared between machines, so a build belongs to one kind of processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout
