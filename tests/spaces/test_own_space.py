"""Spaces of other people: from a file through search, training and report, by name, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adarts.cli.main import main
from adarts.errors import ConfigError, DataError
from adarts.spaces import DARTS, NASBENCH201, SPACES, Genotype, Space, get_space, random_genotype, register_space

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_space.py"
FOUR_LINES = """\
from dataclasses import replace
from adarts.spaces import DARTS

MY = replace(DARTS, name="my", title="Mine", operations=("none", "skip_connect", "sep_conv_3x3"))
"""
TINY = ["--scale", "smoke", "--images.per-class", "4", "--images.size", "16"]


@pytest.fixture
def adarts(new_process: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line, each time as in a new process; gives what it prints, or says where it fails."""

    def run(*words: object, code: int = 0) -> str:
        new_process()
        found = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert found == code, err
        return err if code else out

    return run


def test_four_lines_from_a_file_are_searched_trained_and_reported(adarts: Callable[..., str], tmp_path: Path) -> None:
    file, found, trained = (tmp_path / name for name in ("my_space.py", "found", "trained"))
    file.write_text(FOUR_LINES)
    assert "space      Mine" in adarts("search", *TINY, "--space", f"{file}:MY", "--run-dir", found)
    assert json.loads((found / "summary.json").read_text())["space"] == "my"
    assert json.loads((found / "environment.json").read_text())["space_source"]
    (found / "summary.json").rename(found / "kept")  # as if it had been killed at the end
    refused = adarts("search", "--config", found / "config.yaml", "--run-dir", found, code=2)
    assert f"--space {file}:MY" in refused and "is code" in refused
    file.write_text(FOUR_LINES.replace('"none", ', ""))
    changed = adarts("search", *TINY, "--space", f"{file}:MY", "--run-dir", found, code=3)
    assert "its space 'my' differs from the known space of this name: operations differ" in changed
    (found / "kept").rename(found / "summary.json")
    file.unlink()  # from here on the run folder holds all there is to know
    adarts("train", *TINY, "--genotype", found, "--run-dir", trained)
    page = Path(adarts("report", found, trained).strip()).read_text()
    assert "Mine" in page and "sep_conv_3x3" in page


@pytest.mark.full
def test_cells_with_an_operation_from_a_file_need_that_file(adarts: Callable[..., str], tmp_path: Path) -> None:
    space, found, trained = f"{EXAMPLE}:GATED", tmp_path / "found", tmp_path / "trained"
    adarts("search", *TINY, "--space", space, "--run-dir", found)
    document = json.loads((found / "genotype.json").read_text())
    document["cells"]["normal"]["nodes"][0][0][0] = "gated_conv_3x3"
    (found / "genotype.json").write_text(json.dumps(document))
    train = ("train", *TINY, "--genotype", found, "--run-dir", trained)
    refused = adarts(*train, code=3)
    assert "unknown operation 'gated_conv_3x3'" in refused and "--space FILE.py:NAME" in refused
    assert not trained.exists()
    adarts(*train, "--space", space)
    assert "\ntest accuracy" in adarts("evaluate", trained, "--space", space)


def test_a_description_is_written_with_every_genotype_and_makes_the_space_known(
    new_process: Callable[[], None],
) -> None:
    space = register_space(replace(DARTS, name="mine", title="Mine", operations=["none", "skip_connect", "noise"]))
    text = random_genotype(space, 0).to_json()
    new_process()
    with pytest.raises(ConfigError, match="unknown space 'mine'"):
        get_space("mine")
    assert Genotype.from_json(text).space == "mine" and get_space("mine") == space
    other = text.replace('"Mine"', '"Another"')
    with pytest.raises(DataError, match="its space 'mine' differs from the known space of this name: title differ"):
        Genotype.from_json(other)
    with pytest.raises(DataError, match="its space 'darts' differs from the known space of this name"):
        Genotype.from_json(text.replace('"mine"', '"darts"'))
    assert '"space": "darts"' in random_genotype(DARTS, 0).to_json()


@pytest.mark.parametrize("space", list(SPACES.known.values()), ids=lambda space: space.name)
def test_a_space_is_plain_data(space: Space) -> None:
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_a_name_is_given_once(new_process: Callable[[], None]) -> None:
    twin = replace(DARTS, title="Twin")
    with pytest.raises(ValueError, match="'darts' is registered already"):
        register_space(twin)
    assert register_space(replace(DARTS)) == get_space("darts")  # the same values are the same space
    with pytest.raises(TypeError, match=r"is not an adarts\.spaces\.Space"):
        register_space("darts")


@pytest.mark.parametrize(
    ("base", "changes", "problem"),
    [
        (DARTS, {"name": "My space"}, "its name must be small letters"),
        (DARTS, {"name": 3}, "its name must be small letters"),
        (DARTS, {"operations": ("none",)}, "one besides 'none'"),
        (DARTS, {"operations": ("sep conv", "none")}, "not 'sep conv'"),
        (DARTS, {"operations": ("noise", "noise")}, "named twice"),
        (DARTS, {"operations": 3}, "wrong type"),
        (DARTS, {"num_nodes": 0}, "num_nodes must be a whole number from 1 to 20, not 0"),
        (DARTS, {"num_nodes": 10**9}, "num_nodes"),
        (DARTS, {"num_nodes": True}, "num_nodes"),
        (DARTS, {"kept_edges": 0}, "kept_edges"),
        (DARTS, {"stem_multiplier": 1.5}, "stem_multiplier"),
        (DARTS, {"cell_kinds": ("normal",)}, "cell_kinds must be"),
        (DARTS, {"reduction_kind": "normal"}, "cell_kinds must be"),
        (DARTS, {"num_inputs": 1}, "a cell needs two inputs"),
        (DARTS, {"preprocessed": False}, "a cell needs two inputs"),
        (DARTS, {"all_nodes": False}, "every edge is kept"),
        (DARTS, {"all_nodes": 1}, "True or False"),
        (DARTS, {"candidates": ((("noise",),) * 14,)}, "a row for each of the 14 edges"),
        (DARTS, {"candidates": ((("none",),) * 14,) * 2}, "besides 'none'"),
        (NASBENCH201, {"all_nodes": True}, "one output"),
        (NASBENCH201, {"stem_multiplier": 2}, "stem_multiplier 1"),
    ],
)
def test_what_cannot_be_a_space_is_refused_where_it_is_made(
    base: Space, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        replace(base, **changes)
    assert "\n" not in str(caught.value)


FIELDS = sorted(DARTS.to_dict())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 30) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "more"]), VALUES, max_size=3))
def test_a_damaged_description_is_a_space_or_a_config_error(changes: dict[str, object]) -> None:
    try:
        space = Space.from_dict({**DARTS.to_dict(), **changes})
    except ConfigError as error:
        assert str(error).isprintable() and len(str(error)) < 400
    else:
        assert Space.from_dict(space.to_dict()) == space


def test_the_space_of_an_installed_package_has_a_name(
    new_process: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "roomy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: roomy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[adarts.spaces]\nmy = roomy:MY\nnothing = roomy:replace\n")
    (tmp_path / "roomy.py").write_text(FOUR_LINES)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert get_space("my").title == "Mine"
    assert random_genotype(get_space("my"), 0).to_dict()["space"]["name"] == "my"
    with pytest.raises(ConfigError, match=r"space 'nothing' of the package 'roomy' cannot be loaded.*is not an adarts"):
        get_space("nothing")
