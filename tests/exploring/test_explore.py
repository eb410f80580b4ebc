"""The loop, and what its trials are worth."""

import re
from pathlib import Path

import pytest

from adarts.errors import ConfigError
from adarts.exploring import Budget, Trace, explore, hypervolume, trace
from adarts.exploring.measures import front
from adarts.searchers import Score, Trial, create_searcher
from adarts.spaces import NASBENCH201, random_genotype
from adarts.truth.evaluators import Corner

CELLS = [random_genotype(NASBENCH201, seed) for seed in range(6)]


def trials(*scores: tuple[float, float, int]) -> list[Trial]:
    return [Trial(number, CELLS[number], Score(*score)) for number, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("20000s", 20_000, True), ("5h", 18_000, True), ("1h30m", 5_400, True), (" 200 ", 200, False)],
)
def test_budgets(text: str, amount: float, seconds: bool) -> None:
    assert Budget.parse(text) == Budget(amount, seconds)


@pytest.mark.parametrize("text", ["0", "0s", "-5", "5 cells", "", "1.5h", "9" * 30])
def test_a_budget_that_is_no_positive_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no positive amount; write it like 20000s, 5h, or 200"):
        Budget.parse(text)


def test_the_loop_tells_every_score_in_order_and_ends_past_the_budget() -> None:
    searcher = create_searcher("random", NASBENCH201, 5)
    found = explore(searcher, lambda genotype, number: Score(float(number), 30.0), Budget(100, True))
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    assert searcher.trials == found
    assert [trial.genotype for trial in found] == [searcher.ask(number) for number in range(4)]
    assert len(explore(searcher, lambda genotype, number: Score(0.0), Budget(3, False))) == 3


def test_a_budget_in_seconds_needs_costs() -> None:
    with pytest.raises(ConfigError, match="counts no seconds"):
        explore(create_searcher("random", NASBENCH201, 0), lambda genotype, number: Score(1.0), Budget(10, True))


def test_the_trace_follows_the_best_score_and_is_linear_between_evaluations() -> None:
    found = trials((50, 10, 1), (60, 10, 1), (60, 20, 1), (55, 10, 1), (70, 10, 1))
    true = dict(zip(CELLS, (80.0, 90.0, 99.0, 99.0, 85.0), strict=False))
    followed = trace(found, true.__getitem__, Budget(60, True))
    assert followed == Trace([10, 20, 40, 50, 60], [80, 90, 90, 90, 85])
    assert followed.at([5, 10, 15, 30, 55]) == [80, 80, 85, 90, 87.5]
    assert trace(found, true.__getitem__, Budget(5, False)).spent == [1, 2, 3, 4, 5]


def test_the_area_under_a_front() -> None:
    corner = Corner(80, 100, 0, 100)
    found = trials((90, 1, 20), (85, 1, 40), (95, 1, 60), (95, 1, 60), (70, 1, 10), (95, 1, 80))
    assert [trial.number for trial in front(found)] == [4, 0, 2]
    value = {trial.genotype: trial.score.value for trial in found}
    assert hypervolume(found, value.__getitem__, corner) == pytest.approx(0.5 * 0.4 + 0.75 * 0.4)
    value[CELLS[2]] = 81.0  # the score flattered it: the smaller cell stays better
    assert hypervolume(found, value.__getitem__, corner) == pytest.approx(0.5 * 0.8)


def test_the_snippet_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "explore.md").read_text()
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    exec(compile(snippet, "explore.md", "exec"), {"__name__": "page"})
    early, late = map(float, capsys.readouterr().out.strip("[]\n").split(", "))
    assert 80 < early < 94.38 and 93 < late < 94.38
