"""What can be found: operations, genotypes and their derivation, the network of a genotype and its cost."""

from adarts.space.cost import Cost, OperationCost, cost, count_macs, count_parameters, operation_cost
from adarts.space.derivation import at_least, decided_edges, derive, never_none, strongest_edges, strongest_pairs
from adarts.space.description import Space
from adarts.space.genotype import CellGenotype, Genotype, load_genotype, random_genotype
from adarts.space.network import DropPath, Network
from adarts.space.operations import OPERATIONS, FactorizedReduce, ReLUConvBN, ResidualReduction, build_operation
from adarts.space.spaces import DARTS, NASBENCH201, SPACES, get_space

__all__ = [
    "DARTS",
    "NASBENCH201",
    "OPERATIONS",
    "SPACES",
    "CellGenotype",
    "Cost",
    "DropPath",
    "FactorizedReduce",
    "Genotype",
    "Network",
    "OperationCost",
    "ReLUConvBN",
    "ResidualReduction",
    "Space",
    "at_least",
    "build_operation",
    "cost",
    "count_macs",
    "count_parameters",
    "decided_edges",
    "derive",
    "get_space",
    "load_genotype",
    "never_none",
    "operation_cost",
    "random_genotype",
    "strongest_edges",
    "strongest_pairs",
]
