"""The search as a task of the driver: phases, measurements after each epoch, and the state for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from adarts.config.settings import SearchConfig
from adarts.data import ImageData
from adarts.engine import parallel
from adarts.engine.checkpoints import require_same_images
from adarts.engine.optimizers import load_optimizer
from adarts.errors import ConfigError, DataError
from adarts.methods import Method, Progress
from adarts.searching.batches import with_fitting_batch
from adarts.searching.monitors import channel_stability, monitor, truth_in_words
from adarts.searching.phases import build_supernet, checked_phases
from adarts.searching.step import BilevelStep
from adarts.seeding import derive_seed
from adarts.spaces import Genotype
from adarts.supernet import Selection


class SearchTask(BilevelStep):
    """The bilevel search of one method on one data set."""

    def __init__(self, config: SearchConfig, data: ImageData, method: Method, device: torch.device) -> None:
        config = with_fitting_batch(config, data, method.single_level)
        parallel.require_enough(config.search.batch_size, "search.batch_size")
        self.phases = checked_phases(config, method)
        super().__init__(config, data, method, device)
        #: whether to validate the supernet; a single-level method trains on all images and leaves none for it
        self.validates = config.search.validate_supernet and not method.single_level
        #: whether the method has alphas
        self.learns_alphas = method.info.family == "gradient"
        #: sees the record of every epoch; what it returns ends the search, as the reason
        self.watch: Callable[[Mapping[str, Any]], str | None] = lambda record: None
        self.fingerprint = data.fingerprint
        self.enter(0)
        self.initial_genotype = self.genotype()

    def enter(self, index: int) -> None:
        """Begin a phase: build its supernet and optimizers, and call the method's `on_phase_start`."""
        self._build(index)
        self.method.on_phase_start(self)
        self.previous = None

    def _build(self, index: int) -> None:
        phase = self.phases[index]
        self.progress = Progress(index, 0, phase.epochs, self._steps, phase.warmup_epochs)
        if phase.fresh or index == 0:
            self.previous = getattr(self, "supernet", None)
            self.supernet = build_supernet(self.config, phase, index, self.data).to(self.device)
        self.prepare(phase)
        #: channels selected in the last update of the weights in the previous epoch
        self.selection_before = Selection()

    # --------------------------------------------------------------------------------------------- interface of the driver

    def steps(self, epoch: int) -> int:
        return self._steps

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        self.require_finite()
        parallel.require_equal("the weights or alphas", list(self.supernet.parameters()))
        record: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": self.learning_rate(epoch),
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
            "alphas_loss": None,
            "alphas_accuracy": None,
        }
        if "alphas_images" in totals:
            record["alphas_loss"] = totals["alphas_loss"] / totals["alphas_images"]
            record["alphas_accuracy"] = totals["alphas_correct"] / totals["alphas_images"]
        if self.validates:
            record["supernet_loss"], record["supernet_accuracy"] = self.validate()
        # A stop during a measurement must leave the state unchanged; from here on it changes.
        self.go_to(epoch, 0)
        self._seed = derive_seed(self.config.seed, "draws", "end", self.drawn_epoch)
        with self._drawing():
            own = self.method.on_epoch_end(self)
        net, genotype = self.supernet, self.genotype()
        with torch.no_grad():
            weights = self.method.operation_weights(net) if self.learns_alphas else None
            record |= monitor(net.space, genotype, weights, self.method.edge_weights(net))
        record["channel_stability"] = (
            channel_stability(net.kinds, self.selection_before, self.selection, net.cell_channels)
            if self.selection_before.cells and self.learns_alphas
            else None
        )
        record["genotype"] = genotype.to_dict()
        if own:
            record["method"] = own
        if len(self.phases) > 1:
            record["phase"] = self.progress.phase
        self.selection_before = self.selection
        if self.stopped is None and (reason := self.watch(record)) is not None:
            self.stop(reason)
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
        self.require_finite()
        return {
            "phase": self.progress.phase,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "supernet": dict(self.supernet.state_dict()),
            "active": {kind: active.tolist() for kind, active in self.supernet.active.items()},
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "method": self.method.state_dict(),
            "accumulation": self.accumulation,
            "selection": self.selection.cells,
            "selection_before": self.selection_before.cells,
            "data": self.fingerprint,
            "initial_genotype": self.initial_genotype.to_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        require_same_images(self.fingerprint, state["data"])
        self.initial_genotype = Genotype.from_dict(state["initial_genotype"])  # raises for cells of another space
        if state["phase"] != self.progress.phase:
            # Rebuild the last phase with a fresh supernet; later phases continued with that supernet.
            fresh = [index for index in range(state["phase"] + 1) if self.phases[index].fresh or index == 0]
            self._build(fresh[-1])
            if fresh[-1] != state["phase"]:
                self._build(state["phase"])
            self.previous = None
        self.epochs, self.stopped = state["epochs"], state["stopped"]
        self.supernet.load_state_dict(state["supernet"])
        for kind, active in state["active"].items():
            self.supernet.set_active(kind, active)
        load_optimizer(self.weight_optimizer, state["weight_optimizer"])
        load_optimizer(self.alpha_optimizer, state["alpha_optimizer"])
        self.forget()
        self.method.load_state_dict(state["method"])
        self.accumulation = state["accumulation"]
        self.selection = Selection(list(state["selection"]))
        self.selection_before = Selection(list(state["selection_before"]))

    def halve_batch(self) -> bool:
        if self.config.search.batch_size // (2 * self.accumulation) < 2:  # batch normalization needs two images
            return False
        self.accumulation *= 2
        self.selection, self.selection_before = Selection(), Selection()  # they belong to batches of another size
        return True

    def genotype(self) -> Genotype:
        """Derive the cells from the current alphas.

        Raises:
            ConfigError: the method derives cells outside the space.
        """
        name = self.method.info.name
        try:
            found = self.method.derive(self.supernet)
            if not isinstance(found, Genotype):
                raise ConfigError(f"method '{name}': derive must return a Genotype, not {type(found).__name__}")
            found.require_within(self.supernet.space)
        except DataError as error:
            raise ConfigError(f"method '{name}' derives cells outside the space: {error}") from error
        return found
