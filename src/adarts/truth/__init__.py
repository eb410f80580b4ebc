"""What cells are worth: the known accuracies of NAS-Bench-201, and estimated ones in the DARTS space."""

from adarts.truth.estimate import Estimate, estimate_of
from adarts.truth.table import (
    DATA_SETS,
    Accuracies,
    Truth,
    all_truths,
    best,
    lookup,
    same_structure,
    sample,
    truth_of,
)

__all__ = [
    "DATA_SETS",
    "Accuracies",
    "Estimate",
    "Truth",
    "all_truths",
    "best",
    "estimate_of",
    "lookup",
    "same_structure",
    "sample",
    "truth_of",
]
