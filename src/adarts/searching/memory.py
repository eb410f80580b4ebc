"""How much memory a search step will need, known before there is one.

A step is carried out on tensors that hold no data: every operator says what it would return, and the bytes that are alive are
counted. That count is exact. What a process needs for it is more, since the allocator leaves holes; how much more was
measured (docs/speed.md).
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from adarts import kernels
from adarts.config.settings import EdgeDesign, SearchConfig, SupernetSettings
from adarts.data import ImageData
from adarts.data.memory import available_memory
from adarts.errors import ConfigError, OutOfMemoryError
from adarts.methods import Phase
from adarts.spaces import DARTS, Space, get_space
from adarts.supernet import ArchWeights, Supernet
from adarts.supernet.edges import SourceEdges

# Fitted to the resident memory of processes at batches from 8 to 64, C = 8 and 16, K from 1 to 4, three to eight cells, with
# and without recomputation. The allocator leaves holes between the tensors: the more, the more of them come and go.
_NATIVE = (120_000_000, 1.15)
"""Bytes that torch loads at its first step, and bytes of the process for a byte of tensors; with native kernels."""
_TORCH = (140_000_000, 1.3)
"""The same with torch's own operators."""

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_STATM = Path("/proc/self/statm")
_SOME_DROPOUT = 0.5  # how much does not matter to memory
_LEAST_BATCH = 2  # batch normalization needs two images


@dataclass(frozen=True)
class Workload:
    """What decides how much memory a search step needs.

    Attributes:
        supernet: width, depth, recomputation.
        edge: K above all.
        batch: images of an update.
        shape: channels, height and width of an image.
        num_classes: of the classifier.
        precision: of convolutions and matrix products.
        num_operations: most operations that are active on an edge; None is all.
        skip_dropout: whether skip connections have a dropout.
        native: whether the native CPU kernels run.
        space: that is searched.
    """

    supernet: SupernetSettings
    edge: EdgeDesign
    batch: int
    shape: tuple[int, int, int] = (3, 32, 32)
    num_classes: int = 10
    precision: str = "float32"
    num_operations: int | None = None
    skip_dropout: bool = False
    native: bool = True
    space: Space = DARTS

    @classmethod
    def of(cls, config: SearchConfig, phase: Phase, data: ImageData, device: torch.device) -> Workload:
        """That of a phase of a search on these images."""
        return cls(
            phase.supernet,
            phase.edge,
            config.search.batch_size,
            (data.in_channels, *data.image_size),
            data.num_classes,
            config.run.precision,
            native=device.type == "cpu" and kernels.active(config.run.precision) == "native",
            space=get_space(config.space),
        )

    def with_k(self, k: int) -> Workload:
        """The same with another K."""
        return replace(self, edge=self.edge.model_copy(update={"k": k}))

    def recomputing(self) -> Workload:
        """The same with recomputation."""
        return replace(self, supernet=self.supernet.model_copy(update={"recompute": True}))


def predicted_peak(workload: Workload) -> int:
    """Bytes that a process will need for the steps of a search, above what it needs when idle."""
    libraries, factor = _NATIVE if workload.native else _TORCH
    return libraries + int(factor * tensor_bytes(workload))


@cache
def tensor_bytes(workload: Workload) -> int:
    """Bytes of all tensors at the worst moment of the weights' update, which needs more than that of the alphas.

    Nothing is computed, so it takes a second or two whatever the batch.
    """
    alive = _Alive()
    # Tensors without data that say they lie on the CPU: the native kernels take them, too.
    with kernels.using("auto" if workload.native else "torch"), FakeTensorMode(), alive:
        _update_weights(workload)
    return alive.most


def _update_weights(workload: Workload) -> None:
    net = Supernet(workload.space, workload.supernet, workload.edge, workload.num_classes, workload.shape[0])
    if workload.num_operations is not None:
        for kind in net.space.cell_kinds:
            net.set_active(kind, _largest(net, kind, workload.num_operations))
    alphas = net.alpha_parameters()
    for parameter in alphas:
        parameter.requires_grad_(False)
    # The momentum of the weights, and Adam's two means of the alphas.
    optimizers = [torch.empty_like(p) for p in (*net.weight_parameters(), *alphas, *alphas)]
    images = torch.empty(workload.batch, *workload.shape)
    labels = torch.zeros(workload.batch, dtype=torch.long)
    with torch.autocast("cpu", torch.bfloat16, enabled=workload.precision == "bfloat16"):
        arch_weights = ArchWeights(
            net.operation_weights(), net.edge_weights(), skip_dropout=_SOME_DROPOUT if workload.skip_dropout else 0.0
        )
        loss = F.cross_entropy(net(images, arch_weights=arch_weights), labels)
    loss.backward()
    del optimizers


