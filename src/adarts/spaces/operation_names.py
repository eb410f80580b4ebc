"""The names of the operations in genotypes; :mod:`adarts.models.operations` implements them."""

from __future__ import annotations

from adarts.errors import nearest

OPERATION_NAMES: set[str] = {
    "none",
    "noise",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "max_pool_5x5",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "grouped_conv_3x1_1x3",
    "norm_max_pool_3x3",
}
"""Includes operations of published cells that no space searches. Registering an operation adds its name."""

WITHOUT_DRAWS = frozenset(OPERATION_NAMES - {"noise"})
"""Operations that draw no random numbers from torch's generator. Registered operations are assumed to draw some."""


def unknown_operation(name: str) -> str:
    """The error message for an operation that is not registered."""
    own = "load your own operations with --space FILE.py:NAME"
    return f"unknown operation {name[:60]!r}: {own}{nearest(name[:60], OPERATION_NAMES)}"
