"""SMASH: a hypernetwork predicts the pointwise convolutions of a cell.

Shape suffixes: k kinds of cells, e edges, o operations, n places of the same shape, u units, d c output and input channels.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from adarts.config.settings import Settings
from adarts.engine import parallel
from adarts.engine.update import Sums
from adarts.errors import NotFiniteError
from adarts.methods.base import MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.scored import SinglePaths
from adarts.searchers import BestOfAll, SearcherInfo
from adarts.seeding import derive_seed, dice
from adarts.spaces import Genotype, mutate, mutate_each, random_genotype
from adarts.supernet import ArchWeights, Supernet
from adarts.supernet.batched import Pointwise


class PerturbedOptions(Settings):
    """The proposals."""

    drawn: PositiveInt = 500
    """Random cells at the beginning."""
    perturbed: NonNegativeInt = 100
    """Cells after them that differ from the best one so far in some places; each further cell differs from it in one."""
    change: float = Field(default=0.05, gt=0, le=1)
    """Probability with which a place of the best cell changes."""


class Perturbed(BestOfAll):
    """Random cells, then small changes of the best one, then single ones."""

    info = SearcherInfo(
        name="perturbed",
        title="Random cells and their neighbors",
        year=2018,
        paper="Brock et al., ICLR 2018",
        changes="draws cells, and then changes the best one",
    )
    Options = PerturbedOptions
    options: PerturbedOptions

    def ask(self, number: int) -> Genotype:
        options, random = self.options, dice(self.seed, "change", number)
        if number < options.drawn or not self.trials:
            return random_genotype(self.space, derive_seed(self.seed, "proposal", number))
        best = max(self.trials, key=lambda trial: trial.score.value).genotype
        if number < options.drawn + options.perturbed:
            return mutate_each(best, self.space, options.change, random)
        return mutate(best, self.space, random)


@register
class Smash(SinglePaths):
    """Every step trains a random cell, whose pointwise convolutions a hypernetwork predicts from the cell.

    The hypernetwork sees the whole cell as a vector of zeros and ones, and the place of a convolution: which cell of the network,
    which edge, which convolution of which operation. It predicts all 1x1 convolutions of the edges (in NAS-Bench-201 those of
    `nor_conv_1x1`). All other weights are free and shared, as in the public code. A prediction is scaled to the root mean square
    of torch's initial weights. At the end, cells are measured with their predicted weights; the most accurate one is kept.

    As published: what is predicted and what is free, random cells in training, 500 random cells, 100 changed and 100 greedy ones
    at the end, Adam with its values for the hypernetwork, and no weight decay on it.
    Different: the hypernetwork is a perceptron with two hidden layers, not a DenseNet. The free weights learn by SGD as in DARTS,
    with the published weight decay; the learning rate of Adam follows its schedule. Normalization in measurements uses the
    statistics of the batches. Images are divided in halves.
    Lost: the published space with its memory banks, variable width, groups and dilation, and the growth of networks and kernels
    in the first half of the training.
    """

    info = MethodInfo(
        name="smash",
        title="SMASH",
        year=2018,
        paper="Brock et al.: SMASH: One-Shot Model Architecture Search through HyperNetworks, ICLR 2018",
        changes="a hypernetwork predicts the pointwise convolutions of random cells",
        cost="about a fifth of DARTS: one operation of eight; 700 measurements at the end",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 100, "batch_size": 50, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 1e-4,
                "clip": 5.0,
            },
        },
        family="paths",
    )

    class Options(SinglePaths.Options, PerturbedOptions):
        images: PositiveInt = 25_000
        """Images that measure the accuracy of a cell."""
        cells: PositiveInt = 700
        """Cells that are measured at the end."""
        units: PositiveInt = 64
        """Units of a layer of the hypernetwork."""
        learning_rate: PositiveFloat = 1e-3
        """Learning rate of the hypernetwork in the first epoch; it falls as that of the free weights does."""

    options: Options
    searcher_class = Perturbed
    #: predicts the convolutions
    hypernetwork: HyperNetwork
    _optimizer: torch.optim.Adam

    def on_phase_start(self, search: Search) -> None:
        super().on_phase_start(search)
        device = next(search.supernet.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(search.config.seed, "hypernetwork"))
            self.hypernetwork = HyperNetwork(search.supernet, self.options.units).to(device)
        parameters = self.hypernetwork.parameters()
        self._optimizer = torch.optim.Adam(parameters, self.options.learning_rate, (0.5, 0.999), eps=1e-4)

    def num_cells(self) -> int:
        return self.options.cells

    def generated(self, supernet: Supernet, arch_weights: ArchWeights) -> Mapping[str, Tensor]:
        """The predicted convolutions of the cells that a pass computes."""
        return self.hypernetwork(supernet.active if arch_weights.active is None else arch_weights.active)  # type: ignore[no-any-return]

    def observe(self, search: Search, sums: Sums) -> None:
        """Update the hypernetwork with the gradients of the step."""
        parameters = list(self.hypernetwork.parameters())
        parallel.add_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, math.inf)
        if not norm.isfinite():
            raise NotFiniteError(f"the gradient of the hypernetwork has the norm {norm.item()}")
        share = search.rate / search.config.weights.learning_rate
        for group in self._optimizer.param_groups:
            group["lr"] = share * self.options.learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    def chosen_by(self) -> str:
        return "the accuracies of cells with predicted weights"

    def state_dict(self) -> dict[str, Any]:
        own = {name: tensor.clone() for name, tensor in self.hypernetwork.state_dict().items()}
        return {**super().state_dict(), "hypernetwork": own, "optimizer": copy.deepcopy(self._optimizer.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.hypernetwork.load_state_dict(state["hypernetwork"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._optimizer.zero_grad()


class Place(NamedTuple):
    """All convolutions of one module of the supernet: of one operation on the edges that leave a node.

    Attributes:
        weight: name of its parameter.
        shape: shape of the parameter (edges, outputs, inputs, 1, 1).
        cell: index of the cell, and its kind.
        kind: kind of the cell.
        edges: the edges of the module.
        operation: index of the operation.
        part: index of the convolution among all convolutions of operations.
    """

    weight: str
    shape: tuple[int, ...]
    cell: int
    kind: str
    edges: tuple[int, ...]
    operation: int
    part: int


class HyperNetwork(nn.Module):
    """Predicts the pointwise convolutions of cells from the cells.

    Args:
        supernet: its convolutions are predicted.
        units: units of a layer.
    """

    def __init__(self, supernet: Supernet, units: int) -> None:
        super().__init__()
        space = supernet.space
        parts: dict[tuple[str, str], int] = {}
        self.places: list[Place] = []
        for name, module in supernet.named_modules():
            if isinstance(module, Pointwise):
                _, cell, _, source, _, operation, part = name.split(".")
                self.places.append(
                    Place(
                        f"{name}.weight",
                        tuple(module.weight.shape),
                        int(cell),
                        supernet.kinds[int(cell)],
                        tuple(space.leaving[int(source)]),
                        space.operations.index(operation),
                        parts.setdefault((operation, part), len(parts)),
                    )
                )
        code = len(space.cell_kinds) * len(space.edges) * len(space.operations)
        self.code = nn.Linear(code, units)
        self.cell = nn.Embedding(len(supernet.kinds), units)
        self.edge = nn.Embedding(len(space.edges), units)
        self.part = nn.Embedding(max(1, len(parts)), units)
        self.hidden = nn.Linear(units, units)
        sizes = dict.fromkeys(place.shape[1] * place.shape[2] for place in self.places)
        self.heads = nn.ModuleDict({str(size): nn.Linear(units, size) for size in sizes})

    def forward(self, active: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The convolutions of cells by the names of their parameters; 0 on edges that do not have the operation.

        Args:
            active: masks of the operations (edges, operations) by kind of cell.
        """
        with torch.autocast(self.code.weight.device.type, enabled=False):
            return self._predicted(active, self.code.weight.device)

    def _predicted(self, active: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        code_u = self.code(torch.cat([active_eo.flatten() for active_eo in active.values()]).float())
        masks = {kind: active_eo.tolist() for kind, active_eo in active.items()}
        wanted: dict[str, list[tuple[Place, int]]] = defaultdict(list)
        for place in self.places:
            for row, edge in enumerate(place.edges):
                if masks[place.kind][edge][place.operation]:
                    wanted[str(place.shape[1] * place.shape[2])].append((place, row))
        found: dict[str, list[Tensor]] = {place.weight: [] for place in self.places}
        rows: dict[str, list[int]] = {place.weight: [] for place in self.places}
        for size, convolutions in wanted.items():
            where = [(place.cell, place.edges[row], place.part) for place, row in convolutions]
            cell_n, edge_n, part_n = torch.tensor(where, device=device).unbind(1)
            hidden_nu = F.leaky_relu(code_u + self.cell(cell_n) + self.edge(edge_n) + self.part(part_n), 0.02)
            flat_nd = self.heads[size](F.leaky_relu(self.hidden(hidden_nu), 0.02))
            flat_nd = flat_nd / flat_nd.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)
            for (place, row), flat_d in zip(convolutions, flat_nd, strict=True):
                found[place.weight].append(flat_d.view(1, *place.shape[1:]) / math.sqrt(3 * place.shape[2]))
                rows[place.weight].append(row)
        predicted = {}
        for place in self.places:
            weight = torch.zeros(place.shape, device=device)
            if found[place.weight]:
                weight = weight.index_copy(
                    0, torch.tensor(rows[place.weight], device=device), torch.cat(found[place.weight])
                )
            predicted[place.weight] = weight
        return predicted
