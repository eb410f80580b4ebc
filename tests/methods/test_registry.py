import inspect
import re
from pathlib import Path

import pytest

from adarts.config.settings import SearchConfig
from adarts.errors import ConfigError
from adarts.methods import Method, get_method, list_methods, register
from adarts.methods.base import HOOKS


@pytest.mark.parametrize("name", [info.name for info in list_methods()])
def test_published_hyper_parameters_are_a_valid_configuration(name: str) -> None:
    info = get_method(name).info
    config = SearchConfig.model_validate({"method": name, **info.defaults})
    assert config.search.warmup_epochs < config.search.epochs
    assert all((info.title, info.year > 2000, info.paper, info.changes, info.cost))


def test_the_designs_of_one_supernet() -> None:
    def design(name: str) -> tuple[object, ...]:
        edge = SearchConfig.model_validate({"method": name, **get_method(name).info.defaults}).edge
        return edge.selector, edge.k, edge.attention, edge.normalization, edge.shuffles

    assert design("darts") == ("all", 1, False, False, False)
    assert design("pc-darts") == ("first", 4, False, True, True)
    assert design("darts-random") == ("first", 4, False, False, False)
    assert design("darts-random-moving") == ("random", 4, False, False, False)
    assert design("darts-attention") == ("all", 1, True, False, False)
    assert design("adarts") == ("attention", 4, True, False, False)
    assert design("adarts-en") == ("attention", 4, True, True, False)
    assert design("adarts-trials") == ("attention", 4, True, False, False)


def test_a_name_is_given_once_and_an_unknown_one_suggests_the_nearest() -> None:
    class Twin(Method):
        info = get_method("darts").info

    with pytest.raises(ValueError, match="'darts' is registered already"):
        register(Twin)
    with pytest.raises(ConfigError, match="did you mean 'adarts'"):
        get_method("adrats")


def test_the_table_of_the_hooks_is_that_of_the_class() -> None:
    page = (Path(__file__).parents[2] / "docs" / "own_method.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    shown = {name for row in rows for name in re.findall(r"`(.*?)`", row)}
    attributes = set(inspect.get_annotations(Method))

    def call(name: str) -> str:
        parameters = [parameter for parameter in inspect.signature(HOOKS[name]).parameters if parameter != "self"]
        return f"{name}({', '.join(parameters)})"

    assert shown == attributes | {call(name) for name in HOOKS}
