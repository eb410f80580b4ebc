"""Torch modules of fixed networks: operations, the network of a genotype, hand-designed networks, and what they cost."""

from adarts.models.cost import Cost, OperationCost, cost, count_macs, count_parameters, operation_cost, width_for
from adarts.models.network import DropPath, Network
from adarts.models.operations import (
    OPERATIONS,
    FactorizedReduce,
    ReLUConvBN,
    ResidualReduction,
    build_operation,
    register_operation,
)

__all__ = [
    "OPERATIONS",
    "Cost",
    "DropPath",
    "FactorizedReduce",
    "Network",
    "OperationCost",
    "ReLUConvBN",
    "ResidualReduction",
    "build_operation",
    "cost",
    "count_macs",
    "count_parameters",
    "operation_cost",
    "register_operation",
    "width_for",
]
