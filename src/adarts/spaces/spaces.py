"""The search spaces of the package, and the registry for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adarts.errors import ConfigError, DataError
from adarts.registry import Registry
from adarts.spaces.description import Space

DARTS = Space(
    name="darts",
    title="DARTS",
    operations=(
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    cell_kinds=("normal", "reduction"),
    num_inputs=2,
    num_nodes=4,
    kept_edges=2,
    weight_free=frozenset({"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"}),
    max_skips=2,  # the criterion of DARTS+ and P-DARTS
)

NASBENCH201 = Space(
    name="nasbench201",
    title="NAS-Bench-201 (NATS-Bench topology)",
    operations=("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
    cell_kinds=("normal",),
    num_inputs=1,
    num_nodes=3,
    kept_edges=None,
    weight_free=frozenset({"none", "skip_connect", "avg_pool_3x3"}),
    max_skips=3,  # more than half of the six edges
    reduction_kind=None,
    stem_multiplier=1,
    all_nodes=False,
    preprocessed=False,
    normalized_pools=False,
)
"""Dong, Yang: NAS-Bench-201, ICLR 2020. The true accuracy of all 15,625 cells is known (:mod:`adarts.truth`)."""

# Zela et al.: Understanding and Robustifying Differentiable Architecture Search, ICLR 2020: spaces in which DARTS fails. In the
# first, every edge chooses between two operations of its own.
_MAX, _AVG, _SKIP = "max_pool_3x3", "avg_pool_3x3", "skip_connect"
_SEP3, _DIL3, _DIL5 = "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"
_S1_NORMAL = (
    (_SKIP, _DIL3),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
    (_SKIP, _SEP3),
    (_SKIP, _DIL3),
    (_MAX, _SKIP),
    (_SKIP, _SEP3),
    (_SKIP, _SEP3),
    (_SKIP, _DIL3),
    (_SKIP, _SEP3),
    (_MAX, _SKIP),
    (_SKIP, _DIL3),
    (_DIL3, _DIL5),
    (_DIL3, _DIL5),
)
_S1_REDUCTION = (
    (_MAX, _AVG),
    (_MAX, _DIL3),
    (_MAX, _AVG),
    (_MAX, _AVG),
    (_SKIP, _DIL5),
    (_MAX, _AVG),
    (_MAX, _SEP3),
    (_SKIP, _DIL3),
    (_SKIP, _DIL5),
    (_MAX, _AVG),
    (_MAX, _AVG),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
)
S1 = replace(
    DARTS,
    name="s1",
    title="S1: two operations for each edge",
    operations=(_MAX, _AVG, _SKIP, _SEP3, _DIL3, _DIL5),
    candidates=(_S1_NORMAL, _S1_REDUCTION),
)
S2 = replace(DARTS, name="s2", title="S2: skip or sep_conv_3x3", operations=(_SKIP, _SEP3))
S3 = replace(DARTS, name="s3", title="S3: none, skip or sep_conv_3x3", operations=("none", _SKIP, _SEP3))


S4 = replace(
    DARTS,
    name="s4",
    title="S4: noise or sep_conv_3x3",
    operations=("noise", _SEP3),
    weight_free=DARTS.weight_free | {"noise"},
)


def _check(space: object) -> None:
    if not isinstance(space, Space):
        raise TypeError(f"{space!r:.60} is not an adarts.spaces.Space")


SPACES: Registry[Space] = Registry("space", "adarts.spaces", _check, lambda space: space.name)
for _space in (DARTS, NASBENCH201, S1, S2, S3, S4):
    SPACES.add(_space.name, _space)
OWN = frozenset(SPACES.known)
"""The spaces of the package. Files with cells of any other space include its description."""


def register_space(space: Space) -> Space:
    """Register a space under its name.

    Raises:
        ValueError: another space has this name.
        TypeError: the object is not a space.
    """
    _check(space)
    if SPACES.known.get(space.name) != space:
        SPACES.add(space.name, space)
    return space


def get_space(name: str) -> Space:
    """Look up a space by name, or load ``path/to/file.py:NAME``, which executes the file.

    Raises:
        ConfigError: the space is unknown, cannot be loaded, or has the name of another space.
    """
    space = SPACES.get(name)
    try:
        return register_space(space)
    except ValueError as error:
        raise ConfigError(f"space '{name}': {error}; give it another name") from None


def described_space(document: Mapping[Any, Any]) -> Space:
    """Read and register the space described in a file.

    Raises:
        DataError: the description is invalid, or differs from the known space of this name.
    """
    try:
        space = Space.from_dict(document)
    except ConfigError as error:
        raise DataError(str(error)) from None
    known = SPACES.known.setdefault(space.name, space)
    if known != space:
        mine, other = known.to_dict(), space.to_dict()
        differ = ", ".join(name for name in mine if mine[name] != other[name])
        raise DataError(f"its space '{space.name}' differs from the known space of this name: {differ} differ")
    return known
