#!/usr/bin/env python
"""What a sweep adds to the searches that it carries out, by engine: prints one JSON line.

The same searches as plain commands, two at once, are the yardstick. A Slurm or a Ray cluster must run on this machine, with
room for two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import torch
from measure import provenance
from torch.utils.benchmark import timer

PLACES = 2
SEARCH = ["--method", "adarts", "--scale", "smoke", "--threads", "1"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--engines", nargs="+", default=["local"], choices=["local", "slurm", "ray"])
    options.add_argument("--ray-address", default="auto")
    options.add_argument("--points", type=int, default=6, help="searches of each sweep")
    options.add_argument("--repeats", type=int, default=3, help="rounds")
    chosen = options.parse_args()
    where = {
        "local": ["--slots", str(PLACES)],
        "slurm": ["--on", "slurm", "--slurm.array-parallelism", str(PLACES)],
        "ray": ["--on", "ray", "--ray.address", chosen.ray_address],
    }

    def plain(folder: Path) -> None:
        def search(seed: int) -> None:
            adarts("search", *SEARCH, "--seed", str(seed), "--run-dir", str(folder / str(seed)))

        with ThreadPoolExecutor(PLACES) as places:
            list(places.map(search, range(chosen.points)))

    def sweep(folder: Path, engine: str) -> None:
        adarts("sweep", *SEARCH, *where[engine], "--seed", f"0-{chosen.points - 1}", "--sweep-dir", str(folder))

    rounds: dict[str, list[float]] = {name: [] for name in ("plain", *chosen.engines)}
    for number in range(chosen.repeats):
        for name, seconds in rounds.items():
            with tempfile.TemporaryDirectory() as folder:
                begin = timer()
                plain(Path(folder)) if name == "plain" else sweep(Path(folder) / "sweep", name)
                seconds.append(timer() - begin)
            print(f"round {number + 1}: {name} {seconds[-1]:.1f} s", file=sys.stderr)
    added = {
        name: [
            round((mine - other) / chosen.points, 3) for mine, other in zip(rounds[name], rounds["plain"], strict=True)
        ]
        for name in chosen.engines
    }
    result = {
        "points": chosen.points,
        "places": PLACES,
        "seconds": {name: [round(one, 2) for one in seconds] for name, seconds in rounds.items()},
        "added_seconds_per_point": {name: {"median": median(each), "rounds": each} for name, each in added.items()},
    }
    print(json.dumps(result | provenance(torch.device("cpu"))))


def adarts(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "adarts", *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
