"""What the search step is compared with: the textbook, and the public PC-DARTS code, both in their natural form.

That is NCHW, plain optimizers, and all gradients in both updates: they never turn a parameter's gradient off.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adarts.benchmark.subjects import CLASSES
from adarts.benchmark.timing import Clock, Seconds
from adarts.benchmark.variants import Variant
from adarts.engine.update import fix_arithmetic

_ORACLES = Path(__file__).resolve().parents[1] / "tests" / "oracles"


class PlainStep:
    """One search step as the public codes do it: the alphas by Adam, then the weights by SGD with a clipped gradient.

    Args:
        net: the supernet; its alphas may or may not be among its parameters.
        alphas: its architecture alphas.
        batch: images of each update.
        size: their side.
        device: where.
    """

    def __init__(self, net: nn.Module, alphas: list[Tensor], batch: int, size: int, device: torch.device) -> None:
        fix_arithmetic(device)
        chosen = {id(parameter) for parameter in alphas}
        self.net, self.clock = net.to(device).train(), Clock(device)
        self.weights = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
        self.sgd = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4)
        self.adam = torch.optim.Adam(alphas, 6e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        random = torch.Generator().manual_seed(0)
        self.x_ubchw = torch.randn(2, batch, 3, size, size, generator=random).to(device)
        self.y_b = (torch.arange(batch) % CLASSES).to(device)

    def __call__(self) -> Seconds:
        begin = self.clock()
        self.update_alphas().item()  # both loops look at their loss
        middle = self.clock()
        self.update_weights().item()
        end = self.clock()
        return {"alphas": middle - begin, "weights": end - middle, "both": end - begin}

    def update_alphas(self) -> Tensor:
        """One update of the alphas; its loss, which nobody has waited for."""
        return self._update(self.adam, self.x_ubchw[0])

    def update_weights(self) -> Tensor:
        """One update of the weights; its loss, which nobody has waited for."""
        return self._update(self.sgd, self.x_ubchw[1])

    def _update(self, optimizer: torch.optim.Optimizer, x_bchw: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x_bchw), self.y_b)
        loss.backward()
        if optimizer is self.sgd:
            nn.utils.clip_grad_norm_(self.weights, 5.0)
        optimizer.step()
        return loss.detach()


def textbook_step(variant: Variant, device: torch.device) -> PlainStep:
    """The textbook supernet in the variant's design."""
    with _importing_from(_ORACLES):
        supernet = importlib.import_module("textbook").TextbookSupernet
    design = variant.config().edge.model_dump()
    net = supernet(variant.channels, variant.cells, CLASSES, **design).to(device)
    return PlainStep(net, list(net.alphas.values()), variant.batch, variant.size, device)


def public_step(folder: Path, variant: Variant, device: torch.device) -> PlainStep:
    """The network of the public PC-DARTS code, which has K = 4 built in.

    It was written for a GPU and asks for one wherever it makes a tensor; on a CPU those calls are made to do nothing.
    """
    stay = mock.patch.object(Tensor, "cuda", lambda tensor, *_, **__: tensor)
    with _importing_from(folder.resolve()):
        network = importlib.import_module("model_search").Network
    if device.type == "cuda":
        net = network(variant.channels, CLASSES, variant.cells, nn.CrossEntropyLoss()).to(device)
    else:
        with stay:
            net = network(variant.channels, CLASSES, variant.cells, nn.CrossEntropyLoss())
    return PlainStep(net, list(net.arch_parameters()), variant.batch, variant.size, device)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
