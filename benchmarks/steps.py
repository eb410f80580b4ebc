"""The search steps to compare (ours, the textbook's, the public code's), as plain data for child processes.

What is measured of ours is what runs: `SearchTask.step` after the warm-up, so both updates, and the batches of both with their
augmentation. The textbook (`tests/oracles`) and the public PC-DARTS code run in their natural form: NCHW, plain optimizers, all
gradients in both updates; their batches lie ready.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adarts import kernels
from adarts.config.settings import SearchConfig
from adarts.data import ImageData, Images
from adarts.engine.update import fix_arithmetic
from adarts.methods import create
from adarts.searching import SearchTask, search_config
from adarts.seeding import generator

CLASSES = 10
ORACLES = Path(__file__).resolve().parents[1] / "tests" / "oracles"

Step = Callable[[], object]


@dataclass(frozen=True)
class Design:
    """One search step to measure.

    Attributes:
        code: adarts, textbook, or the folder of the public PC-DARTS code.
        method: whose edge design and updates.
        k: one in k channels enters the operations; None leaves the method's.
        channels: C of the first cells.
        cells: number of cells.
        batch: images of each of the two updates.
        size: side of the images.
        kernels: auto or torch.
        precision: float32 or bfloat16; of the public code also tf32, which lets a GPU round to that and choose the fastest
            convolutions, as its own loop does.
        capture: whether a GPU replays whole updates.
        recompute: whether the cells are computed again in the backward pass.
        active: operations of each edge, drawn once; None is all.
    """

    code: str = "adarts"
    method: str = "adarts"
    k: int | None = None
    channels: int = 16
    cells: int = 8
    batch: int = 32
    size: int = 32
    kernels: kernels.Choice = "auto"
    precision: str = "float32"
    capture: bool = True
    recompute: bool = False
    active: int | None = None

    def config(self) -> SearchConfig:
        """The configuration of the search.

        Raises:
            ConfigError: a name, value or combination that cannot work.
        """
        return search_config(
            method=self.method,
            data="synthetic",
            edge={} if self.k is None else {"k": self.k},
            supernet={"channels": self.channels, "cells": self.cells, "recompute": self.recompute},
            search={"batch_size": self.batch, "epochs": 2, "warmup_epochs": 0},
            run={"kernels": self.kernels, "precision": self.precision, "capture": self.capture},
        )

    def step(self, device: torch.device) -> Step:
        """A function that runs the step."""
        if self.code == "adarts":
            return our_step(self, device)
        return (textbook_step if self.code == "textbook" else public_step)(self, device)


def synthetic(count: int, size: int) -> ImageData:
    """Images of noise. The content does not affect the time, and no data set is needed.

    Args:
        count: at least so many, the same number of each class and an even one.
        size: side in pixels.
    """
    per_class = 2 * math.ceil(count / (2 * CLASSES))
    shape = (per_class * CLASSES, 3, size, size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "benchmark", "images"))
    train = Images(pixels, torch.arange(len(pixels)) % CLASSES)
    names = tuple(str(label) for label in range(CLASSES))
    test = train.select(torch.arange(CLASSES))
    return ImageData("synthetic", names, train, test, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def our_step(design: Design, device: torch.device) -> Step:
    """The step of the package's own task, from the images in memory to the moved parameters."""
    config = design.config()
    kernels.use(design.kernels)
    task = SearchTask(config, synthetic(2 * design.batch, design.size), create(config), device)
    space = task.supernet.space
    for kind in space.cell_kinds if design.active is not None else ():
        order = torch.rand(len(space.edges), len(space.operations), generator=generator(0, "active", kind)).argsort(1)
        task.supernet.set_active(kind, (order < design.active).tolist())

    def step() -> None:
        kernels.use(design.kernels)  # steps with other kernels take their turns in this process
        task.step(0, 0)

    return step


class PlainStep:
    """A step as the public codes do it: the alphas by Adam, then the weights by SGD with a clipped gradient.

    Args:
        net: the supernet; its alphas may or may not be among its parameters.
        alphas: of the architecture.
        design: batch and size of the images.
        device: where.
    """

    def __init__(self, net: nn.Module, alphas: list[Tensor], design: Design, device: torch.device) -> None:
        fix_arithmetic(device)
        if design.precision == "tf32":
            torch.backends.cudnn.conv.fp32_precision = "tf32"
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
        chosen = {id(parameter) for parameter in alphas}
        self.net = net.to(device).train()
        self.weights = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
        self.sgd = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4)
        self.adam = torch.optim.Adam(alphas, 6e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        random = torch.Generator().manual_seed(0)
        self.x_ubchw = torch.randn(2, design.batch, 3, design.size, design.size, generator=random).to(device)
        self.y_b = (torch.arange(design.batch) % CLASSES).to(device)

    def __call__(self) -> None:
        for optimizer, x_bchw in zip((self.adam, self.sgd), self.x_ubchw, strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(self.net(x_bchw), self.y_b)
            loss.backward()
            if optimizer is self.sgd:
                nn.utils.clip_grad_norm_(self.weights, 5.0)
            optimizer.step()
            loss.item()  # both loops look at their loss


def textbook_step(design: Design, device: torch.device) -> PlainStep:
    """The textbook supernet in the method's edge design."""
    with _importing_from(ORACLES):
        supernet = importlib.import_module("textbook").TextbookSupernet
    net = supernet(design.channels, design.cells, CLASSES, **design.config().edge.model_dump()).to(device)
    return PlainStep(net, list(net.alphas.values()), design, device)


def public_step(design: Design, device: torch.device) -> PlainStep:
    """The network of the public PC-DARTS code, which has K = 4 built in.

    It was written for a GPU and asks for one wherever it makes a tensor; those calls are made to name the device.
    """
    with _importing_from(Path(design.code).resolve()):
        network = importlib.import_module("model_search").Network
    with mock.patch.object(Tensor, "cuda", lambda tensor: tensor.to(device)):
        net = network(design.channels, CLASSES, design.cells, nn.CrossEntropyLoss())
    return PlainStep(net, list(net.arch_parameters()), design, device)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
