"""A sweep made of copies of one search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from adarts.spaces import Genotype

SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
HALF = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
CONV = SKIP.replace("skip_connect", "nor_conv_3x3")


def make_sweep(folder: Path, search: Path, cells: dict[str, Genotype]) -> Path:
    """A sweep of one point a cell, each a copy of a finished search with another result."""
    points = []
    for seed, (name, genotype) in enumerate(cells.items()):
        run = folder / "points" / name
        shutil.copytree(search, run)
        (run / "genotype.json").write_text(genotype.to_json())
        settings = {"method": name.split("-")[0], "seed": seed}
        points.append({"name": name, "folder": f"points/{name}", "settings": settings, "state": "finished"})
    points.append({"name": "x", "folder": "points/x", "settings": {"method": "darts", "seed": 9}, "state": "failed"})
    (folder / "sweep.json").write_text(json.dumps({"format": "adarts-sweep", "version": 1, "points": points}))
    return folder
