"""What every scale spends on a reproduction: images, search, training, seeds.

The searches keep the paper's batch (96), learning rate (0.025) and channels (16) at every scale, so that one ADARTS search serves
the ablation, the batch of 96 of Table III, and K = 4 of Fig. 10, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adarts.config.loading import Values, merged, nested
from adarts.config.settings import RunSettings, SearchConfig, TrainConfig
from adarts.errors import ConfigError, nearest
from adarts.methods import get_method
from adarts.searching import search_config
from adarts.spaces import Genotype
from adarts.training import train_config
from adarts.zoo.baselines import BASELINES

BATCH, RATE = 96, 0.025
"""The paper's batch, and the learning rate of the weights that fits it."""

IMAGES = {"cifar10": 5000, "cifar100": 500}
"""Training images of each class."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A scale of a reproduction.

    Attributes:
        scale: name of the scale, which gives all settings that are not changed here.
        purpose: one line about it.
        data: the data of the searches and of the first training.
        transfer: the data to which cells are transferred; None if there is none at this scale.
        search: settings of all gradient searches.
        others: settings of other searches by family, beside those of the scale.
        training: settings of all trainings.
        transfer_training: further settings on the data of the transfer.
        cutout: side of the cutout, where the paper uses cutout.
        seeds: number of searches of a row, by experiment.
        trained: number of these searches whose cells are trained.
        repeats: trainings of the cells of the first search of a row, to tell the variance of a training.
        designed: hand-designed networks that are trained; the others would take too long.
        scaled_rates: whether Table III is also searched with learning rates in proportion to the batch.
        images_per_epoch: images that an epoch of a search gives to the weights; None for all of their half.
        is_timed: whether steps of every design are measured to say how long everything will take.
    """

    scale: str
    purpose: str
    data: str
    transfer: str | None
    search: Values
    others: Mapping[str, Values] = field(default_factory=dict)
    training: Values
    transfer_training: Values = field(default_factory=dict)
    cutout: int
    seeds: Mapping[str, int]
    trained: Mapping[str, int]
    repeats: int
    designed: tuple[str, ...] = ()
    scaled_rates: bool = False
    images_per_epoch: int | None
    is_timed: bool = True


def _same(number: int, **others: int) -> Mapping[str, int]:
    names = ("table1", "table2", "table3", "fig1", "fig8", "fig9", "fig10")
    return {name: others.get(name, number) for name in names}


_LOOP = {"search": {"batch_size": BATCH}, "weights": {"learning_rate": RATE}}

BUDGETS = {
    budget.scale: budget
    for budget in (
        Budget(
            scale="smoke",
            purpose="minutes on one thread with the embedded digits; every number is real and means nothing",
            data="digits",
            transfer=None,
            search={
                "supernet": {"channels": 16, "cells": 3},
                "search": {"epochs": 2, "batch_size": 16, "steps": 2},
                "images": {"per_class": 20},  # half of them are enough for the largest batch of Table III
            },
            training={"training": {"epochs": 2, "batch_size": 16, "steps": 4}},
            cutout=2,
            seeds=_same(2, table1=1, table3=1, fig10=1),
            trained=_same(2, table1=1, table3=1, fig10=1),
            repeats=2,
            images_per_epoch=32,
            is_timed=False,  # measuring a few steps would take as long as the runs
        ),
        Budget(
            scale="cpu",
            purpose="hours on two CPU cores with CIFAR",
            data="cifar10",
            transfer="cifar100",
            search=merged(
                _LOOP,
                {
                    "supernet": {"channels": 16, "cells": 5},
                    "search": {"epochs": 24, "steps": 10, "warmup_epochs": 6},
                    "images": {"size": 16, "per_class": None},
                },
            ),
            others={"alone": {"options": {"cells": 64}}},
            training={"training": {"epochs": 2, "steps": 300}, "images": {"size": 16}},
            transfer_training={"images": {"per_class": 400}},
            cutout=4,
            seeds=_same(5, table1=1, table3=3, fig10=3),
            trained=_same(3, table1=1),
            repeats=2,
            designed=("mobilenet_v2",),
            images_per_epoch=10 * BATCH,
        ),
        Budget(
            scale="gpu",
            purpose="hours on one GPU with CIFAR",
            data="cifar10",
            transfer="cifar100",
            search=merged(_LOOP, {"search": {"steps": None}}),
            training={},
            cutout=16,
            seeds=_same(3, table1=1),
            trained=_same(3, table1=1),
            repeats=2,
            designed=("mobilenet_v2", "vgg19_bn", "resnet110"),
            scaled_rates=True,
            images_per_epoch=None,
        ),
        Budget(
            scale="paper",
            purpose="the paper's own budget, which takes days on a GPU",
            data="cifar10",
            transfer="cifar100",
            search={},
            training={},
            cutout=16,
            seeds=_same(5, table1=1),
            trained=_same(3, table1=1),
            repeats=2,
            designed=tuple(BASELINES),
            scaled_rates=True,
            images_per_epoch=None,
        ),
    )
}
"""The scales, by name."""


