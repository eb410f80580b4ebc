"""Judge from the epoch records whether the alphas of a search decided or only drifted by chance.

Shape suffixes: t epochs, e edges, o operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from adarts.spaces import Space

Floats = NDArray[np.float64]
Word = Literal["decided", "leaning", "undecided", "not judged"]

CLEAR_LEAD = 2.0
"""An operation leads clearly if its weight is at least this many times the weight of each rival."""
LEARNED = 0.95
"""The supernet has learned something if its loss on the alphas' images is below this share of the loss of guessing."""
MOST, HALF = 0.75, 0.5
"""Minimum share of settled choices for `decided` and for `leaning`."""
_LAST = 0.25  # share of the epochs that count as the last ones
_QUANTILE = 0.975  # of a two-sided test at 5 %


@dataclass(frozen=True)
class Verdict:
    """How clearly a search decided, with the evidence.

    Attributes:
        word: `decided`, `leaning` or `undecided`; `not judged` if the cells do not follow from the alphas' weights.
        reason: why the search is not judged, or why it is undecided regardless of its alphas.
        settled: number of settled choices.
        choices: number of choices behind the derived cells.
        stable_epochs: number of epochs at the end with unchanged cells.
        epochs: number of epochs in which the alphas moved.
        entropy: mean over the edges after the last epoch, in nats.
        entropy_max: entropy of equal weights.
    """

    word: Word
    reason: str | None = None
    settled: int = 0
    choices: int = 0
    stable_epochs: int = 0
    epochs: int = 0
    entropy: float = 0.0
    entropy_max: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain data, with the verdict in words as ``text``."""
        return {**asdict(self), "text": str(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Verdict:
        """Read the output of :meth:`to_dict`; other keys are ignored."""
        return cls(**{name: value for name, value in document.items() if name in cls.__dataclass_fields__})

    def __str__(self) -> str:
        if self.choices == 0:
            return f"{self.word}: {self.reason}"
        facts = (
            f"{self.settled} of {self.choices} choices are settled, entropy {self.entropy:.2f} of {self.entropy_max:.2f}, "
            f"cell unchanged for the last {self.stable_epochs} of {self.epochs} epochs"
        )
        return f"{self.word}: {f'{self.reason}; ' if self.reason else ''}{facts}"


def judge(records: Sequence[Mapping[str, Any]], space: Space, guessing: float, none_competes: bool) -> Verdict:
    """The verdict on a search whose cells are derived from the weights of the alphas.

    Only the last phase counts, and in it only the epochs in which the alphas moved. Two kinds of choices make the cells: on every
    kept edge, the chosen operation against each other operation; at every node that drops edges, each kept edge against each
    dropped edge. A choice is settled if both conditions hold for each of its rivals:

    * The gap exceeds chance. The gap is the difference of the logarithms of two operation weights, or of the log odds of two
      edges. If the loss prefers neither, the gap is a random walk: after n epochs it has moved by about ``sd * sqrt(n)``. Here
      sd is the standard deviation of its increments around a linear trend, because a search that has decided slows down. A gap
      that has moved t times as far exceeds chance if t is above the two-sided 5 % point of Student's distribution. If
      neighboring increments are correlated (correlation r > 0), t shrinks by the factor ``sqrt((1 - r) / (1 + r))``. The winner
      is known only after the search; with one rival, the two-sided test accounts for this. A winner by chance rarely beats
      several rivals: about 0.3 % of the time with five operations.
    * The rival was behind in each of the last quarter of the epochs.

    The verdict is the first of these that applies:

    * undecided, because the supernet has not learned: over the last quarter of the epochs, the mean loss that the alphas minimize
      is at least 0.95 times the loss of guessing. Such alphas may move steadily, but not because of the images.
    * decided: at least 3/4 of the choices are settled, the cells did not change in the last quarter of the epochs, and the mean
      entropy is at most the entropy of edges on which one operation weighs twice as much as each other one.
    * leaning: at least half of the choices are settled.
    * undecided.

    Args:
        records: the records of `metrics.jsonl`, in order.
        space: the searched space.
        guessing: cross-entropy of guessing by class frequency.
        none_competes: whether `none` counts as an operation to choose; then every edge is a choice and no node drops edges.
    """
    path = _moving(records)
    if len(path) < 2:
        return Verdict("undecided", "the alphas moved in fewer than two epochs")
    moved, quarter = path[1:], math.ceil(_LAST * (len(path) - 1))
    choices = [gaps for kind in space.cell_kinds for gaps in _choices(path, space, kind, none_competes) if gaps]
    if not choices:
        return Verdict("not judged", "there was nothing to choose")
    settled = sum(all(_is_settled(gap_t, quarter) for gap_t in gaps) for gaps in choices)
    cells = [unordered_cells(record["genotype"]) for record in reversed(moved)]
    stable = next((epochs for epochs, cell in enumerate(cells) if cell != cells[0]), len(cells))
    entropy, clear, equal = _entropies(path[-1], space)
    loss = float(np.mean([_loss(record) for record in moved[-quarter:]]))

    word: Word = "undecided"
    reason = None
    if not loss < LEARNED * guessing:
        reason = f"the loss for the alphas is {loss:.2f}, hardly better than guessing ({guessing:.2f})"
    elif settled >= MOST * len(choices) and stable >= quarter and entropy <= clear:
        word = "decided"
    elif settled >= HALF * len(choices):
        word = "leaning"
    return Verdict(word, reason, settled, len(choices), stable, len(moved), entropy, equal)


def _moving(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Records of the last phase: the epochs from the first to the last move of the alphas, and the one just before."""
    phase = [record for record in records if record.get("phase") == records[-1].get("phase")]
    weights = [record["operation_weights"] for record in phase]
    moves = [index for index in range(len(phase) - 1) if weights[index] != weights[index + 1]]
    return phase[moves[0] : moves[-1] + 2] if moves else phase[-1:]


