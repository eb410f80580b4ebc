"""The table of NAS-Bench-201 against its golden numbers, and what it refuses."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adarts.errors import ConfigError, DataError
from adarts.spaces import DARTS, NASBENCH201, CellGenotype, Genotype, random_genotype
from adarts.truth import DATA_SETS, all_truths, best, lookup, same_structure, sample, truth_of

ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
ALL_NONE = ALL_SKIP.replace("skip_connect", "none")
BEST = {
    "cifar10": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    "cifar100": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}


def test_the_file_is_the_one_that_its_readme_names() -> None:
    folder = resources.files("adarts.truth")
    digest = hashlib.sha256((folder / "nasbench201.csv.gz").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    assert "MIT License" in (folder / "NOTICE").read_text()


def test_every_cell_of_the_space_is_there_once() -> None:
    truths = all_truths()
    assert len(truths) == len({truth.arch for truth in truths}) == 5**6 == 15_625
    assert [truth.index for truth in truths] == list(range(15_625))
    assert len({truth.structure for truth in truths}) == 6_466
    words = {word for truth in truths for word in re.findall(r"(\w+)~", truth.arch)}
    assert words == set(NASBENCH201.operations)


@pytest.mark.parametrize(("dataset", "accuracy"), [("cifar10", 94.3733), ("cifar100", 73.5133)])
def test_the_best_cells(dataset: str, accuracy: float) -> None:
    truth = best(dataset)
    assert truth.arch == BEST[dataset]
    on = truth.on(dataset)
    assert (on.test, on.rank, on.regret) == (accuracy, 1, 0.0)


@pytest.mark.parametrize(
    ("dataset", "name", "unit", "trainings"),
    [
        ("cifar10", "validation_12", 100 / 25_000, 2),
        ("cifar10", "test_12", 100 / 10_000, 1),
        ("cifar100", "validation_12", 100 / 5_000, 1),
        ("cifar100", "test_12", 100 / 5_000, 1),
    ],
)
def test_the_12_epoch_figures_are_of_as_many_images_and_trainings_as_their_readme_says(
    dataset: str, name: str, unit: float, trainings: int
) -> None:
    """A figure is a multiple of one image's share, and a mean of two trainings of half of it, in about half of the cells."""
    images = [getattr(truth.on(dataset), name) / unit for truth in all_truths()]
    assert max(abs(trainings * number - round(trainings * number)) for number in images) < 0.05
    whole = sum(abs(number - round(number)) < 0.05 for number in images) / len(images)
    assert whole == pytest.approx(1 / trainings, abs=0.05)


def test_the_collapsed_cell() -> None:
    truth = lookup(ALL_SKIP)
    assert (truth.index, truth.parameters, truth.macs) == (1835, 73_306, 7.78305)
    assert (truth.cifar10.test, truth.cifar100.test) == (54.2967, 15.6067)
    assert (truth.cifar10.validation_12, truth.cifar10.test_12) == (33.944, 36.84)
    assert truth.cifar10.regret == 40.0766  # 94.3733 - 54.2967


def test_a_cell_that_nothing_passes_says_the_same_of_every_image() -> None:
    truth = lookup(ALL_NONE)
    assert (truth.cifar10.test, truth.cifar100.test) == (10.0, 1.0)
    assert len({twin.cifar10.test for twin in same_structure(truth)}) == 1


@pytest.mark.parametrize("dataset", DATA_SETS)
def test_ranks_are_those_of_sorting(dataset: str) -> None:
    on = [truth.on(dataset) for truth in all_truths()]
    ordered = sorted(on, key=lambda one: -one.test)
    for place, (one, after) in enumerate(pairwise(ordered), start=1):
        assert (one.rank == after.rank) == (one.test == after.test)
        assert after.rank in (one.rank, place + 1)  # equal cells share a rank, and use up as many as they are
    assert ordered[0].rank == 1


@given(st.integers(0, 15_624), st.integers(0, 15_624), st.sampled_from(list(DATA_SETS)))
def test_the_better_cell_has_the_lower_rank_and_regret(first: int, second: int, dataset: str) -> None:
    one, other = (all_truths()[index].on(dataset) for index in (first, second))
    assert (one.test > other.test) == (one.rank < other.rank) == (one.regret < other.regret)
    assert one.test + one.regret == pytest.approx(best(dataset).on(dataset).test)


