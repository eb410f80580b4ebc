"""A search in the style of NASNet: a controller learns by reinforcement, and every cell is trained alone."""

from adarts.methods.base import MethodInfo
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.scored import Alone
from adarts.searchers.enas import Enas as Controller
from adarts.searchers.enas import EnasOptions


@register
class NasNet(Alone):
    """A controller writes cells; each is trained alone, and its accuracy is the reward.

    In the style of NASNet: there is no public code of its search. As published: an LSTM proposes cells, and the reward is the
    accuracy of a cell that was trained alone.
    Different: the controller is that of ENAS, and it learns by REINFORCE instead of proximal policy optimization. A child is
    trained as in NAS-Bench-201's public code for evolution, in the network of DARTS.
    Scaled: the number of cells, which is an option; they are trained one after the other by one process.
    Lost in the space of DARTS: the operations that only NASNet's space has, a fifth node, nodes that read a source twice, and
    cells whose outputs are only their loose ends.
    """

    info = MethodInfo(
        name="nasnet",
        title="NASNet-style",
        year=2018,
        paper="Zoph et al.: Learning Transferable Architectures for Scalable Image Recognition, CVPR 2018",
        changes="a controller learns by reinforcement from cells that are trained alone",
        cost="a training for every cell",
        defaults=CHILDREN,
        spaces={"nasbench201": NASBENCH201_CHILDREN},
        family="alone",
        replay="run",
    )

    class Options(Alone.Options, EnasOptions):
        """The options of the controller, and those of the trainings."""

    options: Options
    searcher_class = Controller
