"""The options of a method: required, refused, and written in one way however they were given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from adarts.cli.main import main
from adarts.config.settings import SearchConfig
from adarts.engine.config_file import compared_settings
from adarts.errors import ConfigError
from adarts.methods import create, published, resolve_options
from adarts.searching import run_search, search_config
from adarts.sweeping import grid

EXAMPLE = Path(__file__).parents[2] / "examples" / "sharpening.py"
OPTIONS = """    class Options(Settings):
        must: PositiveFloat
        \"\"\"One without a default.\"\"\"
        final: PositiveFloat = 1
        \"\"\"A real number.\"\"\"
        count: int = 3
        flag: bool = False
        largest: float | None = None
"""
TINY: dict[str, Any] = {"scale": "smoke", "images": {"per_class": 4, "size": 16}}


@pytest.fixture
def method(tmp_path: Path) -> str:
    head, _, rest = EXAMPLE.read_text().partition("    class Options(Settings):")
    tail = rest[rest.index("    options: Options") :]
    file = tmp_path / "choosy.py"
    file.write_text(f"{head}{OPTIONS}\n{tail}")
    return f"{file}:Sharpening"


def test_one_without_a_default_must_be_given(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert published(method, "darts")["options"] == {"final": 1.0, "count": 3, "flag": False}
    words = ["search", "--scale", "smoke", "--method", method, "--print-config"]
    assert main(words) == 2
    said = f"options.must: required by method '{method}'; give it with --options must=VALUE"
    assert capsys.readouterr().err == f"adarts: {said}\n"
    assert main([*words, "--options", "must=2"]) == 0
    out = capsys.readouterr().out
    assert yaml.safe_load(out)["options"] == {"must": 2.0, "final": 1.0, "count": 3, "flag": False}
    assert "must: 2.0" in out  # not 2
    with pytest.raises(ConfigError, match=r"^options\.must: required by method"):
        create(search_config(method=method, **TINY))


def test_one_without_a_default_is_shown_as_required(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "show", method]) == 0
    assert "  must     required  One without a default.\n  final    1 " in capsys.readouterr().out
    assert main(["methods", "--json", method]) == 0
    options = json.loads(capsys.readouterr().out)[0]["options"]
    assert options["must"] == {"required": True, "default": None, "description": "One without a default."}
    assert (options["final"]["required"], options["final"]["default"]) == (False, 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("final", float("inf"), "options.final: must be a finite number, not inf"),
        ("final", float("nan"), "options.final: must be a finite number, not nan"),
        ("final", True, "options.final: must be a number, not True"),
        ("count", False, "options.count: must be a number, not False"),
        ("largest", True, "options.largest: must be a number, not True"),
        ("flag", 2, "options.flag: must be a valid boolean"),
    ],
)
def test_what_is_no_value(method: str, name: str, value: Any, message: str) -> None:
    config = search_config(method=method, options={"must": 1}, **TINY)
    wrong = config.model_copy(update={"options": {"must": 1, name: value}})
    for refuses in (create, resolve_options):
        with pytest.raises(ConfigError) as caught:
            refuses(wrong)
        assert str(caught.value).startswith(message)


def test_one_search_is_written_in_one_way(method: str) -> None:
    def search(**options: Any) -> SearchConfig:
        return search_config(method=method, options=options, **TINY)

    one = search(must=1)
    for same in ({"must": 1.0}, {"must": "1"}, {"must": "1e0", "count": 3.0}, {"must": 1, "flag": 0, "final": 1}):
        assert json.dumps(compared_settings(search(**same))) == json.dumps(compared_settings(one))
    assert resolve_options(one) == one
    assert search(must=1, largest=2).options["largest"] == 2.0


def test_a_search_from_python_is_written_down_so(method: str, tmp_path: Path) -> None:
    run = {"run_dir": tmp_path / "run"}
    run_search(search_config(method=method, options={"must": 1}, run=run, **TINY))
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "must: 1.0" in text and "final: 1.0" in text
    run_search(search_config(method=method, options={"must": 1.0}, run=run, **TINY))  # the same one


def test_the_points_of_a_sweep(method: str) -> None:
    given = {**TINY, "method": method}
    with pytest.raises(ConfigError, match="two points would share the folder"):
        grid({"options.must": [1, 1.0]}, given)
    (one,), (other,) = (grid({"options.must": [value]}, given) for value in (1, 1.0))
    assert one == other and one.name.endswith("options.must=1.0-seed0")
    assert one.settings["options.must"] == 1.0 and isinstance(one.settings["options.must"], float)
