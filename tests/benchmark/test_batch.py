from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from adarts.benchmark import Conditions, batch, largest_batches
from adarts.benchmark.batch import CLOSE, PROBES, Search
from adarts.benchmark.memory import Peak
from adarts.benchmark.variants import Variant, grid
from adarts.errors import OutOfMemoryError

QUIET = Conditions(torch.device("cpu"), 1, 1, 0, lambda text: None)


def search(peak: Callable[[int], int | None], limit: int) -> Search:
    found = Search(peak, limit)
    found.probe()
    found.narrow(checks=6)
    return found


def test_on_a_line_the_first_check_is_enough() -> None:
    asked: list[int] = []

    def peak(size: int) -> int:
        asked.append(size)
        return 1000 + 10 * size

    found = search(peak, 5000)
    assert asked == [*PROBES, 400]
    assert found.bounds()[0] == 400
    assert found.close()


@pytest.mark.parametrize("bend", [0.002, -0.002])
def test_off_the_line_it_comes_close_and_never_claims_what_does_not_fit(bend: float) -> None:
    def peak(size: int) -> int:
        return int(1000 + 10 * size + bend * size**2)

    found = search(peak, 5000)
    assert found.close()
    assert (1 - CLOSE) * 5000 <= peak(found.bounds()[0]) <= 5000


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 2), (5, 5), (12, 12)])
def test_a_machine_that_gives_up(most: int, expected: int) -> None:
    """A child that was killed has no peak; the search halves its way (1 says that not even two images fit)."""
    found = search(lambda size: 100 * size if size <= most else None, 10**9)
    assert found.bounds() == (expected, expected + 1)


def test_the_largest_batches_by_k(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(kind: str, variant: Variant, device: torch.device, threads: int) -> Peak:
        assert kind == "search"
        above = 500 + 64 * variant.batch // variant.k
        if above > 3000:
            raise OutOfMemoryError("killed")
        return Peak(100, above)

    monkeypatch.setattr(batch, "peak_of", peak)
    outcome = largest_batches(grid({"edge.k": "1,4"}), 2200, QUIET)
    assert [record["batch"] for record in outcome.records] == [25, 100]
    assert [record["how"] for record in outcome.records] == ["measured"] * 2
    assert outcome.records[1]["batch_ratio"] == 4
    assert outcome.records[1]["peak"] == 2200
    guessed = largest_batches(grid({"edge.k": "1,4"}), 2200, QUIET, verify=False)
    assert [record["how"] for record in guessed.records] == ["extrapolated"] * 2
    assert guessed.records[1]["batch"] == 100
    assert guessed.records[1]["peak"] is None
    nothing = largest_batches(grid({"edge.k": "1,4"}), 200, QUIET)
    assert [record["batch"] for record in nothing.records] == [0, 0]


def test_more_than_the_machine_has_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(kind: str, variant: Variant, device: torch.device, threads: int) -> Peak:
        assert variant.batch in PROBES
        return Peak(0, 1000 * variant.batch)

    monkeypatch.setattr(batch, "peak_of", peak)
    monkeypatch.setattr(batch, "available_memory", lambda: 10**6)
    (record,) = largest_batches(grid({}), 10**7, QUIET).records
    assert record["batch"] == 10_000
    assert record["how"].startswith("extrapolated: this machine has")
