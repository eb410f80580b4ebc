"""Did the search decide? A word for how far the alphas stand clear of chance, from the records of the epochs alone.

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
"""An operation leads clearly when it weighs so many times as much as each of its rivals."""
LEARNED = 0.95
"""The supernet knows something of the images of the alphas when its loss is below this share of the loss of guessing."""
MOST, HALF = 0.75, 0.5
"""Share of the choices that are settled in a search that has decided, and in one that leans."""
_LAST = 0.25
_QUANTILE = 0.975  # of a two-sided test at 5 %


@dataclass(frozen=True)
class Verdict:
    """Whether a search decided, in a word, and what the word rests on.

    Attributes:
        word: `decided`, `leaning` or `undecided`; `not judged` where the weights of the alphas do not choose the cell.
        reason: why the search is not judged, or undecided whatever its alphas say.
        settled: how many of the choices stand clear of their noise.
        choices: that make the derived cell.
        stable_epochs: the last so many epochs named the same cell.
        epochs: in which the alphas moved.
        entropy: mean over the edges after the last epoch, in nats.
        entropy_max: the same for equal weights.
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
        """As plain data, the sentence for people among it."""
        return {**asdict(self), "text": str(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_dict` wrote; more may stand beside it."""
        return cls(**{name: value for name, value in document.items() if name in cls.__dataclass_fields__})

    def __str__(self) -> str:
        if self.choices == 0:
            return f"{self.word}: {self.reason}"
        facts = (
            f"{self.settled} of {self.choices} choices stand clear of their noise, entropy {self.entropy:.2f} of "
            f"{self.entropy_max:.2f}, cell unchanged for the last {self.stable_epochs} of {self.epochs} epochs"
        )
        return f"{self.word}: {f'{self.reason}; ' if self.reason else ''}{facts}"


def judge(records: Sequence[Mapping[str, Any]], space: Space, guessing: float, none_competes: bool) -> Verdict:
    """The verdict on a search whose cells are derived from the weights of the alphas.

    Only the last phase counts, and in it the epochs in which the alphas moved. The choices that make the cell are, on every edge
    that it keeps, the operation against each other one; and at every node that drops edges, each edge kept against each edge
    dropped. A choice is settled when each of its rivals

    * stands clear: the gap between the logarithms of the two weights (of edges: their log odds) has grown by more than chance
      explains. If the loss prefers nothing, the gap is a random walk, and after n epochs it has gone about ``sd * sqrt(n)``, sd
      being the standard deviation of its increments about a line, since a search that has decided slows down. A gap that has
      gone t times as far stands clear where t passes the two-sided 5 % point of Student's distribution. Where neighboring
      epochs are alike (correlation r), t is smaller by ``sqrt((1 - r) / (1 + r))``. The winner is chosen after the fact: two
      sides allow for that with one rival, and to pass several is rarer by chance, about 0.3 % with five operations;
    * was behind in every one of the last quarter of the epochs.

    The words, of which the first that fits is taken:

    * undecided, where the supernet has not learned: in the last quarter of the epochs, the mean loss that the alphas descend
      is not below 0.95 times that of guessing. Alphas then move steadily, too, but not because of what the images show.
    * decided: at least 3/4 of the choices are settled, the cell did not change in the last quarter of the epochs, and the mean
      entropy is no more than where one operation of every edge weighs twice as much as each other one.
    * leaning: at least half of the choices are settled.
    * undecided.

    Args:
        records: those of `metrics.jsonl`, in order.
        space: what was searched.
        guessing: the cross-entropy of one who knows only how frequent the classes are.
        none_competes: `none` is a choice like any other operation, so every edge is one choice and no node drops edges.
    """
    path = _moving(records)
    if len(path) < 2:
        return Verdict("undecided", "the alphas moved in fewer than two epochs")
    moved, quarter = path[1:], math.ceil(_LAST * (len(path) - 1))
    choices = [gaps for kind in space.cell_kinds for gaps in _choices(path, space, kind, none_competes) if gaps]
    if not choices:
        return Verdict("not judged", "there was nothing to choose")
    settled = sum(all(_is_settled(gap_t, quarter) for gap_t in gaps) for gaps in choices)
    cells = [_cells(record) for record in reversed(moved)]
    stable = next((epochs for epochs, cell in enumerate(cells) if cell != cells[0]), len(cells))
    entropy, clear, equal = _entropies(path[-1], space)
    loss = float(np.mean([_loss(record) for record in moved[-quarter:]]))

    word: Word = "undecided"
    reason = None
    if not loss < LEARNED * guessing:
        reason = f"the alphas learn from a loss of {loss:.2f}, hardly better than guessing ({guessing:.2f})"
    elif settled >= MOST * len(choices) and stable >= quarter and entropy <= clear:
        word = "decided"
    elif settled >= HALF * len(choices):
        word = "leaning"
    return Verdict(word, reason, settled, len(choices), stable, len(moved), entropy, equal)


def _moving(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last phase's records from the last one before the alphas moved to the last one in which they moved."""
    phase = [record for record in records if record.get("phase") == records[-1].get("phase")]
    weights = [record["operation_weights"] for record in phase]
    moves = [index for index in range(len(phase) - 1) if weights[index] != weights[index + 1]]
    return phase[moves[0] : moves[-1] + 2] if moves else phase[-1:]


def _choices(path: Sequence[Mapping[str, Any]], space: Space, kind: str, none_competes: bool) -> Iterator[list[Floats]]:
    """The choices in a kind of cell: the gaps by epoch between what was chosen and each rival, in logarithms."""
    weights_teo = np.array([record["operation_weights"][kind] for record in path])
    active_eo: NDArray[np.bool_] = np.all(weights_teo > 0, axis=0)  # what is not active weighs exactly 0
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
    """Whether a rival stands clear of what was chosen, and was behind in the last epochs."""
    return bool((gap_t[-quarter:] > 0).all()) and _stands_clear(np.diff(gap_t))


def _stands_clear(increments_n: Floats) -> bool:
    """Whether a sum of increments, in its favor, is more than that of a random walk of such steps."""
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


def _cells(record: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """The cells of a record; the order of the pairs of a node only says which edge is stronger."""
    return {kind: [sorted(pairs) for pairs in cell["nodes"]] for kind, cell in record["genotype"]["cells"].items()}


def _entropies(record: Mapping[str, Any], space: Space) -> tuple[float, float, float]:
    """Mean entropy of the edges that have a choice; that of one clear lead on each of them; that of equal weights."""
    found = []
    for row in (row for kind in space.cell_kinds for row in record["operation_weights"][kind]):
        shares = np.array([weight for weight in row if weight > 0]) / sum(row)
        if (rivals := len(shares) - 1) > 0:
            lead = np.array([CLEAR_LEAD, *[1.0] * rivals]) / (CLEAR_LEAD + rivals)
            found.append([float(-(p * np.log(p)).sum()) for p in (shares, lead)] + [math.log(rivals + 1)])
    entropy, clear, equal = np.mean(found, axis=0).tolist()
    return entropy, clear, equal


def _loss(record: Mapping[str, Any]) -> float:
    """What the alphas descend; in a search of a single level, that is the loss of the weights."""
    return float(record["train_loss"] if record["alphas_loss"] is None else record["alphas_loss"])
