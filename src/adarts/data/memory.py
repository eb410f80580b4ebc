"""How much memory there is to put images into."""

from __future__ import annotations

import os
import re
from pathlib import Path

from adarts.errors import DataError

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def require_memory(count: int, size: int) -> None:
    """Refuse so many images of a side that cannot be held.

    Raises:
        DataError: if there is less memory than twice the set, which is there twice while it is divided or scaled.
    """
    need, available = 2 * count * size * size * 3, available_memory()
    if available is not None and need > available:
        raise DataError(
            f"{count:,} images of {size}x{size} need {need / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB are free; "
            "choose a smaller --images.size or fewer images"
        )


def available_memory() -> int | None:
    """Bytes that can be had without swapping, within the limit of a container; None where the system does not tell."""
    known = [amount for amount in (_machine(), _container()) if amount is not None]
    return min(known, default=None)


def _machine() -> int | None:
    if _MEMINFO.exists() and (found := re.search(r"MemAvailable:\s+(\d+) kB", _MEMINFO.read_text())):
        return int(found[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container() -> int | None:
    """What is left below the limit of control group version 2."""
    try:
        limit, used = ((_GROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
