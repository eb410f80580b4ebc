"""The bilevel step of a search (eqs. 4 and 5), from top to bottom: :meth:`BilevelStep.step`, then :meth:`BilevelStep.update`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from adarts.config.settings import SearchConfig
from adarts.data import ImageData
from adarts.engine import parallel
from adarts.engine.optimizers import adam, learning_rate, sgd
from adarts.engine.update import Learned, Sums, Update, autocast, backward, fix_arithmetic, measure, recorder
from adarts.errors import ConfigError, NotFiniteError
from adarts.methods import Method, Phase, Progress, Purpose
from adarts.searching.batches import search_batches
from adarts.searching.expected_cost import cost_tables, expected_cost
from adarts.searching.phases import build_supernet, scheduled_together
from adarts.seeding import derive_seed, generator
from adarts.supernet import ArchWeights, AttentionSource, Selection, Supernet


class BilevelStep:
    """The search step of one method on one data set. Methods see it as :class:`~adarts.methods.Search`.

    Args:
        config: configuration of the search.
        data: the images.
        method: the search method.
        device: device of the run.
    """

    supernet: Supernet
    phases: tuple[Phase, ...]
    progress: Progress

    def __init__(self, config: SearchConfig, data: ImageData, method: Method, device: torch.device) -> None:
        self.config, self.data, self.method, self.device = config, data, method, device
        #: called between the batches of a long measurement; it may raise to stop the run
        self.check_stop: Callable[[], None] = lambda: None
        fix_arithmetic(device)
        batches = search_batches(config, data, method.single_level, device)
        self.weight_batches, self.alpha_batches, self.validation = batches
        self.epochs = sum(phase.epochs for phase in self.phases)
        #: why the method ended the search early; None if it did not
        self.stopped: str | None = None
        #: steps in one pass through the images; an epoch may be shorter or longer, and the next epoch continues in the pass
        self._pass = min(len(self.weight_batches), len(self.alpha_batches))
        self._steps = config.search.steps or self._pass
        #: number of micro-batches whose gradients are added, to save memory
        self.accumulation = 1
        self.epoch, self._step = 0, 0
        self.previous: Supernet | None = None

    def prepare(self, phase: Phase) -> None:
        """Create the optimizers and updates for the supernet of a phase."""
        net, config, settings = self.supernet, self.config, phase.weights or self.config.weights
        weights, alphas = net.weight_parameters(), net.alpha_parameters()
        self.weight_optimizer, self.alpha_optimizer = sgd(weights, settings), adam(alphas, config.alphas)
        of_weights = Learned(self.weight_optimizer, "the weights", settings.clip)
        of_alphas = Learned(self.alpha_optimizer, "the alphas", config.alphas.clip or math.inf)
        # A graph cannot replay draws on the CPU, such as random channels in every forward pass.
        captured = not phase.edge.draws and not self._draws
        update = partial(
            Update,
            masks=lambda: net.movable(None if self._arch_weights is None else self._arch_weights.active),
            outputs=lambda: net.selection.cells,
            recorder=recorder(config.run, self.device) if captured else None,
        )

        def loss(purpose: Purpose, parameters: Sequence[nn.Parameter]) -> Callable[..., tuple[Tensor, Tensor]]:
            return backward(partial(self._loss, purpose), parameters)

        gradient = self.method.alpha_gradient(self) or loss("alphas", alphas)
        self.updates: dict[Purpose, Update] = {
            "weights": update(of_weights, gradient=loss("weights", weights), frozen=alphas),
            "alphas": update(of_alphas, gradient=gradient, frozen=weights),
            "both": update(of_weights, of_alphas, gradient=loss("both", [*weights, *alphas])),
        }
        self._costs = cost_tables(net, config.search, self.data.image_size)
        #: architecture weights of the last pass
        self._arch_weights: ArchWeights | None = None
        #: seed of the random draws in the current update
        self._seed = 0
        #: generator of the selector `random` in the current step
        self.generator: torch.Generator | None = None
        #: learning rate of the weights in the current epoch
        self.rate = settings.learning_rate
        #: channels selected in the last update of the weights
        self.selection = Selection()

    # --------------------------------------------------------------------------------------------------------- the step

    def step(self, epoch: int, step: int) -> Sums:
        """Run one search step: the updates in the method's order; only the weights are updated during the warm-up."""
        if not self.supernet.training:  # to visit all modules takes longer than small kernels
            self.supernet.train()
        self.go_to(epoch, step)
        sums: Sums = {}
        with self._explained(), self._drawing():
            for purpose in self.order(self.progress):
                if self.progress.past_warmup:
                    sums |= self.update(purpose)
                elif purpose != "alphas":
                    sums |= self.update("weights")
            self.method.observe(self, sums)
        return sums

    def order(self, progress: Progress) -> Sequence[Purpose]:
        """The updates of a step in the method's order.

        Raises:
            ConfigError: the method returns an invalid order.
        """
        order = self.method.order(progress)
        known = isinstance(order, tuple | list) and all(purpose in self.updates for purpose in order)
        if not known or not {"weights", "both"} & set(order):
            raise ConfigError(
                f"method '{self.method.info.name}': order must return a tuple of 'alphas', 'weights' and 'both' that contains "
                f"'weights' or 'both'; it returned {order!r}"
            )
        return order

    def update(self, purpose: Purpose) -> Sums:
        """Run one update: the weights with the training loss (eq. 5), the alphas with the validation loss (eq. 4), or both."""
        self._seed = derive_seed(self.config.seed, "draws", purpose, self.drawn_epoch, self._step)
        sources = self.method.alpha_batches if purpose == "alphas" else (purpose,)
        batch = [tensor for source in sources for tensor in self.batch(source)]
        update = self.updates[purpose]
        rate = self.config.alphas.learning_rate if purpose == "alphas" else self.rate
        sums = update(*batch, rate=rate, accumulation=self.accumulation)
        if purpose == "alphas":
            return {f"alphas_{name}": value for name, value in sums.items()}
        self.selection = Selection(update.given)
        parallel.agree(self.supernet.buffers())
        return sums

    def batch(self, purpose: Purpose) -> tuple[Tensor, Tensor]:
        """Augmented images and labels of the current step, from the half for the weights or the half for the alphas."""
        batches = self.alpha_batches if purpose == "alphas" else self.weight_batches
        return batches.batch(*divmod(self.drawn_epoch * self._steps + self._step, self._pass))

    def _loss(self, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> tuple[Tensor, ...]:
        """Mean loss, logits, and the penalty if the update trains alphas."""
        if self._draws:
            torch.manual_seed(self._seed)  # the same for all micro-batches
        weights = self._arch_weights = self.method.arch_weights(self, purpose, x_bchw, y_b)
        # Batches of the alphas must not change the running statistics, which belong to the weights.
        loss, logits = self.loss(x_bchw, y_b, weights, update_statistics=purpose != "alphas")
        penalty = None if purpose == "weights" else self.penalty(weights)
        return (loss, logits) if penalty is None else (loss, logits, penalty)

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
        """Mean cross-entropy and logits of a pass; see :meth:`adarts.methods.Search.loss`."""
        arguments: dict[str, Any] = {
            "arch_weights": arch_weights,
            "selection": selection,
            "update_statistics": update_statistics,
            "generator": self.generator,
        }
        if self.supernet.space.draws:
            # All passes of an update use the same noise, because methods compare them.
            torch.manual_seed(derive_seed(self._seed, "noise"))
        with autocast("float32" if precise else self.config.run.precision, x_bchw.device):
            logits = self.logits(x_bchw, parameters=parameters, **arguments)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits, y_b), logits

    def logits(
        self, x_bchw: Tensor, *, arch_weights: ArchWeights, parameters: Mapping[str, Tensor] | None = None, **how: Any
    ) -> Tensor:
        """The logits of the supernet, whose parameters may be replaced: by these, or else by those that the method generates.

        Args:
            x_bchw: images.
            arch_weights: weights of operations and edges.
            parameters: tensors that replace parameters, by name.
            how: further arguments of :meth:`adarts.supernet.Supernet.forward`.
        """
        if parameters is None:
            parameters = self.method.generated(self.supernet, arch_weights)
        arguments = {"arch_weights": arch_weights, **how}
        if parameters is None:
            return self.supernet(x_bchw, **arguments)  # type: ignore[no-any-return]
        return functional_call(self.supernet, dict(parameters), (x_bchw,), arguments)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------- other services for methods

    def measure(self, arch_weights: ArchWeights, images: int | None = None, number: int = 0) -> tuple[float, float]:
        """Mean loss and accuracy on the half for the alphas, normalized with the statistics of the batches."""
        if not self.supernet.training:  # to visit all modules takes longer than small kernels
            self.supernet.train()
        return self._measured(arch_weights, self._sample(images, number), update_statistics=False)

    def _sample(self, images: int | None, number: int) -> Sequence[int]:
        """The batches of a measurement on some images; all of them are whole, if there are whole ones."""
        there = self.validation
        if images is None or images >= len(there.indices):
            return range(len(there))
        whole, count = max(1, len(there.indices) // there.batch_size), -(-images // there.batch_size)
        return [step % whole for step in range(number * count, (number + 1) * count)]

    def validate(self) -> tuple[float, float]:
        """Mean loss and accuracy on the same images with running statistics, without random draws or perturbations."""
        self.supernet.eval()
        with torch.no_grad():
            arch_weights = self.method.expected_arch_weights(self)
        return self._measured(arch_weights, range(len(self.validation)), selection="average")

    def penalty(self, arch_weights: ArchWeights) -> Tensor | None:
        """What is added to the loss of a pass if alphas are updated: the method's penalty and the expected cost, if any."""
        own, cost = self.method.penalty_of(self, arch_weights), expected_cost(arch_weights, self._costs)
        return cost if own is None else own if cost is None else own + cost

    def momentum(self) -> dict[str, Tensor]:
        """SGD's momentum buffers by parameter name in the supernet; empty before the first step."""
        state = self.weight_optimizer.state
        named = self.supernet.named_parameters()
        return {name: state[p]["momentum_buffer"] for name, p in named if "momentum_buffer" in state.get(p, {})}

    def restart_alphas(self) -> None:
        """Reset Adam's state, e.g. after a change of the active operations."""
        self.alpha_optimizer.state.clear()
        self.forget()

    def restart_weights(self) -> None:
        """Give the weights their initial values again and reset SGD's state, e.g. to train another cell alone."""
        index, net = self.progress.phase, self.supernet
        fresh = build_supernet(self.config, self.phases[index], index, self.data)
        weights = zip(net.weight_parameters(), fresh.weight_parameters(), strict=True)
        # Only the masks of active operations are not part of the state.
        saved = (name for name, _ in net.named_buffers() if not name.startswith("active_"))
        statistics = ((net.get_buffer(name), fresh.get_buffer(name)) for name in saved)
        with torch.no_grad():
            for own, initial in chain(weights, statistics):
                own.copy_(initial)
        self.weight_optimizer.state.clear()
        self.forget()

    def stop(self, reason: str) -> None:
        """End the search after this epoch."""
        self.epochs, self.stopped = self.epoch + 1, reason

    # ------------------------------------------------------------------------------------------------------ position and state

    def go_to(self, epoch: int, step: int) -> None:
        """Make a step the current one; epoch and step determine its batches and random draws."""
        progress = self.progress_at(epoch)
        frozen = self.supernet.design.freeze and progress.past_warmup
        if frozen != self.supernet.frozen or (self.method.info.replay == "epoch" and progress != self.progress):
            self.forget()
        self.supernet.frozen = frozen
        self.epoch, self._step, self.progress = epoch, step, progress
        self.rate = self.learning_rate(epoch)
        self.generator = generator(self.config.seed, "channels", self.drawn_epoch, step)

    @property
    def drawn_epoch(self) -> int:
        """The present epoch, with those of the phases that are left out; batches and random numbers follow from it."""
        phase = self.phases[self.progress.phase]
        return self.epoch + phase.skipped * phase.epochs

    def progress_at(self, epoch: int) -> Progress:
        """Position of an epoch in the current phase."""
        index, phase = self.progress.phase, self.phases[self.progress.phase]
        first = sum(before.epochs for before in self.phases[:index])
        return Progress(index, epoch - first, phase.epochs, self._steps, phase.warmup_epochs)

    def learning_rate(self, epoch: int) -> float:
        """Learning rate of the weights in an epoch."""
        index = self.progress.phase
        span = scheduled_together(self.phases, index)
        return learning_rate(self.phases[index].weights or self.config.weights, epoch - span.start, len(span))

    def forget(self) -> None:
        """Discard all recorded updates, e.g. after loading a state."""
        for update in self.updates.values():
            update.forget()

    def require_finite(self) -> None:
        """Raise NotFiniteError if an earlier update was not finite and has spoiled the state."""
        with self._explained():
            for update in self.updates.values():
                update.check()

    def _measured(self, arch_weights: ArchWeights, steps: Iterable[int], **how: Any) -> tuple[float, float]:
        # Only the selector `random` draws; it selects the same channels in every measurement.
        draws = generator(self.config.seed, "validation channels")
        logits = partial(self.logits, arch_weights=arch_weights, generator=draws, **how)
        batches = (self.validation.batch(0, step) for step in steps)
        return measure(logits, batches, self.check_stop)

    @property
    def _draws(self) -> bool:
        """Whether a pass may draw from torch's generator, which must then be seeded before each pass."""
        return self.method.info.replay == "never" or self.supernet.space.draws

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Seed torch's generator for a method or operation that draws from it, and restore it afterwards."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else [], enabled=self._draws):
            if self._draws:
                torch.manual_seed(derive_seed(self.config.seed, "draws", self.drawn_epoch, self._step))
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the learning rate and the range of the alphas to the message of a NotFiniteError."""
        try:
            yield
        except NotFiniteError as error:
            alphas = torch.cat([p.detach().flatten() for p in self.supernet.alpha_parameters()])
            raise NotFiniteError(
                f"{error} (learning rate {self.rate:.3g}, alphas from {alphas.min():.3g} to {alphas.max():.3g})"
            ) from None
