"""The flat variant of hierarchical evolution: tournaments in a population that only grows, and every cell is trained alone."""

from adarts.methods.base import MethodInfo
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.scored import Alone
from adarts.searchers.hierarchical import Hierarchical, HierarchicalOptions


@register
class HierarchicalEvolution(Alone):
    """The winner of a tournament is mutated, and the child joins the population, which only grows.

    As published: the tournament among 5 % of the population, the population that only grows, and first cells that are a cell of
    identities after many mutations. This is the flat variant of the paper.
    Different: a child is trained as in NAS-Bench-201's public code for evolution, in the network of DARTS.
    Scaled: the numbers of cells, first cells and mutations; cells are trained one after the other by one process.
    Lost: the hierarchy, in which small graphs of operations take the place of operations, and cells of any number of edges.
    """

    info = MethodInfo(
        name="hierarchical",
        title="Hierarchical Evolution (flat)",
        year=2018,
        paper="Liu et al.: Hierarchical Representations for Efficient Architecture Search, ICLR 2018",
        changes="tournaments in a population that only grows, from cells near identities",
        cost="a training for every cell",
        defaults=CHILDREN,
        spaces={"nasbench201": NASBENCH201_CHILDREN},
        family="alone",
        replay="run",
    )

    class Options(Alone.Options, HierarchicalOptions):
        """The options of the evolution, and those of the trainings."""

    options: Options
    searcher_class = Hierarchical
