"""On what a run is carried out: device, threads, versions; written down, and compared when a run is continued."""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import adarts
from adarts.config.settings import RunSettings
from adarts.errors import ConfigError, nearest

_COMPARED = ("torch", "cuda", "device", "cpu", "threads")  # what may change the last bits of a result
_DEVICES = ("auto", "cpu", "cuda", "cuda:0")


def prepare_device(settings: RunSettings) -> torch.device:
    """Set the number of CPU threads and find the device.

    Raises:
        ConfigError: the device is unknown or not there.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    name, _, index = settings.device.partition(":")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (index and not index.isdigit()) or (index and name == "cpu"):
        raise ConfigError(f"run.device {settings.device!r} is unknown{nearest(settings.device, _DEVICES)}")
    if name == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"run.device {settings.device!r}: torch sees {torch.cuda.device_count()} CUDA device(s)")
    return torch.device(f"cuda:{index}" if name == "cuda" and index else name)


def environment(device: torch.device) -> dict[str, Any]:
    """What somebody needs to know to repeat the run."""
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(["adarts", *sys.argv[1:]]),
        "adarts": metadata.version("adarts"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "os": platform.platform(),
        "host": socket.gethostname(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may change the last bits of the result, in words like ``threads 1 -> 2``."""
    return [f"{key} {before.get(key)} -> {now[key]}" for key in _COMPARED if before.get(key) != now[key]]


def _git_commit() -> str | None:
    """The commit of the package when it runs from a clone, with ``-dirty`` when files were changed."""
    folder = Path(adarts.__file__).parent
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # not merely installed inside somebody's clone
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
