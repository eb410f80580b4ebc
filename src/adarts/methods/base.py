"""The hooks of a search method, and the record of facts about it.

A method overrides the few hooks that it changes; what is here is DARTS of first order, which most of them start from.

Shape suffixes: b batch, c channels, h w, e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, Settings, SupernetSettings
from adarts.engine.update import Gradient, Sums
from adarts.errors import ConfigError
from adarts.spaces import Genotype, Space, derive, strongest_edges
from adarts.spaces.derivation import Candidate, decided_edges, never_none, strongest_pairs
from adarts.supernet import ArchWeights, AttentionSource, Selection, Supernet, masked_softmax

Purpose = Literal["weights", "alphas", "both"]
"""What an update moves."""
Weighed = Tensor | tuple[Tensor, Tensor]
"""Weights of the operations (edges, operations); with a bool of the same shape, only what that says is computed."""


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
        replay: how long a GPU may repeat a recorded update. Never, unless the method claims more, and the contract's tests
            check that: for an epoch, where a schedule changes what is computed from one to the next; or for the whole run.
            Only a method that is never replayed may draw from torch's generator, which is then seeded for every pass.
    """

    name: str
    title: str
    year: int
    paper: str
    changes: str
    cost: str
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replay: Literal["never", "epoch", "run"] = "never"


@dataclass(frozen=True)
class Phase:
    """A part of a search.

    Attributes:
        epochs: of the phase; the learning rate of the weights falls along its cosine once in each phase.
        warmup_epochs: at its start, in which the alphas stay frozen.
        supernet: width and depth.
        edge: the design of the mixed edges.
        fresh: a new supernet with new alphas; otherwise that of the phase before goes on.
        rate_scale: factor of the weights' learning rates.
    """

    epochs: int
    warmup_epochs: int
    supernet: SupernetSettings
    edge: EdgeDesign
    fresh: bool = True
    rate_scale: float = 1.0


@dataclass(frozen=True)
class Progress:
    """Where a search stands: the index of the phase, its epoch (from 0) and number of epochs, and the steps of an epoch."""

    phase: int
    epoch: int
    epochs: int
    steps: int
    warmup_epochs: int = 0

    @property
    def is_last(self) -> bool:
        """Whether this is the last epoch of the phase."""
        return self.epoch == self.epochs - 1

    @property
    def past_warmup(self) -> bool:
        """Whether the warm-up is over, so that the alphas move."""
        return self.epoch >= self.warmup_epochs

    @property
    def fraction(self) -> float:
        """Share of the epochs behind the warm-up that are done, from 0 up to below 1; 0 in the warm-up.

        Schedules follow it: most papers have no warm-up, and what hardens or fades while the alphas stand still is lost on them.
        """
        return max(0, self.epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)

    @property
    def fraction_to_last(self) -> float:
        """The same, but 1 in the last epoch: for what runs from one published value to another."""
        return max(0, self.epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs - 1)

    def line(self, first: float, last: float) -> float:
        """A value on the line from the first epoch behind the warm-up to the last epoch."""
        return first + (last - first) * self.fraction_to_last


