"""The base class of search methods with its hooks, and :class:`MethodInfo`.

:class:`Method` implements first-order DARTS. A method overrides only the hooks that it changes.

Shape suffixes: b batch, c channels, h w, e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from adarts.config.settings import SearchConfig, Settings
from adarts.engine.update import Gradient, Sums
from adarts.errors import ConfigError
from adarts.methods.schedule import Phase, Progress
from adarts.searchers import Trial
from adarts.spaces import Genotype, Space, derive, strongest_edges
from adarts.spaces.derivation import Candidate, decided_edges, never_none, strongest_pairs
from adarts.supernet import ArchWeights, AttentionSource, Selection, Supernet, masked_softmax

Purpose = Literal["weights", "alphas", "both"]
"""What an update trains."""
Family = Literal["gradient", "paths", "alone"]
"""How a method learns which cells are good: the gradient of alphas; scores of single paths of the supernet, i.e. of cells with
shared weights; or scores of cells that are trained alone."""
Weighed = Tensor | tuple[Tensor, Tensor]
"""Operation weights (edges, operations), optionally with a bool tensor of the same shape that marks what to compute."""


@dataclass(frozen=True)
class MethodInfo:
    """Facts about a method.

    Attributes:
        name: name on the command line.
        title: usual name.
        year: year of publication.
        paper: publication.
        changes: what the method changes, in one line.
        cost: time and memory of a step, in words.
        defaults: published hyper-parameters, as part of a search configuration. A method writes all of them out, also those
            that equal the defaults of the settings.
        spaces: hyper-parameters that differ in a search space, by its name, in the same form; they override `defaults`. They
            are what the method's authors publish for this space, or the protocol of the space's benchmark
            (:data:`~adarts.methods.protocols.NASBENCH201`).
        family: how the method learns which cells are good; methods other than ``gradient`` have no alphas, and the scales have
            budgets of their own for each family.
        replay: how long a GPU may replay a recorded update: ``never``; ``epoch``, if a schedule changes the computation from
            epoch to epoch; or ``run``. Only a method with ``never`` may draw from torch's generator, which is then seeded for
            every pass. The method contract tests this claim.
    """

    name: str
    title: str
    year: int
    paper: str
    changes: str
    cost: str
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    spaces: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    family: Family = "gradient"
    replay: Literal["never", "epoch", "run"] = "never"


class Search(Protocol):
    """Interface of the search that the loop passes to a method."""

    config: SearchConfig
    supernet: Supernet
    progress: Progress
    #: supernet of the previous phase, at the start of a phase with a fresh one
    previous: Supernet | None
    #: learning rate of the weights in this epoch
    rate: float
    #: number of micro-batches whose gradients are added, to save memory
    accumulation: int
    #: call it between the parts of a long measurement; it may raise to stop the run
    check_stop: Callable[[], None]

    def batch(self, purpose: Purpose) -> tuple[Tensor, Tensor]:
        """Augmented images and labels of the current step, from the half for the weights or the half for the alphas."""

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
        """Mean cross-entropy and logits of a batch.

        Args:
            x_bchw, y_b, arch_weights: images, labels, weights of operations and edges.
            parameters: tensors that replace parameters of the supernet, by name.
            selection: source of the attention that selects channels, or the selected channels themselves.
            update_statistics: update the running statistics with this batch.
            precise: compute in float32 regardless of the run's precision; for differences of nearly equal values.
        """

    def measure(self, arch_weights: ArchWeights, images: int | None = None, number: int = 0) -> tuple[float, float]:
        """Mean loss and accuracy of the supernet on the images for the alphas, normalized with batch statistics.

        Args:
            arch_weights: weights of operations and edges.
            images: how many images to use, rounded up to whole batches; None uses all.
            number: chooses the batches; consecutive numbers use one batch after the other, again from the first after the last.
        """

    def penalty(self, arch_weights: ArchWeights) -> Tensor | None:
        """What is added to the loss of a pass if alphas are updated: the method's penalty, and the expected cost of the cells if
        the configuration gives it a weight; None for nothing.
        """

    def momentum(self) -> dict[str, Tensor]:
        """SGD's momentum buffers of the weights, by parameter name; empty before the first step."""

    def restart_alphas(self) -> None:
        """Reset Adam's state, e.g. after a change of the active operations."""

    def restart_weights(self) -> None:
        """Give the weights their initial values again and reset SGD's state, e.g. to train another cell alone."""

    def stop(self, reason: str) -> None:
        """End the search after this epoch, with a reason in words."""


