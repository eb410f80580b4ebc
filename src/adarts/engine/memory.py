"""Amounts of memory as people write them; memory that does not suffice, recognized and said in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adarts.errors import ConfigError, OutOfMemoryError

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_PHRASES = ("allocate memory", "not enough memory", "ALLOC_FAILED")


def parse_memory_limit(setting: str | None) -> int | None:
    """The bytes of `run.memory_limit`: 8GB is 8e9, 7.5GiB is 7.5 times 2^30; None for auto and for none.

    Raises:
        ConfigError: it is no such amount, or it is zero.
    """
    if setting in (None, "auto"):
        return None
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([MGT]I?B)", str(setting).strip().upper())
    if not match or not (amount := int(float(match[1]) * _UNITS[match[2]])):
        what = f"--memory-limit (run.memory_limit) '{str(setting)[:40]}'"
        raise ConfigError(f"{what} is not an amount of memory; write it like 8GB or 7.5GiB")
    return amount


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