def budget_of(scale: str, transfer: str | None = None) -> Budget:
    """The budget of a scale.

    Args:
        scale: its name.
        transfer: the data to which cells are transferred, in place of those of the scale.

    Raises:
        ConfigError: there is no such scale, or it transfers no cells.
    """
    if scale not in BUDGETS:
        raise ConfigError(f"unknown scale '{scale[:40]}'{nearest(scale, BUDGETS)}; known are {', '.join(BUDGETS)}")
    budget = BUDGETS[scale]
    if transfer is None:
        return budget
    if budget.transfer is None:
        raise ConfigError(f"scale {scale} transfers no cells; leave out --transfer, or choose another --scale")
    return replace(budget, transfer=transfer)


@dataclass(frozen=True)
class Plan:
    """Makes the configurations of an experiment: its budget, and how the runs are carried out.

    Attributes:
        budget: the budget.
        run: device, threads, and where the images are (settings of the run).
        images: folder of the data sets, and whether to download them.
        seeds: searches of a row, in place of those of the budget.
        trained: how many of them are trained, in place of those of the budget.
    """

    budget: Budget
    run: RunSettings = field(default_factory=RunSettings)
    images: Values = field(default_factory=dict)
    seeds: int | None = None
    trained: int | None = None
    _searches: dict[str, SearchConfig] = field(default_factory=dict, repr=False, compare=False)
    _trainings: dict[str, TrainConfig] = field(default_factory=dict, repr=False, compare=False)

    def searched(self, experiment: str) -> range:
        """The seeds of the searches of a row."""
        return range(self.seeds or self.budget.seeds[experiment])

    def trainings(self, experiment: str) -> range:
        """The seeds of the searches whose cells are trained."""
        number = self.budget.trained[experiment] if self.trained is None else self.trained
        return range(min(number, len(self.searched(experiment))))

    def search(self, method: str, seed: int, **changes: Any) -> SearchConfig:
        """A search.

        Args:
            method: the method.
            seed: the seed.
            changes: settings by their dotted names, with ``__`` for the dot: ``edge__k=2``.
        """
        key = repr((method, seed, changes))  # tables ask for the same ones many times
        if key not in self._searches:
            self._searches[key] = self._search(method, seed, changes)
        return self._searches[key]

    def _search(self, method: str, seed: int, changes: Values) -> SearchConfig:
        family = get_method(method).info.family
        loop = self.budget.search if family == "gradient" else self.budget.others.get(family, {})
        own = [nested(name.replace("__", "."), value) for name, value in changes.items()]
        given = {"images": self.images, "run": self.run}
        names = {"method": method, "seed": seed, "data": self.budget.data, "scale": self.budget.scale}
        return search_config(**merged(loop, *own, given, names))

    def steps(self, batch: int) -> int | None:
        """Steps of an epoch that sees as many images in batches of another size; None for one pass through all images."""
        whole = self.budget.images_per_epoch
        return None if whole is None else max(1, whole // batch)

    def training(self, cells: Genotype | str, seed: int, data: str | None = None, cutout: bool = True) -> TrainConfig:
        """A training of cells, or of a hand-designed network of the zoo.

        Args:
            cells: the cells, their name in the zoo, ``random:SEED``, or a network as ``network:NAME``.
            seed: the seed.
            data: the data; None for the data of the searches.
            cutout: whether to use cutout.
        """
        text = cells if isinstance(cells, str) else cells.to_text() if cells.has_text else cells.to_json()
        key = repr((text, seed, data, cutout))
        if key not in self._trainings:
            self._trainings[key] = self._training(text, seed, data or self.budget.data, cutout)
        return self._trainings[key]

    def _training(self, text: str, seed: int, data: str, cutout: bool) -> TrainConfig:
        budget, name = self.budget, text.removeprefix("network:")
        what: Values = {"genotype": text} if name == text else {"network": {"name": name}}
        of_data = budget.transfer_training if data == budget.transfer else {}
        given = {"images": {**self.images, "cutout": budget.cutout if cutout else 0}, "run": self.run}
        names = {"seed": seed, "data": data, "scale": budget.scale}
        return train_config(**merged(budget.training, of_data, what, given, names))


def share(data: str, per_class: int | None) -> str:
    """The share of the training images that is used, in words."""
    if per_class is None:
        return "all training images"
    whole = IMAGES.get(data)
    return (
        f"at most {per_class} images a class"
        if whole is None
        else f"{100 * per_class / whole:.3g} % of the training images"
    )
