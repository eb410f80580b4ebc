"""Methods that score single cells: what they train, what they measure, and what an interruption leaves behind."""

from __future__ import annotations

import pytest
import torch

from adarts.errors import ConfigError
from adarts.methods.random_search import RandomCells
from adarts.methods.rsps import Rsps
from adarts.models import Network
from adarts.models.cost import count_parameters
from adarts.spaces import DARTS, get_space, random_genotype
from adarts.supernet import is_alpha, only
from adarts.testing import carry_out, small_search
from adarts.testing.searches import assert_equal_states, moved, snapshot

FEW = {"space": "s3", "images": {"per_class": 4, "size": 8}, "search": {"epochs": 1, "warmup_epochs": 0}}


def test_a_measurement_of_some_images_goes_through_the_batches_by_number() -> None:
    search = small_search(Rsps, FEW, {"search": {"batch_size": 4}})
    arch_weights = only(search.supernet, random_genotype(search.supernet.space, 0))
    assert len(search.validation) == 3 and len(search.validation.indices) == 20  # two whole batches of 8, and one of 4
    by_number = [search.measure(arch_weights, 8, number) for number in range(3)]
    assert by_number[0] != by_number[1] and by_number[2] == by_number[0]
    both = [sum(pair) / 2 for pair in zip(*by_number[:2], strict=True)]
    assert search.measure(arch_weights, 9) == pytest.approx(both)  # rounded up to whole batches
    assert search.measure(arch_weights, 20) == search.measure(arch_weights, 1000) == search.measure(arch_weights)


def test_a_step_moves_the_weights_of_one_path_alone() -> None:
    search = small_search(Rsps, FEW)
    net = search.supernet
    weights = [p for name, p in net.named_parameters() if not is_alpha(name)]
    before = snapshot(weights)
    search.step(0, 0)
    masks = net.movable(search._arch_weights.active)
    assert any(moved(before, weights))
    assert masks and all(
        not ((now - old) * ~masks[now]).any() for old, now in zip(before, weights, strict=True) if now in masks
    )


def test_the_paths_of_the_steps_differ_and_are_the_same_again() -> None:
    def paths() -> list[list[bool]]:
        search, found = small_search(Rsps, FEW), []
        for step in range(2):
            search.step(0, step)
            found.append(search._arch_weights.active["normal"].tolist())
        return found

    first, again = paths(), paths()
    assert first == again and first[0] != first[1]


def test_an_interrupted_round_leaves_nothing_behind() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    search, whole = (small_search(Rsps, FEW) for _ in range(2))
    sums = search.step(0, 0)
    before = search.method.state_dict()
    search.check_stop = stop
    with pytest.raises(KeyboardInterrupt):
        search.end_epoch(0, dict(sums))
    assert search.method.state_dict() == before
    search.check_stop = lambda: None
    assert search.end_epoch(0, dict(sums)) == whole.end_epoch(0, dict(whole.step(0, 0)))
    assert search.method.asked == 3


def test_a_proposal_is_trained_alone_and_scored_on_held_out_images() -> None:
    search = small_search(RandomCells, FEW)
    carry_out(search)
    trials = search.method.searcher.trials
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert search.genotype() == max(trials, key=lambda trial: trial.score.value).genotype
    assert search.supernet.active["normal"].tolist() == trials[2].genotype.mask("normal")
    _, accuracy = search.measure(only(search.supernet, trials[2].genotype), 8, number=2)
    assert trials[2].score.value == 100 * accuracy
    with torch.device("meta"):
        network = Network(trials[0].genotype, 10, search.config.supernet.channels, search.config.supernet.cells)
    assert trials[0].score.size == count_parameters(network)


def test_each_proposal_begins_the_schedule_of_the_learning_rate_anew() -> None:
    search = small_search(RandomCells, FEW, {"search": {"epochs": 3}})
    rates = []
    for epoch in range(search.epochs):
        sums = search.step(epoch, 0)
        rates.append(search.rate)
        search.end_epoch(epoch, dict(sums))
    assert rates[:3] == rates[3:6] == rates[6:] and rates[0] > rates[1] > rates[2]


def test_a_part_of_a_random_search_trains_what_the_whole_one_trains() -> None:
    whole, part = (small_search(RandomCells, FEW, {"options": options}) for options in ({}, {"cells": 2, "start": 1}))
    carry_out(whole)
    carry_out(part)
    assert part.method.searcher.trials == whole.method.searcher.trials[1:]
    assert_equal_states(part.supernet.state_dict(), whole.supernet.state_dict())


def test_a_known_cell_takes_the_place_of_the_first_one() -> None:
    known = random_genotype(get_space("s3"), 70)
    search = small_search(RandomCells, FEW, {"options": {"known": known.to_json(), "start": 5}})
    assert search.genotype() == known
    carry_out(search)
    (first, second, _) = search.method.searcher.trials
    assert (first.number, first.genotype) == (5, known) and second.genotype == search.method.searcher.ask(6)
    with pytest.raises(ConfigError, match=r"options.known: .* is of the space 'darts', not of 's3'"):
        small_search(RandomCells, FEW, {"options": {"known": random_genotype(DARTS, 0).to_text()}})
