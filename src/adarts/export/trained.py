"""A finished training run, and its network in the form that is exported.

Shape suffixes: b batch, c channels, h height, w width, k classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adarts.config.settings import RunSettings
from adarts.data.augmentation import normalizing
from adarts.engine import RunFolder, prepare_device
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import CheckpointError, DataError, refusing
from adarts.export.facts import Facts
from adarts.export.loaded import Logits, Pixels
from adarts.models import Network
from adarts.spaces import Genotype
from adarts.training import load_model
from adarts.training.model import MODEL_FACTS


class Deployed(nn.Module):
    """A network that takes images as they were decoded; it scales and normalizes them first.

    Args:
        network: the network, in evaluation mode.
        facts: mean and standard deviation.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, facts: Facts) -> None:
        super().__init__()
        self.network = network
        shift_c, scale_c = normalizing(facts.mean, facts.std)
        self.register_buffer("shift", shift_c[:, None, None])
        self.register_buffer("scale", scale_c[:, None, None])
        self.eval()

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """Logits (b, k) of uint8 images."""
        logits_bk: Tensor = self.network((pixels_bchw.float() - self.shift) * self.scale)
        return logits_bk


@dataclass(frozen=True)
class Trained:
    """A finished training run, ready to predict.

    Attributes:
        path: the run folder.
        network: the trained network, in evaluation mode.
        facts: its facts.
        summary: content of ``summary.json``.
        details: content of ``model.json``.
    """

    path: Path
    network: nn.Module
    facts: Facts
    summary: dict[str, Any]
    details: dict[str, Any]

    @classmethod
    def load(cls, reference: str | Path, threads: int | None = None) -> Trained:
        """Load a run by its folder, its name or ``latest``.

        Args:
            reference: the run.
            threads: torch's threads; None keeps their number.

        Raises:
            CheckpointError: there is no such run, or it is not finished.
            DataError: its model is damaged.
        """
        path = RunFolder.find(reference, "train")
        prepare_device(RunSettings(device="cpu", threads=threads))
        if not (path / SUMMARY).is_file():
            raise CheckpointError(f"{path}: this training is not finished")
        network, details = load_model(path)
        with refusing(f"{path}: its {SUMMARY} or {MODEL_FACTS} is damaged", DataError):
            summary = json.loads((path / SUMMARY).read_text())
            named = {"data": dict(summary["data_facts"])["data set"]}  # without the path of a folder
            return cls(path, network, Facts.of(summary, named, details), summary, details)

    @property
    def genotype(self) -> Genotype | None:
        """The cells; None for a network that has a name."""
        return self.network.genotype if isinstance(self.network, Network) else None

    @cached_property
    def module(self) -> Deployed:
        """The network with its normalization."""
        return Deployed(self.network, self.facts)

    def logits(self, pixels_bchw: Pixels) -> Logits:
        """As :meth:`adarts.export.loaded.Model.logits`."""
        with torch.inference_mode():
            logits: Logits = self.module(torch.from_numpy(pixels_bchw)).numpy()
        return logits
