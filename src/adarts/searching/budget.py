"""Number of alpha updates of a search, and a warning if it is too small to decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from adarts.methods import Phase, Progress, Purpose
from adarts.searching.verdict import CLEAR_LEAD


def alpha_updates(
    order: Callable[[Progress], Sequence[Purpose]], phases: Sequence[Phase], steps: int, epochs: int
) -> list[int]:
    """Number of updates of the alphas in each phase.

    Args:
        order: returns the updates of a step.
        phases: phases of the search.
        steps: steps per epoch.
        epochs: total number of epochs; fewer than the phases have if the search ended early.
    """
    found, left = [], epochs
    for index, phase in enumerate(phases):
        there = range(phase.warmup_epochs, min(phase.epochs, max(0, left)))
        orders = (order(Progress(index, epoch, phase.epochs, steps, phase.warmup_epochs)) for epoch in there)
        found.append(steps * sum(purpose in ("alphas", "both") for updates in orders for purpose in updates))
        left -= phase.epochs
    return found


def too_few_updates(updates: int, rate: float, phase: Phase) -> str | None:
    """A warning if the alphas cannot move far enough apart to decide, or None.

    One step of Adam moves an alpha by about its learning rate at most. After T updates, two alphas that started equal differ by
    at most ``2 * rate * T``, so one operation weighs at most ``exp(2 * rate * T)`` times as much as another.

    Args:
        updates: T, the number of updates of the alphas that determine the cells.
        rate: learning rate of the alphas.
        phase: last phase in which these alphas move.
    """
    distance = math.log(CLEAR_LEAD) / 2
    if updates * rate >= distance:
        return None
    moving = phase.epochs - phase.warmup_epochs
    epochs = phase.warmup_epochs + math.ceil(distance / rate * moving / max(1, updates))
    enough = distance / max(1, updates)
    unit = 10.0 ** (math.floor(math.log10(enough)) - 1)
    return (
        f"{updates} updates of the alphas cannot decide: at a learning rate of {rate:g}, one operation can weigh at most "
        f"{math.exp(2 * updates * rate) - 1:.1%} more than another. A lead of {CLEAR_LEAD:g} to 1 needs --search.epochs {epochs} "
        f"or more, or --alphas.learning-rate {math.ceil(enough / unit) * unit:.2g} or more"
    )
