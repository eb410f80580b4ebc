"""Fixed networks: operations, networks built from genotypes, hand-designed networks, and their costs."""

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
