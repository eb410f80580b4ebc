"""Search spaces as data, genotypes and their file formats, and the derivation of cells."""

from adarts.spaces.derivation import at_least, decided_edges, derive, never_none, strongest_edges, strongest_pairs
from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype, load_genotype
from adarts.spaces.moves import exchange, mutate, mutate_each, neighbors, random_genotype
from adarts.spaces.spaces import DARTS, NASBENCH201, SPACES, get_space, register_space

__all__ = [
    "DARTS",
    "NASBENCH201",
    "SPACES",
    "CellGenotype",
    "Genotype",
    "Space",
    "at_least",
    "decided_edges",
    "derive",
    "exchange",
    "get_space",
    "load_genotype",
    "mutate",
    "mutate_each",
    "neighbors",
    "never_none",
    "random_genotype",
    "register_space",
    "strongest_edges",
    "strongest_pairs",
]
