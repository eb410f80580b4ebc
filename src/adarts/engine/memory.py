"""Memory that does not suffice, recognized and said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adarts.errors import OutOfMemoryError

_PHRASES = ("allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice; torch's CPU allocator only says so in words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(phrase in str(error) for phrase in _PHRASES)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def out_of_memory_named(where: str) -> Iterator[None]:
    """Turn running out of memory inside into :class:`OutOfMemoryError`, which says where."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory {where}: {first_line(error)}; choose a smaller network or batch"
        ) from error