def _largest(net: Supernet, kind: str, count: int) -> list[list[bool]]:
    """So many operations of each edge, of those it may have: those with the most weights, which need the most memory."""
    names, weights = net.space.operations, dict[str, int]()
    for edges in (edges for cell in net.search_cells() for edges in cell.sources):
        assert isinstance(edges, SourceEdges)
        for name, op in edges.operations.items():  # of one edge, in the first cell that has it
            weights.setdefault(name, sum(p.numel() // edges.num_edges for p in op.parameters()))
    ranked = sorted(weights, key=lambda name: -weights[name])

    def row(allowed: list[bool]) -> list[bool]:
        there = set(compress(names, allowed))
        largest = [name for name in ranked if name in there][:count]
        return [name in largest for name in names]

    return [row(allowed) for allowed in net.space.allowed(kind)]


class _Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that are made inside, as long as something refers to them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0
        self.most = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in tree_iter(result):
            if isinstance(part, Tensor):
                self._see(part.untyped_storage())
        return result

    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:  # views share the storage
            self._known[key] = weakref.ref(storage, lambda _: self._forget(key, size))
            self.bytes += size
            self.most = max(self.most, self.bytes)

    def _forget(self, key: int, size: int) -> None:
        del self._known[key]
        self.bytes -= size


def bound(workload: Workload) -> int:
    """Bytes that the predicted peak stays below, by a rule of thumb; it spares most searches the prediction."""
    size = workload.supernet.channels * workload.supernet.cells
    _, height, width = workload.shape
    weights = 20_000 * workload.supernet.channels * size
    # Four copies of the classifier's weights and of its scores; it sees 16 features for each of the C channels.
    classifier = 16 * workload.num_classes * (16 * workload.supernet.channels + workload.batch)
    return _TORCH[0] + int(_TORCH[1] * (1000 * workload.batch * height * width * size + weights + classifier))


def largest_batch(workload: Workload, room: int) -> int | None:
    """The largest batch whose predicted peak is at most ``room`` bytes; None where not even the smallest fits.

    A tensor grows by the image or not at all, so the peak grows along straight lines that get steeper: a batch between two
    others needs no more than the line through them says.
    """
    least = predicted_peak(replace(workload, batch=_LEAST_BATCH))
    if room < least:
        return None
    other = max(workload.batch, 2 * _LEAST_BATCH)
    growth = predicted_peak(replace(workload, batch=other)) - least
    return _LEAST_BATCH + (room - least) * (other - _LEAST_BATCH) // growth


def smallest_k(workload: Workload, room: int) -> int | None:
    """The smallest larger K whose predicted peak is at most ``room`` bytes; None without partial connection, too."""
    if workload.edge.selector == "all":
        return None
    channels = workload.supernet.channels
    larger = (k for k in range(workload.edge.k + 1, channels + 1) if channels % k == 0)
    return next((k for k in larger if predicted_peak(workload.with_k(k)) <= room), None)


def parse_memory(text: str, option: str) -> int:
    """The bytes of an amount like ``8GB`` (8e9) or ``7.5GiB`` (7.5 times 2^30).

    Args:
        text: the amount.
        option: where it stands, for the message.

    Raises:
        ConfigError: it is not such an amount, or it is zero.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([MGT]I?B)", text.strip().upper())
    amount = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if amount == 0:
        raise ConfigError(f"{option} '{text[:40]}' is not an amount of memory; write it like 8GB or 7.5GiB")
    return amount


@dataclass(frozen=True)
class MemoryLimit:
    """What a search may use.

    Attributes:
        amount: bytes of the whole process; none takes what the machine has.
        active: false predicts nothing.
    """

    amount: int | None = None
    active: bool = True

    @classmethod
    def of(cls, setting: str | None) -> MemoryLimit:
        """The limit that `run.memory_limit` means.

        Raises:
            ConfigError: it is not an amount.
        """
        amount = None if setting in (None, "auto") else parse_memory(str(setting), "--memory-limit (run.memory_limit)")
        return cls(amount, setting is not None)

    def check(self, workload: Workload, device: torch.device) -> str | None:
        """Predict the peak of a search before it begins.

        Args:
            workload: the search.
            device: whose memory counts.

        Returns:
            A warning where no amount is given and the machine has less than is needed: it may swap, and a GPU that runs out
            works its batches off in parts.

        Raises:
            OutOfMemoryError: the peak is above the given amount.
        """
        if not self.active:
            return None
        used, free = _memory(device)
        if self.amount is None and free is None:
            return None
        allowed = used + (free or 0) if self.amount is None else self.amount
        if used + bound(workload) <= allowed or used + predicted_peak(workload) <= allowed:
            return None
        options = list(_options(workload, allowed - used))
        advice = f"it would fit with {' or '.join(options)}" if options else "choose fewer channels or cells"
        there = "this machine has" if self.amount is None else "the limit is"
        message = f"the search needs about {_said(used + predicted_peak(workload))} of memory, {there} {_said(allowed)}; {advice}"
        if self.amount is None:
            return message
        raise OutOfMemoryError(message)


def _options(workload: Workload, room: int) -> Iterator[str]:
    """The single options that would make a workload fit."""
    if (batch := largest_batch(workload, room)) is not None:
        yield f"--search.batch-size {batch}"
    if (k := smallest_k(workload, room)) is not None:
        yield f"--edge.k {k}"
    if not workload.supernet.recompute and predicted_peak(workload.recomputing()) <= room:
        yield "--supernet.recompute"


def _memory(device: torch.device) -> tuple[int, int | None]:
    """Bytes that this process uses by now, and those that it could have besides; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device), torch.cuda.mem_get_info(device)[0]
    used = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if _STATM.exists() else 0
    return used, available_memory()


def _said(amount: int) -> str:
    return f"{amount / 10**9:.1f} GB" if amount >= 10**9 else f"{amount // 10**6} MB"
