"""How many updates the alphas of a search get, and whether so few can decide anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from adarts.methods import Phase, Progress, Purpose
from adarts.searching.verdict import CLEAR_LEAD


def alpha_updates(
    order: Callable[[Progress], Sequence[Purpose]], phases: Sequence[Phase], steps: int, epochs: int
) -> list[int]:
    """How many updates move the alphas in each phase.

    Args:
        order: the updates of a step.
        phases: of the search.
        steps: of an epoch.
        epochs: of all phases, fewer where the search ended early.
    """
    found, left = [], epochs
    for index, phase in enumerate(phases):
        there = range(phase.warmup_epochs, min(phase.epochs, max(0, left)))
        orders = (order(Progress(index, epoch, phase.epochs, steps, phase.warmup_epochs)) for epoch in there)
        found.append(steps * sum(purpose in ("alphas", "both") for updates in orders for purpose in updates))
        left -= phase.epochs
    return found


def too_few_updates(updates: int, rate: float, phase: Phase) -> str | None:
    """What to say before a search whose alphas cannot come far enough apart, or None.

    A step of Adam moves an alpha by about its learning rate at most. After T updates two alphas of equal beginnings are no more
    than ``2 * rate * T`` apart, and one operation weighs ``exp(2 * rate * T)`` times as much as another.

    Args:
        updates: T, of the alphas that name the cells.
        rate: the learning rate of the alphas.
        phase: the last in which these alphas move.
    """
    distance = math.log(CLEAR_LEAD) / 2
    if updates * rate >= distance:
        return None
    moving = phase.epochs - phase.warmup_epochs
    epochs = phase.warmup_epochs + math.ceil(distance / rate * moving / max(1, updates))
    enough = distance / max(1, updates)
    unit = 10.0 ** (math.floor(math.log10(enough)) - 1)
    return (
        f"{updates} updates of the alphas cannot decide: with steps of {rate:g}, an operation can come to weigh "
        f"{math.exp(2 * updates * rate) - 1:.1%} more than another at most. To weigh {CLEAR_LEAD:g} times as much it takes "
        f"--search.epochs {epochs} or more, or --alphas.learning-rate {math.ceil(enough / unit) * unit:.2g} or more"
    )
