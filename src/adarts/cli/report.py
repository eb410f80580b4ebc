"""``adarts report``: write the offline HTML page of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from adarts.cli.options import parse
from adarts.errors import ConfigError


@dataclass(frozen=True)
class Report:
    """Write one offline HTML page that shows the runs: cells, curves, costs, configuration, environment."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of search and training runs, such as runs/search/latest."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Report, words, "adarts report")
    if not form.runs:
        raise ConfigError("adarts report needs one or more run folders, such as runs/search/latest")
    from adarts.report import write_report

    print(write_report(list(form.runs)))
    return 0
