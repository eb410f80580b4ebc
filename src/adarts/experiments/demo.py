"""The whole way on the embedded photographs: search, train what was found, and train a random cell beside it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from adarts.report import write_report
from adarts.searching import run_search, search_config
from adarts.training import TrainResult, run_training, train_config


def run_demo(run_dir: Path | None = None, seed: int = 0, scale: str = "demo") -> Path:
    """Search for cells with ADARTS, train them, and train a random cell under the same budget.

    Args:
        run_dir: holds the folders of the three runs; what is finished there is taken over, what is not is continued.
            None makes a new one in ``runs/demo``.
        seed: of all three runs.
        scale: budget.

    Returns:
        The page of the three runs.
    """
    folder = run_dir or Path("runs", "demo", time.strftime("%Y%m%d-%H%M%S"))
    common: dict[str, Any] = {"data": "signs", "scale": scale, "seed": seed}

    def train(name: str, genotype: str) -> TrainResult:
        return run_training(train_config(genotype=genotype, run={"run_dir": folder / name}, **common))

    command = shlex.join(["adarts", "demo", "--run-dir", str(folder), "--seed", str(seed), "--scale", scale])
    print(f"if the demo is stopped, continue it with: {command}")
    print("\n1 of 3: searching for cells with ADARTS", flush=True)
    search = run_search(search_config(run={"run_dir": folder / "search"}, **common))
    print("\n2 of 3: training the network of the cells that were found", flush=True)
    found = train("found", str(search.run_dir))
    print("\n3 of 3: training a network of random cells under the same budget", flush=True)
    random = train("random", f"random:{seed}")
    report = write_report([search.run_dir, found.run_dir, random.run_dir], folder / "report.html")
    print("\ntest accuracy after the last epoch (one seed: a demonstration, not a comparison)")
    for name, run in (("found by ADARTS", found), ("random cells", random)):
        facts = run.summary
        size = f"{facts['parameters']:,} parameters, {facts['macs'] / 1e6:,.0f} million MACs"
        print(f"  {name:<16} {run.test_accuracy:7.2%}   {size}")
    moved = "differ from" if search.summary["initial_genotype_differs"] else "equal"
    print(f"the cells found {moved} those that the untrained alphas named\nreport: {report}")
    return report
