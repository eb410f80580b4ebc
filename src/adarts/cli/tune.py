"""``adarts tune``: let Optuna choose settings of a search."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, ConfigFile, Positional, parse, parse_settings
from adarts.cli.output import print_table
from adarts.cli.sweep import SweepRun
from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig
from adarts.errors import ConfigError

_BESIDE = ("tune", "objective", "trials", "slots", "prune", "study_dir")


@dataclass(frozen=True, config=FORM)
class Show:
    """Show the trials of a study so far, and the command of the best setting; nothing is started."""

    study_dir: Annotated[Path, Positional("DIR")]
    """Folder of the study."""
    json: bool = False
    """Print it as JSON."""


@dataclass(frozen=True, config=FORM)
class Trial:
    """Run one trial of a study; `adarts tune` starts it. The options name code that the study uses, which is executed."""

    study_dir: Annotated[Path, Positional("DIR")]
    """Folder of the study."""
    number: Annotated[NonNegativeInt, Positional("NUMBER")]
    """Number of the trial."""
    method: str | None = None
    """The file of the method, path/to/file.py:Class."""
    space: str | None = None
    """The file of the space, path/to/file.py:NAME."""
    data: str | None = None
    """The file that loads the images, path/to/file.py:NAME."""


FORMS: dict[str, type[Any]] = {"show": Show, "trial": Trial}


class Tune(SearchConfig, ConfigFile):
    """Run searches whose settings Optuna chooses, each in its own run folder, and tell the best setting. All other settings apply
    to every search. The same command continues a study; several such commands with one --study-dir share it. --threads is per
    search (none: as many as its slot has cores); --time-limit is for this command. `adarts tune show DIR` shows a study.
    """

    tune: tuple[str, ...] = ()
    """Settings to tune, such as alphas.learning_rate=1e-4..1e-1:log search.warmup_epochs=0..5 search.batch_size=32,64."""
    objective: Literal["validation", "cells"] = "validation"
    """What a search is judged by, never by test images. validation: accuracy of the supernet on the images for the alphas; cells:
    what is known about the found cells, in the spaces nasbench201 and darts."""
    trials: PositiveInt = 20
    """Searches of the study, those of other commands included; more continue it."""
    slots: PositiveInt | None = None
    """Searches that this command runs at once; none is one for each --device."""
    prune: Literal["none", "median", "hyperband"] = "none"
    """End a search early if others were better by then. median: below the median at an epoch; hyperband: not among the best third
    at certain epochs."""
    study_dir: Path | None = None
    """Folder of the study. None makes a new one in runs/tune."""
    run: SweepRun = SweepRun()


def run(words: list[str]) -> int:
    """Run ``adarts tune``."""
    if words[:1] == ["trial"]:
        return _trial(parse(Trial, words[1:], "adarts tune trial"))
    if words[:1] == ["show"]:
        return _show(parse(Show, words[1:], "adarts tune show"))
    given, beside = parse_settings(Tune, words, "adarts tune")
    own = {name: given.pop(name, Tune.model_fields[name].default) for name in _BESIDE}
    devices = given.get("run", {}).get("device", ())
    if devices:
        given["run"]["device"] = devices[0]
    _require_optuna()
    from adarts.tuning.plan import Plan
    from adarts.tuning.tune import run_study

    plan = Plan.of(own["tune"], own["objective"], own["prune"], given, beside.config)
    if beside.print_config:
        print(to_yaml(plan.base), end="")
        return 0
    several = devices if len(devices) > 1 else ()
    result = run_study(plan, own["trials"], own["slots"], several, own["study_dir"])
    _print(result.summary)
    print(f"{result.folder / 'report.html'}\n{result.folder}")
    if result.error is not None:
        raise result.error
    return 0


def _show(form: Show) -> int:
    _require_optuna()
    from adarts.tuning.pages import content_of
    from adarts.tuning.study import Study

    study = Study(form.study_dir, writes=False)
    content = content_of(study, study.rows())
    if form.json:
        print(json.dumps(content, indent=2))
    else:
        _print(content)
    return 0


def _trial(form: Trial) -> int:
    _require_optuna()
    from adarts.tuning.trial import run_trial

    code = {name: value for name in ("method", "space", "data") if (value := getattr(form, name)) is not None}
    run_trial(form.study_dir, form.number, code)
    return 0


def _print(content: dict[str, Any]) -> None:
    from adarts.tuning.pages import figure, importance_in_words, table

    print_table(*table(content))
    if line := importance_in_words(content):
        print(f"importance: {line}")
    if best := content["best"]:
        print(f"best: trial {best['number']} with {figure(best['value'])}; run it with:\n{best['command']}")


def _require_optuna() -> None:
    if find_spec("optuna") is None:
        raise ConfigError("adarts tune needs optuna: pip install 'adarts[sweeps]'")