class Search(Protocol):
    """The search as a method sees it; the loop provides it."""

    config: SearchConfig
    supernet: Supernet
    progress: Progress
    #: of the phase before, when one with a fresh supernet begins
    previous: Supernet | None
    #: learning rate of the weights in this epoch
    rate: float
    #: the gradients of so many smaller batches are added up where memory is short
    accumulation: int
    #: to be called between the parts of a long measurement; it may raise to stop the run
    check_stop: Callable[[], None]

    def batch(self, purpose: Purpose) -> tuple[Tensor, Tensor]:
        """Images and labels of the current step, augmented: of the half for the weights, or of that for the alphas."""

    def loss(
        self,
        x_bchw: Tensor,
        y_b: Tensor,
        arch_weights: ArchWeights,
        *,
        parameters: Mapping[str, Tensor] | None = None,
        selection: AttentionSource | Selection = "batch",
        update_statistics: bool = False,
        precise: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy and logits of images with labels.

        Args:
            x_bchw, y_b, arch_weights: images, labels, weights of operations and edges.
            parameters: by the names inside the supernet, tensors to use in the place of its own parameters.
            selection: where attention's choice of channels comes from, or the channels themselves.
            update_statistics: let running statistics follow this batch.
            precise: in float32, whatever the precision of the run; for differences of nearly equal values.
        """

    def measure(self, arch_weights: ArchWeights) -> tuple[float, float]:
        """Mean loss and accuracy of the supernet on the half for the alphas, normalized with the statistics of the batches."""

    def momentum(self) -> dict[str, Tensor]:
        """What SGD remembers of the weights so far, by the names inside the supernet; empty before the first step."""

    def restart_alphas(self) -> None:
        """Let Adam begin anew, as after a change of the active operations."""

    def stop(self, reason: str) -> None:
        """End the search with this epoch, for a reason in words."""


class NoOptions(Settings):
    """A method without options of its own."""


class Method:
    """DARTS of first order, from which the other methods differ by a hook or by their edge design alone.

    When the hooks are called::

        supports, phases                          before anything is built
        for each phase:
            on_phase_start                        its supernet is there, no step was carried out
            for each epoch:
                for each step:
                    order                         which updates, in which order
                    for each update:
                        sample, auxiliary, skip_dropout     the weights of a pass (all by arch_weights)
                        penalty                   where alphas learn
                    observe                       what the step gave
                on_epoch_end                      measure, drop operations, stop
                weights, rule                     the cells of the epoch (both by derive)
        chosen_by                                 for the verdict on the search

    Args:
        options: an object of :attr:`Options`; a method that has some declares their type, ``options: Options``.
    """

    info: ClassVar[MethodInfo]
    #: the method's own settings, by name with defaults; a subclass of ``Settings``
    Options: ClassVar[type[Settings]] = NoOptions
    #: one pass moves weights and alphas, on all images, instead of one pass on a half each
    single_level: ClassVar[bool] = False
    #: the batches that the gradient of the alphas takes: images and labels of each, in this order
    alpha_batches: tuple[Purpose, ...] = ("alphas",)

    def __init__(self, options: Settings) -> None:
        self.options = options

    # ------------------------------------------------------------------------------------------------------ the formula

    def weights(self, alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
        """Weights of the operations of one kind of cell (edges, operations); nothing is drawn.

        Cells are derived from these, and monitors show them.

        Args:
            alpha_eo: the alphas.
            active_eo: which operations are active; the others must get 0.
        """
        return masked_softmax(alpha_eo, active_eo)

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Weighed:
        """The same for a pass that is about to be made: sampled, hardened, or as they are; and what is computed at all."""
        return self.weights(alpha_eo, active_eo)

    def expected(self, alpha_eo: Tensor, active_eo: Tensor) -> Weighed:
        """The same with nothing drawn: what the supernet is validated with."""
        return self.weights(alpha_eo, active_eo)

    def auxiliary(self, progress: Progress) -> float:
        """Weight of the auxiliary skip connection beside the operations of every edge; `edge.auxiliary_skip` puts it there."""
        return 0.0

    def skip_dropout(self, progress: Progress) -> float:
        """Probability with which an element of a skip connection is dropped in a pass."""
        return 0.0

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor | None:
        """What is added to the loss of a pass in which alphas learn, or None; the loss that is reported is without it.

        Args:
            alpha_eo: the alphas of the edges of all kinds of cells, one kind after the other.
            active_eo: which of their operations are active.
            weights_eo: the weights of the pass.
            progress: where the search stands.
        """
        return None

    def rule(self, space: Space, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """What a node of a derived cell keeps; ``rule = staticmethod(strongest_pairs)`` takes one of the known rules."""
        return strongest_edges(space, candidates)

    def order(self, progress: Progress) -> Sequence[Purpose]:
        """The updates of a step, in order. The loop leaves the alphas out while they are frozen in the warm-up."""
        return ("both",) if self.single_level else ("alphas", "weights")

    # ----------------------------------------------------------------------------------------------- before and between

    @classmethod
    def supports(cls, space: Space) -> str | None:
        """Why the method is not defined on a space, or None where it is."""
        return None

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The parts of the search, in order; ``search.epochs`` and ``search.warmup_epochs`` are those of one part."""
        return (Phase(config.search.epochs, config.search.warmup_epochs, config.supernet, config.edge),)

    def budget_warning(self, search: Search) -> str | None:
        """What people should know before the search begins, such as a budget too small for the method, or None."""
        return None

    def on_phase_start(self, search: Search) -> None:
        """A phase begins; its supernet is there, but no step was carried out."""

    def observe(self, search: Search, sums: Sums) -> None:
        """A step is over.

        Args:
            search: the search.
            sums: over its batches: ``loss``, ``correct`` and ``images``, and the same with the prefix ``alphas_``.
        """

    def on_epoch_end(self, search: Search) -> dict[str, Any] | None:
        """What the method does and measures after an epoch: activate less, stop, decide.

        A measurement may be interrupted, and the hook is then called again after the resume: measure first, change afterwards.

        Returns:
            Plain JSON for the record of the epoch, or None.
        """

    # ------------------------------------------------------------------- for what is more than a formula of one kind of cell

    def operation_weights(self, supernet: Supernet) -> Mapping[str, Tensor]:
        """Kind -> :meth:`weights`."""
        alphas = supernet.alphas
        return {
            kind: self._table(self.weights(alphas[kind], active_eo), active_eo)
            for kind, active_eo in supernet.active.items()
        }

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        """Kind -> weights of the edges (edges,), or None without edge normalization."""
        return supernet.edge_weights()

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        """The weights of a pass that is about to be made for an update, with the images and labels of the pass."""
        progress, sample = search.progress, partial(self.sample, progress=search.progress)
        auxiliary, skip_dropout = self.auxiliary(progress), self.skip_dropout(progress)
        return self._put_together(search.supernet, sample, auxiliary=auxiliary, skip_dropout=skip_dropout)

    def expected_arch_weights(self, search: Search) -> ArchWeights:
        """The weights now, with nothing drawn or perturbed: what the supernet is validated with."""
        return self._put_together(search.supernet, self.expected, auxiliary=self.auxiliary(search.progress))

    def _put_together(self, net: Supernet, weigh: Callable[[Tensor, Tensor], Weighed], **more: float) -> ArchWeights:
        weights: dict[str, Tensor] = {}
        computed: dict[str, Tensor] = {}
        for kind, active_eo in net.active.items():
            found = weigh(net.alphas[kind], active_eo)
            weights_eo, *limits = found if isinstance(found, tuple) else (found,)
            weights[kind] = self._table(weights_eo, active_eo)
            if limits:
                computed[kind] = self._table(limits[0], active_eo)
        for hook, value in more.items():
            if not isinstance(value, float | int):
                raise self._wrong(f"{hook} must return", "a number", value)
        return ArchWeights(weights, self.edge_weights(net), computed or None, **more)

    def penalty_of(self, search: Search, arch_weights: ArchWeights) -> Tensor | None:
        """:meth:`penalty` of a pass."""
        net = search.supernet
        kinds = net.space.cell_kinds
        alpha_eo = torch.cat([net.alphas[kind] for kind in kinds])
        active_eo = torch.cat([net.active[kind] for kind in kinds])
        weights_eo = torch.cat([arch_weights.operations[kind] for kind in kinds])
        found = self.penalty(alpha_eo, active_eo, weights_eo, search.progress)
        if found is not None and not (isinstance(found, Tensor) and found.dim() == 0):
            raise self._wrong("penalty must return", "a tensor of one number, or None", found)
        return found

    def _table(self, found: Tensor, active_eo: Tensor) -> Tensor:
        """What a hook says of the operations, if it is a table of them."""
        if isinstance(found, Tensor) and found.shape == active_eo.shape:
            return found
        wanted = f"a tensor {tuple(active_eo.shape)}, or such a tensor and a bool of what is computed"
        raise self._wrong("the weights of the operations must be", wanted, found)

    def _wrong(self, what: str, wanted: str, found: object) -> ConfigError:
        """What to raise where a hook returned something else."""
        got = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)[:40]
        return ConfigError(f"method '{self.info.name}': {what} {wanted}, not {got}")

    def alpha_gradient(self, search: Search) -> Gradient | None:
        """What computes the gradient of the alphas, or None for one backward pass through the loss of the batch."""
        return None

    def derive(self, supernet: Supernet) -> Genotype:
        """The cells that the alphas name now."""
        return derive(supernet.space, self.operation_weights(supernet), self.edge_weights(supernet), self.rule)

    def chosen_by(self) -> str | None:
        """What chooses the cells, in words, or None where the strongest weights do; asked when the search is over.

        The verdict on a search rests on the weights of the operations, so it is given for None alone. A method with another
        :meth:`derive` or a rule of its own says more here, or None if the weights still choose.
        """
        known = Method.rule, strongest_edges, never_none, strongest_pairs, decided_edges
        own_rule = type(self).derive is not Method.derive or type(self).rule not in known
        return "a rule of its own" if own_rule else None

    # -------------------------------------------------------------------------------------------------------- the memory

    def state_dict(self) -> dict[str, Any]:
        """What the method has gathered: tensors, numbers, texts and plain containers only."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`."""


HOOKS: dict[str, Callable[..., Any]] = {
    name: member
    for name, member in vars(Method).items()
    if callable(member) and not isinstance(member, type) and not name.startswith("_")
} | {"supports": Method.supports}
"""What a method may override."""


def weighs_auxiliary(method: type[Method]) -> bool:
    """Whether a method weighs the auxiliary skip connection, and so needs `edge.auxiliary_skip`."""
    return method.auxiliary is not Method.auxiliary
