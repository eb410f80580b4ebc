"""The environment of a run: device, threads, versions. It is recorded, and compared when a run is continued."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

import adarts
from adarts import kernels
from adarts.config.settings import RunSettings
from adarts.engine import parallel
from adarts.errors import ConfigError, nearest

# These may change the last bits of a result.
_COMPARED = ("torch", "cuda", "device", "cpu", "threads", "kernels", "kernels_build")
_DEVICES = ("auto", "cpu", "cuda", "cuda:0")
_DEVICE = re.compile(r"(auto|cpu)|cuda(?::([0-9]{1,9}))?")


def prepare_device(settings: RunSettings) -> torch.device:
    """Set the number of CPU threads and the kernels, and return the device.

    Raises:
        ConfigError: the device is unknown or does not exist.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    kernels.use(settings.kernels)
    if "," in settings.device:
        raise ConfigError(
            f"--device {settings.device!r} (run.device): one process uses one device; to use several, share "
            "the run (--processes 2), or spread a sweep over them (adarts sweep --device cuda:0 cuda:1)"
        )
    match, asked = _DEVICE.fullmatch(settings.device), f"--device {settings.device!r} (run.device)"
    if match is None:
        raise ConfigError(f"{asked} is unknown{nearest(settings.device.casefold().replace('gpu', 'cuda'), _DEVICES)}")
    name, index = match.groups()
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if parallel.planned():
        if index is not None:
            raise ConfigError(f"{asked}: processes that share a run use one GPU each; write cuda")
        index = os.environ["LOCAL_RANK"]
    if int(index or 0) >= torch.cuda.device_count():
        number = f", and the processes use one GPU each (number {index} is missing)" if parallel.planned() else ""
        raise ConfigError(f"{asked} does not exist: torch sees {torch.cuda.device_count()} CUDA device(s){number}")
    return torch.device("cuda" if index is None else f"cuda:{int(index)}")


def scale_of_machine(settings: Mapping[str, Any]) -> str:
    """The scale for this machine: ``gpu`` if a run with these settings, by section, uses a GPU, else ``cpu``."""
    return "gpu" if settings["run"]["device"] != "cpu" and torch.cuda.is_available() else "cpu"


def environment(device: torch.device, precision: str = "float32") -> dict[str, Any]:
    """Facts needed to repeat a run on this device; `precision` is the precision of its steps."""
    native = kernels.status() if device.type == "cpu" and kernels.active() == "native" else None  # builds the kernels
    return {
        "processes": parallel.count(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": _command(),
        "adarts": adarts.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "kernels": kernels.active(precision, device.type),
        "kernels_build": native and native.build,
        "os": platform.platform(),
        "host": socket.gethostname(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Differences that may change the last bits of the result, such as ``threads 1 -> 2``."""
    return [f"{key} {before[key]} -> {now[key]}" for key in _COMPARED if before[key] != now[key]]


def changed_sources(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Which of method, space and data come from a file whose sha256 (``method_source`` etc.) has changed."""
    sources = [name for name in before if name.endswith("_source")]
    return [name.removesuffix("_source") for name in sources if before[name] != now.get(name)]


def _command() -> str | None:
    """The `adarts` command line; None if the package was called from another program or a notebook."""
    program = Path(*sys.argv[:1])
    if program.name != "adarts" and program.parts[-2:] != ("adarts", "__main__.py"):
        return None
    return shlex.join(["adarts", *sys.argv[1:]])


def _git_commit() -> str | None:
    """The commit of the package if it runs from a clone, with ``-dirty`` if files were changed."""
    folder = Path(adarts.__file__).parent
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # excludes an install inside another clone
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") if tracked else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
