"""CIFAR-10 and CIFAR-100, read by torchvision from the files of their author."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import ImageSettings
from adarts.data.images import Images
from adarts.data.source import Source
from adarts.errors import DataError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Cifar:
    """Facts of one data set: torchvision's class, download size, mean and standard deviation of the training images."""

    reader: str
    megabytes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


CIFAR = {
    "cifar10": _Cifar("CIFAR10", 170, (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "cifar100": _Cifar("CIFAR100", 169, (0.50707516, 0.48654887, 0.44091784), (0.26733429, 0.25643846, 0.27615047)),
}


def load_cifar(name: str, settings: ImageSettings) -> Source:
    """Read one of :data:`CIFAR`.

    Raises:
        DataError: files are missing or damaged, and downloading is not allowed or fails.
    """
    facts, reader = CIFAR[name], _reader(name)
    trouble = trouble_with(name, settings.root)
    if trouble:
        if not settings.download:
            how = "set its folder with --images.root, or allow the download with --download"
            raise DataError(f"{name}: {trouble}; {how}")
        _log.warning("%s: %s; downloading %d MB from %s", name, trouble, facts.megabytes, reader.url)
    try:
        if trouble:
            reader(settings.root, train=True, download=True)
        train, test = (reader(settings.root, train=train) for train in (True, False))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name}: cannot be loaded into {settings.root}: {' '.join(str(error).split())}") from error
    first, second = (
        Images(torch.from_numpy(p.data).permute(0, 3, 1, 2), torch.tensor(p.targets)) for p in (train, test)
    )
    return Source(name, tuple(train.classes), first, second, normalization=(facts.mean, facts.std))


def trouble_with(name: str, root: Path) -> str | None:
    """The problem with the first missing or damaged file of a data set in :data:`CIFAR`; None if all are as published.

    Only files with the published checksum are unpickled.
    """
    from torchvision.datasets.utils import check_integrity

    reader = _reader(name)
    for file, md5 in [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]:
        path = root / reader.base_folder / file
        if not path.is_file():
            return f"{path} is missing"
        if not check_integrity(path, md5):
            return f"{path} is damaged (its md5 differs from the published one)"
    return None


def _reader(name: str) -> Any:
    """The class of torchvision."""
    from torchvision import datasets  # a slow import, needed only here

    return getattr(datasets, CIFAR[name].reader)
