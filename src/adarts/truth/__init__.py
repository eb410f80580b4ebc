"""The known accuracies of NAS-Bench-201: look up cells, and compare found cells with the best ones."""

from adarts.truth.table import (
    DATA_SETS,
    Accuracies,
    Truth,
    all_truths,
    best,
    dataset_of,
    lookup,
    same_structure,
    sample,
    truth_of,
)

__all__ = [
    "DATA_SETS",
    "Accuracies",
    "Truth",
    "all_truths",
    "best",
    "dataset_of",
    "lookup",
    "same_structure",
    "sample",
    "truth_of",
]
