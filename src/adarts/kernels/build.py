"""Which kernels are used: native ones on a CPU, Triton's on CUDA, or torch's operators.

The native kernels are built once per machine with an installed C++ compiler, and kept in the user's cache. Their sources are
plain C++ without torch's headers and are called through pointers. So they compile in seconds instead of a minute, and one build
works with every version of torch. Without a compiler, or if the build fails, torch's operators are used instead.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

Choice = Literal["auto", "torch"]

_SOURCES = Path(__file__).parent / "native"
_COMPILERS = ("g++", "clang++", "c++")
_FLAGS = (
    "-O3",
    "-std=c++17",
    "-fopenmp",
    "-fPIC",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
_ABANDONED = 3600  # seconds after which the temporary folder of a build counts as left over from a killed process
_CAPABILITY = (8, 0)  # Triton's products of float64 need it
_choice: Choice = "auto"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """Whether the native kernels are available.

    Attributes:
        functions: the library, or None.
        detail: how it was built, or why it was not.
        build: identifies what may change the last bits of results: compiler, and a key of sources, options and processor.
    """

    functions: ctypes.CDLL | None
    detail: str
    build: str | None = None


def use(choice: Choice) -> None:
    """Choose the kernels: ``auto`` uses native ones on a CPU and Triton's on CUDA, if there are any; ``torch`` uses neither."""
    global _choice
    _choice = choice


@contextmanager
def using(choice: Choice) -> Iterator[None]:
    """Choose the kernels inside a ``with`` block."""
    before = _choice
    use(choice)
    try:
        yield
    finally:
        use(before)


def functions() -> ctypes.CDLL | None:
    """The native kernels, built on the first call; None if they are turned off or cannot be built."""
    return None if _choice == "torch" else status().functions


def triton() -> bool:
    """Whether Triton's kernels are used on CUDA."""
    return _choice != "torch" and triton_problem() is None


@cache
def triton_problem() -> str | None:
    """Why Triton's kernels cannot be used on CUDA, or None."""
    if not torch.cuda.is_available():
        return "no CUDA GPU"
    if torch.cuda.get_device_capability() < _CAPABILITY:
        return f"{torch.cuda.get_device_name()} is older than compute capability {'.'.join(map(str, _CAPABILITY))}"
    if find_spec("triton") is None:
        return "Triton is not installed"
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CC", "cc"), "gcc", "clang")):
        return "Triton needs a C compiler (gcc or clang), and none is installed"
    return _first_launch()


def _first_launch() -> str | None:
    """Why a small kernel does not run as it should, or None; Triton compiles only now, by programs that may be missing."""
    try:
        from adarts.kernels import gpu

        ones = torch.ones(1, 16, 2, 2, device="cuda").contiguous(memory_format=torch.channels_last)
        twos = torch.zeros_like(ones)
        gpu.total([ones, ones], twos)
        return None if bool((twos == 2).all()) else "a first Triton kernel computed something else"
    except Exception as error:  # any error: the kernels are optional
        return f"a first Triton kernel failed: {' '.join(str(error).split())[:300]}"


def active(precision: str = "float32", device: str = "cpu") -> str:
    """The kernels used in this precision on this type of device: `native`, `triton` (both only in float32) or `torch`."""
    if precision != "float32":
        return "torch"
    if device == "cuda":
        return "triton" if triton() else "torch"
    return "torch" if functions() is None else "native"


@cache
def status() -> Status:
    """Load the native kernels; build them if necessary."""
    return load(_instructions())


@cache
def load(instructions: str, cache_folder: Path | None = None) -> Status:
    """Build the kernels for an instruction set, or load an earlier build of the same sources.

    Args:
        instructions: compiler options for the processor, e.g. ``-march=native``; empty for the common instruction set.
        cache_folder: folder of the builds; by default in the user's cache folder.
    """
    problems = []
    for compiler in filter(shutil.which, _COMPILERS):
        try:
            return _load(compiler, instructions, cache_folder)
        except Exception as error:  # any error: the kernels are optional
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
        with tempfile.TemporaryDirectory() as temporary:  # a loaded library no longer needs its file
            library = _built(command, Path(temporary), key)
        return Status(library, f"{detail}, built for this process only: the cache cannot be written", build)


def _kept(folder: Path, key: str) -> ctypes.CDLL | None:
    """Load an earlier build. Its name contains its hash, because loading a truncated file would kill the process."""
    for path in folder.glob(f"{key}-*.so"):
        if path.name == _name(key, path):
            with suppress(OSError):
                return ctypes.CDLL(str(path))
        path.unlink()
    return None


def _built(command: list[str], folder: Path, key: str) -> ctypes.CDLL:
    """Compile in a temporary folder, then move the library, so that killed or simultaneous builds do no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("tmp*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    # A run waits for the kernels: to begin with torch's operators and change over later would change the last bits of results.
    _log.warning("adarts: compiling the native kernels, once for this machine; about 20 seconds on two cores")
    with tempfile.TemporaryDirectory(dir=folder) as beside, ThreadPoolExecutor(os.cpu_count()) as workers:
        built = Path(beside) / "kernels.so"
        sources = sorted(_SOURCES.glob("*.cpp"))
        objects = [str(Path(beside) / f"{source.stem}.o") for source in sources]
        compiled = [
            workers.submit(_output, *command, "-c", str(s), "-o", o) for s, o in zip(sources, objects, strict=True)
        ]
        for one in compiled:
            one.result()
        _output(*command, "-shared", *objects, "-o", str(built))
        target = built.replace(folder / _name(key, built))
    return ctypes.CDLL(str(target))


def _name(key: str, path: Path) -> str:
    return f"{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"


def _instructions() -> str:
    """Compiler options for this processor. By default GCC uses half of AVX-512's width, but full vectors are faster here."""
    return (
        "-march=native" if platform.machine() not in ("x86_64", "AMD64") else "-march=native -mprefer-vector-width=512"
    )


def processor() -> str:
    """Identify the type of processor, because machines may share a home folder with the builds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout
