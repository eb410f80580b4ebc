"""ADARTS: channel attention selects the channels that go through the operations."""

from adarts.methods.base import Method, MethodInfo
from adarts.methods.protocols import NASBENCH201
from adarts.methods.registry import register

_PAPER = "Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, IEEE TII 2023"


@register
class Adarts(Method):
    """The C/k channels with the highest attention go through the operations; the others bypass them (section III).

    The defaults of all settings are the paper's hyper-parameters; `docs/method.md` explains the values that it leaves open.
    """

    info = MethodInfo(
        name="adarts",
        title="ADARTS",
        year=2023,
        paper=_PAPER,
        changes="the quarter of the channels with the highest attention; attention scales all channels",
        cost="about a quarter of DARTS's memory in the operations, plus the attention",
        defaults={
            "edge": {
                "selector": "attention",
                "k": 4,
                "attention": True,
                "attention_scope": "edge",
                "mask_scope": "batch",
                "normalization": False,
            },
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 80, "batch_size": 96, "warmup_epochs": 15},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 6e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        spaces={"nasbench201": NASBENCH201},
        replay="run",
    )


@register
class AdartsEdgeNormalization(Method):
    """ADARTS with PC-DARTS's edge normalization, which the paper's text leaves open."""

    info = MethodInfo(
        name="adarts-en",
        title="ADARTS with edge normalization",
        year=2023,
        paper=_PAPER,
        changes="as adarts; beta weights the edges that enter a node",
        cost="as adarts",
        defaults={**Adarts.info.defaults, "edge": {**Adarts.info.defaults["edge"], "normalization": True}},
        spaces=Adarts.info.spaces,
        replay="run",
    )
