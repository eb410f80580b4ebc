"""``adarts sweep``: search with many seeds, methods and settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, ConfigFile, Positional, parse, parse_settings
from adarts.config.cluster import Engine, EngineOptions
from adarts.config.loading import to_yaml
from adarts.config.settings import RunSettings, SearchConfig
from adarts.config.values import assignments
from adarts.errors import ConfigError

_BESIDE = ("vary", "method", "seed", "sweep_dir", "train", "train_options")
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_MOST_SEEDS = 10_000


@dataclass(frozen=True, config=FORM)
class Status:
    """Show the points of a sweep, with their state and progress, wherever they run."""

    sweep_dir: Annotated[Path, Positional("DIR")]
    """Folder of the sweep."""


@dataclass(frozen=True, config=FORM)
class Stop:
    """Stop the searches of a sweep at a checkpoint, wherever they run; the command of the sweep continues it."""

    sweep_dir: Annotated[Path, Positional("DIR")]
    """Folder of the sweep, or of `adarts reproduce` or `adarts explore` with --on slurm or ray."""


FORMS: dict[str, type[Any]] = {"status": Status, "stop": Stop}


class SweepRun(RunSettings):
    device: tuple[str, ...] = ("auto",)  # type: ignore[assignment]
    """auto, cpu, cuda or cuda:N; several for a sweep on several devices of this machine, such as cuda:0 cuda:1."""


class Sweep(SearchConfig, ConfigFile, EngineOptions):
    """Search with every combination of methods, seeds and varied settings, each in its own run folder. All other settings
    apply to every search. --threads is per search (none: as many as its slot has cores, or 1 on a cluster); --time-limit is for
    the whole sweep. `adarts sweep status DIR` shows a sweep, `adarts sweep stop DIR` stops it.
    """

    print_config: bool = False
    """Check every combination, print its complete configuration, and exit."""
    method: tuple[str, ...] = ()  # type: ignore[assignment]
    """Search methods; `adarts methods` lists them. Each brings its own settings."""
    seed: tuple[str, ...] = ()  # type: ignore[assignment]
    """Seeds, such as 0 1 2 or 0-4."""
    vary: tuple[str, ...] = ()
    """Settings to vary with their values, such as edge.k=2,4 search.epochs=10,20."""
    run: SweepRun = SweepRun()
    train: bool = False
    """Also train what each search found, and random cells at equal size, with the seeds of the searches; the table then has test
    accuracies."""
    train_options: Annotated[dict[str, bool | int | float | str], BeforeValidator(assignments)] = {}
    """Settings of these trainings, such as training.epochs=50,network.channels=16; they have the data and the scale of the
    searches."""
    sweep_dir: Path | None = None
    """Folder of the sweep; a sweep in it is continued, and its finished searches are kept. None makes a new one in
    runs/sweep."""


def run(words: list[str]) -> int:
    """Run ``adarts sweep``."""
    if words[:1] == ["status"]:
        return _status(parse(Status, words[1:], "adarts sweep status").sweep_dir)
    if words[:1] == ["stop"]:
        return _stop(parse(Stop, words[1:], "adarts sweep stop").sweep_dir)
    given, beside = parse_settings(Sweep, words, "adarts sweep")
    own = {name: given.pop(name, Sweep.model_fields[name].default) for name in _BESIDE}
    place = {name: given.pop(name) for name in EngineOptions.model_fields if name in given}
    devices = given.get("run", {}).get("device", ())
    if devices:
        given["run"]["device"] = devices[0]
    engine = Engine(**place, devices=devices if len(devices) > 1 else ())
    if own["train_options"] and not own["train"]:
        raise ConfigError("--train-options are for --train, which is missing")
    vary = _axes(own["method"], own["seed"], own["vary"])
    from adarts.experiments.next_steps import after_sweep
    from adarts.sweeping import grid, run_sweep

    points = grid(vary, given, beside.config, engine.on != "local")
    if beside.print_config:
        print("---\n".join(f"# {point.name}\n{to_yaml(point.config)}" for point in points), end="")
        return 0
    train = own["train_options"] if own["train"] else None
    folder = run_sweep(points, engine, own["sweep_dir"], train).folder
    if not engine.detach:
        print(after_sweep(folder, own["train"]))
    print(folder)
    return 0


def _status(sweep_dir: Path) -> int:
    from rich.console import Console

    from adarts.sweeping.control import status
    from adarts.sweeping.watch import points_table

    rows = status(sweep_dir)
    Console(highlight=False, markup=False, emoji=False).print(points_table(rows, len(rows) + 1))
    return 0


def _stop(sweep_dir: Path) -> int:
    from adarts.engine.progress import plain_console
    from adarts.sweeping.control import stop

    stop(sweep_dir, plain_console())
    print(sweep_dir)
    return 0


def _axes(method: Sequence[str], seed: Sequence[str], vary: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The varied settings: dotted name -> values."""
    axes: dict[str, Sequence[Any]] = {}
    if method:
        axes["method"] = list(_split(method))
    for word in vary:
        name, equals, values = word.partition("=")
        name = name.replace("-", "_")
        if not equals:
            raise ConfigError(f"--vary {word[:60]}: values are missing; write it like --vary edge.k=2,4")
        if name in axes or (name == "seed" and seed):
            raise ConfigError(f"--vary {name[:60]}: given twice; give all its values at once")
        axes[name] = list(_split([values]))
        if name.startswith("options."):  # only the method knows the types of its options
            axes[name] = [assignments(f"{name}={value}")[name] for value in axes[name]]
    if seed:
        axes["seed"] = _seeds(list(_split(seed)))
    return axes


def _split(words: Iterable[str]) -> Iterable[str]:
    return (value for word in words for value in word.split(",") if value)


def _seeds(words: Sequence[str]) -> list[str]:
    seeds: list[str] = []
    for word in words:
        match = _RANGE.fullmatch(word)
        several = range(int(match[1]), int(match[2]) + 1) if match else ()
        if match and not 0 < len(several) <= _MOST_SEEDS:
            raise ConfigError(f"--seed {word}: a range is FIRST-LAST with at most {_MOST_SEEDS:,} seeds")
        seeds += map(str, several) if match else [word]
    return seeds