class NoOptions(Settings):
    """A method without options of its own."""


class Method:
    """First-order DARTS, the base class of all methods. Others override hooks or only change the edge design.

    Order in which the hooks are called::

        supports, phases                          before anything is built
        for each phase:
            on_phase_start                        the supernet exists, no step has run
            for each epoch:
                for each step:
                    order                         which updates, in which order
                    for each update:
                        sample, auxiliary, skip_dropout     the weights of a pass (all by arch_weights)
                        generated           parameters of the supernet that another network predicts
                        penalty                   if alphas are updated
                    observe                       results of the step
                on_epoch_end                      measure, drop operations, stop
                weights, rule                     the cells of the epoch (both by derive)
        chosen_by                                 for the verdict on the search

    Args:
        options: an object of :attr:`Options`; a method with options declares their type, ``options: Options``.
    """

    info: ClassVar[MethodInfo]
    #: the method's own settings; a subclass of ``Settings``
    Options: ClassVar[type[Settings]] = NoOptions
    #: update weights and alphas in one pass on all images, instead of one pass on each half
    single_level: ClassVar[bool] = False
    #: batches passed to the gradient of the alphas, in this order: images and labels of each
    alpha_batches: tuple[Purpose, ...] = ("alphas",)

    def __init__(self, options: Settings) -> None:
        self.options = options

    # ------------------------------------------------------------------------------------------------------ the formula

    def weights(self, alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
        """Operation weights of one kind of cell, (edges, operations), without sampling.

        Cells are derived from them, and monitors show them.

        Args:
            alpha_eo: the alphas.
            active_eo: mask of the active operations; the others must get weight 0.
        """
        return masked_softmax(alpha_eo, active_eo)

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Weighed:
        """Operation weights for the next pass, e.g. sampled or hardened, optionally with a mask of what to compute."""
        return self.weights(alpha_eo, active_eo)

    def expected(self, alpha_eo: Tensor, active_eo: Tensor) -> Weighed:
        """Like `sample`, but without random numbers; used to validate the supernet."""
        return self.weights(alpha_eo, active_eo)

    def auxiliary(self, progress: Progress) -> float:
        """Weight of the auxiliary skip connection on every edge, which `edge.auxiliary_skip` adds."""
        return 0.0

    def skip_dropout(self, progress: Progress) -> float:
        """Dropout rate of the elements of skip connections in a pass."""
        return 0.0

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor | None:
        """A term added to the loss when alphas are updated, or None; the reported loss does not include it.

        Args:
            alpha_eo: the alphas of all kinds of cells, concatenated along the edges.
            active_eo: mask of the active operations.
            weights_eo: the operation weights of the pass.
            progress: position in the search.
        """
        return None

    def rule(self, space: Space, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The edges and operations that a node of a derived cell keeps, e.g. ``rule = staticmethod(strongest_pairs)``."""
        return strongest_edges(space, candidates)

    def order(self, progress: Progress) -> Sequence[Purpose]:
        """The updates of a step, in order. During the warm-up, the loop skips the update of the alphas."""
        return ("both",) if self.single_level else ("alphas", "weights")

    # ----------------------------------------------------------------------------------------------- before and between

    @classmethod
    def supports(cls, space: Space) -> str | None:
        """The reason why the method does not work in a search space, or None."""
        return None

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The phases of the search, in order; ``search.epochs`` and ``search.warmup_epochs`` apply to each one."""
        return (Phase(config.search.epochs, config.search.warmup_epochs, config.supernet, config.edge),)

    def budget_warning(self, search: Search) -> str | None:
        """A warning to show before the search starts, e.g. that the budget is too small for the method, or None."""
        return None

    def on_phase_start(self, search: Search) -> None:
        """Called at the start of a phase, with its supernet, before the first step."""

    def observe(self, search: Search, sums: Sums) -> None:
        """Called after every step.

        Args:
            search: the search.
            sums: sums over the batches of the step: ``loss``, ``correct``, ``images``, and the same with the prefix ``alphas_``.
        """

    def on_epoch_end(self, search: Search) -> dict[str, Any] | None:
        """Called after every epoch, e.g. to measure, drop operations or stop.

        If a measurement is interrupted, the hook is called again after the resume. So measure first and change state last.

        Returns:
            Plain JSON for the record of the epoch, or None.
        """

    # ----------------------------------------------------------------- for methods beyond a formula for one kind of cell

    def operation_weights(self, supernet: Supernet) -> Mapping[str, Tensor]:
        """:meth:`weights` by kind of cell."""
        alphas = supernet.alphas
        return {
            kind: self._table(self.weights(alphas[kind], active_eo), active_eo)
            for kind, active_eo in supernet.active.items()
        }

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        """Edge weights (edges,) by kind of cell, or None without edge normalization."""
        return supernet.edge_weights()

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        """All weights for the next pass of an update on these images and labels."""
        progress, sample = search.progress, partial(self.sample, progress=search.progress)
        auxiliary, skip_dropout = self.auxiliary(progress), self.skip_dropout(progress)
        return self._put_together(search.supernet, sample, auxiliary, skip_dropout)

    def expected_arch_weights(self, search: Search) -> ArchWeights:
        """All weights without sampling or perturbation; used to validate the supernet."""
        return self._put_together(search.supernet, self.expected, self.auxiliary(search.progress))

    def _put_together(
        self,
        net: Supernet,
        weigh: Callable[[Tensor, Tensor], Weighed],
        auxiliary: float,
        skip_dropout: float = 0.0,
    ) -> ArchWeights:
        weights: dict[str, Tensor] = {}
        computed: dict[str, Tensor] = {}
        for kind, active_eo in net.active.items():
            found = weigh(net.alphas[kind], active_eo)
            weights_eo, *limits = found if isinstance(found, tuple) else (found,)
            weights[kind] = self._table(weights_eo, active_eo)
            if limits:
                computed[kind] = self._table(limits[0], active_eo)
        for hook, value in {"auxiliary": auxiliary, "skip_dropout": skip_dropout}.items():
            if not isinstance(value, float | int):
                raise self._wrong(f"{hook} must return", "a number", value)
        return ArchWeights(weights, self.edge_weights(net), computed or None, auxiliary, skip_dropout)

    def generated(self, supernet: Supernet, arch_weights: ArchWeights) -> Mapping[str, Tensor] | None:
        """Tensors that replace parameters of the supernet in a pass, by name; None replaces nothing. Called in every pass."""
        return None

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
        """Check the operation weights returned by a hook."""
        if isinstance(found, Tensor) and found.shape == active_eo.shape:
            return found
        wanted = f"a tensor {tuple(active_eo.shape)}, or a pair of it and a bool tensor of what to compute"
        raise self._wrong("the operation weights must be", wanted, found)

    def _wrong(self, what: str, wanted: str, found: object) -> ConfigError:
        """The error for a hook that returned something else."""
        got = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)[:40]
        return ConfigError(f"method '{self.info.name}': {what} {wanted}, not {got}")

    def alpha_gradient(self, search: Search) -> Gradient | None:
        """A function that computes the gradient of the alphas; None uses one backward pass through the loss of the batch."""
        return None

    def derive(self, supernet: Supernet) -> Genotype:
        """Derive the cells from the current alphas."""
        return derive(supernet.space, self.operation_weights(supernet), self.edge_weights(supernet), self.rule)

    def chosen_by(self) -> str | None:
        """How the cells are chosen, in words; None if the strongest weights are kept. Called at the end of the search.

        The verdict on a search is based on the operation weights, so it is given only for None. A method with its own
        :meth:`derive` or rule should override this hook, and return None if the weights still choose.
        """
        known = Method.rule, strongest_edges, never_none, strongest_pairs, decided_edges
        own_rule = type(self).derive is not Method.derive or type(self).rule not in known
        return "a rule of its own" if own_rule else None

    def front(self) -> Sequence[Trial]:
        """The cells of a search for several goals with their scores, smallest cells first; empty for a search for one goal.

        Called at the end of the search, for ``front.json``. :meth:`derive` returns one of them.
        """
        return ()

    # -------------------------------------------------------------------------------------------------------- the memory

    def state_dict(self) -> dict[str, Any]:
        """The method's own state; only tensors, numbers, strings and plain containers."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state of :meth:`state_dict`."""


HOOKS: dict[str, Callable[..., Any]] = {
    name: member
    for name, member in vars(Method).items()
    if callable(member) and not isinstance(member, type) and not name.startswith("_")
} | {"supports": Method.supports}
"""The hooks that a method may override."""


def weighs_auxiliary(method: type[Method]) -> bool:
    """Whether a method sets the weight of the auxiliary skip connection and thus needs `edge.auxiliary_skip`."""
    return method.auxiliary is not Method.auxiliary