@given(st.lists(st.sampled_from(NASBENCH201.operations), min_size=6, max_size=6))
def test_there_and_back(operations: list[str]) -> None:
    edges = list(zip(NASBENCH201.edges, operations, strict=True))
    nodes = tuple(
        tuple((name, source) for (source, node), name in edges if node == target and name != "none")
        for target in NASBENCH201.targets
    )
    genotype = Genotype({"normal": CellGenotype(nodes, (3,))}, "nasbench201")
    truth = truth_of(genotype)
    assert truth is lookup(truth.arch) is lookup(f" {truth.arch}\n")
    assert re.findall(r"(\w+)~", truth.arch) == operations
    assert Genotype.from_text(truth.arch) == genotype
    assert truth in same_structure(truth)


def test_only_cells_of_the_space_have_a_truth() -> None:
    with pytest.raises(DataError, match="of the space 'darts', not of 'nasbench201'"):
        truth_of(random_genotype(DARTS, 0))
    conv = ("nor_conv_3x3", 0)
    for nodes, concat, message in [
        (((conv,), (conv,), (conv,)), (2,), "has 3 nodes and the output"),
        (((conv,), (conv,), (conv,)), (1, 2, 3), "has 3 nodes and the output"),
        (((conv,), (conv,), (conv, ("skip_connect", 0))), (3,), "has only one operation"),
        (((conv,), (conv,)), (2,), "has 3 nodes and the output"),
        (((("sep_conv_3x3", 0),), (conv,), (conv,)), (3,), "'sep_conv_3x3'"),
    ]:
        with pytest.raises(DataError, match=message):
            truth_of(Genotype({"normal": CellGenotype(nodes, concat)}, "nasbench201"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected"),
        ("|", "expected"),
        ("nor_conv_3x3", "expected"),
        (BEST["cifar10"].replace("nor_conv_1x1~2", "nor_conv_1x~2"), "did you mean 'nor_conv_1x1'?"),
        (BEST["cifar10"].replace("nor_conv_1x1~2", "sep_conv_3x3~2"), "unknown operation 'sep_conv_3x3'"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "in this order"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "must read the nodes 0, 1, 2"),
        ("|none~0|none~1|+|none~0|+|none~0|none~1|none~2|", "must read"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "must read"),
        ("+".join([ALL_SKIP, "|none~0|"]), "expected"),
        ("|__import__('os').system('true')~0|+|none~0|none~1|+|none~0|none~1|none~2|", ""),
        ("|" + "((" * 100 + "~0|+|none~0|none~1|+|none~0|none~1|none~2|", ""),
        ("|none~0|" * 10_000, ""),
        ("|" + "none~0|" * 8_000 + "x", "expected"),
        ("|none~\u0660|+|none~0|none~1|+|none~0|none~1|none~2|", "expected"),  # a zero, but not ours
        ("|a\nb~0|+|none~0|none~1|+|none~0|none~1|none~2|", "unknown operation"),
    ],
)
def test_what_is_no_cell_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError) as refused:
        lookup(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


@given(st.text(alphabet="|~+0123noe_ \n(", max_size=60))
@example("|none~0|+|none~0|none~1|+|none~0|none~1|none~2")
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        lookup(text)


def test_samples_are_seeded_and_without_repetition() -> None:
    drawn = sample(100, seed=0)
    assert drawn == sample(100, seed=0)
    assert drawn != sample(100, seed=1)
    assert drawn[:10] == sample(10, seed=0)
    assert len({truth.index for truth in drawn}) == 100
    assert sorted(truth.index for truth in sample(15_625, seed=2)) == list(range(15_625))
    few = all_truths()[:3]
    assert sorted(truth.index for truth in sample(3, 0, few)) == [0, 1, 2]
    for number in (4, -1):
        with pytest.raises(ConfigError, match="cannot be drawn from 3"):
            sample(number, 0, few)


def test_an_unknown_data_set_is_named() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'cifar10'\?"):
        best("cifar-10")
    with pytest.raises(ConfigError, match="no accuracies are known on 'macs'"):
        all_truths()[0].on("macs")


def test_a_known_cell_needs_no_torch() -> None:
    code = f"from adarts.truth import best, lookup; lookup({ALL_SKIP!r}); best('cifar10')"
    code += "; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
