"""First-order DARTS, and its combinations with either half of ADARTS (Table II of the ADARTS paper)."""

from adarts.methods.adarts import Adarts
from adarts.methods.base import Method, MethodInfo
from adarts.methods.protocols import NASBENCH201
from adarts.methods.registry import register


@register
class Darts(Method):
    """All channels go through all operations; alphas and weights are updated alternately."""

    info = MethodInfo(
        name="darts",
        title="DARTS, first order",
        year=2018,
        paper="Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, ICLR 2019",
        changes="the baseline: softmax over all operations, all channels",
        cost="1",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 50, "batch_size": 64, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 3e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        spaces={"nasbench201": NASBENCH201},
        replay="run",
    )


@register
class DartsAttention(Method):
    """DARTS with channel attention on every edge: the ablation row "DARTS + attention mechanism".

    The paper gives no hyper-parameters for its ablation. With those of ADARTS, only the edge design differs.
    """

    info = MethodInfo(
        name="darts-attention",
        title="DARTS + attention",
        year=2022,
        paper="Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, Table II",
        changes="channel attention scales all channels before the operations",
        cost="DARTS plus the attention",
        defaults={
            **Adarts.info.defaults,
            "edge": {"selector": "all", "k": 1, "attention": True, "normalization": False},
        },
        spaces=Adarts.info.spaces,
        replay="run",
    )


@register
class DartsRandom(Method):
    """The same arbitrary channels in every forward pass: the row "DARTS + random partial connection".

    These are the first C/k channels, without a channel shuffle, as in the public "random" code of PC-DARTS, which in fact draws
    nothing. Uses the hyper-parameters of ADARTS, like :class:`DartsAttention`.
    """

    info = MethodInfo(
        name="darts-random",
        title="DARTS + random partial connection",
        year=2022,
        paper="Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, Table II",
        changes="the first quarter of the channels passes through the operations, always the same, no channel shuffle",
        cost="about a quarter of DARTS's memory in the operations",
        defaults={
            **Adarts.info.defaults,
            "edge": {"selector": "first", "k": 4, "attention": False, "normalization": False, "shuffle": False},
        },
        spaces=Adarts.info.spaces,
        replay="run",
    )


@register
class DartsRandomMoving(Method):
    """A new random choice of channels in every forward pass: what the words "random partial connection" say.

    Uses the hyper-parameters of ADARTS, like :class:`DartsAttention`.
    """

    info = MethodInfo(
        name="darts-random-moving",
        title="DARTS + random partial connection, drawn anew",
        year=2022,
        paper="Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS; another reading of Table II",
        changes="a random quarter of the channels passes through the operations, drawn anew in every forward pass",
        cost="about a quarter of DARTS's memory in the operations",
        defaults={
            **Adarts.info.defaults,
            "edge": {"selector": "random", "k": 4, "attention": False, "normalization": False},
        },
        spaces=Adarts.info.spaces,
    )
