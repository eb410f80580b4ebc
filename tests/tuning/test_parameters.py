"""What `--tune` accepts, and in which words it refuses."""

from __future__ import annotations

import pytest

from adarts.errors import ConfigError
from adarts.tuning.parameters import Choice, Range, from_record, parse


def test_ranges_and_lists() -> None:
    words = [
        "alphas.learning-rate=1e-4..1e-1:log",
        "search.warmup_epochs=0..5",
        "weights.momentum=.5..0.9",
        "search.batch_size=32,64",
        "images.flip=true,false",
        "search.steps=none,10",
        "options.steps=20..40",
        "options.size_weight=0..2",
    ]
    found = parse(words, "trials")
    assert found == (
        Range("alphas.learning_rate", 1e-4, 1e-1, True, False),
        Range("search.warmup_epochs", 0, 5, False, True),
        Range("weights.momentum", 0.5, 0.9, False, False),
        Choice("search.batch_size", (32, 64)),
        Choice("images.flip", (True, False)),
        Choice("search.steps", (None, 10)),
        Range("options.steps", 20, 40, False, True),
        Range("options.size_weight", 0.0, 2.0, False, False),
    )
    assert tuple(from_record(one.name, one.record()) for one in found) == found
    # A path with dots is no range.
    assert parse(["method=../mine.py:Mine,darts"], "darts") == (Choice("method", ("../mine.py:Mine", "darts")),)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("alphas.learning_rate", "a range or values are missing; write it like alphas.learning_rate=1e-4"),
        ("alphas.learning_rat=1..2", r"unknown setting; did you mean 'alphas.learning_rate'\?"),
        ("options.step=20,40", r"the method trials has no option 'step'; did you mean 'steps'\?"),
        ("alphas.learning_rate=0.1..0.001", "the first number must be smaller"),
        ("alphas.learning_rate=0..1:log", ":log needs numbers above 0"),
        ("alphas.learning_rate=1e-3..1e-1:lin", "a range is LOW..HIGH or LOW..HIGH:log, with two numbers"),
        ("search.batch_size=16..32.5", "takes whole numbers, so both ends must be whole"),
        ("edge.selector=1..2", "the setting is no number; list its values"),
        ("search.batch_size=32", "one value leaves no choice"),
        ("search.batch_size=32,many", " must be a valid integer, not 'many'"),
        ("seed=0..5", "cannot be tuned: the best seed says nothing"),
        ("images.per_class=10,20", "cannot be tuned: it decides which images measure a trial"),
        ("run.threads=1,2", "only controls how a search is run"),
        ("weights.milestones=0.5,0.7", "takes several values, so it cannot be tuned"),
    ],
)
def test_refusals_say_what_where_and_what_to_do(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"--tune {word.partition('=')[0]}.*{said}") as refused:
        parse([word], "trials")
    assert "\n" not in str(refused.value)


def test_nothing_to_tune_and_a_setting_given_twice_are_refused() -> None:
    with pytest.raises(ConfigError, match="--tune names no setting; write it like"):
        parse([], "darts")
    with pytest.raises(ConfigError, match=r"--tune edge\.k: given twice"):
        parse(["edge.k=2,4", "edge.k=1,2"], "darts")


def test_numbers_are_rounded_within_their_range() -> None:
    assert Range("a", 0.00012344, 1.0, False, False).fitted(0.000123441) == 0.00012344
    assert Range("a", 0.0, 1.0, False, False).fitted(0.123456) == 0.1235
    assert Range("a", 1, 100000, False, True).fitted(12345) == 12345