def _choices(path: Sequence[Mapping[str, Any]], space: Space, kind: str, none_competes: bool) -> Iterator[list[Floats]]:
    """The choices in a kind of cell: for each one, the log gap by epoch between every winner and every rival."""
    weights_teo = np.array([record["operation_weights"][kind] for record in path])
    active_eo: NDArray[np.bool_] = np.all(weights_teo > 0, axis=0)  # inactive operations weigh exactly 0
    if not none_competes and "none" in space.operations:
        active_eo[:, space.operations.index("none")] = False
    log_teo = np.where(active_eo, np.log(np.where(active_eo, weights_teo, 1.0)), -np.inf)
    strength_te = np.where(active_eo, weights_teo, 0.0).max(-1)
    if "edge_weights" in path[-1]:
        strength_te = strength_te * np.array([record["edge_weights"][kind] for record in path])
    strength_te = strength_te.clip(1e-12, 1 - 1e-12)
    odds_te = np.log(strength_te) - np.log1p(-strength_te)
    nodes = path[-1]["genotype"]["cells"][kind]["nodes"]
    for target, pairs in zip(space.targets, nodes, strict=True):
        edges = space.incoming(target)
        names = {edge: {name for name, source in pairs if source == space.edges[edge][0]} for edge in edges}
        kept = [edge for edge in edges if names[edge] or none_competes or space.kept_edges is None]
        for edge in kept:
            won_o = np.array([name in (names[edge] or {"none"}) for name in space.operations])
            winners, rivals = (np.flatnonzero(active_eo[edge] & side_o) for side_o in (won_o, ~won_o))
            yield [log_teo[:, edge, one] - log_teo[:, edge, other] for one in winners for other in rivals]
        dropped = [edge for edge in edges if edge not in kept and active_eo[edge].any()]
        yield [odds_te[:, one] - odds_te[:, other] for one in kept for other in dropped]


def _is_settled(gap_t: Floats, quarter: int) -> bool:
    """Whether the gap to a rival exceeds chance and was positive in all of the last epochs."""
    return bool((gap_t[-quarter:] > 0).all()) and _exceeds_chance(np.diff(gap_t))


def _exceeds_chance(increments_n: Floats) -> bool:
    """Whether the increments add up to more than a random walk with such steps would explain."""
    n = len(increments_n)
    if n < 4:
        return False
    time_n = np.arange(n) - (n - 1) / 2
    off_n = increments_n - increments_n.mean()
    off_n = off_n - time_n * (off_n @ time_n) / (time_n @ time_n)
    squares = float(off_n @ off_n)
    alike = max(0.0, float(off_n[1:] @ off_n[:-1]) / squares) if squares else 0.0
    noise = math.sqrt(n * squares / (n - 2) * (1 + alike) / (1 - alike))
    return bool(increments_n.sum() > stdtrit(n - 2, _QUANTILE) * noise)


def unordered_cells(genotype: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """The cells of a genotype's plain form with sorted pairs; the order within a node only ranks its edges by strength."""
    return {kind: [sorted(pairs) for pairs in cell["nodes"]] for kind, cell in genotype["cells"].items()}


def _entropies(record: Mapping[str, Any], space: Space) -> tuple[float, float, float]:
    """Mean entropy over the edges with a choice: as recorded, with one clear lead on each edge, and with equal weights."""
    found = []
    for row in (row for kind in space.cell_kinds for row in record["operation_weights"][kind]):
        shares = np.array([weight for weight in row if weight > 0]) / sum(row)
        if (rivals := len(shares) - 1) > 0:
            lead = np.array([CLEAR_LEAD, *[1.0] * rivals]) / (CLEAR_LEAD + rivals)
            found.append([float(-(p * np.log(p)).sum()) for p in (shares, lead)] + [math.log(rivals + 1)])
    entropy, clear, equal = np.mean(found, axis=0).tolist()
    return entropy, clear, equal


def _loss(record: Mapping[str, Any]) -> float:
    """Loss that the alphas minimize; in a single-level search, the training loss."""
    return float(record["train_loss"] if record["alphas_loss"] is None else record["alphas_loss"])
