"""What a supernet says of cells, against the truth: measured for real on a search of two seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from adarts import zoo
from adarts.cli.main import main
from adarts.config.settings import RunSettings
from adarts.engine.update import measure
from adarts.errors import CheckpointError, ConfigError, DataError
from adarts.searching import SearchTask
from adarts.searching.finished import learned_batches, load_search
from adarts.spaces import DARTS, Genotype, random_genotype
from adarts.supernet import ArchWeights, only
from adarts.truth import all_truths, best, estimate_of, truth_of
from adarts.truth.correlation import (
    Correlation,
    MeasuredCell,
    SampleOfCells,
    agreement,
    correlate,
    picture,
)
from adarts.truth.judge import judge_of
from tiny import tiny_search

HOW = RunSettings(device="cpu", threads=1)
SVG = "{http://www.w3.org/2000/svg}"
CONV = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
NONE = CONV.replace("nor_conv_3x3", "none")


def copy_of(run_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_dir, tmp_path / "copy"))


def test_a_search_is_restored_as_it_ended(finished_search: Path) -> None:
    task, genotype = load_search(finished_search, HOW)
    assert task.genotype() == genotype
    summary = json.loads((finished_search / "summary.json").read_text())
    assert truth_of(genotype).cifar10.test == summary["truth"]["cifar10"]


def correlated(task: SearchTask, genotype: Genotype, number: int, seed: int = 1, **more: object) -> Correlation:
    batches = learned_batches(task)
    found = [batches.batch(0, step) for step in range(len(batches))]
    return correlate(task.supernet, genotype, lambda: found, cells=SampleOfCells(number, seed), **more)  # type: ignore[arg-type]


def test_correlation_of_a_search(finished_search: Path) -> None:
    seen: list[int] = []

    def watch(cells: list[Genotype]) -> list[Genotype]:
        seen.append(len(cells))
        return cells

    task, genotype = load_search(finished_search, HOW)
    result = correlated(task, genotype, 8, watch=watch)
    assert seen == [8] == [len(result.measured)]
    assert result.measured[0].truth is truth_of(genotype)
    assert len({one.truth.arch for one in result.measured}) == 8
    assert result.cells_in_supernet == 15_625
    found, written = result.agreements["cifar10"], result.content()["measured"]
    assert found.derived == written[0]["cifar10"] == truth_of(genotype).cifar10.test
    assert found.best_of_sample == max(one["cifar10"] for one in written)
    assert found.best_known == best("cifar10").cifar10.test
    assert found.mean_of_random == pytest.approx(sum(t.cifar10.test for t in all_truths()) / 15_625)
    assert correlated(task, genotype, 8) == result
    other = correlated(task, genotype, 8, seed=2)
    assert other.measured[0] == result.measured[0]
    assert [one.truth for one in other.measured] != [one.truth for one in result.measured]
    root = ElementTree.fromstring(picture(result, "cifar10", "what"))
    assert len(list(root.iter(f"{SVG}use"))) >= 8


def test_a_cell_is_measured_alone(finished_search: Path) -> None:
    task, _ = load_search(finished_search, HOW)
    x_bchw, y_b = learned_batches(task).batch(0, 0)
    task.supernet.train()

    def seen(weights: ArchWeights) -> tuple[float, float]:
        return measure(
            lambda x: task.supernet(x, arch_weights=weights, update_statistics=False), [(x_bchw, y_b)], lambda: None
        )

    with torch.no_grad():
        for arch in (CONV, best("cifar10").arch, NONE):
            alone = only(task.supernet, Genotype.from_text(arch), 0.5)
            among_all = ArchWeights(alone.operations)  # all are computed, and all but one of an edge weigh nothing
            assert seen(alone) == pytest.approx(seen(among_all))


def test_batches_are_as_the_weights_learned_with_them(finished_search: Path) -> None:
    """With statistics of batches of one class, or without the padding of the crops, a good supernet looks like a bad one."""
    task, _ = load_search(finished_search, HOW)
    batches = learned_batches(task)
    assert sorted(batches.order(0).tolist()) == sorted(task.validation.indices.tolist())
    found = [batches.batch(0, step) for step in range(len(batches))]
    assert {len(y_b) for _, y_b in found} == {task.config.search.batch_size}
    assert all(len(y_b.unique()) >= 3 for _, y_b in found)
    assert batches.augmentation.crop_padding == task.config.images.crop_padding > 0


def test_only_what_the_supernet_still_has_is_sampled(finished_search: Path) -> None:
    task, _ = load_search(finished_search, HOW)
    conv = Genotype.from_text(CONV)
    task.supernet.set_active("normal", [[False, True, False, True, False]] * 5 + [[False, False, False, True, False]])
    result = correlated(task, conv, 100)
    assert len(result.measured) == result.cells_in_supernet == 2**5
    cells = {one.truth.arch for one in result.measured}
    assert len(cells) == 2**5
    assert all(cell.endswith("nor_conv_3x3~2|") and "none" not in cell for cell in cells)


def test_a_supernet_with_few_cells_is_measured_whole(finished_search: Path) -> None:
    task, _ = load_search(finished_search, HOW)
    conv, none = Genotype.from_text(CONV), Genotype.from_text(NONE)
    task.supernet.set_active("normal", [[False, False, False, True, False]] * 5 + [[False, True, True, True, False]])
    result = correlated(task, conv, 100)
    assert len(result.measured) == result.cells_in_supernet == 3
    assert result.measured[0].truth.arch == CONV
    with pytest.raises(ConfigError, match="does not contain the derived cell"):
        correlated(task, none, 100)
    task.supernet.set_active("normal", [[False, False, False, True, False]] * 6)
    with pytest.raises(ConfigError, match="contains only the derived cell"):
        correlated(task, conv, 100)


def test_agreement_by_hand() -> None:
    by_rank = sorted(all_truths(), key=lambda truth: truth.cifar10.rank)
    measured = [
        MeasuredCell(by_rank[2000], 1.0, 0.5),
        MeasuredCell(by_rank[0], 0.9, 0.7),
        MeasuredCell(by_rank[1000], 0.5, 0.7),  # as accurate, with the lower loss: the first
        MeasuredCell(by_rank[15_000], 2.0, 0.1),
    ]
    found = agreement(measured, judge_of("nasbench201"), "cifar10")
    # Ranks in the supernet 2, 3.5, 3.5, 1, in truth 2, 4, 3, 1: 4.5 / sqrt(4.5 * 5); of six pairs one is a tie.
    assert found.spearman == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert found.kendall == pytest.approx(5 / (5 * 6) ** 0.5)
    assert found.derived == by_rank[2000].cifar10.test
    assert found.first == by_rank[1000].cifar10.test
    assert found.best_of_sample == 94.3733


def test_what_cannot_be_restored(finished_search: Path, tmp_path: Path) -> None:
    run_dir = copy_of(finished_search, tmp_path)
    (run_dir / "summary.json").rename(run_dir / "kept.json")
    with pytest.raises(CheckpointError, match="not finished; continue it with: adarts search"):
        load_search(run_dir, HOW)
    (run_dir / "kept.json").rename(run_dir / "summary.json")
    config = run_dir / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("method: adarts", "method: own.py:Own"))
    with pytest.raises(ConfigError, match=r"--method own\.py:Own"):
        load_search(run_dir, HOW)
    config.write_text(text)
    (run_dir / "checkpoints" / "last.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="checkpoint of the last epoch is damaged"):
        load_search(run_dir, HOW)
    shutil.rmtree(run_dir / "checkpoints")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_search(run_dir, HOW)


def test_what_cannot_be_compared_is_refused_before_images_are_read(
    finished_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adarts.searching.finished.load_images", lambda *_: pytest.fail("images were read"))
    words = ["truth", "correlation", str(finished_search)]
    for option, value in (
        ("--cells", "1"),
        ("--weight", "0"),
        ("--weight", "-1"),
        ("--weight", "nan"),
        ("--weight", "inf"),
    ):
        assert main([*words, f"{option}={value}"]) == 2
        assert option in capsys.readouterr().err
    config = copy_of(finished_search, tmp_path) / "config.yaml"
    config.write_text(config.read_text().replace("space: nasbench201\n", "space: mine.py:MINE\n"))
    assert main(["truth", "correlation", str(config.parent)]) == 2
    assert "nothing is known about cells of the space 'mine.py:MINE'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def darts_task() -> SearchTask:
    """A search in the DARTS space before its first step; partial connection and learned edge weights."""
    return tiny_search("pc-darts")


def test_cells_of_the_darts_space_are_judged_by_the_estimate(darts_task: SearchTask) -> None:
    supernet, found = darts_task.supernet, random_genotype(DARTS, 0)
    batches = [darts_task.alpha_batches.batch(0, 0)]

    def correlated(number: int) -> Correlation:
        return correlate(supernet, found, lambda: batches, cells=SampleOfCells(number))

    result = correlated(6)
    assert [one.truth.arch for one in result.measured[:3]] == [one.truth.arch for one in correlated(3).measured]
    assert len({one.truth.arch for one in result.measured}) == 6
    assert result.measured[0].truth == estimate_of(found)
    # Seven operations on two of 2, 3, 4 and 5 edges, in both cells.
    assert result.cells_in_supernet == (7**8 * 1 * 3 * 6 * 10) ** 2
    assert set(result.agreements) == {"cifar10"} and result.content()["accuracies"].startswith("estimated")
    found_in = result.agreements["cifar10"]
    assert found_in.mean_of_random == judge_of("darts").floors()[0].accuracies["cifar10"].spread.mean
    assert "estimated accuracy on CIFAR-10 (%)" in picture(result, "cifar10", "what")
    with pytest.raises(DataError, match="no estimate"):
        correlate(supernet, zoo.get("FairDARTS_a").genotype, lambda: batches)


def test_edges_outside_a_cell_weigh_nothing(darts_task: SearchTask) -> None:
    """Not even their bypassing channels reach the node."""
    supernet, cell = darts_task.supernet, random_genotype(DARTS, 1)
    learned = darts_task.method.edge_weights(supernet)
    assert learned is not None
    alone = only(supernet, cell, edges=learned)
    assert alone.edges is not None and alone.active is not None
    kept = [edge in cell.by_edge("normal") for edge in DARTS.edges]
    assert (alone.edges["normal"] > 0).tolist() == kept == alone.active["normal"].any(1).tolist()
    assert alone.edges["normal"][kept].equal(learned["normal"][kept])
    x_bchw, _ = darts_task.alpha_batches.batch(0, 0)
    without = ArchWeights(alone.operations, alone.edges)  # all operations are computed, and weigh nothing elsewhere
    supernet.train()
    with torch.no_grad():
        seen, expected = (supernet(x_bchw, arch_weights=w, update_statistics=False) for w in (alone, without))
    assert seen.numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_only_active_operations_of_the_darts_space_are_sampled(darts_task: SearchTask) -> None:
    judge, supernet = judge_of("darts"), darts_task.supernet
    skips = [[name in ("none", "skip_connect") for name in DARTS.operations]] * 14
    active = {"normal": skips, "reduction": supernet.active["reduction"].tolist()}
    beside = random_genotype(DARTS, 0)
    assert judge.number_of(active) == 1 * 3 * 6 * 10 * (7**8 * 1 * 3 * 6 * 10)
    for cell in judge.sample(active, 20, 0, beside):
        assert {name for pairs in cell.cells["normal"].nodes for name, _ in pairs} == {"skip_connect"}
    few = dict.fromkeys(active, skips)
    assert judge.number_of(few) == 180**2
    assert len(set(judge.sample(few, 300, 0, beside))) == 300
