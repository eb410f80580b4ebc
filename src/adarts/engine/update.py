"""One update of parameters: the gradient of a batch's mean loss, clipped, looked at, and a step of the optimizer.

Search and training share it. :meth:`Update.compute` is the whole of it, from top to bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.settings import RunSettings
from adarts.engine.capture import Captured, CudaGraphs, Outputs
from adarts.engine.optimizers import runs_ahead
from adarts.errors import NotFiniteError

LossOf = Callable[..., tuple[Tensor, ...]]
"""(images, labels, whatever else a batch has) -> (mean loss, logits), and a penalty that is no part of the reported loss."""
Gradient = Callable[..., tuple[Tensor, Tensor]]
"""(accumulation, images, labels, ...) -> (sum of the losses, correct predictions); leaves the gradients of the mean loss in
``grad``."""
Masks = Mapping[nn.Parameter, Tensor]
"""Parameter -> bool that broadcasts to it: which entries an update may move."""
Sums = dict[str, Tensor | float]
"""What an update gives: sums over its batch of the loss, of correct predictions, and of images."""

CHECK_EVERY = 50
"""Updates between two looks at what a GPU has found: each look waits for it."""


def fix_arithmetic(device: torch.device) -> None:
    """On a GPU: float32 means float32 (no TF32), and the same convolution is computed in the same way every time."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def autocast(precision: Literal["float32", "bfloat16"], device: torch.device) -> torch.autocast:
    """Convolutions and matrix products inside in this precision; parameters and statistics stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def recorder(settings: RunSettings, device: torch.device) -> CudaGraphs | None:
    """What the updates of a run are captured with, or none where they run as they are."""
    return CudaGraphs(device) if settings.capture and device.type == "cuda" else None


@dataclass(frozen=True)
class Learned:
    """Parameters that an update moves, named for messages; a gradient longer than `clip` is scaled down to this norm."""

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
        learned: what the update moves; of several only the first follows the learning rate.
        gradient: of what is made small; :func:`backward` makes one of a loss.
        frozen: parameters that the loss depends on, too: their gradients would cost a third of the backward pass.
        masks: called after the gradient is known; entries that do not take part and are left alone.
        outputs: called after the gradient is known; what else the update gives, in :attr:`given`.
        recorder: what the update is captured with on a GPU.
    """

    def __init__(
        self,
        *learned: Learned,
        gradient: Gradient,
        frozen: Sequence[nn.Parameter] = (),
        masks: Callable[[], Masks] = dict,
        outputs: Callable[[], Outputs] = list,
        recorder: CudaGraphs | None = None,
    ) -> None:
        self.learned, self.gradient, self.frozen, self.masks, self.outputs = learned, gradient, frozen, masks, outputs
        self.whose = " and ".join(group.whose for group in learned)
        self.parameters = [p for group in learned for p in group.parameters]
        device = self.parameters[0].device
        self.runs_ahead = runs_ahead(device)
        #: sum of the losses and norms of the gradients: of the last update, or of the first one that was not finite
        self.figures = torch.zeros(1 + len(learned), device=device)
        self.images, self.accumulation, self.unchecked = 0, 1, 0
        #: what `outputs` gave at the last update
        self.given: Outputs = []
        if recorder is not None:
            self.compute = Captured(self.compute, recorder)  # type: ignore[method-assign]

    def __call__(self, *batch: Tensor, rate: float, accumulation: int = 1) -> Sums:
        """Carry it out.

        Args:
            batch: images, labels, and whatever else the loss takes, image by image.
            rate: the learning rate.
            accumulation: the gradients of so many smaller batches are added up where memory is short.
        """
        if accumulation != self.accumulation:
            self.forget_recording()
        self.images, self.accumulation = len(batch[0]), accumulation
        for group in self.learned[0].optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # the memory that a captured update reads
            else:
                group["lr"] = rate
        loss, correct, *self.given = self.compute(*batch)
        self.unchecked += 1
        if self.unchecked >= CHECK_EVERY:
            self.check()
        return {"loss": loss, "correct": correct, "images": float(self.images)}

    def compute(self, *batch: Tensor) -> Outputs:
        """Gradient, clipping, the look at both, step: (sum of the losses, correct predictions, outputs...)."""
        for parameters, wanted in ((self.parameters, True), (self.frozen, False)):
            for parameter in parameters:
                parameter.requires_grad_(wanted)
                parameter.grad = None
        loss, correct = self.gradient(self.accumulation, *batch)
        norms = [nn.utils.clip_grad_norm_(group.parameters, group.clip, foreach=True) for group in self.learned]
        self._require_finite(loss, norms)
        masks = self.masks()
        for group in self.learned:
            group.step(masks)
        return [loss, correct, *self.outputs()]

    def _require_finite(self, loss: Tensor, norms: Sequence[Tensor]) -> None:
        """See to it that the optimizers step with finite numbers only."""
        now = torch.stack([loss, *(norm.to(loss.device) for norm in norms)])
        if not self.runs_ahead:
            self.figures.copy_(now)
            self.check()
            return
        self.figures.copy_(torch.where(self.figures.isfinite().all(), now, self.figures))
        # The fused optimizers leave a step out where this says 1; torch's gradient scaler tells them in the same way.
        for group in self.learned:
            group.optimizer.found_inf = self.figures.isfinite().all().logical_not().float()  # type: ignore[attr-defined]

    def check(self) -> None:
        """Raise NotFiniteError if an update since the last check found one; all updates after it were left out."""
        loss, *norms = self.figures.tolist()
        late = f" in one of the last {self.unchecked} updates" if self.runs_ahead else ""
        self.unchecked = 0
        if not math.isfinite(loss):
            mean = loss / self.images
            raise NotFiniteError(f"the loss of {self.whose} is {mean} on a batch of {self.images} images{late}")
        for group, norm in zip(self.learned, norms, strict=True):
            if not math.isfinite(norm):
                raise NotFiniteError(f"the gradient of {group.whose} has the norm {norm}{late}")

    @property
    def recorded(self) -> bool:
        """Whether the update is replayed by now."""
        return isinstance(self.compute, Captured) and self.compute.recorded

    def forget(self) -> None:
        """Begin again, as after another state of an optimizer was loaded; gives the memory of a recording back."""
        self.forget_recording()
        self.figures.zero_()
        self.unchecked = 0

    def forget_recording(self) -> None:
        """Record anew where the update is captured."""
        if isinstance(self.compute, Captured):
            self.compute.forget()


def backward(loss_of: LossOf) -> Gradient:
    """The gradient of a loss by backward passes, whose gradients are added up."""

    def gradient(accumulation: int, *batch: Tensor) -> tuple[Tensor, Tensor]:
        x_bchw, y_b = batch[:2]
        total = torch.zeros((), device=x_bchw.device)
        correct = torch.zeros((), device=x_bchw.device)
        for part in zip(*(tensor.tensor_split(accumulation) for tensor in batch), strict=True):
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


@torch.no_grad()
def measure(
    logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], check_stop: Callable[[], None]
) -> tuple[float, float]:
    """Mean loss and accuracy over all batches; an operation that draws (S4) draws the same in every measurement.

    `check_stop` is called after each batch, so that a stop need not wait for the last one.
    """
    loss = correct = count = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for x_bchw, y_b in batches:
            logits = logits_of(x_bchw)
            loss += F.cross_entropy(logits, y_b, reduction="sum").item()
            correct += (logits.argmax(1) == y_b).sum().item()
            count += len(y_b)
            check_stop()
    return loss / count, correct / count
