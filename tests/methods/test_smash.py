"""SMASH: the hypernetwork learns, its predictions depend on the cells, and nothing else decides about the convolutions."""

from __future__ import annotations

import pytest
import torch

from adarts.methods.smash import Smash
from adarts.searchers import Score, Trial
from adarts.searching import SearchTask
from adarts.spaces import DARTS, neighbors, random_genotype
from adarts.supernet import only
from adarts.testing import small_search
from adarts.testing.searches import moved, snapshot
from adarts.truth.correlation import SampleOfCells, correlate

FEW = {"images": {"per_class": 4, "size": 8}}


@pytest.fixture
def search() -> SearchTask:
    return small_search(Smash, FEW, {"search": {"epochs": 4}})


def test_gradients_reach_the_whole_hypernetwork(search: SearchTask) -> None:
    """A head learns once a path has a convolution of its size."""
    named = dict(search.method.hypernetwork.named_parameters())
    before = snapshot(named.values())
    for epoch in range(search.epochs):
        for step in range(search.steps(0)):
            search.step(epoch, step)
    still = [name for name, has in zip(named, moved(before, named.values()), strict=True) if not has]
    assert not still


def test_the_convolutions_of_the_supernet_neither_learn_nor_matter(search: SearchTask) -> None:
    net, (x_bchw, _) = search.supernet, search.batch("weights")
    predicted = {place.weight: net.get_parameter(place.weight) for place in search.method.hypernetwork.places}
    before = snapshot(predicted.values())
    search.step(0, 0)
    assert not any(moved(before, predicted.values()))
    cells = only(net, random_genotype(DARTS, 0))
    with torch.no_grad():
        expected = search.logits(x_bchw, arch_weights=cells, update_statistics=False)
        for parameter in predicted.values():
            parameter.fill_(7.0)
        assert search.logits(x_bchw, arch_weights=cells, update_statistics=False).equal(expected)
        assert not net(x_bchw, arch_weights=cells, update_statistics=False).equal(expected)


def test_a_prediction_depends_on_the_whole_cell_and_is_as_large_as_initial_weights(search: SearchTask) -> None:
    net, hypernetwork = search.supernet, search.method.hypernetwork
    seeds = [seed for seed in range(50) if random_genotype(DARTS, seed).by_edge("normal")[0, 2].startswith("sep")]
    one, other = (only(net, random_genotype(DARTS, seed)).active for seed in seeds[:2])
    other["normal"][:2] = one["normal"][:2]  # the same operations into the first node
    first, second = hypernetwork(one), hypernetwork(other)
    shared = 0
    for place in hypernetwork.places:
        has = one[place.kind][list(place.edges), place.operation]
        assert not first[place.weight][~has].any()
        if has.any():
            size = first[place.weight][has].square().mean().sqrt()
            assert size.item() == pytest.approx((3 * place.shape[2]) ** -0.5, rel=1e-3)
        if place.kind == "normal" and 0 in place.edges and has[0]:
            shared += 1
            assert not first[place.weight][0].equal(second[place.weight][0])
    assert shared


def test_the_last_proposals_are_near_the_best_cell() -> None:
    searcher = Smash.searcher_class(DARTS, 0, Smash.searcher_class.Options(drawn=3, perturbed=2, change=1.0))
    for number in range(6):
        cell = searcher.ask(number)
        if number == 5:
            assert cell in set(neighbors(searcher.found()[0], DARTS))
        searcher.tell(Trial(number, cell, Score(float(-abs(number - 1)))))


def test_cells_are_held_against_their_truth_with_predicted_weights(search: SearchTask) -> None:
    batch, cell = search.batch("weights"), random_genotype(DARTS, 0)
    given = search.supernet, cell, lambda: [batch]
    found = correlate(*given, cells=SampleOfCells(2), logits=search.logits).measured[0].loss
    with torch.no_grad():
        logits = search.logits(batch[0], arch_weights=only(search.supernet, cell), update_statistics=False)
    assert found == pytest.approx(torch.nn.functional.cross_entropy(logits, batch[1]).item())
    assert found != correlate(*given, cells=SampleOfCells(2)).measured[0].loss
