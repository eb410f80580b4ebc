"""The training task (section IV-B of the paper: cutout, auxiliary head, drop path, cosine).

Hand-designed networks are trained in the same way, without auxiliary head and drop path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adarts.config.settings import TrainConfig, TrainingSettings
from adarts.data import Augmentation, Batches, ImageData, Images, hold_out
from adarts.engine import parallel
from adarts.engine.checkpoints import require_same_images
from adarts.engine.optimizers import adamw, learning_rate, load_optimizer, sgd
from adarts.engine.update import Learned, Sums, Update, autocast, backward, fix_arithmetic, measure, recorder
from adarts.models import DropPath, Network
from adarts.models.baselines import Classifier
from adarts.seeding import derive_seed, drawing_on_the_cpu, generator
from adarts.training.config import usual_layers
from adarts.training.heat import HeatMaps, heat_maps
from adarts.training.results import Answers, worst_mistakes

WARM_ERROR = 0.8
"""The warm-up at a small learning rate ends after the first epoch with a training error below this (He et al., section 4.2)."""


class TrainTask:
    """Training of a fixed network.

    Args:
        config: the complete configuration.
        data: the images.
        network: the network, already on `device`.
        device: device of the run.
    """

    def __init__(self, config: TrainConfig, data: ImageData, network: nn.Module, device: torch.device) -> None:
        self.config, self.data, self.network, self.device = config, data, network, device
        self.check_stop: Callable[[], None] = lambda: None
        self.epochs = config.training.epochs
        #: whether the network may draw random numbers in a forward pass
        self.draws = network.draws if isinstance(network, Network) else not isinstance(network, Classifier)
        fix_arithmetic(device)
        optimizer = {"sgd": sgd, "adamw": adamw}[config.training.optimizer]
        self.optimizer: torch.optim.Optimizer = optimizer(list(network.parameters()), config.weights)
        self.update = Update(
            Learned(self.optimizer, "the weights", config.weights.clip),
            gradient=backward(self._loss, list(network.parameters())),
            recorder=None if self.draws else recorder(config.run, device),
        )
        kept, self.held_out = hold_out(data.train, config.training.validation_fraction, config.seed)
        batch = _fitting_batch(config, network, len(kept))
        parallel.require_enough(batch, "training.batch_size")
        self.batches = Batches(
            data.train,
            kept,
            batch_size=batch,
            seed=config.seed,
            purpose="training",
            augmentation=Augmentation.of(config.images, data),
            device=device,
            drop_last=True,  # batch normalization cannot use a last batch of one image
        )
        #: weights of the classes in the loss (classes,), or None
        self.class_weights = None
        if config.training.class_weights == "balanced":
            counts_k = torch.bincount(data.train.labels[kept], minlength=data.num_classes).clamp(min=1)
            self.class_weights = (len(kept) / (data.num_classes * counts_k)).to(device)
        #: blends the images and labels of a batch, or None
        self.mix = _mixing(config.training, data.num_classes)
        #: moving average of the network, or None
        self.averaged: AveragedModel | None = None
        if decay := config.training.average:
            self.averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        #: number of micro-batches whose gradients are added, to save memory
        self.accumulation = 1
        self.warm = config.training.warmup_learning_rate is None
        self.last_record: dict[str, Any] = {}

    def steps(self, epoch: int) -> int:
        return self.config.training.steps or len(self.batches)

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return the augmented images and the labels of a step."""
        return self.batches.batch(*divmod(epoch * self.steps(epoch) + step, len(self.batches)))

    def step(self, epoch: int, step: int) -> Sums:
        self.network.train()
        x_bchw, y_b = self.batch(epoch, step)
        rate = self._learning_rate(epoch + (step + 1) / self.steps(epoch), epoch)
        targets: tuple[Tensor, ...] = ()
        if self.mix is not None:
            with drawing_on_the_cpu(derive_seed(self.config.seed, "mix", epoch, step)):
                x_bchw, y_bk = self.mix(x_bchw, y_b)
            # An answer counts as correct if it is the class with the larger share.
            y_b, targets = y_bk.argmax(1), (y_bk,)
        batch = x_bchw, y_b, *targets, *self._path_scales(x_bchw, epoch, step)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else [], enabled=self.draws):
            if self.draws:
                torch.manual_seed(derive_seed(self.config.seed, "noise", epoch, step))
            sums = self.update(*batch, rate=rate, accumulation=self.accumulation)
        parallel.agree(self.network.buffers())
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return sums

    def _path_scales(self, x_bchw: Tensor, epoch: int, step: int) -> tuple[Tensor, ...]:
        """Drop path's factors of every image (batch, paths, 1, 1, 1), or nothing while no path is left out."""
        probability = self._drop_path(epoch)
        if probability == 0 or not isinstance(self.network, Network):
            return ()
        drop_path = DropPath(probability, generator(self.config.seed, "drop path", epoch, step))
        number = self.accumulation * parallel.count()
        parts = [drop_path.scales(self.network.num_paths, part) for part in x_bchw.tensor_split(number)]
        return (torch.cat(parts, 1).transpose(0, 1),)

    def _loss(self, x_bchw: Tensor, y_b: Tensor, *further: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss and the logits; further tensors are the shares of mixed classes, and the factors of drop path, if any."""
        config = self.config
        targets, scales_bp111 = (y_b, further) if self.mix is None else (further[0], further[1:])
        with autocast(config.run.precision, x_bchw.device):
            output = self.network(x_bchw, *(scales.transpose(0, 1) for scales in scales_bp111))
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        logits = logits.float()
        loss = self._cross_entropy(logits, targets)
        if auxiliary is not None:
            loss = loss + config.network.auxiliary_weight * self._cross_entropy(auxiliary.float(), targets)
        return loss, logits

    def _cross_entropy(self, logits_bk: Tensor, targets: Tensor) -> Tensor:
        """The mean over the images; the targets are labels (b,) or shares of the classes (b, k).

        With weights it is not torch's weighted mean: that divides by the weights in the batch, so a batch without rare classes
        would count as much as one with them, and the common classes would weigh more over an epoch.
        """
        smoothing = self.config.training.label_smoothing
        if self.class_weights is None:
            return F.cross_entropy(logits_bk, targets, label_smoothing=smoothing)
        how: dict[str, Any] = {"reduction": "none", "label_smoothing": smoothing}
        losses_b = F.cross_entropy(logits_bk, targets, self.class_weights, **how)
        return losses_b.mean()

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        self.update.check()
        parallel.require_equal("the weights", list(self.network.parameters()))
        record = {
            "epoch": epoch,
            "learning_rate": self._learning_rate(float(epoch), epoch),
            "drop_path": self._drop_path(epoch),
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
        }
        if len(self.held_out):
            record["validation_loss"], record["validation_accuracy"] = self.measure(self.data.train, self.held_out)
        self.last_record = record
        self.warm = self.warm or 1 - record["train_accuracy"] < WARM_ERROR
        return record

    def describe(self, record: Mapping[str, Any]) -> str:
        line = f"train {record['train_loss']:.3f} / {record['train_accuracy']:.1%}"
        if "validation_accuracy" in record:
            line += f"  held out {record['validation_loss']:.3f} / {record['validation_accuracy']:.1%}"
        return line

    def state_dict(self) -> dict[str, Any]:
        self.update.check()
        return {
            "network": dict(self.network.state_dict()),
            "averaged": None if self.averaged is None else dict(self.averaged.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "accumulation": self.accumulation,
            "warm": self.warm,
            "last_record": self.last_record,
            "data": self.data.fingerprint,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        require_same_images(self.data.fingerprint, state["data"])
        self.network.load_state_dict(state["network"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.update.forget()
        self.accumulation, self.warm, self.last_record = state["accumulation"], state["warm"], state["last_record"]

    def halve_batch(self) -> bool:
        if self.batches.batch_size // (2 * self.accumulation) < 2:  # batch normalization needs two images
            return False
        self.accumulation *= 2
        return True

    @property
    def result(self) -> nn.Module:
        """The network that is measured and saved: the average if there is one, else the trained one."""
        return self.network if self.averaged is None else self.averaged.module

    def measure(self, images: Images, indices: Tensor) -> tuple[float, float]:
        """Mean loss and accuracy on images that are normalized but not augmented."""
        size = max(1, 2 * self.batches.batch_size // self.accumulation)
        network = self.result.eval()
        return measured(network, images, indices, self.data, size, self.device, self.check_stop)

    def test(self, data: ImageData) -> Answers:
        """The answers on the test images of some data, in the form of those of the training."""
        size = max(1, 2 * self.batches.batch_size // self.accumulation)
        return tested(self.result.eval(), data, size, self.device, self.check_stop)

    @property
    def held_out_data(self) -> ImageData:
        """The held-out images in place of the test images."""
        return dataclasses.replace(self.data, test=self.data.train.select(self.held_out))

    def heat_maps(self, answers: Answers) -> HeatMaps:
        """Heat maps of the worst mistakes."""
        worst = worst_mistakes(self.data, answers)
        if not len(worst):
            return HeatMaps()
        batches = _plain_batches(self.data.test, worst, self.data, 1, self.device)
        answer_b = answers.predicted_b[worst, None].to(self.device)
        images = ((*batches.batch(0, step), answer_1) for step, answer_1 in enumerate(answer_b))
        return heat_maps(self.result.eval(), images, self.check_stop)

    def _learning_rate(self, time: float, epoch: int) -> float:
        """The learning rate. It changes per epoch, as in the code of DARTS; only the linear warm-up changes per step."""
        warmup, small = self.config.training.learning_rate_warmup, self.config.training.warmup_learning_rate
        at = time if time < warmup else max(float(epoch), warmup)
        rate = learning_rate(self.config.weights, at, self.epochs, warmup)
        return rate if self.warm or small is None else min(rate, small)

    def _drop_path(self, epoch: int) -> float:
        return self.config.network.drop_path * epoch / self.epochs


def _mixing(settings: TrainingSettings, num_classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """A function from images and labels to blended images and shares of the classes (b, k), which draws from torch's generator of
    the CPU; None if nothing is blended.
    """
    if not (settings.mixup or settings.cutmix):
        return None
    from torchvision.transforms import v2  # takes long to load

    known = (v2.MixUp, settings.mixup), (v2.CutMix, settings.cutmix)
    found: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = v2.RandomChoice(
        [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in known if alpha]
    )
    return found


def tested(
    network: nn.Module,
    data: ImageData,
    batch_size: int,
    device: torch.device,
    check_stop: Callable[[], None] = lambda: None,
) -> Answers:
    """The answers of a network in evaluation mode on the test images."""
    best: list[tuple[Tensor, Tensor]] = []

    def recorded(x_bchw: Tensor) -> Tensor:
        logits: Tensor = network(x_bchw)
        predicted_b1 = logits.argmax(1, keepdim=True)
        best.append((predicted_b1[:, 0].cpu(), logits.float().softmax(1).gather(1, predicted_b1)[:, 0].cpu()))
        return logits

    indices = torch.arange(len(data.test))
    loss, accuracy = measured(recorded, data.test, indices, data, batch_size, device, check_stop)
    predicted_b, confidence_b = (torch.cat(parts) for parts in zip(*best, strict=True))
    return Answers(loss, accuracy, predicted_b, confidence_b)


def measured(
    network: Callable[[Tensor], Tensor],
    images: Images,
    indices: Tensor,
    data: ImageData,
    batch_size: int,
    device: torch.device,
    check_stop: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Mean loss and accuracy of a network on selected images, which are normalized but not augmented."""
    batches = _plain_batches(images, indices, data, batch_size, device)
    return measure(network, (batches.batch(0, step) for step in range(len(batches))), check_stop)


def _plain_batches(images: Images, indices: Tensor, data: ImageData, batch_size: int, device: torch.device) -> Batches:
    """Batches of selected images in their order, normalized but not augmented."""
    return Batches(
        images,
        indices,
        batch_size=batch_size,
        seed=0,
        purpose="measure",
        augmentation=Augmentation.plain(data),
        device=device,
        drop_last=False,
        shuffle=False,
    )


def _fitting_batch(config: TrainConfig, network: nn.Module, images: int) -> int:
    """The batch size, reduced to the number of images if a scale or recipe chose it; an explicit size is kept."""
    batch = config.training.batch_size
    if not 2 <= images < batch:
        return batch
    space = network.genotype.space if isinstance(network, Network) else None
    usual = usual_layers(config, space)
    return images if batch == usual["training"]["batch_size"] else batch
