"""Check that images fit into memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

from adarts.errors import DataError

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def require_memory(count: int, size: int, channels: int) -> None:
    """Refuse `count` images with side `size` if they do not fit into memory.

    Raises:
        DataError: less memory is available than twice the size of the set. Splitting and scaling need two copies.
    """
    need, available = 2 * count * size * size * channels, available_memory()
    if available is not None and need > available:
        raise DataError(
            f"{count:,} images of {size}x{size} need {need / 2**30:.1f} GiB of memory, but {available / 2**30:.1f} GiB are free; "
            "choose a smaller --images.size or fewer images"
        )


def available_memory() -> int | None:
    """Bytes available without swapping, within the limit of a container; None if unknown."""
    known = [amount for amount in (_machine(), _container()) if amount is not None]
    return min(known, default=None)


def _machine() -> int | None:
    if _MEMINFO.exists() and (found := re.search(r"MemAvailable:\s+(\d+) kB", _MEMINFO.read_text())):
        return int(found[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container() -> int | None:
    """Bytes left below the memory limit of a container (control groups, version 2)."""
    try:
        limit, used = ((_GROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
