"""CIFAR-10 and CIFAR-100 from the files that their author publishes, read by torchvision."""

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
    """Facts of one set: torchvision's class, and mean and standard deviation of its training images."""

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
        DataError: if its files are missing or damaged and may not be, or cannot be, downloaded.
    """
    from torchvision import datasets  # takes a second, which the other sources need not wait for

    facts = CIFAR[name]
    reader = getattr(datasets, facts.reader)
    trouble = _trouble(reader, settings.root)
    if trouble:
        if not settings.download:
            how = "say where it lies with --images.root, or allow the download with --download"
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


def _trouble(reader: Any, root: Path) -> str | None:
    """What is wrong with the files, by name. Only files with the published checksum are ever unpickled."""
    from torchvision.datasets.utils import check_integrity

    folder = root / reader.base_folder
    for name, md5 in [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]:
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if not check_integrity(path, md5):
            return f"{path} is damaged (another md5 than published)"
    return None
