"""The contract of searchers as tests."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, ClassVar
from unittest import SkipTest

import torch

from adarts.config.loading import validated
from adarts.searchers import Score, Searcher, Trial
from adarts.searchers.registry import check
from adarts.spaces import DARTS, NASBENCH201, SPACES, Genotype, Space
from adarts.testing.searches import assert_equal_states

SEEDS = range(3)


def share_of_one_operation(space: Space, genotype: Genotype) -> Score:
    """A score to learn from: the share of edges, in percent, with the last operation; size: edges with the one before it."""
    second, wanted = space.operations[-2:]
    count, size = (sum(genotype.num_operations(kind, name) for kind in space.cell_kinds) for name in (wanted, second))
    edges = len(space.cell_kinds) * sum(space.num_kept(target) for target in space.targets)
    return Score(100.0 * count / edges, cost=1.0, size=size)


class SearcherContract:
    """The tests that every searcher must pass.

    Attributes:
        searcher: the class under test; it need not be registered.
        options: its options in the tests, such as a small population.
        trials: length of the runs; long enough for several generations or updates.
        learns: whether its proposals become better.
        trials_to_learn: length of the runs at whose end the proposals must follow the score, whichever sign it has.
        spaces_to_learn: the spaces of these runs.
    """

    searcher: ClassVar[type[Searcher]]
    options: ClassVar[Mapping[str, Any]] = {}
    trials: ClassVar[int] = 16
    learns: ClassVar[bool] = True
    trials_to_learn: ClassVar[int] = 150
    spaces_to_learn: ClassVar[tuple[Space, ...]] = (DARTS, NASBENCH201)

    def create(self, space: Space, seed: int = 0) -> Searcher:
        """A new searcher with the options of the tests."""
        return self.searcher(space, seed, validated(self.searcher.Options, self.options))

    def score(self, space: Space, genotype: Genotype) -> Score:
        """The score to learn from. Override it if your searcher needs another one."""
        return share_of_one_operation(space, genotype)

    # -------------------------------------------------------------------------------------------------------- the record

    def test_the_record_is_complete(self) -> None:
        check(self.searcher)
        info = self.searcher.info
        for field in ("name", "title", "paper", "changes"):
            assert getattr(info, field).strip(), f"info.{field} is empty"
        assert self.searcher.__doc__, "the class has no docstring"

    def test_a_space_that_it_does_not_support_is_refused_with_a_reason(self) -> None:
        reasons = {space.name: self.searcher.supports(space) for space in SPACES.known.values()}
        assert None in reasons.values(), "it supports no space"
        for name, reason in reasons.items():
            assert reason is None or reason.strip(), f"{name}: no reason why it is not supported"

    # ------------------------------------------------------------------------------------------------------ the proposals

    def test_proposals_are_cells_of_the_space(self) -> None:
        for space in self._spaces():
            for trial in self._run(self.create(space), space):
                trial.genotype.require_within(space)
                for kind, cell in trial.genotype.cells.items():
                    for target, pairs in zip(space.targets, cell.nodes, strict=True):
                        where = f"proposal {trial.number}, {kind} cell, node {target}"
                        assert len({source for _, source in pairs}) == len(pairs), f"{where}: a source is read twice"
                        if space.kept_edges is not None:
                            assert len(pairs) == space.num_kept(target), f"{where}: {len(pairs)} edges"

    def test_asking_changes_nothing(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            searcher = self.create(space)
            for number in range(self.trials):
                before = copy.deepcopy(searcher.state_dict())
                first, _, second = searcher.ask(number), searcher.ask(number + 7), searcher.ask(number)
                assert first == second, f"asked twice, number {number} is another proposal"
                assert_equal_states(before, searcher.state_dict())
                searcher.tell(Trial(number, first, self.score(space, first)))

    def test_proposals_follow_from_the_seed(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            runs = []
            for seed, disturbance in ((0, 1), (0, 2), (1, 1)):
                random.seed(disturbance)  # what others draw must not matter
                torch.manual_seed(disturbance)
                runs.append([trial.genotype for trial in self._run(self.create(space, seed), space)])
            assert runs[0] == runs[1], "the same seed gives other proposals"
            assert runs[0] != runs[2], "another seed gives the same proposals"

    def test_a_block_can_be_asked_together(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            alone = [trial.genotype for trial in self._run(self.create(space), space)]
            assert self._in_blocks(space, 1) == alone, "proposals of a block depend on each other's scores"
            for genotype in self._in_blocks(space, 3):
                genotype.require_within(space)

    def test_it_learns(self) -> None:
        if not self.learns:
            raise SkipTest("does not learn")
        for space in self._spaces(*self.spaces_to_learn):
            up, down = (self._late_values(space, sign) for sign in (1.0, -1.0))
            bar = fmean(down) + 3 * stdev(up + down) * (2 / len(up)) ** 0.5
            assert fmean(up) > bar, (
                f"{space.name}: {fmean(up):.1f} where a high score is good, {fmean(down):.1f} where it is bad"
            )

    # ------------------------------------------------------------------------------------------------ the state, the result

    def test_a_resumed_run_is_the_uninterrupted_one(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            whole, parts = self.create(space), self.create(space)
            for trial in self._run(whole, space):
                assert parts.ask(trial.number) == trial.genotype, f"resumed, number {trial.number} is another proposal"
                parts.tell(trial)
                saved = io.BytesIO()
                torch.save(parts.state_dict(), saved)
                saved.seek(0)
                parts = self.create(space)
                parts.load_state_dict(torch.load(saved, weights_only=True))
            assert_equal_states(whole.state_dict(), parts.state_dict())
            assert whole.found() == parts.found()

    def test_a_state_stays_when_the_searcher_goes_on(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            searcher = self.create(space)
            run = self._run(searcher, space)
            for _ in range(self.trials // 2):
                next(run)
            state = searcher.state_dict()
            before = copy.deepcopy(state)
            other = self.create(space)
            list(self._run(other, space, range(3)))  # a searcher that has already begun may be set back, too
            other.load_state_dict(state)
            expected = [trial.genotype for trial in run]
            assert_equal_states(before, state)
            numbers = range(self.trials // 2, self.trials)
            assert [trial.genotype for trial in self._run(other, space, numbers)] == expected
            assert_equal_states(before, state)

    def test_a_copy_goes_its_own_way(self) -> None:
        for space in self._spaces(DARTS, NASBENCH201):
            searcher, half = self.create(space), range(self.trials // 2)
            list(self._run(searcher, space, half))
            before = copy.deepcopy(searcher.state_dict())
            rest = range(len(half), self.trials)
            of_copy = [trial.genotype for trial in self._run(copy.deepcopy(searcher), space, rest)]
            assert_equal_states(before, searcher.state_dict())
            assert [trial.genotype for trial in self._run(searcher, space, rest)] == of_copy

    def test_what_is_found_was_told(self) -> None:
        for space in self._spaces():
            searcher = self.create(space)
            assert searcher.found() == [], "something is found before the first trial"
            told = set()
            for trial in self._run(searcher, space):
                told.add(trial.genotype)
                found = searcher.found()
                assert found, f"nothing is found after trial {trial.number}"
                assert len(set(found)) == len(found), "a cell is found twice"
                assert set(found) <= told, "a cell is found that was never told"

    # -------------------------------------------------------------------------------------------- what some of them share

    def _spaces(self, *of: Space) -> Iterator[Space]:
        """The registered spaces, or some spaces, that the searcher supports."""
        for space in of or tuple(SPACES.known.values()):
            if self.searcher.supports(space) is None:
                yield space

    def _late_values(self, space: Space, sign: float) -> list[float]:
        """The scores of the last third of the proposals, over a few seeds, if the searcher is told sign * score."""
        values = []
        for seed in SEEDS:
            searcher = self.create(space, seed)
            for number in range(self.trials_to_learn):
                genotype = searcher.ask(number)
                score = self.score(space, genotype)
                searcher.tell(Trial(number, genotype, replace(score, value=sign * score.value)))
                if 3 * number >= 2 * self.trials_to_learn:
                    values.append(score.value)
        return values

    def _in_blocks(self, space: Space, otherwise: int) -> list[Genotype]:
        """The proposals of a run that asks whole blocks, and where there are none, this many proposals together."""
        searcher, asked = self.create(space), list[Genotype]()
        while (begin := len(asked)) < self.trials:
            size = searcher.block(begin) or otherwise
            assert size > 0, f"the block of number {begin} has the size {size}"
            asked += [searcher.ask(number) for number in range(begin, min(begin + size, self.trials))]
            for number, genotype in enumerate(asked[begin:], begin):
                searcher.tell(Trial(number, genotype, self.score(space, genotype)))
        return asked

    def _run(self, searcher: Searcher, space: Space, numbers: range | None = None) -> Iterator[Trial]:
        """The loop of ask and tell; a trial has been told when it is returned."""
        for number in numbers or range(self.trials):
            genotype = searcher.ask(number)
            trial = Trial(number, genotype, self.score(space, genotype))
            searcher.tell(trial)
            yield trial
