"""The points of a sweep: all combinations, each a complete search, and refused before anything starts when one cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adarts.errors import ConfigError, DataError
from adarts.searching import search_config
from adarts.sweeping import grid
from adarts.sweeping.points import require_possible

SMOKE = {"scale": "smoke"}
ADARTS = {"method": "adarts"}


def names(vary: dict[str, Any], **given: Any) -> list[str]:
    return [point.name for point in grid(vary, {**SMOKE, **given})]


def test_all_combinations_with_the_first_seed_of_all_of_them_first() -> None:
    vary = {"method": ["pc-darts", "adarts"], "seed": range(2), "edge.k": [2, 4]}
    assert names(vary) == [
        f"{method}-edge.k={k}-seed{seed}" for seed in (0, 1) for method in ("pc-darts", "adarts") for k in (2, 4)
    ]
    assert names({}) == ["trials-seed0"]


def test_a_point_is_the_search_that_its_settings_alone_would_be() -> None:
    given = {**SMOKE, "alphas": {"learning_rate": 6e-4}}  # the default of one method, but not of the other
    for point in grid({"method": ["darts", "adarts"], "seed": [3], "images.flip": [False]}, given):
        alone = search_config(**given, method=point.settings["method"], seed=3, images={"flip": False})
        assert point.config == alone
        assert point.settings == {"method": alone.method, "images.flip": False, "seed": 3}
        assert point.name == f"{alone.method}-images.flip=false-seed3"
        assert point.epochs == 2


def test_methods_bring_their_own_settings_and_a_file_outweighs_them(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("seed: 7\nsearch: {batch_size: 8}\n")
    darts, adarts = grid({"method": ["darts", "adarts"]}, SMOKE, file)
    assert (darts.config.edge.selector, adarts.config.edge.selector) == ("all", "attention")
    assert {point.config.search.batch_size for point in (darts, adarts)} == {8}
    assert darts.name == "darts-seed7"


@pytest.mark.parametrize(
    ("vary", "given", "message"),
    [
        ({"edge.kk": [2]}, {}, "edge.kk: unknown setting; did you mean 'edge.k'"),
        ({"edge.k": [2, "x"]}, {}, "edge.k must be a valid integer, not 'x'"),
        ({"edge.k": []}, {}, "edge.k: a sweep needs a list of values"),
        ({"method": "darts"}, {}, "method: a sweep needs a list of values, not 'darts'"),
        ({"method": ["dart"]}, {}, "unknown method 'dart'; did you mean 'darts'"),
        ({"edge.k": [2, 4]}, {"edge": {"k": 2}}, "edge.k is both given and varied"),
        ({"run.threads": [1, 2]}, {}, "run.threads only controls how a search is run"),
        ({"images.root": ["a", "b"]}, {}, "images.root only controls how a search is run"),
        ({}, {"run": {"run_dir": "here"}}, "run.run_dir is for a single search"),
        ({"seed": [0, 1, 0]}, ADARTS, "two points would share the folder adarts-seed0; remove"),
        ({"edge.k": [2, "2"]}, ADARTS, "two points would share the folder adarts-edge.k=2-seed0; remove"),
        ({"method": ["adarts", "darts"], "edge.k": [4]}, {}, "point darts-edge.k=4-seed0: edge: selector 'all'"),
        ({"search.epochs": [2, 1]}, ADARTS, "point adarts-search.epochs=1-seed0: search: all 1 epochs are warm-up"),
        (
            {"data": ["folder:a/b", "folder:a-b"]},
            ADARTS,
            "two points would share the folder adarts-data=folder-a-b-seed0",
        ),
        ({"seed": range(101), "edge.k": range(1, 101)}, {}, "the sweep would have 10,100 points"),
    ],
)
def test_refused_in_one_line(vary: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        grid(vary, {**SMOKE, **given})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_method_file_with_two_spellings_is_one_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(
        "from adarts.methods import Method, MethodInfo\n"
        "class Own(Method):\n    info = MethodInfo('own', 'Own', 2026, '', '', '')\n"
        "class Other(Own):\n    info = MethodInfo('other', 'Other', 2026, '', '', '')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"two points would share the folder own\.py-Own-seed0"):
        grid({"method": ["own.py:Own", "./own.py:Own"]}, SMOKE)
    assert len(grid({"method": ["own.py:Own", "own.py:Other"]}, SMOKE)) == 2


def test_a_precision_is_another_search() -> None:
    assert len(grid({"run.precision": ["float32", "bfloat16"]}, SMOKE)) == 2


def test_what_the_supernet_or_the_images_refuse() -> None:
    with pytest.raises(ConfigError, match=r"^point adarts-edge\.k=3-seed0: edge\.k = 3 does not divide the 8 channels"):
        grid({"edge.k": [2, 3]}, {**SMOKE, **ADARTS})
    require_possible(grid({"edge.k": [2]}, {**SMOKE, **ADARTS, "images": {"per_class": 4}}))
    with pytest.raises(DataError, match=r"^point trials-data=folder-nowhere-seed0: .*nowhere"):
        require_possible(grid({"data": ["digits", "folder:nowhere"]}, SMOKE))
