"""AmoebaNet: aging evolution, and every cell is trained alone."""

from adarts.config.loading import merged
from adarts.methods.base import MethodInfo
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.scored import Alone
from adarts.searchers.rea import AgingEvolution, AgingOptions


@register
class AmoebaNet(Alone):
    """The child of a tournament's winner replaces the oldest cell of the population, however good that is.

    As published: the loop, the tournament among 25 of 100 cells, and the rate of children without a mutation; in NAS-Bench-201
    the population of 10 and the tournament of 3 of NATS-Bench. The result is the best of all cells that were trained.
    Scaled: the number of cells, which is an option; they are trained one after the other by one process.
    Different: a child is trained as in NAS-Bench-201's public code for evolution, in the network of DARTS.
    Lost in the space of DARTS: the operations that only NASNet's space has, a fifth node, nodes that read a source twice, and
    cells whose outputs are only their loose ends.
    """

    info = MethodInfo(
        name="amoebanet",
        title="AmoebaNet",
        year=2019,
        paper="Real et al.: Regularized Evolution for Image Classifier Architecture Search, AAAI 2019",
        changes="aging evolution: the child of a tournament's winner replaces the oldest cell",
        cost="a training for every cell",
        defaults=merged(CHILDREN, {"options": {"population": 100, "sample": 25, "identity": 0.05}}),
        spaces={
            "nasbench201": merged(NASBENCH201_CHILDREN, {"options": {"population": 10, "sample": 3, "identity": 0.0}})
        },
        family="alone",
        replay="run",
    )

    class Options(Alone.Options, AgingOptions):
        """The options of the evolution, and those of the trainings."""

    options: Options
    searcher_class = AgingEvolution
