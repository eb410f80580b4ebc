"""Genetic CNN: generations by roulette, and every cell is trained alone."""

from adarts.config.loading import merged
from adarts.methods.base import MethodInfo
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.scored import Alone
from adarts.searchers.genetic import GeneticCnn as Genetic
from adarts.searchers.genetic import GeneticOptions


@register
class GeneticCnn(Alone):
    """A generation is drawn from the last one by roulette, then crossed and mutated; every cell is trained alone.

    As published: population, generations, roulette, and all rates. A cell that survives is trained and scored again.
    Different: the network has cells that repeat. A child is trained as in NAS-Bench-201's public code for evolution, in the
    network of DARTS.
    Lost: the published space, in which bits say which nodes of three stages are connected and every node is a convolution. Here
    the edges have operations, and a node takes the place of a stage in the crossover.
    """

    info = MethodInfo(
        name="genetic-cnn",
        title="Genetic CNN",
        year=2017,
        paper="Xie, Yuille: Genetic CNN, ICCV 2017",
        changes="generations by roulette, crossover of nodes, and small mutations",
        cost="a training for every cell",
        defaults=merged(CHILDREN, {"options": {"cells": 1000}}),
        spaces={"nasbench201": NASBENCH201_CHILDREN},
        family="alone",
        replay="run",
    )

    class Options(Alone.Options, GeneticOptions):
        """The options of the generations, and those of the trainings."""

    options: Options
    searcher_class = Genetic
