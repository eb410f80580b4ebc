from __future__ import annotations

import pytest

from adarts.benchmark.timing import Times, in_turn


def test_steps_take_turns_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []
    said: list[str] = []

    def step(label: str, slow: float) -> dict[str, float]:
        calls.append(label)
        first = calls.count(label) == 1
        return {"both": 100.0 if first else slow * calls.count(label)}

    steps = {"a": lambda: step("a", 1.0), "b": lambda: step("b", 2.0)}
    times = in_turn(steps, repeats=3, warmup=1, say=said.append)
    assert calls == ["a", "b"] * 4
    assert times["a"]["both"].rounds == (2.0, 3.0, 4.0)
    assert times["b"]["both"].rounds == (4.0, 6.0, 8.0)
    assert said[0] == "warm-up 1 of 1: a"
    assert said[-1] == "round 3 of 3: b"


def test_ratios_say_how_many_times_as_long_as_the_first() -> None:
    first, slower = Times((1.0, 2.0, 30.0)), Times((3.0, 8.0, 60.0))
    assert slower.over(first) == 4.0  # of the medians, which one slow round does not move
    assert first.over(slower) == 0.25
    assert slower.spread_over(first) == (2.0, 4.0)


def test_rounds_are_compared_with_those_of_the_same_number() -> None:
    with pytest.raises(ValueError, match="zip"):
        Times((1.0,)).spread_over(Times((1.0, 2.0)))
