"""What the search and the training of a fixed network share: one update of parameters, its learning rate, and measuring.

The learning rate is a function of the epoch, so that a checkpoint need not hold a schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.settings import AlphaOptimizer, WeightOptimizer
from adarts.engine.capture import Outputs, Recorder, Replayed
from adarts.errors import CheckpointError, NotFiniteError

LossOf = Callable[..., tuple[Tensor, ...]]
"""(images, labels, whatever else a batch has) -> (mean loss, class logits), and what is made small with the loss but is no part
of the loss that is reported."""
Gradient = Callable[..., tuple[Tensor, Tensor]]
"""(parts, images, labels, ...) -> (sum of the losses, correct predictions); leaves the gradients of the mean loss in ``grad``."""
Masks = Mapping[nn.Parameter, Tensor]
"""Parameter -> bool that broadcasts to it: which entries an update may move."""

CHECK_EVERY = 50
"""Updates between two looks at what a GPU has found: each look waits for it."""


def runs_ahead(device: torch.device) -> bool:
    """Whether the program may be many updates ahead of the device, so that nothing should ask it for a value."""
    return device.type == "cuda"


def fix_arithmetic(device: torch.device) -> None:
    """On a GPU: float32 means float32 (no TF32), and the same convolution is computed in the same way every time."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def autocast(precision: Literal["float32", "bfloat16"], device: torch.device) -> torch.autocast:
    """Convolutions and matrix products inside in this precision; parameters and statistics stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def sgd(parameters: Sequence[nn.Parameter], settings: WeightOptimizer) -> torch.optim.SGD:
    """SGD as the settings say, for the many small tensors of a supernet; on a GPU the learning rate lies there, too."""
    ahead = runs_ahead(parameters[0].device)
    return torch.optim.SGD(
        parameters,
        torch.tensor(settings.learning_rate, device=parameters[0].device) if ahead else settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        foreach=not ahead,
        fused=ahead,
    )


def adam(parameters: Sequence[nn.Parameter], settings: AlphaOptimizer) -> torch.optim.Adam:
    """Adam as the settings say."""
    ahead = runs_ahead(parameters[0].device)
    return torch.optim.Adam(
        parameters,
        settings.learning_rate,
        (settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        capturable=parameters[0].is_cuda,
        fused=ahead or None,
    )


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Take over what an optimizer has gathered, but not how the one that gathered it worked: that was on its device."""
    rates = [group["lr"] for group in optimizer.param_groups]
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # the tensor itself, where it is one


def learning_rate(settings: WeightOptimizer, epoch: float, epochs: int, warmup: float = 0.0) -> float:
    """The learning rate at a moment: linear from 0 during the warm-up, then along a cosine to the final one, or in steps.

    Args:
        settings: first and last learning rate, and the milestones.
        epoch: the moment, in epochs.
        epochs: the whole run.
        warmup: its first part.
    """
    if epoch < warmup:
        return settings.learning_rate * epoch / warmup
    if settings.milestones:
        # Rounded: 0.55 of 100 epochs would be a little more than 55, and so begin an epoch late.
        passed = sum(epoch >= round(share * epochs, 6) for share in settings.milestones)
        return settings.learning_rate * 0.1**passed
    progress = (epoch - warmup) / (epochs - warmup)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


def backward(loss_of: LossOf) -> Gradient:
    """The gradient of a loss by one backward pass for each part of the batch."""

    def gradient(parts: int, *batch: Tensor) -> tuple[Tensor, Tensor]:
        x_bchw, y_b = batch[:2]
        total = torch.zeros((), device=x_bchw.device)
        correct = torch.zeros((), device=x_bchw.device)
        for part in zip(*(tensor.tensor_split(parts) for tensor in batch), strict=True):
            loss, logits, *penalties = loss_of(*part)
            y_part = part[1]
            share = sum(penalties, loss) * (len(y_part) / len(y_b))
            # A sample may leave nothing that the loss hangs on: GDAS with `none` on every edge of the last node.
            if share.requires_grad:
                share.backward()
            total += loss.detach() * len(y_part)
            correct += (logits.argmax(1) == y_part).sum()
        return total, correct

    return gradient


