"""What can be found: operations, genotypes and their derivation, the network of a genotype and its cost."""

from adarts.space.cost import Cost, cost, count_macs, count_parameters
from adarts.space.derivation import derive
from adarts.space.description import DARTS, MAX_SKIPS, Space, get_space
from adarts.space.genotype import CellGenotype, Genotype, load_genotype, random_genotype
from adarts.space.network import DropPath, Network
from adarts.space.operations import OPERATIONS, FactorizedReduce, ReLUConvBN, build_operation

__all__ = [
    "DARTS",
    "MAX_SKIPS",
    "OPERATIONS",
    "CellGenotype",
    "Cost",
    "DropPath",
    "FactorizedReduce",
    "Genotype",
    "Network",
    "ReLUConvBN",
    "Space",
    "build_operation",
    "cost",
    "count_macs",
    "count_parameters",
    "derive",
    "get_space",
    "load_genotype",
    "random_genotype",
]
