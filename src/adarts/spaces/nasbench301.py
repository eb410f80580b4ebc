"""Genotypes in the format of NAS-Bench-301: a configuration with one entry per kept edge, and one for the inputs of each node.

``{"NetworkSelectorDatasetInfo:darts:inputs_node_normal_3": "0_2", "NetworkSelectorDatasetInfo:darts:edge_normal_2":
"sep_conv_3x3", ...}``: edges are numbered as in the space `darts`, by target, then by source. Node 2 always reads 0 and 1. The
benchmark also accepts the textual ``Genotype(...)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adarts.errors import DataError, nearest
from adarts.spaces.classical import KINDS
from adarts.spaces.limits import short
from adarts.spaces.spaces import DARTS

PREFIX = "NetworkSelectorDatasetInfo:darts:"
"""Prefix of the entries of the architecture; a configuration also has entries for the training."""

RESULT = "optimized_hyperparamater_config"
"""Field of the benchmark's result files with the configuration; the misspelling is theirs."""

_Nodes = tuple[tuple[tuple[str, int], ...], ...]

_OPERATIONS = tuple(name for name in DARTS.operations if name != "none")
_FIRST = DARTS.targets[0]
_INPUTS = re.compile(r"(\d)_(\d)", re.ASCII)


def is_configuration(document: Mapping[object, object]) -> bool:
    """Whether an object is a configuration of NAS-Bench-301."""
    return any(isinstance(key, str) and key.startswith(f"{PREFIX}edge_") for key in document)


def read(configuration: Mapping[object, object]) -> dict[str, _Nodes]:
    """Read the nodes of each kind of cell; each node has two pairs, the lower source first.

    Raises:
        DataError: an entry is missing, superfluous or wrong.
    """
    return {kind: _cell(name, configuration) for kind, name in KINDS.items()}


def write(cells: Mapping[str, _Nodes]) -> dict[str, str]:
    """Write cells as a configuration with only the entries of the architecture; the inverse of :func:`read`.

    Raises:
        DataError: the benchmark does not contain such cells.
    """
    configuration = {}
    for kind, name in KINDS.items():
        nodes = cells[kind]
        if len(nodes) != DARTS.num_nodes:
            raise DataError(f"genotype: cells of NAS-Bench-301 have {DARTS.num_nodes} nodes, not {len(nodes)}")
        for node, pairs in zip(DARTS.targets, nodes, strict=True):
            operations = {source: operation for operation, source in pairs}
            if len(pairs) != 2 or len(operations) != 2 or not set(operations.values()) <= set(_OPERATIONS):
                where, needed = f"{kind} cell, node {node}", ", ".join(_OPERATIONS)
                raise DataError(f"genotype: {where}: NAS-Bench-301 needs two different sources, and only {needed}")
            sources = sorted(operations)
            for source in sources:
                configuration[_edge(name, node, source)] = operations[source]
            if node != _FIRST:
                configuration[_inputs(name, node)] = "_".join(map(str, sources))
    return configuration


def _cell(name: str, configuration: Mapping[object, object]) -> _Nodes:
    nodes, known = [], {_inputs(name, node) for node in DARTS.targets if node != _FIRST}
    for node in DARTS.targets:
        sources = (0, 1) if node == _FIRST else _sources(name, node, configuration)
        keys = {source: _edge(name, node, source) for source in sources}
        nodes.append(tuple((_operation(key, configuration), source) for source, key in keys.items()))
        known |= set(keys.values())
    heads = f"{PREFIX}edge_{name}_", f"{PREFIX}inputs_node_{name}_"
    if extra := [key for key in configuration if str(key).startswith(heads) and key not in known]:
        what = "there is no such node, or no node reads along this edge"
        raise DataError(f"genotype: {short(extra[0])} is given, but {what}")
    return tuple(nodes)


def _sources(name: str, node: int, configuration: Mapping[object, object]) -> tuple[int, int]:
    key = _inputs(name, node)
    value = configuration.get(key)
    found = _INPUTS.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]) < int(found[2]) < node:
        raise DataError(f"genotype: {key} must name two nodes before {node}, as in '0_1', not {short(value)}")
    return int(found[1]), int(found[2])


def _operation(key: str, configuration: Mapping[object, object]) -> str:
    value = configuration.get(key)
    if not isinstance(value, str) or value not in _OPERATIONS:
        hint = nearest(str(value)[:60], _OPERATIONS)
        raise DataError(f"genotype: {key} must name an operation, not {short(value)}{hint}")
    return value


def _edge(name: str, node: int, source: int) -> str:
    return f"{PREFIX}edge_{name}_{DARTS.edges.index((source, node))}"


def _inputs(name: str, node: int) -> str:
    return f"{PREFIX}inputs_node_{name}_{node}"
