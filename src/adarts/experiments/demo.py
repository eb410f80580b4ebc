"""The whole way on the embedded photographs: search, train what was found, and train a random cell beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adarts.config.loading import search_config, train_config
from adarts.methods import published
from adarts.report import write_report
from adarts.searching import SearchResult, run_search
from adarts.training import TrainResult, run_training


@dataclass(frozen=True)
class DemoResult:
    """The three runs of the demo, and the page that shows them."""

    search: SearchResult
    found: TrainResult
    random: TrainResult
    report: Path


def run_demo(runs: Path = Path("runs"), seed: int = 0, scale: str = "demo") -> DemoResult:
    """Search for cells with ADARTS, train them, and train a random cell under the same budget.

    Args:
        runs: the folder that the run folders are made in.
        seed: of all three runs.
        scale: budget.
    """
    place = {"runs": runs}
    print("1 of 3: searching for cells with ADARTS", flush=True)
    search = run_search(search_config(published, data="signs", scale=scale, seed=seed, run=place))
    print("\n2 of 3: training the network of the cells that were found", flush=True)
    found = run_training(train_config(genotype=str(search.run_dir), data="signs", scale=scale, seed=seed, run=place))
    print("\n3 of 3: training a network of random cells under the same budget", flush=True)
    random = run_training(train_config(genotype=f"random:{seed}", data="signs", scale=scale, seed=seed, run=place))
    report = write_report([search.run_dir, found.run_dir, random.run_dir])
    return DemoResult(search, found, random, report)


def describe(result: DemoResult) -> str:
    """The outcome for people: both networks side by side, and where to look."""
    lines = ["", "test accuracy after the last epoch (one seed: a demonstration, not a comparison)"]
    for name, run in (("found by ADARTS", result.found), ("random cells", result.random)):
        facts = run.summary
        size = f"{facts['parameters']:,} parameters, {facts['macs'] / 1e6:,.0f} million MACs"
        lines.append(f"  {name:<16} {run.test_accuracy:7.2%}   {size}")
    moved = "differ from" if result.search.summary["initial_genotype_differs"] else "equal"
    lines += [f"the cells found {moved} those that the untrained logits named", f"report: {result.report}"]
    return "\n".join(lines)
