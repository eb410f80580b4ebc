"""Recognize out-of-memory errors and report them in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adarts.errors import OutOfMemoryError

_PHRASES = ("allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory; torch's CPU allocator only says so in its message."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(phrase in str(error) for phrase in _PHRASES)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def out_of_memory_named(where: str) -> Iterator[None]:
    """Turn out-of-memory errors inside into :class:`OutOfMemoryError` with the place in the message."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory {where}: {first_line(error)}; choose a smaller network or batch"
        ) from error
