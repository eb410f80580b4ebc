"""A small sweep that runs on every engine, and its table."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

WORDS = ["--method", "adarts", "--scale", "smoke", "--threads", "1", "--seed", "0-1", "--search.epochs", "4"]
WORDS += ["--images.per-class", "4", "--images.size", "16"]


def table(folder: Path) -> dict[str, Any]:
    """The content of ``sweep.json`` without what belongs to a machine."""
    content: dict[str, Any] = json.loads((folder / "sweep.json").read_text())
    for name in ("environment", "on", "slots"):
        del content[name]
    for one in (*content["points"], *content["groups"]):
        del one["figures"]["seconds"]
    return content


def wait_for(log: Path, said: str) -> None:
    """Wait until a search has said something."""
    end = time.monotonic() + 300
    while not log.exists() or said not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
