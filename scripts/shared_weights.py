#!/usr/bin/env python
"""How well do accuracies with shared weights rank the cells of NAS-Bench-201, beside their MACs?

    python scripts/shared_weights.py runs/rsps/* > results/shared-weights/rsps.csv

Reads searches with `rsps`. Writes a line for every seed, and their mean and standard deviation to the standard error. In this
space, the MACs of two networks have the order of their parameters, because only convolutions have either.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from statistics import mean, stdev

from adarts.spaces import Genotype, load_genotype
from adarts.truth.ranks import spearman
from adarts.truth.table import truth_of

GOOD = 90.0
"""True accuracy, in percent, above which cells are ranked once more."""


def main() -> None:
    """Print the table."""
    rows = [of_run(Path(folder)) for folder in sys.argv[1:]]
    table = csv.DictWriter(sys.stdout, rows[0])
    table.writeheader()
    table.writerows(rows)
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:>24} {mean(values):8.3f} ± {stdev(values):.3f}  (n = {len(values)})", file=sys.stderr)


def of_run(folder: Path) -> dict[str, float]:
    """The figures of one search."""
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    trials = last["method"]["finished"]
    frame = {"format": "adarts-genotype", "version": 1, "space": "nasbench201"}
    truths = [truth_of(Genotype.from_dict({**frame, "cells": trial["cells"]})).accuracy("cifar10") for trial in trials]
    shared, sizes = ([trial[name] for trial in trials] for name in ("accuracy", "parameters"))
    good = [index for index, truth in enumerate(truths) if truth > GOOD]
    largest = max(range(len(trials)), key=lambda index: sizes[index])
    return {
        "cells": len(trials),
        "rho_shared_weights": rho(shared, truths),
        "rho_macs": rho(sizes, truths),
        "good_cells": len(good),
        "rho_shared_weights_good": rho([shared[i] for i in good], [truths[i] for i in good]),
        "rho_macs_good": rho([sizes[i] for i in good], [truths[i] for i in good]),
        "found": truth_of(load_genotype(folder / "genotype.json")).accuracy("cifar10"),
        "most_macs": truths[largest],
        "best_of_cells": max(truths),
        "mean_of_cells": mean(truths),
    }


def rho(one: list[float], other: list[float]) -> float:
    """Spearman's rank correlation."""
    found = spearman(one, other)
    assert found is not None
    return round(found, 4)


if __name__ == "__main__":
    main()
