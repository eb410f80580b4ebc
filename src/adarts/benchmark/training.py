"""Images a second of the training of a found network: ours with and without native kernels, and a plain loop in NCHW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from adarts import kernels
from adarts.benchmark.memory import peak_of
from adarts.benchmark.outcome import Conditions, Outcome, mebibytes, provenance, ratio
from adarts.benchmark.plots import Bars, bars_svg
from adarts.benchmark.subjects import CLASSES, synthetic
from adarts.benchmark.timing import Clock, Seconds, in_turn
from adarts.benchmark.variants import option
from adarts.config.loading import Layers, checked, validated
from adarts.config.settings import NetworkSettings, RunSettings, TrainConfig, TrainingSettings
from adarts.errors import ConfigError, nearest
from adarts.models import Network
from adarts.training.model import resolve_genotype
from adarts.training.task import TrainTask

ADARTS_V1 = (  # the paper's cells, Fig. 6
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('dil_conv_3x3', 1),"
    " ('skip_connect', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=[2, 3, 4, 5],"
    " reduce=[('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('dil_conv_3x3', 2), ('max_pool_3x3', 0), ('skip_connect', 2),"
    " ('skip_connect', 3), ('dil_conv_3x3', 2), ('avg_pool_3x3', 0)], reduce_concat=range(2, 6))"
)
LOOPS = ("plain", "torch", "auto")
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrainVariant:
    """One training step to measure.

    Attributes:
        label: how it is called.
        loop: plain, or the kernels of our own: torch or auto.
        genotype: what :func:`adarts.training.model.resolve_genotype` reads, or ADARTS_V1.
        channels: C of the first cells.
        cells: number of cells.
        batch: images of a step.
        size: side of the images.
        precision: float32 or bfloat16.
    """

    label: str
    loop: str
    genotype: str = "ADARTS_V1"
    channels: int = 16
    cells: int = 8
    batch: int = 96
    size: int = 32
    precision: str = "float32"

    def config(self) -> TrainConfig:
        """The training whose step it is.

        Raises:
            ConfigError: a value that cannot work.
        """
        run = {"capture": self.loop != "plain", "precision": self.precision}
        given = {
            "data": "synthetic",
            "run": checked(RunSettings, run, option),
            "network": checked(NetworkSettings, {"channels": self.channels, "cells": self.cells}, option),
            "training": checked(TrainingSettings, {"batch_size": self.batch}, option),
        }
        # With the recipe of DARTS, whatever the cells.
        return validated(TrainConfig, Layers(TrainConfig, given).put_together("darts"))


class PlainNetwork(Network):
    """The same network in torch's own modules, one after the other in NCHW, as the public codes train it: the yardstick."""

    memory_format = torch.contiguous_format

    def __init__(self, *facts: Any, **named: Any) -> None:
        super().__init__(*facts, **named)
        in_torch_modules(self)
        for cell in self.cells:
            cell.register_forward_hook(_require_nchw)


def _require_nchw(cell: nn.Module, inputs: tuple[Any, ...], output_bchw: Tensor) -> None:
    if not output_bchw.is_contiguous():
        raise RuntimeError("the plain loop has left NCHW, so it is no yardstick")


def in_torch_modules(module: nn.Module) -> nn.Module:
    """The module with torch's own wherever the package has one that fuses its parts: their sequence, one by one."""
    for name, child in module.named_children():
        setattr(module, name, in_torch_modules(child))
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm2d(module.num_features, affine=module.affine)
    return nn.Sequential(*module) if isinstance(module, nn.Sequential) else module


