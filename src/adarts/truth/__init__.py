"""Tables of known accuracies, and queries on them: what a search found, and how far that is from the best there is."""

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
