"""What the trials of a study are judged by: an accuracy after every epoch in which no test image has a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adarts.config.settings import SearchConfig
from adarts.errors import ConfigError
from adarts.methods import create
from adarts.spaces import Genotype
from adarts.truth.judge import judge_of

Objective = Literal["validation", "cells"]

TITLES: Mapping[str, str] = {
    "validation": "Validation accuracy of the supernet (%)",
    "cells": "Accuracy of the found cells (%)",
}
WORDS: Mapping[str, str] = {
    "validation": "accuracy of the supernet after the last epoch, on the half of the training images for the alphas",
    "cells": "accuracy of the found cells: in NAS-Bench-201 their validation accuracy on CIFAR-10 after 12 epochs, in the DARTS "
    "space an estimate of a validation accuracy on CIFAR-10",
}


def needed(objective: str) -> dict[str, Any]:
    """The settings without which a search could not be judged."""
    return {"search": {"validate_supernet": True}} if objective == "validation" else {}


def require_measurable(objective: str, config: SearchConfig) -> None:
    """Refuse an objective that a search does not have.

    Raises:
        ConfigError: the method has no supernet to measure or leaves no images for it, or nothing is known about the cells.
    """
    if objective == "cells":
        judge_of(config.space)
        return
    method = create(config)
    if method.info.family == "alone":
        reason = "trains single cells and has no supernet to measure"
    elif method.single_level:
        reason = "trains on all images and leaves none to measure the supernet"
    else:
        return
    raise ConfigError(
        f"--objective validation: the method {method.info.name} {reason}; choose another --method, or --objective cells in a "
        "space whose cells are known"
    )


def value_of(objective: str, config: SearchConfig, record: Mapping[str, Any]) -> float:
    """The accuracy of a search at the end of an epoch, in percent.

    Args:
        objective: its name.
        config: configuration of the search.
        record: the metrics record of the epoch.

    Raises:
        DataError: nothing is known about the cells.
    """
    if objective == "validation":
        return 100 * float(record["supernet_accuracy"])
    return judge_of(config.space).validation(Genotype.from_dict(record["genotype"]))
