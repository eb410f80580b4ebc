"""One search as the driver sees it: what a step and an epoch do, and the state that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from adarts.config.settings import SearchConfig
from adarts.data import ImageData
from adarts.engine import updates
from adarts.engine.capture import Recorder, recorder
from adarts.errors import ConfigError, DataError, NotFiniteError
from adarts.methods import Method, Phase, Progress, Purpose, Sums
from adarts.searching.batches import epoch_steps, search_batches
from adarts.searching.monitors import channel_stability, monitor, truth_in_words
from adarts.searching.phases import build_supernet, checked_phases
from adarts.seeding import derive_seed, generator
from adarts.spaces import Genotype
from adarts.supernet import ArchWeights, Selection, Supernet


class SearchTask:
    """The bilevel search of one method on one data set (eqs. 4 and 5); what a method sees as :class:`~adarts.methods.Search`.

    Args:
        config: the whole search.
        data: its images.
        method: how.
        device: of the run.
    """

    def __init__(self, config: SearchConfig, data: ImageData, method: Method, device: torch.device) -> None:
        self.config, self.data, self.method, self.device = config, data, method, device
        #: called between the batches of a long measurement; it may raise to stop the run
        self.check_stop: Callable[[], None] = lambda: None
        updates.fix_arithmetic(device)
        self.phases = checked_phases(config, method)
        self.epochs = sum(phase.epochs for phase in self.phases)
        #: why the method ended the search before that
        self.stopped: str | None = None
        self.epoch, self._step = 0, 0
        #: a method that learns from all images leaves none to validate its supernet on
        self.validates = config.search.validate_supernet and not method.single_level
        batches = search_batches(config, data, method.single_level, device)
        self.weight_batches, self.alpha_batches, self.validation = batches
        self._steps, self._pass = epoch_steps(config, self.weight_batches, self.alpha_batches)
        #: a batch is worked off in so many parts where memory is short
        self.parts = 1
        self.fingerprint = data.fingerprint
        self.previous: Supernet | None = None
        self.enter(0)
        self.initial_genotype = self.genotype()

    # ------------------------------------------------------------------------------------------------------- phases

    def enter(self, index: int) -> None:
        """Begin a phase: its supernet, its optimizers, and what the method does first."""
        self._build(index)
        self.method.on_phase_start(self)
        self.previous = None

    def _build(self, index: int) -> None:
        phase = self.phases[index]
        self.progress = Progress(index, 0, phase.epochs, self.steps(0), phase.warmup_epochs)
        if phase.fresh or index == 0:
            self.previous = getattr(self, "supernet", None)
            self.supernet = build_supernet(self.config, phase, index, self.data).to(self.device)
        weights, alphas = self.supernet.weight_parameters(), self.supernet.alpha_parameters()
        self.weight_optimizer = updates.sgd(weights, self.config.weights)
        self.alpha_optimizer = updates.adam(alphas, self.config.alphas)
        #: the architecture weights of the last pass
        self._arch_weights: ArchWeights | None = None
        self._make_updates(self._recorder(phase))
        #: what the selector `random` draws from, of the current step
        self.generator: torch.Generator | None = None
        #: seed of what a method draws in a pass of the current update
        self._draws = 0
        #: learning rate of the weights in the current epoch
        self.rate = self.config.weights.learning_rate
        #: the channels of the last update of the weights, and of the last one of the epoch before
        self.selection, self.selection_before = Selection(), Selection()

    def _recorder(self, phase: Phase) -> Recorder | None:
        # A choice of channels that is drawn on the CPU, anew in every forward pass, cannot be replayed.
        if phase.edge.selector == "random" or self._draws_inside:
            return None
        return recorder(self.config.run, self.device)

    def _make_updates(self, record: Recorder | None) -> None:
        weights, alphas = self.supernet.weight_parameters(), self.supernet.alpha_parameters()
        clip = self.config.alphas.clip
        of_weights = updates.Moved(self.weight_optimizer, "the weights", self.config.weights.clip)
        of_alphas = updates.Moved(self.alpha_optimizer, "the alphas", float("inf") if clip is None else clip)
        make = partial(updates.Update, masks=self._masks, recorder=record)
        gradient = updates.backward(partial(self._loss, purpose="weights"))
        self.weight_update = make(of_weights, gradient=gradient, frozen=alphas, observe=self._selected)
        self.joint_update = make(of_weights, of_alphas, gradient=gradient, observe=self._selected)
        own = self.method.alpha_gradient(self)
        self.alpha_update = make(
            of_alphas, gradient=own or updates.backward(partial(self._loss, purpose="alphas")), frozen=weights
        )

    def _updates(self) -> tuple[updates.Update, ...]:
        return self.weight_update, self.alpha_update, self.joint_update

    # --------------------------------------------------------------------------------------------- what the driver asks

    def steps(self, epoch: int) -> int:
        return self._steps

    def go_to(self, epoch: int, step: int) -> None:
        """Make a step the current one; its batches and what is drawn in it follow from its number."""
        progress = self._progress(epoch)
        if self.method.info.replay == "epoch" and progress != self.progress:
            self._forget()
        self.epoch, self._step, self.progress = epoch, step, progress
        self.rate = self._learning_rate(epoch)
        self.generator = generator(self.config.seed, "channels", epoch, step)

    def workload(self, epoch: int) -> tuple[int, bool]:
        progress = self._progress(epoch)
        return progress.phase, progress.past_warmup

    def step(self, epoch: int, step: int) -> Sums:
        self.supernet.train()
        self.go_to(epoch, step)
        with self._circumstances(), self._drawing():
            return self.method.update(self)

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        self._check()
        record: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": self._learning_rate(epoch),
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
            "alphas_loss": None,
            "alphas_accuracy": None,
        }
        if "alphas_images" in totals:
            record["alphas_loss"] = totals["alphas_loss"] / totals["alphas_images"]
            record["alphas_accuracy"] = totals["alphas_correct"] / totals["alphas_images"]
        if self.validates:
            record["supernet_loss"], record["supernet_accuracy"] = self._validate()
        # Measurements may be stopped between two batches; from here on the state changes.
        self.go_to(epoch, 0)
        self._draws = derive_seed(self.config.seed, "draws", "end", epoch)
        with self._drawing():
            own = self.method.on_epoch_end(self)
        net, genotype = self.supernet, self.genotype()
        with torch.no_grad():
            record |= monitor(net.space, genotype, self.method.operation_weights(net), self.method.edge_weights(net))
        record["channel_stability"] = (
            channel_stability(net.kinds, self.selection_before, self.selection, net.cell_channels)
            if self.selection_before.cells
            else None
        )
        record["genotype"] = genotype.to_dict()
        if own:
            record["method"] = own
        if len(self.phases) > 1:
            record["phase"] = self.progress.phase
        self.selection_before = self.selection
        if self.progress.is_last and self.progress.phase + 1 < len(self.phases) and self.stopped is None:
            self.enter(self.progress.phase + 1)
        return record

    def describe(self, record: Mapping[str, Any]) -> str:
        line = f"train {record['train_loss']:.3f} / {record['train_accuracy']:.1%}"
        if record["alphas_loss"] is not None:
            line += f"  alphas {record['alphas_loss']:.3f} / {record['alphas_accuracy']:.1%}"
        if "supernet_accuracy" in record:
            line += f"  supernet {record['supernet_accuracy']:.1%}"
        skips = " + ".join(str(n) for n in record["skips"].values())
        line += f"  skips {skips}"
        if "truth" in record:
            line += f"  {truth_in_words(record['truth'], self.config.data)}"
        return line if self.stopped is None else f"{line}  stopped: {self.stopped}"

    def state_dict(self) -> dict[str, Any]:
        self._check()
        return {
            "phase": self.progress.phase,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "supernet": dict(self.supernet.state_dict()),
            "active": {kind: active.tolist() for kind, active in self.supernet.active.items()},
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "method": self.method.state_dict(),
            "parts": self.parts,
            "selection": self.selection.cells,
            "selection_before": self.selection_before.cells,
            "data": self.fingerprint,
            "initial_genotype": self.initial_genotype.to_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        updates.require_same_images(self.fingerprint, state["data"])
        self.initial_genotype = Genotype.from_dict(state["initial_genotype"])  # refuses cells of another space
        if state["phase"] != self.progress.phase:
            # The supernet of the last phase that had a new one; later phases went on with it.
            fresh = [index for index in range(state["phase"] + 1) if self.phases[index].fresh or index == 0]
            self._build(fresh[-1])
            if fresh[-1] != state["phase"]:
                self._build(state["phase"])
            self.previous = None
        self.epochs, self.stopped = state["epochs"], state["stopped"]
        self.supernet.load_state_dict(state["supernet"])
        for kind, active in state["active"].items():
            self.supernet.set_active(kind, active)
        updates.load_optimizer(self.weight_optimizer, state["weight_optimizer"])
        updates.load_optimizer(self.alpha_optimizer, state["alpha_optimizer"])
        self._forget()
        self.method.load_state_dict(state["method"])
        self.parts = state["parts"]
        self.selection = Selection(list(state["selection"]))
        self.selection_before = Selection(list(state["selection_before"]))

    def halve_batch(self) -> bool:
        if self.config.search.batch_size // (2 * self.parts) < 2:  # batch normalization needs two images
            return False
        self.parts *= 2
        self.selection, self.selection_before = Selection(), Selection()  # of batches of another size
        return True

    def genotype(self) -> Genotype:
        """The cells that the alphas name now.

        Raises:
            ConfigError: the method names cells that are not of the space.
        """
        try:
            found = self.method.derive(self.supernet)
            found.require_within(self.supernet.space)
        except DataError as error:
            raise ConfigError(f"method '{self.method.info.name}' derives what is not in the space: {error}") from error
        return found

    # ---------------------------------------------------------------------------------------------- what a method asks

    @property
    def alphas_active(self) -> bool:
        return self.progress.past_warmup

    def batch(self, purpose: Purpose) -> tuple[Tensor, Tensor]:
        batches = self.alpha_batches if purpose == "alphas" else self.weight_batches
        return batches.batch(*divmod(self.epoch * self._steps + self._step, self._pass))

    def update_alphas(self) -> Sums:
        self._draws = derive_seed(self.config.seed, "draws", "alphas", self.epoch, self._step)
        batches = [tensor for purpose in self.method.alpha_batches for tensor in self.batch(purpose)]
        sums = self.alpha_update(self.config.alphas.learning_rate, self.parts, *batches)
        return {f"alphas_{name}": value for name, value in sums.items()}

    def update_weights(self) -> Sums:
        return self._move_weights(self.weight_update)

    def update_both(self) -> Sums:
        return self._move_weights(self.joint_update)

    def _move_weights(self, update: updates.Update) -> Sums:
        self._draws = derive_seed(self.config.seed, "draws", "weights", self.epoch, self._step)
        sums = update(self.rate, self.parts, *self.batch("weights"))
        self.selection = Selection(update.observed)
        return sums

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
        arguments = {
            "arch_weights": arch_weights,
            "selection": selection,
            "update_statistics": update_statistics,
            "generator": self.generator,
        }
        if self.supernet.space.draws:
            # The same noise in all passes of an update: methods compare them.
            torch.manual_seed(derive_seed(self._draws, "noise"))
        with updates.autocast("float32" if precise else self.config.run.precision, x_bchw.device):
            if parameters is None:
                logits = self.supernet(x_bchw, **arguments)
            else:
                logits = functional_call(self.supernet, dict(parameters), (x_bchw,), arguments)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits, y_b), logits

    def measure(self, arch_weights: ArchWeights) -> tuple[float, float]:
        self.supernet.train()
        self.generator = generator(self.config.seed, "validation channels")

        def logits(x_bchw: Tensor) -> Tensor:
            return self.supernet(  # type: ignore[no-any-return]
                x_bchw, arch_weights=arch_weights, update_statistics=False, generator=self.generator
            )

        return updates.measure(logits, self._validation_batches(), self.check_stop)

    def momentum(self) -> dict[str, Tensor]:
        state = self.weight_optimizer.state
        named = self.supernet.named_parameters()
        return {name: state[p]["momentum_buffer"] for name, p in named if "momentum_buffer" in state.get(p, {})}

    def restart_alphas(self) -> None:
        self.alpha_optimizer.state.clear()
        self._forget()

    def stop(self, reason: str) -> None:
        self.epochs, self.stopped = self.epoch + 1, reason

    def _progress(self, epoch: int) -> Progress:
        """Where an epoch stands in the current phase."""
        index, phase = self.progress.phase, self.phases[self.progress.phase]
        begin = sum(before.epochs for before in self.phases[:index])
        return Progress(index, epoch - begin, phase.epochs, self.steps(epoch), phase.warmup_epochs)

    def _learning_rate(self, epoch: int) -> float:
        progress, phase = self._progress(epoch), self.phases[self.progress.phase]
        return phase.rate_scale * updates.learning_rate(self.config.weights, progress.epoch, progress.epochs)

    def _loss(self, x_bchw: Tensor, y_b: Tensor, purpose: Purpose) -> tuple[Tensor, ...]:
        if self._draws_inside:
            torch.manual_seed(self._draws)  # the same for all parts of a batch
        arch_weights = self._arch_weights = self.method.arch_weights(self, purpose, x_bchw, y_b)
        # The alphas' batches would only disturb the averages that belong to the weights.
        loss, logits = self.loss(x_bchw, y_b, arch_weights, update_statistics=purpose == "weights")
        penalty = self.method.penalty(self, purpose, arch_weights)
        return (loss, logits) if penalty is None else (loss, logits, penalty)

    def _selected(self) -> list[Tensor]:
        return self.supernet.selection.cells

    def _masks(self) -> updates.Masks:
        return self.supernet.movable(None if self._arch_weights is None else self._arch_weights.active)

    @property
    def _draws_inside(self) -> bool:
        return self.method.info.replay == "never" or self.supernet.space.draws

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Leave torch's own generator as it was, where a method or an operation draws from it."""
        if not self._draws_inside:
            yield
            return
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(derive_seed(self.config.seed, "draws", self.epoch, self._step))
            yield

    def _forget(self) -> None:
        for update in self._updates():
            update.forget()

    def _check(self) -> None:
        """Refuse a state behind an update that was not finite."""
        with self._circumstances():
            for update in self._updates():
                update.check()

    @contextmanager
    def _circumstances(self) -> Iterator[None]:
        """Say with a loss that is not finite what may have led there."""
        try:
            yield
        except NotFiniteError as error:
            alphas = torch.cat([p.detach().flatten() for p in self.supernet.alpha_parameters()])
            raise NotFiniteError(
                f"{error} (learning rate {self.rate:.3g}, alphas from {alphas.min():.3g} to {alphas.max():.3g})"
            ) from None

    def _validation_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.validation.batch(0, step) for step in range(len(self.validation)))

    def _validate(self) -> tuple[float, float]:
        net = self.supernet.eval()
        # Only the selector `random` draws; its choice is the same in every epoch.
        draws = generator(self.config.seed, "validation channels")
        with torch.no_grad():
            arch_weights = self.method.plain_arch_weights(self)
        return updates.measure(
            lambda x: net(x, arch_weights=arch_weights, selection="average", generator=draws),
            self._validation_batches(),
            self.check_stop,
        )
