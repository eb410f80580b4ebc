"""The hooks of a search method, and the record of facts about it.

A method overrides the few hooks that it changes; what is here is DARTS of first order, which most of them start from.

Shape suffixes: b batch, c channels, h w, e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, Settings, SupernetSettings
from adarts.engine.updates import Gradient
from adarts.spaces import Genotype, Space, derive
from adarts.supernet import ArchWeights, Selection, Supernet

Sums = dict[str, Tensor | float]
"""What an update gives: sums over its batch of the loss, of correct predictions, and of images."""
Purpose = Literal["weights", "alphas"]
"""What a pass is made for; a pass for both is one for the weights."""


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
        replay: how long a GPU may repeat a recorded update: for the whole run; for an epoch, where a schedule changes what is
            computed; or never, where a pass draws anew or asks the device for a value. Only a method that is never replayed
            may draw from torch's generator, which is then seeded for every pass.
    """

    name: str
    title: str
    year: int
    paper: str
    changes: str
    cost: str
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replay: Literal["run", "epoch", "never"] = "run"


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
        num_operations: most operations that are active on an edge, for the prediction of memory; None is all.
        skip_dropout: whether skip connections have a dropout, for the same.
    """

    epochs: int
    warmup_epochs: int
    supernet: SupernetSettings
    edge: EdgeDesign
    fresh: bool = True
    rate_scale: float = 1.0
    num_operations: int | None = None
    skip_dropout: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        phase: index of the phase.
        epoch: epoch of the phase, from 0.
        epochs: epochs of the phase.
        steps: steps of an epoch.
        warmup_epochs: first epochs of the phase, in which the alphas stay frozen.
    """

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


class Search(Protocol):
    """The search as a method sees it; the loop provides it."""

    config: SearchConfig
    supernet: Supernet
    progress: Progress
    #: of the phase before, when one with a fresh supernet begins
    previous: Supernet | None
    #: learning rate of the weights in this epoch
    rate: float
    #: a batch is worked off in so many parts where memory is short
    parts: int
    #: to be called between the parts of a long measurement; it may raise to stop the run
    check_stop: Callable[[], None]

    @property
    def alphas_active(self) -> bool:
        """False in the warm-up epochs, in which the alphas stay frozen."""

    def batch(self, purpose: Purpose) -> tuple[Tensor, Tensor]:
        """Images and labels of the current step, augmented: of the half for the weights, or of that for the alphas."""

    def loss(
        self,
        x_bchw: Tensor,
        y_b: Tensor,
        arch_weights: ArchWeights,
        *,
        parameters: Mapping[str, Tensor] | None = None,
        selection: Literal["batch", "average"] | Selection = "batch",
        update_statistics: bool = False,
        precise: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy and logits.

        Args:
            x_bchw: images.
            y_b: labels.
            arch_weights: weights of operations and edges.
            parameters: by the names inside the supernet, tensors to use in the place of its own parameters.
            selection: where attention's choice of channels comes from, or the channels themselves.
            update_statistics: let running statistics follow this batch.
            precise: in float32, whatever the precision of the run; for differences of nearly equal values.
        """

    def measure(self, arch_weights: ArchWeights) -> tuple[float, float]:
        """Mean loss and accuracy of the supernet on the half for the alphas, normalized with the statistics of the batches."""

    def update_alphas(self) -> Sums:
        """One Adam step on the alphas, with a batch of the alphas' half; the sums have the prefix ``alphas_``."""

    def update_weights(self) -> Sums:
        """One SGD step on the weights, with a batch of the weights' half."""

    def update_both(self) -> Sums:
        """One backward pass on a batch of the weights' half, and a step on weights and alphas."""

    def momentum(self) -> dict[str, Tensor]:
        """What SGD remembers of the weights so far, by the names inside the supernet; empty before the first step."""

    def restart_alphas(self) -> None:
        """Let Adam begin anew, as after a change of the active operations."""

    def stop(self, reason: str) -> None:
        """End the search with this epoch.

        Args:
            reason: in words, for people.
        """


class NoOptions(Settings):
    """A method without options of its own."""


class Method:
    """DARTS of first order, from which the other methods differ by a hook or by their edge design alone.

    Args:
        options: an object of :attr:`Options`; a method that has some declares their type, ``options: Options``.
    """

    info: ClassVar[MethodInfo]
    #: the method's own settings, by name with defaults; a subclass of ``Settings``
    Options: ClassVar[type[Settings]] = NoOptions
    #: weights and alphas learn from the same images, all of them, instead of a half each
    single_level: ClassVar[bool] = False
    #: the architecture weights weigh the auxiliary skip connection, where the edge design has one
    weighs_auxiliary: ClassVar[bool] = False
    #: the batches that the gradient of the alphas takes: images and labels of each, in this order
    alpha_batches: tuple[Purpose, ...] = ("alphas",)

    def __init__(self, options: Settings) -> None:
        self.options = options

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

    def operation_weights(self, supernet: Supernet) -> Mapping[str, Tensor]:
        """Kind -> weights of the operations (edges, operations), from the alphas; nothing is drawn.

        Cells are derived from these, and monitors show them.
        """
        return supernet.operation_weights()

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        """Kind -> weights of the edges (edges,), or None without edge normalization."""
        return supernet.edge_weights()

    def plain_arch_weights(self, search: Search) -> ArchWeights:
        """The weights now, with nothing drawn or perturbed: what the supernet is validated with."""
        return ArchWeights(self.operation_weights(search.supernet), self.edge_weights(search.supernet))

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        """The weights of a pass that is about to be made: sampled, perturbed, or as they are.

        Args:
            search: the search.
            purpose: which update the pass belongs to.
            x_bchw: the images of the pass.
            y_b: their labels.
        """
        return self.plain_arch_weights(search)

    def penalty(self, search: Search, purpose: Purpose, arch_weights: ArchWeights) -> Tensor | None:
        """What is added to the loss of a pass, or None; the loss that is reported is without it."""
        return None

    def alpha_gradient(self, search: Search) -> Gradient | None:
        """What computes the gradient of the alphas, or None for one backward pass through the loss of the batch."""
        return None

    def update(self, search: Search) -> Sums:
        """One search step: the alphas by the validation loss, then the weights by the training loss.

        Raises:
            NotFiniteError: a loss or gradient is not finite; the optimizer that would use it was not stepped.
        """
        sums = search.update_alphas() if search.alphas_active else {}
        return {**sums, **search.update_weights()}

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """What the method does and measures after an epoch: activate less, stop, decide.

        A measurement may be interrupted, and the hook is then called again after the resume: measure first, change afterwards.

        Returns:
            Plain JSON for the record of the epoch.
        """
        return {}

    def derive(self, supernet: Supernet) -> Genotype:
        """The cells that the alphas name now."""
        return derive(supernet.space, self.operation_weights(supernet), self.edge_weights(supernet))

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