class TrainStep:
    """One step of the training of a network, late in the training, when paths are dropped.

    Args:
        variant: which one.
        device: where; the number of threads is set by the caller.
    """

    def __init__(self, variant: TrainVariant, device: torch.device) -> None:
        config = variant.config()
        self._kernels: kernels.Choice = "auto" if variant.loop == "auto" else "torch"
        kernels.use(self._kernels)
        data = synthetic(variant.batch, variant.size)
        text = ADARTS_V1 if variant.genotype == "ADARTS_V1" else variant.genotype
        kind = PlainNetwork if variant.loop == "plain" else Network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = kind(resolve_genotype(text), CLASSES, variant.channels, variant.cells, auxiliary=True)
        network.to(device)
        self._clock = Clock(device)
        self._task = TrainTask(config, data, network, device)

    def __call__(self) -> Seconds:
        kernels.use(self._kernels)
        begin = self._clock()
        self._task.step(self._task.epochs - 1, 0)
        return {"step": self._clock() - begin}


def train_variants(loops: Sequence[str], device: torch.device = _CPU, **fields: Any) -> list[TrainVariant]:
    """A variant for each loop.

    Args:
        loops: of :data:`LOOPS`.
        device: where they will run; only a CPU has native kernels, in float32.
        fields: the others of a variant.

    Raises:
        ConfigError: there is no such loop.
    """
    for loop in loops:
        if loop not in LOOPS:
            raise ConfigError(f"--loop: unknown '{loop[:60]}'{nearest(loop, LOOPS)}")
    words = {"plain": "plain NCHW", "torch": "ours, torch", "auto": "ours, native kernels"}
    variants = [TrainVariant(words[loop], loop, **fields) for loop in loops]
    for variant in variants:
        variant.config()
    if device.type == "cpu" and kernels.active(variants[0].precision) == "native":
        return variants
    return [replace(v, label="ours, no native kernels here") if v.loop == "auto" else v for v in variants]


def time_training(variants: Sequence[TrainVariant], conditions: Conditions, *, memory: bool = True) -> Outcome:
    """Measure the training step of each variant.

    Args:
        variants: with different labels; the others are compared with the first.
        conditions: how to measure.
        memory: measure the peaks of memory too.
    """
    steps = {variant.label: TrainStep(variant, conditions.device) for variant in variants}
    times = {
        label: parts["step"]
        for label, parts in in_turn(steps, conditions.repeats, conditions.warmup, conditions.say).items()
    }
    first = times[variants[0].label]
    records: list[dict[str, Any]] = []
    for variant in variants:
        mine = times[variant.label]
        low, high = first.spread_over(mine)
        record: dict[str, Any] = {"label": variant.label, "variant": asdict(variant)}
        record["images_per_second"] = variant.batch / mine.median
        record["seconds"], record["rounds"] = mine.median, list(mine.rounds)
        record["speedup"], record["speedup_range"] = first.over(mine), [low, high]
        if memory:
            conditions.say(f"memory: {variant.label}")
            peak = peak_of("training", variant, conditions.device, conditions.threads)
            record["memory"], record["memory_idle"] = peak.above, peak.idle
            record["memory_ratio"] = peak.above / (records[0] if records else record)["memory"]
        records.append(record)
    one = variants[0]
    title = f"Training, C={one.channels}, {one.cells} cells, batch {one.batch}: {conditions}"
    return Outcome(
        name="training",
        title=title,
        settings={"repeats": conditions.repeats, "warmup": conditions.warmup, "threads": conditions.threads},
        records=records,
        head=["loop", "images/s", "ratio", "by round"] + (["memory", "ratio"] if memory else []),
        rows=[_row(record) for record in records],
        svg=bars_svg(
            title,
            [
                Bars(
                    "images a second",
                    [(r["label"], r["images_per_second"], f"{r['images_per_second']:,.0f}") for r in records],
                )
            ],
        ),
        notes=["with auxiliary head and drop path, crop, flip and cutout; ratios are to the first loop"],
        provenance=provenance(conditions.device),
    )


def _row(record: dict[str, Any]) -> list[str]:
    low, high = record["speedup_range"]
    row = [record["label"], f"{record['images_per_second']:,.0f}"]
    row += [ratio(record["speedup"]), f"{ratio(low)}–{ratio(high)}"]
    if "memory" in record:
        row += [mebibytes(record["memory"]), ratio(record["memory_ratio"])]
    return row
