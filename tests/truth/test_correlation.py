"""What a supernet says of cells, against the truth: measured for real on a search of two seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from adarts.config.settings import RunSettings
from adarts.errors import CheckpointError, ConfigError
from adarts.experiments import correlation
from adarts.experiments.correlation import Measured, agreement, correlate
from adarts.searching.finished import restored
from adarts.spaces import load_genotype
from adarts.supernet import ArchWeights
from adarts.truth import Truth, all_truths, best, lookup, truth_of

HOW = RunSettings(device="cpu", threads=1)
CONV = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
NONE = CONV.replace("nor_conv_3x3", "none")


def copy_of(run_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_dir, tmp_path / "copy"))


def test_a_search_is_restored_as_it_ended(finished_search: Path) -> None:
    task, genotype = restored(finished_search, HOW)
    assert task.genotype() == genotype
    summary = json.loads((finished_search / "summary.json").read_text())
    assert truth_of(genotype).cifar10.test == summary["truth"]["cifar10"]


def test_correlation_of_a_search(finished_search: Path) -> None:
    seen: list[int] = []

    def watch(cells: list[Truth]) -> list[Truth]:
        seen.append(len(cells))
        return cells

    result = correlate(finished_search, 8, seed=1, how=HOW, watch=watch)
    assert seen == [8] == [len(result.measured)]
    assert result.measured[0].truth is result.derived
    assert len({one.truth.index for one in result.measured}) == 8
    written = json.loads((finished_search / "correlation.json").read_text())
    assert written == json.loads(json.dumps(result.summary))
    assert written["cells_in_supernet"] == 15_625 and written["images"] == 16  # two whole batches of 20 images
    found = result.agreements["cifar10"]
    assert found.derived == written["measured"][0]["cifar10"] == result.derived.cifar10.test
    assert found.best_of_sample == max(one["cifar10"] for one in written["measured"])
    assert found.best_of_all == best("cifar10").cifar10.test
    assert found.mean_of_all == pytest.approx(sum(t.cifar10.test for t in all_truths()) / 15_625)
    again = correlate(finished_search, 8, seed=1, how=HOW)
    assert [one.accuracy for one in again.measured] == [one.accuracy for one in result.measured]
    other = correlate(finished_search, 8, seed=2, how=HOW)
    assert other.derived is result.derived
    assert [one.truth for one in other.measured] != [one.truth for one in result.measured]

    root = ElementTree.fromstring((finished_search / "correlation.svg").read_text())
    names = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sum(name.startswith("|") for name in names) == 8
    assert any(name.startswith(result.derived.arch) for name in names)


def test_a_cell_is_measured_alone(finished_search: Path) -> None:
    task, _ = restored(finished_search, HOW)
    with torch.no_grad():
        for arch in (CONV, best("cifar10").arch, NONE):
            alone = correlation._only(lookup(arch), None, 0.5, task.device)
            among_all = ArchWeights(
                alone.operations
            )  # every operation is computed, and all but one of an edge weigh nothing
            assert task.measure(alone) == pytest.approx(task.measure(among_all))


def test_batches_are_as_the_weights_learned_with_them(finished_search: Path) -> None:
    """With statistics of batches of one class, or without the padding of the crops, a good supernet looks like a bad one."""
    task, _ = restored(finished_search, HOW)
    batches = correlation._as_learned(task)
    assert sorted(batches.order(0).tolist()) == sorted(task.validation.indices.tolist())
    found = [batches.batch(0, step) for step in range(len(batches))]
    assert {len(y_b) for _, y_b in found} == {task.config.search.batch_size}
    assert all(len(y_b.unique()) >= 3 for _, y_b in found)
    assert batches.augmentation.crop_padding == task.config.images.crop_padding > 0


def test_only_what_the_supernet_still_has_is_sampled(finished_search: Path) -> None:
    task, _ = restored(finished_search, HOW)
    assert len(correlation._cells_in(task)) == 15_625
    task.supernet.set_active("normal", [[False, True, False, True, False]] * 5 + [[False, False, False, True, False]])
    cells = correlation._cells_in(task)
    assert len(cells) == 2**5
    assert all(cell.arch.endswith("nor_conv_3x3~2|") and "none" not in cell.arch for cell in cells)


def test_a_supernet_with_few_cells_is_measured_whole(
    finished_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = copy_of(finished_search, tmp_path)
    found = truth_of(load_genotype(run_dir / "genotype.json"))
    few = [*all_truths()[:3], found]
    monkeypatch.setattr(correlation, "_cells_in", lambda task: few)
    result = correlate(run_dir, 100, how=HOW)
    assert {one.truth.index for one in result.measured} == {0, 1, 2, result.derived.index}
    assert result.summary["cells"] == result.summary["cells_in_supernet"] == 4
    few.remove(found)
    with pytest.raises(ConfigError, match="found its cell in another supernet than the last one"):
        correlate(run_dir, 100, how=HOW)
    few[:] = [found]
    with pytest.raises(ConfigError, match="dropped all operations but those of the cell that it found"):
        correlate(run_dir, 100, how=HOW)


def test_agreement_by_hand() -> None:
    by_rank = sorted(all_truths(), key=lambda truth: truth.cifar10.rank)
    measured = [
        Measured(by_rank[2000], 1.0, 0.5),
        Measured(by_rank[0], 0.9, 0.7),
        Measured(by_rank[1000], 0.5, 0.7),  # as accurate, with the lower loss: the first
        Measured(by_rank[15_000], 2.0, 0.1),
    ]
    found = agreement(measured, "cifar10")
    # Ranks in the supernet 2, 3.5, 3.5, 1, in truth 2, 4, 3, 1: 4.5 / sqrt(4.5 * 5); of six pairs one is a tie.
    assert found.spearman == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert found.kendall == pytest.approx(5 / (5 * 6) ** 0.5)
    assert found.derived == by_rank[2000].cifar10.test
    assert found.first == by_rank[1000].cifar10.test
    assert found.best_of_sample == 94.3733


def test_what_cannot_be_compared(finished_search: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--cells 1: an order needs two"):
        correlate(finished_search, 1, how=HOW)
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="--weight"):
            correlate(finished_search, weight=weight, how=HOW)
    run_dir = copy_of(finished_search, tmp_path)
    (run_dir / "summary.json").rename(run_dir / "kept.json")
    with pytest.raises(CheckpointError, match="not finished; continue it with: adarts search"):
        correlate(run_dir, how=HOW)
    (run_dir / "kept.json").rename(run_dir / "summary.json")
    config = run_dir / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("method: adarts", "method: own.py:Own"))
    with pytest.raises(ConfigError, match=r"--method own\.py:Own"):
        correlate(run_dir, how=HOW)
    config.write_text(text)
    (run_dir / "checkpoints" / "last.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="checkpoint of the last epoch is damaged"):
        correlate(run_dir, how=HOW)
    shutil.rmtree(run_dir / "checkpoints")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        correlate(run_dir, how=HOW)


def test_what_cannot_be_compared_is_refused_before_images_are_read(
    finished_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adarts.searching.finished.load_images", lambda *_: pytest.fail("images were read"))
    for numbers in ({"number": 1}, {"weight": 0.0}):
        with pytest.raises(ConfigError, match=r"^--"):
            correlate(finished_search, how=HOW, **numbers)
    config = copy_of(finished_search, tmp_path) / "config.yaml"
    config.write_text(config.read_text().replace("space: nasbench201\n", ""))  # from before there was the setting
    with pytest.raises(ConfigError, match="a search in 'darts'; true accuracies are known of 'nasbench201'"):
        correlate(config.parent, how=HOW)
