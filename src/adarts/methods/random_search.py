"""Random search: cells are drawn independently, and each is trained alone."""

from adarts.methods.base import MethodInfo
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.scored import Alone
from adarts.searchers.random_search import RandomSearch


@register
class RandomCells(Alone):
    """Random cells are trained alone, and the most accurate one is kept: the baseline of every other search.

    In NAS-Bench-201, a cell is trained as in the searches of the benchmark, for 12 epochs. There, a budget of 20,000 seconds pays
    for about 175 cells; here, the number of cells is an option. In the space of DARTS, a cell is trained for 25 epochs, as in the
    benchmark's public code for evolution. A cell learns on one half of the training images and is scored on the other.
    """

    info = MethodInfo(
        name="random",
        title="Random search",
        year=2012,
        paper="Bergstra, Bengio: Random Search for Hyper-Parameter Optimization, JMLR 2012",
        changes="random cells, each trained alone; the most accurate one is kept",
        cost="a training for every cell",
        defaults=CHILDREN,
        spaces={"nasbench201": NASBENCH201_CHILDREN},
        family="alone",
        replay="run",
    )
    searcher_class = RandomSearch
