"""How much memory a search will need, known before it begins.

Steps of the search itself are carried out with two and with six images, in a task of their own, and the bytes of all tensors
alive at once are counted: they grow by the image or not at all. A process needs more than its tensors, since the allocator leaves
holes; how much more was measured (docs/speed.md).
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from adarts import kernels
from adarts.config.settings import SearchConfig
from adarts.data import ImageData
from adarts.data.memory import available_memory
from adarts.engine.memory import parse_memory_limit
from adarts.errors import OutOfMemoryError
from adarts.methods import create
from adarts.searching.task import SearchTask

_STATM = Path("/proc/self/statm")


def check_memory(config: SearchConfig, data: ImageData, device: torch.device) -> str | None:
    """Compare what a search will need with its limit, or with what the machine has.

    Returns:
        A warning where no limit is given and the machine has less: it may swap, and a GPU that runs out halves its batch.

    Raises:
        OutOfMemoryError: the search needs more than its limit.
    """
    limit, (used, free) = parse_memory_limit(config.run.memory_limit), _memory(device)
    if config.run.memory_limit is None or (limit is None and free is None):
        return None
    allowed = used + (free or 0) if limit is None else limit
    plenty = 200_000_000 + 1300 * config.search.batch_size * config.supernet.channels * config.supernet.cells * (
        data.image_size[0] * data.image_size[1]
    )  # far above what was ever counted, and spares most searches the measurement
    if used + plenty <= allowed or used + (need := predicted_peak(config, data, device)) <= allowed:
        return None
    advice = "a smaller --search.batch-size"
    advice += ", a larger --edge.k" if config.edge.selector != "all" else ", fewer --supernet.channels"
    advice += "" if config.supernet.recompute else " or --supernet.recompute"
    there = "this machine has" if limit is None else "the limit is"
    message = (
        f"the search needs about {_in_words(used + need)} of memory, {there} {_in_words(allowed)}; choose {advice}"
    )
    if limit is None:
        return message
    raise OutOfMemoryError(message)


def predicted_peak(config: SearchConfig, data: ImageData, device: torch.device) -> int:
    """Bytes that a process will need for the steps of a search, above what it needs when idle."""
    few, more, batch = 2, 6, config.search.batch_size
    small, large = (count_bytes(config, data, device, min(batch, size)) for size in (few, more))
    tensors = max(b + (b - a) * max(0, batch - more) // (more - few) for a, b in zip(small, large, strict=True))
    native = device.type == "cpu" and kernels.active(config.run.precision) == "native"
    # What torch loads at its first step, and bytes of a process for a byte of tensors: fitted to processes at batches from 8 to
    # 64, C = 8 and 16, K from 1 to 4, three to eight cells, with and without recomputation.
    libraries, factor = (120_000_000, 1.15) if native else (140_000_000, 1.3)
    return libraries + int(factor * tensors)


def count_bytes(config: SearchConfig, data: ImageData, device: torch.device, batch: int) -> list[int]:
    """Bytes of all tensors at the worst moment of a step with so many images, phase by phase; phases of one design count once."""
    loop, run = config.search.model_copy(update={"batch_size": batch}), config.run.model_copy(update={"capture": False})
    small = config.model_copy(update={"search": loop, "run": run})
    task = SearchTask(small, data, create(small), device)
    counts, begin = dict[str, int](), 0
    for index, phase in enumerate(task.phases):
        if (design := repr((phase.supernet, phase.edge))) not in counts:
            if index:
                task.enter(index)
            with _Alive() as alive:
                alive.see(task.supernet.state_dict())
                task.step(begin + phase.warmup_epochs, 0)
            counts[design] = alive.most
        begin += phase.epochs
    return list(counts.values())


class _Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that are made inside, as long as something refers to them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes, self.most = 0, 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.see(result)
        return result

    def see(self, tensors: Any) -> None:
        """Count tensors; views share a storage, which counts once."""
        for storage in (tensor.untyped_storage() for tensor in tree_iter(tensors) if isinstance(tensor, Tensor)):
            if (key := storage._cdata) not in self._known:
                size = storage.nbytes()
                self._known[key] = weakref.ref(storage, lambda _, key=key, size=size: self._forget(key, size))  # type: ignore[misc]
                self.bytes += size
                self.most = max(self.most, self.bytes)

    def _forget(self, key: int, size: int) -> None:
        del self._known[key]
        self.bytes -= size


def _memory(device: torch.device) -> tuple[int, int | None]:
    """Bytes that this process uses by now, and those that it could have besides; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device), torch.cuda.mem_get_info(device)[0]
    used = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if _STATM.exists() else 0
    return used, available_memory()


def _in_words(amount: int) -> str:
    return f"{amount / 10**9:.1f} GB" if amount >= 10**9 else f"{amount // 10**6} MB"
