"""What a report says of the search spaces of its runs: which they are, and the levels that are marked in their charts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from adarts.config.settings import names_code
from adarts.report.charts import Rule
from adarts.report.reading import RunRecord
from adarts.spaces import Space, get_space


def space_of(run: RunRecord) -> Space | None:
    """The space of a run's cells; none of a training that has no cells, or does not say yet which they are."""
    if run.genotype is not None:
        return get_space(run.genotype.space)
    name = run.config.get("space", "darts")
    # What stands in a file is known by the cells of the first epoch; a report executes no file.
    return get_space(name) if run.kind == "search" and not names_code(name) else None


def collapse_rule(spaces: Iterable[Space | None]) -> Rule | None:
    """The line above which skip connections are called a collapse, where that is the same in all these spaces."""
    bounds = {space.max_skips for space in spaces if space is not None}
    if len(bounds) != 1:
        return None
    (most,) = bounds
    return Rule(most, f"collapse above {most}", alarm=True)


def undecided_rule(space: Space) -> Rule | None:
    """The entropy of equal weights of all operations that an edge may have, where its mean is the same in all kinds of cells."""
    counts = ([sum(row) for row in space.allowed(kind)] for kind in space.cell_kinds)
    levels = {round(statistics.fmean(map(math.log, of_edges)), 9) for of_edges in counts}
    return Rule(levels.pop(), "undecided") if len(levels) == 1 else None