@dataclass(frozen=True)
class Moved:
    """Parameters that an update moves.

    Attributes:
        optimizer: of the parameters.
        whose: the parameters in words, for messages.
        clip: a longer gradient is scaled down to this norm.
    """

    optimizer: torch.optim.Optimizer
    whose: str
    clip: float = math.inf

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, masks: Masks) -> None:
        """One step of the optimizer that leaves masked entries alone, and its own memory of them."""
        masked = [p for p in self.parameters if p in masks and p.grad is not None]
        before = [{name: t.clone() for name, t in self._memory(p).items()} for p in masked]
        self.optimizer.step()
        for parameter, old in zip(masked, before, strict=True):
            for name, now in self._memory(parameter).items():
                # What the optimizer has begun to remember with this very step, it begins with zeros.
                now.copy_(torch.where(masks[parameter], now, old.get(name, torch.zeros_like(now))))

    def _memory(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The parameter's entries, and what the optimizer remembers entry by entry."""
        state = self.optimizer.state.get(parameter, {})
        own = {n: t for n, t in state.items() if isinstance(t, Tensor) and t.shape == parameter.shape}
        return {"": parameter.detach(), **own}


class Update:
    """One update: the gradient of a batch's mean loss, clipped, and a step of the optimizer.

    A loss or gradient that is not finite is refused before the optimizer uses it. On the CPU that is said at once. A GPU
    finds it by itself, and leaves out that step and all later ones; :meth:`check` says it, at the latest after
    :data:`CHECK_EVERY` updates. Whoever writes a checkpoint checks first.

    Args:
        moved: what the update moves; of several parts only the first follows the learning rate.
        gradient: of what is made small.
        frozen: parameters that the loss depends on, too: their gradients would cost a third of the backward pass.
        masks: called after the gradient is known; entries that do not take part and are left alone.
        observe: called after the gradient is known; what else the update gives.
        recorder: what a step on a GPU is recorded with.
    """

    def __init__(
        self,
        *moved: Moved,
        gradient: Gradient,
        frozen: Sequence[nn.Parameter] = (),
        masks: Callable[[], Masks] = dict,
        observe: Callable[[], Outputs] = list,
        recorder: Recorder | None = None,
    ) -> None:
        self.moved, self.gradient, self.frozen, self.masks, self.observe = moved, gradient, frozen, masks, observe
        self.whose = " and ".join(part.whose for part in moved)
        self.parameters = [p for part in moved for p in part.parameters]
        device = self.parameters[0].device
        self.runs_ahead = runs_ahead(device)
        #: sum of the losses and norms of the gradients: of the last update, or of the first one that was not finite
        self.figures = torch.zeros(1 + len(moved), device=device)
        self.images, self.parts, self.unchecked = 0, 1, 0
        #: what `observe` gave at the last update
        self.observed: Outputs = []
        self._step = Replayed(self._compute, recorder)

    def __call__(self, rate: float, parts: int, *batch: Tensor) -> dict[str, Tensor | float]:
        """Carry it out.

        Args:
            rate: the learning rate.
            parts: gradients are added up over so many smaller batches where memory is short; 1 takes the batch at once.
            batch: images, labels, and whatever else the loss takes, image by image.

        Returns:
            Sums of the loss, of the correct predictions, and the number of images.

        Raises:
            NotFiniteError: the loss or the gradient is NaN or infinite.
        """
        if parts != self.parts:
            self._step.forget()
        self.images, self.parts = len(batch[0]), parts
        for group in self.moved[0].optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # the memory that a recorded step reads
            else:
                group["lr"] = rate
        loss, correct, *self.observed = self._step(*batch)
        self.unchecked += 1
        if self.unchecked >= CHECK_EVERY:
            self.check()
        return {"loss": loss, "correct": correct, "images": float(self.images)}

    @property
    def recorded(self) -> bool:
        """Whether the step is replayed by now."""
        return self._step.recorded

    def check(self) -> None:
        """Raise if an update since the last check found a loss or gradient that is not finite.

        Raises:
            NotFiniteError: it did; all updates after it were left out.
        """
        loss, *norms = self.figures.tolist()
        late = f" in one of the last {self.unchecked} updates" if self.runs_ahead else ""
        self.unchecked = 0
        if not math.isfinite(loss):
            mean = loss / self.images
            raise NotFiniteError(f"the loss of {self.whose} is {mean} on a batch of {self.images} images{late}")
        for part, norm in zip(self.moved, norms, strict=True):
            if not math.isfinite(norm):
                raise NotFiniteError(f"the gradient of {part.whose} has the norm {norm}{late}")

    def forget(self) -> None:
        """Begin again, as after another state of an optimizer was loaded; gives the memory of a recorded step back."""
        self._step.forget()
        self.figures.zero_()
        self.unchecked = 0

    def _compute(self, *batch: Tensor) -> Outputs:
        for parameters, wanted in ((self.parameters, True), (self.frozen, False)):
            for parameter in parameters:
                parameter.requires_grad_(wanted)
                parameter.grad = None
        total, correct = self.gradient(self.parts, *batch)
        norms = [nn.utils.clip_grad_norm_(part.parameters, part.clip, foreach=True) for part in self.moved]
        self._look_at(total, norms)
        masks = self.masks()
        for part in self.moved:
            part.step(masks)
        return [total, correct, *self.observe()]

    def _look_at(self, total: Tensor, norms: Sequence[Tensor]) -> None:
        """See to it that the optimizers step with finite numbers only."""
        now = torch.stack([total, *(norm.to(total.device) for norm in norms)])
        if not self.runs_ahead:
            self.figures.copy_(now)
            self.check()
            return
        self.figures.copy_(torch.where(self.figures.isfinite().all(), now, self.figures))
        # The fused optimizers leave a step out where this says 1; torch's gradient scaler tells them in the same way.
        for part in self.moved:
            part.optimizer.found_inf = self.figures.isfinite().all().logical_not().float()  # type: ignore[attr-defined]


def require_same_images(now: str, before: str) -> None:
    """Refuse to continue with other images: the splits would mix what was held out with what was learned from.

    Raises:
        CheckpointError: the fingerprints differ.
    """
    if now != before:
        raise CheckpointError(
            f"the images are not those that the run began with (fingerprint {before[:12]}, now {now[:12]}); "
            "bring them back or start a new run"
        )


@torch.no_grad()
def measure(
    logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], between: Callable[[], None]
) -> tuple[float, float]:
    """Mean loss and accuracy over all batches; an operation that draws (S4) draws the same in every measurement.

    Args:
        logits_of: images -> class logits.
        batches: images and labels.
        between: called after each batch, so that a stop need not wait for the last one.
    """
    loss = correct = count = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for x_bchw, y_b in batches:
            logits = logits_of(x_bchw)
            loss += F.cross_entropy(logits, y_b, reduction="sum").item()
            correct += (logits.argmax(1) == y_b).sum().item()
            count += len(y_b)
            between()
    return loss / count, correct / count
