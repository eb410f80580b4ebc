"""The largest batch of a search step that fits into a memory, by K: the paper's argument for partial connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from adarts.benchmark import fits
from adarts.benchmark.memory import peak_of
from adarts.benchmark.outcome import Conditions, Outcome, mebibytes, provenance, ratio
from adarts.benchmark.plots import Bars, bars_svg
from adarts.benchmark.variants import Variant
from adarts.data.memory import available_memory
from adarts.errors import OutOfMemoryError

PROBES = (8, 16, 32)
"""Batches that are measured first; peaks of memory lie on a line from here on."""
CLOSE = 0.03
"""A batch that leaves at most this share of the memory unused is close enough to the largest."""
LEAST = 2
"""Batch normalization needs two images."""


@dataclass
class Search:
    """The search for the largest batch whose peak stays within a limit.

    Attributes:
        peak: bytes at a batch; None where the machine itself has too little memory.
        limit: bytes.
        points: the batches measured so far.
    """

    peak: Callable[[int], int | None]
    limit: int
    points: dict[int, int | None] = field(default_factory=dict)

    def probe(self) -> int:
        """Measure the small batches, and return the largest batch by the line through them (0 if not the smallest fits)."""
        for batch in PROBES:
            if not self._measure(batch):
                break
        return self.estimate()

    def narrow(self, checks: int) -> None:
        """Measure at the estimate, and better it, until the memory is used or no batch is left between fitting and not."""
        for _ in range(checks):
            if self.close():
                return
            low, high = self.bounds()
            self._measure(min(max(self.estimate(), low + 1), high - 1))

    def bounds(self) -> tuple[int, int]:
        """The largest batch known to fit (1 for none, since a step needs two images) and the smallest known not to."""
        fitting = [batch for batch in self.points if self._fits(batch)]
        low = max(fitting, default=LEAST - 1)
        return low, min((batch for batch in self.points if batch not in fitting), default=1 << 30)

    def close(self) -> bool:
        """Whether the largest batch known to fit is the answer, or leaves next to nothing of the memory unused."""
        low, high = self.bounds()
        return high == low + 1 or (low >= LEAST and self._used(low) >= (1 - CLOSE) * self.limit)

    def estimate(self) -> int:
        """The largest batch by the line through the largest ones that were measured; half way up where there are not two."""
        known = sorted(batch for batch in self.points if self.points[batch] is not None)[-3:]
        if len(known) < 2:
            return sum(self.bounds()) // 2
        line = fits.line(known, [self._used(batch) for batch in known])
        return max(0, int((self.limit - line.offset) / line.slope)) if line.slope > 0 else 0

    def _measure(self, batch: int) -> bool:
        self.points[batch] = self.peak(batch)
        return self._fits(batch)

    def _fits(self, batch: int) -> bool:
        return self.points[batch] is not None and self._used(batch) <= self.limit

    def _used(self, batch: int) -> int:
        return self.points[batch] or 0


def largest_batches(
    variants: Sequence[Variant], limit: int, conditions: Conditions, *, verify: bool = True, checks: int = 4
) -> Outcome:
    """Find the largest batch of each variant.

    On a CPU the whole process counts, the idle one included; on CUDA what torch's allocator gave out.

    Args:
        variants: their own batch does not matter.
        limit: bytes.
        conditions: how to measure.
        verify: measure near the limit; otherwise the line through small batches is all there is.
        checks: how often at most.
    """
    room = _room(conditions.device)
    records = [_record(variant, limit, conditions, room, checks if verify else 0) for variant in variants]
    for record in records:
        record["batch_ratio"] = record["batch"] / records[0]["batch"] if records[0]["batch"] else None
    title = f"Largest batch in {mebibytes(limit)}: {conditions.device.type}"
    bars = [(r["label"], float(r["batch"]), f"{r['batch']:,}") for r in records]
    return Outcome(
        name="batch",
        title=title,
        settings={"memory": limit, "verify": verify, "checks": checks, "threads": conditions.threads},
        records=records,
        head=["variant", "batch", "ratio", "peak", "an image", "predicted", "how"],
        rows=[
            [
                r["label"],
                f"{r['batch']:,}",
                "none" if r["batch_ratio"] is None else ratio(r["batch_ratio"]),
                "none" if r["peak"] is None else mebibytes(r["peak"]),
                mebibytes(r["bytes_per_image"]) if r["bytes_per_image"] else "none",
                f"{r['extrapolated']:,}",
                r["how"],
            ]
            for r in records
        ],
        svg=bars_svg(title, [Bars("images of a batch", bars)]),
        notes=[
            "predicted: by the line through small batches alone; measured: a step of that batch was carried out, and it fits",
            f"a peak counts the whole process on a CPU ({mebibytes(records[0]['idle'])} of it idle), torch's allocations on CUDA",
        ],
        provenance=provenance(conditions.device),
    )


def _record(variant: Variant, limit: int, conditions: Conditions, room: int | None, checks: int) -> dict[str, Any]:
    idle = 0

    def peak(batch: int) -> int | None:
        nonlocal idle
        conditions.say(f"memory: {variant.label}, batch {batch}")
        try:
            found = peak_of("search", replace(variant, batch=batch), conditions.device, conditions.threads)
        except OutOfMemoryError:
            return None
        idle = found.idle
        return found.total

    search = Search(peak, limit)
    extrapolated = search.probe()
    if checks and (room is None or limit <= room):
        search.narrow(checks)
    fitting, _ = search.bounds()
    if search.close():
        batch, how = (fitting, "measured") if fitting >= LEAST else (0, "nothing fits")
    else:
        batch, how = search.estimate(), "extrapolated"
        if room is not None and limit > room:
            how += f": this machine has {mebibytes(room)} free"
    known = sorted(number for number, used in search.points.items() if used is not None)
    slope = fits.line(known, [search.points[number] or 0 for number in known]).slope if len(known) > 1 else None
    return {
        "label": variant.label,
        "variant": variant.facts(conditions.device),
        "batch": batch,
        "how": how,
        "peak": search.points.get(batch),
        "idle": idle,
        "extrapolated": extrapolated,
        "bytes_per_image": slope,
        "measured": {str(number): search.points[number] for number in sorted(search.points)},
    }


def _room(device: torch.device) -> int | None:
    """Bytes that a child may use before the machine swaps or kills; None where nobody knows."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
