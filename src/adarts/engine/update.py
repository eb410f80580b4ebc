"""One update of parameters: compute the gradient of a batch's mean loss, clip it, check it, and step the optimizer.

Search and training share it. :meth:`Update.compute` contains the whole sequence.
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
from adarts.engine import parallel
from adarts.engine.capture import Captured, CudaGraphs, Outputs
from adarts.engine.optimizers import runs_ahead
from adarts.errors import NotFiniteError

LossOf = Callable[..., tuple[Tensor, ...]]
"""(images, labels, further tensors of the batch) -> (mean loss, logits, *penalties); penalties are minimized with the loss
but not reported as part of it."""
Gradient = Callable[..., tuple[Tensor, Tensor]]
"""(accumulation, images, labels, ...) -> (sum of the losses, correct predictions); stores the gradients of the mean loss of the
whole batch, of all processes, in ``grad``."""
Masks = Mapping[nn.Parameter, Tensor]
"""Parameter -> bool tensor that broadcasts to it: True where an update may change the entry."""
Sums = dict[str, Tensor | float]
"""Sums over the batch of an update: loss, correct predictions, images."""

CHECK_EVERY = 50
"""Updates between two checks for NaN and infinity on a GPU; each check waits for the device."""


def fix_arithmetic(device: torch.device) -> None:
    """On a GPU, disable TF32 and make convolutions deterministic."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def autocast(precision: Literal["float32", "bfloat16"], device: torch.device) -> torch.autocast:
    """Compute convolutions and matrix products inside in this precision; parameters and statistics stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def recorder(settings: RunSettings, device: torch.device) -> CudaGraphs | None:
    """The recorder of CUDA graphs for the updates of a run; None if they are not captured."""
    return CudaGraphs(device) if settings.capture and device.type == "cuda" and parallel.count() == 1 else None


@dataclass(frozen=True)
class Learned:
    """Parameters that an update changes.

    Attributes:
        optimizer: their optimizer.
        whose: their name in messages.
        clip: largest norm of their gradient; a longer one is scaled down.
    """

    optimizer: torch.optim.Optimizer
    whose: str
    clip: float = math.inf

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, masks: Masks) -> None:
        """Step the optimizer, but leave masked entries and their optimizer state unchanged."""
        masked = [p for p in self.parameters if p in masks and p.grad is not None]
        before = [{name: t.clone() for name, t in self._memory(p).items()} for p in masked]
        self.optimizer.step()
        for parameter, old in zip(masked, before, strict=True):
            for name, now in self._memory(parameter).items():
                # State that the optimizer created in this step starts from zeros.
                now.copy_(torch.where(masks[parameter], now, old.get(name, torch.zeros_like(now))))

    def _memory(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The parameter itself, and the optimizer's state tensors of the same shape."""
        state = self.optimizer.state.get(parameter, {})
        own = {n: t for n, t in state.items() if isinstance(t, Tensor) and t.shape == parameter.shape}
        return {"": parameter.detach(), **own}


