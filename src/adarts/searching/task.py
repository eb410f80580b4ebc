"""One search as the driver sees it: what a step and an epoch do, and the state that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts import updates
from adarts.capture import recorder
from adarts.config.settings import SearchConfig
from adarts.data import Augmentation, Batches, ImageData, halves
from adarts.errors import NotFiniteError
from adarts.methods import Method
from adarts.searching.monitors import channel_stability, monitor
from adarts.seeding import generator
from adarts.space import Genotype
from adarts.supernet import Selection, Supernet


class SearchTask:
    """The bilevel search of one method on one data set (eqs. 4 and 5, first order).

    Args:
        config: the whole search.
        data: its images.
        supernet: what is searched; it lies on the device of the run.
        method: how.
        device: of the run.
    """

    def __init__(
        self,
        config: SearchConfig,
        data: ImageData,
        supernet: Supernet,
        method: Method,
        device: torch.device,
    ) -> None:
        self.config, self.supernet, self.method = config, supernet, method
        #: called between the batches of a long measurement; it may raise to stop the run
        self.between: Callable[[], None] = lambda: None
        self.epochs = config.search.epochs
        updates.fix_arithmetic(device)
        weights, logits = supernet.weight_parameters(), supernet.logit_parameters()
        # A choice of channels that is drawn on the CPU, anew in every forward pass, cannot be replayed.
        record = None if config.edge.selector == "random" else recorder(config.run, device)
        self.weight_update = updates.Update(
            updates.sgd(weights, config.weights),
            self._weight_loss,
            "the weights",
            clip=config.weights.clip,
            frozen=logits,
            observe=lambda: supernet.selection.cells,
            recorder=record,
        )
        self.logit_update = updates.Update(
            updates.adam(logits, config.logits), self._logit_loss, "the logits", frozen=weights, recorder=record
        )
        #: what the selector `random` draws from, of the current step
        self.generator: torch.Generator | None = None
        #: learning rate of the weights in the current epoch
        self.rate = config.weights.learning_rate
        indices = halves(data.train, config.images, config.seed)
        augmentation = Augmentation.of(config.images, data)
        self.weight_batches, self.logit_batches = (
            Batches(
                data.train,
                part,
                batch_size=config.search.batch_size,
                seed=config.seed,
                purpose=purpose,
                augmentation=augmentation,
                device=device,
                drop_last=True,  # static shapes, and no tiny batch for the normalisation
            )
            for part, purpose in zip(indices, ("weights", "logits"), strict=True)
        )
        self.validation = Batches(
            data.train,
            indices[1],
            batch_size=2 * config.search.batch_size,
            seed=config.seed,
            purpose="validation",
            augmentation=Augmentation.plain(data),
            device=device,
            drop_last=False,
            shuffle=False,
        )
        #: a batch is worked off in so many parts where memory is short
        self.parts = 1
        #: the channels of the last update of the weights, and of the last one of the epoch before
        self.selection, self.selection_before = Selection(), Selection()
        self.fingerprint = data.fingerprint
        self.initial_genotype = method.derive(supernet)

    def steps(self, epoch: int) -> int:
        return min(len(self.weight_batches), len(self.logit_batches))

    def step(self, epoch: int, step: int) -> dict[str, Tensor | float]:
        self.supernet.train()
        self.rate = updates.learning_rate(self.config.weights, epoch, self.epochs)
        with self._circumstances():
            return self.method.update(StepUpdates(self, epoch, step))

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        self._check()
        net = self.supernet
        record: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": updates.learning_rate(self.config.weights, epoch, self.epochs),
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
            "logits_loss": None,
            "logits_accuracy": None,
        }
        if "logits_images" in totals:
            record["logits_loss"] = totals["logits_loss"] / totals["logits_images"]
            record["logits_accuracy"] = totals["logits_correct"] / totals["logits_images"]
        if self.config.search.validate_supernet:
            record["supernet_loss"], record["supernet_accuracy"] = self._validate()
        genotype = self.genotype()
        with torch.no_grad():
            record |= monitor(net.space, genotype, self.method.operation_weights(net), self.method.edge_weights(net))
        record["channel_stability"] = (
            channel_stability(net.kinds, self.selection_before, self.selection, net.cell_channels)
            if self.selection_before.cells
            else None
        )
        record["genotype"] = genotype.to_dict()
        self.selection_before = self.selection
        return record

    def describe(self, record: Mapping[str, Any]) -> str:
        line = f"train {record['train_loss']:.3f} / {record['train_accuracy']:.1%}"
        if record["logits_loss"] is not None:
            line += f"  logits {record['logits_loss']:.3f} / {record['logits_accuracy']:.1%}"
        if "supernet_accuracy" in record:
            line += f"  supernet {record['supernet_accuracy']:.1%}"
        skips = " + ".join(str(n) for n in record["skips"].values())
        return f"{line}  skips {skips}"

    def state_dict(self) -> dict[str, Any]:
        self._check()
        return {
            "supernet": dict(self.supernet.state_dict()),
            "weight_optimiser": self.weight_update.optimiser.state_dict(),
            "logit_optimiser": self.logit_update.optimiser.state_dict(),
            "parts": self.parts,
            "selection": self.selection.cells,
            "selection_before": self.selection_before.cells,
            "data": self.fingerprint,
            "initial_genotype": self.initial_genotype.to_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        updates.require_same_images(self.fingerprint, state["data"])
        self.supernet.load_state_dict(state["supernet"])
        self.weight_update.load(state["weight_optimiser"])
        self.logit_update.load(state["logit_optimiser"])
        self.parts = state["parts"]
        self.selection = Selection(list(state["selection"]))
        self.selection_before = Selection(list(state["selection_before"]))
        self.initial_genotype = Genotype.from_dict(state["initial_genotype"])

    def halve_batch(self) -> bool:
        if self.config.search.batch_size // (2 * self.parts) < 2:  # batch normalisation needs two images
            return False
        self.parts *= 2
        self.selection, self.selection_before = Selection(), Selection()  # of batches of another size
        return True

    def genotype(self) -> Genotype:
        """The cells that the logits name now."""
        return self.method.derive(self.supernet)

    def _weight_loss(self, x_bchw: Tensor, y_b: Tensor) -> tuple[Tensor, Tensor]:
        return self._loss(x_bchw, y_b, update_statistics=True)

    def _logit_loss(self, x_bchw: Tensor, y_b: Tensor) -> tuple[Tensor, Tensor]:
        # The logits' batches would only disturb the averages that belong to the weights.
        return self._loss(x_bchw, y_b, update_statistics=False)

    def _loss(self, x_bchw: Tensor, y_b: Tensor, update_statistics: bool) -> tuple[Tensor, Tensor]:
        net = self.supernet
        operation_weights, edge_weights = self.method.operation_weights(net), self.method.edge_weights(net)
        with updates.autocast(self.config.run.precision, x_bchw.device):
            scores = net(
                x_bchw,
                operation_weights=operation_weights,
                edge_weights=edge_weights,
                update_statistics=update_statistics,
                generator=self.generator,
            )
        scores = scores.float()
        return F.cross_entropy(scores, y_b), scores

    def _check(self) -> None:
        """Refuse a state behind an update that was not finite."""
        with self._circumstances():
            self.weight_update.check()
            self.logit_update.check()

    @contextmanager
    def _circumstances(self) -> Iterator[None]:
        """Say with a loss that is not finite what may have led there."""
        try:
            yield
        except NotFiniteError as error:
            logits = torch.cat([p.detach().flatten() for p in self.supernet.logit_parameters()])
            raise NotFiniteError(
                f"{error} (learning rate {self.rate:.3g}, logits from {logits.min():.3g} to {logits.max():.3g})"
            ) from None

    def _validate(self) -> tuple[float, float]:
        self.supernet.eval()
        # Only the selector `random` draws; its choice is the same in every epoch.
        draws = generator(self.config.seed, "validation channels")
        batches = (self.validation.batch(0, step) for step in range(len(self.validation)))
        return updates.measure(lambda x: self.supernet(x, selection="average", generator=draws), batches, self.between)


class StepUpdates:
    """The two updates of one step; what a method calls, in its order."""

    def __init__(self, task: SearchTask, epoch: int, step: int) -> None:
        self.task, self.epoch, self.step = task, epoch, step
        self.logits_active = epoch >= task.config.search.warmup_epochs
        task.generator = generator(task.config.seed, "channels", epoch, step)

    def update_logits(self) -> dict[str, Tensor | float]:
        task = self.task
        batch = task.logit_batches.batch(self.epoch, self.step)
        sums = task.logit_update(task.config.logits.learning_rate, task.parts, *batch)
        return {f"logits_{name}": value for name, value in sums.items()}

    def update_weights(self) -> dict[str, Tensor | float]:
        task = self.task
        sums = task.weight_update(task.rate, task.parts, *task.weight_batches.batch(self.epoch, self.step))
        task.selection = Selection(task.weight_update.observed)
        return sums
