"""The processes of one run. Each computes a share of every batch; gradients and sums are added up.

``torchrun`` (or the setting ``run.processes``) starts the processes and numbers them. All have the same images and the same
weights, because they apply the same updates. Process 0, the leader, writes the run folder; the others write nothing. Without
such a start there is one process, and everything here costs nothing.

Backends: gloo for tensors on a CPU, nccl on GPUs. With nccl, nothing was measured or tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adarts.engine.signals import StoppedAtOnce
from adarts.errors import CheckpointError, ConfigError
from adarts.launch import leads as leads  # exported, so that a run asks one module only
from adarts.launch import planned as planned

T = TypeVar("T")


@contextmanager
def joined() -> Iterator[None]:
    """Context in which the processes work together."""
    if not planned() or dist.is_initialized():
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Number of processes that work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(parts: Iterable[T]) -> Sequence[T]:
    """The parts of a batch that this process computes: every n-th one, from its own number on."""
    return list(parts)[dist.get_rank() :: count()] if count() > 1 else list(parts)


def require_enough(batch_size: int, what: str) -> None:
    """Raise a ConfigError unless every process gets at least two images of a batch, as batch normalization needs."""
    if batch_size < 2 * count():
        raise ConfigError(f"{what} is {batch_size}; {count()} processes need at least {2 * count()} images")


def add(tensors: Sequence[Tensor]) -> None:
    """Add up tensors over the processes, in place."""
    if count() > 1:
        _in_one(tensors, dist.all_reduce)


def add_gradients(parameters: Iterable[nn.Parameter], sums: Sequence[Tensor] = ()) -> None:
    """Add up the gradients of parameters, and further sums, in place; a gradient that no process has stays None."""
    if count() == 1:
        return
    known = list(parameters)
    there = known[0].new_tensor([float(parameter.grad is not None) for parameter in known])
    for parameter in known:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    add([*(parameter.grad for parameter in known if parameter.grad is not None), *sums, there])
    for parameter, number in zip(known, there.tolist(), strict=True):
        if number == 0:
            parameter.grad = None


def agree(tensors: Iterable[Tensor]) -> None:
    """Make tensors equal in all processes, in place: the mean of numbers, else what the leader has.

    Running statistics need this, because each process has seen its share of the batch only.
    """
    if count() == 1:
        return
    given = list(tensors)
    _in_one([tensor for tensor in given if tensor.is_floating_point()], _average)
    _in_one([tensor for tensor in given if not tensor.is_floating_point()], dist.broadcast, 0)


def require_equal(what: str, tensors: Sequence[Tensor]) -> None:
    """Raise a CheckpointError in all processes unless tensors are equal to the bit in all of them."""
    if count() == 1:
        return
    mine = torch.cat([tensor.detach().flatten() for tensor in tensors])
    leaders = mine.clone()
    _together(dist.broadcast, leaders, 0)
    (differ,) = largest(int(not torch.equal(mine, leaders)))
    if differ:
        raise CheckpointError(
            f"{what} differ between the {count()} processes, so their machines do not compute alike; continue from the last "
            "checkpoint on machines of one kind"
        )


def largest(*values: int) -> list[int]:
    """The largest of each value over the processes."""
    if count() == 1:
        return list(values)
    numbers = torch.tensor(values)
    _together(dist.all_reduce, numbers, dist.ReduceOp.MAX)
    return [int(value) for value in numbers]


def told(value: T) -> T:
    """The value that the leader has; it must be possible to pickle it."""
    if count() == 1:
        return value
    values = [value]
    _together(dist.broadcast_object_list, values, 0)
    return values[0]


def wait() -> None:
    """Wait until all processes are here."""
    if count() > 1:
        largest(0)


def in_turn(action: Callable[[], T]) -> T:
    """Let the leader do something first, then all others; return when all have done it."""
    if count() == 1:
        return action()
    if leads():
        done = action()
    wait()
    if not leads():
        done = action()
    wait()
    return done


def _average(flat: Tensor) -> None:
    dist.all_reduce(flat)
    flat.div_(count())


def _in_one(tensors: Sequence[Tensor], operation: Callable[..., Any], *arguments: Any) -> None:
    """Run one collective operation on tensors, in place."""
    if not tensors:
        return
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    _together(operation, flat, *arguments)
    for tensor, result in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.detach().copy_(result.view_as(tensor))


def _together(operation: Callable[..., Any], *arguments: Any) -> None:
    """Run a collective operation; if another process has ended, end this one, too."""
    try:
        operation(*arguments)
    except RuntimeError as error:
        # The step is incomplete, so no checkpoint is written.
        raise StoppedAtOnce(
            "another process of this run has ended; without --run-dir, add --resume to continue from the last checkpoint",
            143,
        ) from error
