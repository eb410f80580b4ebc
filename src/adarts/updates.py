"""What the search and the training of a fixed network share: a gradient in parts, SGD with a cosine, and measuring.

Nothing here keeps state: the learning rate is a function of the epoch, so that a checkpoint need not hold a schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.settings import WeightOptimiser
from adarts.errors import CheckpointError, NotFiniteError


def sgd(parameters: Sequence[nn.Parameter], settings: WeightOptimiser) -> torch.optim.SGD:
    """SGD as the settings say; ``foreach`` joins the many small tensors of a supernet."""
    return torch.optim.SGD(
        parameters,
        settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        foreach=True,
    )


def learning_rate(settings: WeightOptimiser, epoch: float, epochs: int, warmup: float = 0.0) -> float:
    """The learning rate at a moment: linear from 0 during the warm-up, then along a cosine to the final one.

    Args:
        settings: first and last learning rate.
        epoch: the moment, in epochs.
        epochs: the whole run.
        warmup: its first part.
    """
    if epoch < warmup:
        return settings.learning_rate * epoch / warmup
    progress = (epoch - warmup) / (epochs - warmup)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


def gradient_norm(parameters: Sequence[nn.Parameter], whose: str, clip: float = math.inf) -> None:
    """Refuse a gradient that is not finite, and scale one that is longer than ``clip`` down to it.

    Raises:
        NotFiniteError: the norm is NaN or infinite; the optimiser would spread that over all parameters.
    """
    norm = nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
    if not torch.isfinite(norm):
        raise NotFiniteError(f"the gradient of {whose} has the norm {norm.item()}")


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


def step_optimiser(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """One update with this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()


def backward(
    loss_of: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], x_bchw: Tensor, y_b: Tensor, parts: int, where: str
) -> dict[str, Tensor | float]:
    """Gradient of the mean loss of a batch, added up over ``parts`` smaller batches where memory is short.

    Args:
        loss_of: (images, labels) -> (mean loss, class scores).
        x_bchw: images.
        y_b: labels.
        parts: 1 takes the batch at once.
        where: what is being done, for the message.

    Returns:
        Sums of the loss, of the correct predictions, and the number of images.

    Raises:
        NotFiniteError: the loss is NaN or infinite; the gradient must not be used.
    """
    total = torch.zeros((), device=x_bchw.device)
    correct = torch.zeros((), device=x_bchw.device)
    for x_part, y_part in zip(x_bchw.tensor_split(parts), y_b.tensor_split(parts), strict=True):
        loss, scores = loss_of(x_part, y_part)
        (loss * (len(y_part) / len(y_b))).backward()
        total += loss.detach() * len(y_part)
        correct += (scores.argmax(1) == y_part).sum()
    if not torch.isfinite(total):
        raise NotFiniteError(f"the loss of {where} is {total.item() / len(y_b)} on a batch of {len(y_b)} images")
    return {"loss": total, "correct": correct, "images": float(len(y_b))}


@torch.no_grad()
def measure(
    scores_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], between: Callable[[], None]
) -> tuple[float, float]:
    """Mean loss and accuracy over all batches.

    Args:
        scores_of: images -> class scores.
        batches: images and labels.
        between: called after each batch, so that a stop need not wait for the last one.
    """
    loss = correct = count = 0.0
    for x_bchw, y_b in batches:
        scores = scores_of(x_bchw)
        loss += F.cross_entropy(scores, y_b, reduction="sum").item()
        correct += (scores.argmax(1) == y_b).sum().item()
        count += len(y_b)
        between()
    return loss / count, correct / count
