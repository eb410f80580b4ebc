"""The hooks of a search method, and the record of facts about it.

A method overrides the few hooks that it changes; what is here is DARTS of first order, which most of them start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import Tensor

from adarts.space import Genotype, derive
from adarts.supernet import Supernet


@dataclass(frozen=True)
class MethodInfo:
    """What there is to know about a method before it runs.

    Attributes:
        name: on the command line.
        title: as people call it.
        year: of publication.
        paper: where it was published.
        changes: what it changes, in one line.
        cost: time and memory of a step, in words.
        defaults: its published hyper-parameters, as a part of a search configuration.
    """

    name: str
    title: str
    year: int
    paper: str
    changes: str
    cost: str
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Updates(Protocol):
    """What a step of the search can do; the loop provides it for the current step."""

    #: False in the warm-up epochs, in which the logits stay frozen.
    logits_active: bool

    def update_logits(self) -> dict[str, Tensor | float]:
        """One Adam step on the logits with a batch of the second half of the images; the sums of that batch."""

    def update_weights(self) -> dict[str, Tensor | float]:
        """One SGD step on the weights with a batch of the first half of the images; the sums of that batch."""


class Method:
    """DARTS of first order, from which the other methods differ by a hook or by their edge design alone."""

    info: ClassVar[MethodInfo]

    def operation_weights(self, supernet: Supernet) -> Mapping[str, Tensor]:
        """Kind -> weights of the operations (edges, operations), from the logits."""
        return supernet.operation_weights()

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        """Kind -> weights of the edges (edges,), or None without edge normalisation."""
        return supernet.edge_weights()

    def update(self, step: Updates) -> dict[str, Tensor | float]:
        """One search step: the logits by the validation loss, then the weights by the training loss.

        Raises:
            NotFiniteError: a loss or gradient is not finite; the optimiser that would use it was not stepped.
        """
        sums = step.update_logits() if step.logits_active else {}
        return {**sums, **step.update_weights()}

    def derive(self, supernet: Supernet) -> Genotype:
        """The cells that the logits name now."""
        return derive(supernet.space, self.operation_weights(supernet), self.edge_weights(supernet))