class Update:
    """One update: compute the gradient of a batch's mean loss, clip it, and step the optimizer.

    The optimizer never uses a loss or gradient that is not finite. On the CPU, the update raises at once. On a GPU, the
    device skips this step and all later ones, and :meth:`check` raises, after at most :data:`CHECK_EVERY` updates. Call
    :meth:`check` before writing a checkpoint.

    Args:
        learned: parameters that the update changes; only the first group follows the learning rate.
        gradient: computes the gradients; :func:`backward` makes one from a loss.
        frozen: other parameters that the loss depends on. Computing their gradients, too, would cost a third of the
            backward pass.
        masks: called once the gradient is known; returns the entries that may change.
        outputs: called once the gradient is known; returns further results, stored in :attr:`given`.
        recorder: captures the update on a GPU.
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
        #: sum of the losses and norms of the gradients, from the last update or the first one that was not finite
        self.figures = torch.zeros(1 + len(learned), device=device)
        self.images, self.accumulation, self.unchecked = 0, 1, 0
        #: result of `outputs` in the last update
        self.given: Outputs = []
        if recorder is not None:
            self.compute = Captured(self.compute, recorder)  # type: ignore[method-assign]

    def __call__(self, *batch: Tensor, rate: float, accumulation: int = 1) -> Sums:
        """Run the update.

        Args:
            batch: images, labels, and further inputs of the loss, each with one entry per image.
            rate: learning rate.
            accumulation: number of micro-batches whose gradients are added, to save memory.
        """
        if accumulation != self.accumulation:
            self.forget_recording()
        self.images, self.accumulation = len(batch[0]), accumulation
        for group in self.learned[0].optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # in place: a captured update reads this memory
            else:
                group["lr"] = rate
        loss, correct, *self.given = self.compute(*batch)
        self.unchecked += 1
        if self.unchecked >= CHECK_EVERY:
            self.check()
        return {"loss": loss, "correct": correct, "images": float(self.images)}

    def compute(self, *batch: Tensor) -> Outputs:
        """Gradient, clipping, check, step. Returns [sum of the losses, correct predictions, *outputs]."""
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
        """Make sure that the optimizers only use finite numbers."""
        now = torch.stack([loss, *(norm.to(loss.device) for norm in norms)])
        if not self.runs_ahead:
            self.figures.copy_(now)
            self.check()
            return
        self.figures.copy_(torch.where(self.figures.isfinite().all(), now, self.figures))
        # Fused optimizers skip the step if found_inf is 1; torch's gradient scaler uses the same attribute.
        for group in self.learned:
            group.optimizer.found_inf = self.figures.isfinite().all().logical_not().float()  # type: ignore[attr-defined]

    def check(self) -> None:
        """Raise NotFiniteError if a loss or gradient since the last check was not finite; later updates were skipped."""
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
        """Whether the update has been captured and is replayed."""
        return isinstance(self.compute, Captured) and self.compute.recorded

    def forget(self) -> None:
        """Reset, e.g. after another optimizer state was loaded; frees the memory of a recording."""
        self.forget_recording()
        self.figures.zero_()
        self.unchecked = 0

    def forget_recording(self) -> None:
        """Discard the recording, if any; the update is captured again."""
        if isinstance(self.compute, Captured):
            self.compute.forget()


def backward(loss_of: LossOf, parameters: Sequence[nn.Parameter]) -> Gradient:
    """Make a gradient function from a loss; it adds up the gradients of micro-batches, and those of all processes.

    Args:
        loss_of: the loss.
        parameters: those whose gradients are wanted.
    """

    def gradient(accumulation: int, *batch: Tensor) -> tuple[Tensor, Tensor]:
        x_bchw, y_b = batch[:2]
        total = torch.zeros((), device=x_bchw.device)
        correct = torch.zeros((), device=x_bchw.device)
        parts = zip(*(tensor.tensor_split(accumulation * parallel.count()) for tensor in batch), strict=True)
        for part in parallel.share(parts):
            loss, logits, *penalties = loss_of(*part)
            y_part = part[1]
            share = sum(penalties, loss) * (len(y_part) / len(y_b))
            # A sample may leave a loss without a graph: GDAS with `none` on every edge of the last node.
            if share.requires_grad:
                share.backward()
            total += loss.detach() * len(y_part)
            correct += (logits.argmax(1) == y_part).sum()
        parallel.add_gradients(parameters, (total, correct))
        return total, correct

    return gradient


@torch.no_grad()
def measure(
    logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], check_stop: Callable[[], None]
) -> tuple[float, float]:
    """Mean loss and accuracy over all batches; if several processes measure, all get the numbers of the leader.

    Operations with random numbers (space S4) draw the same ones in every measurement. `check_stop` is called after each
    batch, so that a stop takes effect before the last one.
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
    return parallel.told((loss / count, correct / count))
