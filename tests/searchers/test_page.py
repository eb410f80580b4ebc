"""The page of the searchers: its table is complete, and its example keeps the contract."""

import re
from pathlib import Path

import pytest

from adarts.searchers import SEARCHERS
from adarts.testing import SearcherContract

PAGE = (Path(__file__).parents[2] / "docs" / "searchers.md").read_text()


def test_the_table_has_every_searcher():
    named = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(named) == sorted(SEARCHERS.known)


@pytest.mark.parametrize("test", [name for name in dir(SearcherContract) if name.startswith("test_")])
def test_the_example_keeps_the_contract(test: str) -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    names = {"__name__": "page"}
    exec(compile(snippet, "searchers.md", "exec"), names)
    getattr(type("Own", (SearcherContract,), {"searcher": names["Greedy"]})(), test)()
