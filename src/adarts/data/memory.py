"""How much memory there is to put images into."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


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
