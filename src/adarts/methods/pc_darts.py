"""PC-DARTS: partial channel connections with edge normalization."""

from adarts.methods.base import Method, MethodInfo
from adarts.methods.registry import register


@register
class PcDarts(Method):
    """The first C/k channels go through the operations, then all channels are shuffled; beta weights the edges.

    The ADARTS paper calls this choice random, but the public code of PC-DARTS always takes the first channels.
    """

    info = MethodInfo(
        name="pc-darts",
        title="PC-DARTS",
        year=2019,
        paper="Xu et al.: PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search, ICLR 2020",
        changes="the first quarter of the channels, channel shuffle, edge normalization, 15 frozen epochs",
        cost="about a quarter of DARTS's memory in the operations",
        defaults={
            "edge": {"selector": "first", "k": 4, "attention": False, "normalization": True},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 50, "batch_size": 256, "warmup_epochs": 15},
            "weights": {
                "learning_rate": 0.1,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 6e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        replay="run",
    )
