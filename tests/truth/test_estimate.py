"""The estimate for cells of the DARTS space: against its published figures, and what it refuses."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts import zoo
from adarts.errors import ConfigError, DataError
from adarts.models import Network, count_parameters
from adarts.spaces import DARTS, CellGenotype, Genotype, get_space, random_genotype
from adarts.truth import estimate_of
from adarts.truth.estimate import (
    CELLS,
    CHANNELS,
    EDGES,
    ERROR,
    HIGHEST,
    OPERATIONS,
    SPACES,
    KernelRidge,
    allow,
    decode,
    encode,
    estimates,
    random_cells,
    table,
)
from adarts.truth.floors import mask_of, parameters
from adarts.truth.judge import judge_of
from adarts.truth.ranks import kendall

EVERY = np.stack([allow(*OPERATIONS)] * 2)


def cell_of(**nodes: tuple[tuple[str, int], ...]) -> Genotype:
    """Cells of separable convolutions from the inputs, with other pairs for some nodes of the normal cell."""
    pairs = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))
    normal = [nodes.get(f"node{node}", pairs) for node in range(2, 6)]
    cells = {
        "normal": CellGenotype(tuple(normal), DARTS.outputs),
        "reduction": CellGenotype((pairs,) * 4, DARTS.outputs),
    }
    return Genotype(cells)


def test_the_file_is_the_one_that_its_readme_names() -> None:
    folder = resources.files("adarts.truth")
    digest = hashlib.sha256((folder / "nasbench301.csv.gz").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    notice = (folder / "NOTICE").read_text()
    assert "NASLib" in notice and "Apache License" in notice
    cells, accuracies = table()
    assert len(np.unique(cells, axis=0)) == len(accuracies) == 1218
    assert accuracies.max() == 94.4889
    assert ((cells > 0).sum(-1) == 8).all()


def test_the_order_of_edges_and_operations_is_that_of_the_space() -> None:
    assert (DARTS.edges, DARTS.operations) == (EDGES, OPERATIONS)
    assert all(get_space(name).edges == EDGES for name in SPACES)


@pytest.mark.parametrize(("name", "accuracy"), [("ADARTS_V1", 94.17), ("DARTS_V2", 94.33), ("PC_DARTS_cifar", 94.82)])
def test_published_cells(name: str, accuracy: float) -> None:
    found = estimate_of(zoo.get(name).genotype)
    assert found.cifar10 == pytest.approx(accuracy, abs=0.02)
    assert found.estimated and found.beyond is None
    assert Genotype.from_text(found.arch) == zoo.get(name).genotype


def test_the_error_is_that_of_cross_validation() -> None:
    cells, accuracies = table()
    fold = np.random.default_rng(0).permutation(len(cells)) % 5
    found = np.empty(len(cells))
    for out in range(5):
        model = KernelRidge(cells[fold != out], accuracies[fold != out])
        found[fold == out] = model(cells[fold == out])
    assert np.sqrt(np.mean((found - accuracies) ** 2)) == pytest.approx(ERROR, abs=0.02)
    assert kendall(found.tolist(), accuracies.tolist()) == pytest.approx(0.81, abs=0.02)


def test_what_is_beyond_the_data_is_marked() -> None:
    skip, sep = ("skip_connect", 0), ("sep_conv_3x3", 1)
    skips = (skip, ("skip_connect", 1))
    assert estimate_of(zoo.get("GDAS_V1").genotype).beyond is None  # four skip connections
    found = estimate_of(cell_of(node2=skips, node3=skips, node4=(skip, sep)))
    assert found.beyond == "5 skip connections in the normal cell; the data has at most 4"
    best = estimate_of(zoo.get("SNAS_moderate").genotype)
    assert best.cifar10 > HIGHEST and best.beyond is not None and "94.9 %" in best.beyond


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ((("sep_conv_3x3", 0), ("none", 1)), "node 3 has the operation 'none'"),
        ((("sep_conv_3x3", 0), ("sep_conv_7x7", 1)), "node 3 has the operation 'sep_conv_7x7'"),
        ((("sep_conv_3x3", 1), ("skip_connect", 1)), "node 3 has two edges from node 1"),
        ((("sep_conv_3x3", 1),), "node 3 needs 2 inputs, not 1"),
        ((("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 2)), "node 3 needs 2 inputs, not 3"),
    ],
)
def test_cells_without_an_estimate(pairs: tuple[tuple[str, int], ...], message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        estimate_of(cell_of(node3=pairs))
    assert "\n" not in str(refused.value)


def test_other_outputs_nodes_and_spaces_have_no_estimate() -> None:
    cells = dict(cell_of().cells)
    with pytest.raises(DataError, match="needs 4 nodes, all of them outputs"):
        estimate_of(Genotype({**cells, "normal": CellGenotype(cells["normal"].nodes, (3, 4, 5))}))
    with pytest.raises(DataError, match="needs 4 nodes"):
        estimate_of(zoo.get("PNASNet").genotype)
    with pytest.raises(DataError, match="of the space 'nasbench201'"):
        estimate_of(random_genotype(get_space("nasbench201"), 0))
    with pytest.raises(DataError, match="operation 'noise'"):
        estimate_of(
            Genotype({**cells, "normal": CellGenotype(((("noise", 0), ("noise", 1)),) * 4, (2, 3, 4, 5))}, "s4")
        )
    with pytest.raises(ConfigError, match="only on 'cifar10'"):
        estimate_of(cell_of()).accuracy("cifar100")


@given(st.sampled_from(SPACES[:-1]), st.integers(0, 1000))
def test_there_and_back(space: str, seed: int) -> None:
    genotype = random_genotype(get_space(space), seed)
    cell = encode(genotype)
    assert decode(cell, space) == genotype  # its pairs are in the order of their sources
    assert estimate_of(genotype).cifar10 == pytest.approx(float(estimates(cell[None])[0]), abs=1e-4)


def test_random_cells_are_uniform_and_within_their_mask() -> None:
    cells = random_cells(4000, 0, EVERY)
    assert (cells == random_cells(4000, 0, EVERY)).all()
    assert ((cells > 0).sum(-1) == 8).all()
    kept = (cells > 0).mean(0)
    for edge, (_, node) in enumerate(EDGES):
        assert kept[:, edge] == pytest.approx(2 / node, abs=0.05)
    shares = np.bincount(cells.ravel(), minlength=8)[1:] / (cells > 0).sum()
    assert shares == pytest.approx(1 / 7, abs=0.01)
    for name in SPACES[1:4]:
        space = get_space(name)
        for cell in random_cells(20, 0, mask_of(name)):
            decode(cell, name).require_within(space)
    nothing = EVERY.copy()
    nothing[0, 0] = False
    with pytest.raises(DataError, match="node 2 has fewer than two edges"):
        random_cells(1, 0, nothing)


def test_parameters_are_those_of_the_network_but_for_a_constant() -> None:
    rest = set()
    for seed in range(3):
        genotype = random_genotype(DARTS, seed)
        with torch.device("meta"):
            network = Network(genotype, 10, CHANNELS, CELLS)
        rest.add(count_parameters(network) - int(parameters(encode(genotype)[None])[0]))
    assert len(rest) == 1


@pytest.mark.parametrize(
    ("name", "mean", "sd"),
    [
        ("random cells", 93.10, 0.55),
        ("largest 0.5 % of random cells", 93.9, 0.25),
        ("separable convolutions", 94.29, 0.22),
        ("separable convolutions, skips in the normal cell", 94.47, 0.29),
    ],
)
def test_floors_of_the_space(name: str, mean: float, sd: float) -> None:
    """As an independent draw of 300 to 5,000 cells gave them."""
    found = {floor.name: floor.accuracies["cifar10"].spread for floor in judge_of("darts").floors()}[name]
    assert found.sd is not None and found.n >= 300
    assert found.mean == pytest.approx(mean, abs=4 * sd / found.n**0.5 + 0.01)
    assert found.sd == pytest.approx(sd, abs=0.1)


def test_published_cells_are_a_floor() -> None:
    floor = judge_of("darts").floors()[-1]
    accuracy = floor.accuracies["cifar10"]
    assert floor.name == "published cells" and accuracy.spread.n >= 70
    assert accuracy.best <= HIGHEST, "cells beyond the data are left out"
    assert [floor.name for floor in judge_of("s2").floors()] == ["random cells"]
    assert [floor.name for floor in judge_of("s4").floors()] == ["random cells without noise"]


def test_an_estimate_needs_no_torch() -> None:
    code = "from adarts.truth.estimate import *; estimates(table()[0][:1]); import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"False\s*", done.stdout)
