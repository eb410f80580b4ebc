"""Under which conditions something was measured, and what came out: a table, JSON with its provenance, and a plot."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from adarts import kernels
from adarts.benchmark.timing import Say
from adarts.config.loading import checked
from adarts.config.settings import RunSettings
from adarts.engine import environment, prepare_device, write_atomically
from adarts.engine.capture import WARM_UP
from adarts.errors import ConfigError

MIB = 1 << 20


@dataclass(frozen=True)
class Conditions:
    """How to measure.

    Attributes:
        device: where.
        threads: of this process and of its children.
        repeats: rounds that count.
        warmup: rounds before them.
        say: told how far it is.
    """

    device: torch.device
    threads: int
    repeats: int
    warmup: int
    say: Say

    @classmethod
    def of(
        cls, device: str, threads: str | None, repeats: int, warmup: int | None, say: Say | None = None
    ) -> Conditions:
        """Pin the threads of this process and find the device.

        Args:
            device: auto, cpu, cuda or cuda:N.
            threads: how many; None takes one for each core that this process may use.
            repeats: rounds that count.
            warmup: rounds before them; None takes one, on a GPU as many as come before the capture of a step, and that one.
            say: told how far it is; None writes to the standard error.

        Raises:
            ConfigError: one of them cannot work.
        """
        if repeats < 1 or (warmup or 0) < 0:
            raise ConfigError(f"--repeats must be at least 1 and --warmup at least 0, not {repeats} and {warmup}")
        given = len(os.sched_getaffinity(0)) if threads is None and hasattr(os, "sched_getaffinity") else threads
        values = {"device": device, "threads": given or os.cpu_count()}
        settings = RunSettings(**checked(RunSettings, values, lambda name: f"--{name}"))
        found = prepare_device(settings)
        if warmup is None:
            warmup = WARM_UP + 2 if found.type == "cuda" else 1
        return cls(found, torch.get_num_threads(), repeats, warmup, say or say_on_stderr)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.device.type}, {threads}, medians of {self.repeats} interleaved rounds after {self.warmup} of warm-up"


@dataclass(frozen=True)
class Outcome:
    """What a benchmark gave.

    Attributes:
        name: of the benchmark.
        title: what was measured and how, in one line.
        settings: what was asked for.
        records: the figures, one mapping a variant or point.
        head: of the table.
        rows: of the table.
        svg: the plot.
        notes: what a reader should know besides.
        provenance: machine, versions, command.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    svg: str
    notes: Sequence[str]
    provenance: Mapping[str, Any]

    def to_json(self) -> str:
        """All but the drawing and the words of the table."""
        content = {
            "format": "adarts-benchmark",
            "version": 1,
            "benchmark": self.name,
            "title": self.title,
            "provenance": self.provenance,
            "settings": self.settings,
            "results": self.records,
            "notes": self.notes,
        }
        return json.dumps(content, indent=2) + "\n"

    def write(self, json_file: Path | None, plot_file: Path | None) -> None:
        """Write the files that are asked for."""
        if json_file is not None:
            write_atomically(json_file, self.to_json().encode())
        if plot_file is not None:
            write_atomically(plot_file, self.svg.encode())


def provenance(device: torch.device) -> dict[str, Any]:
    """The environment of a run, and whether the native kernels are there."""
    status = kernels.status()
    built = status.detail if status.functions is not None else f"none: {status.detail}"
    return {**environment(device), "kernels": built}  # whether a variant used them is said with the variant


def require_writable(*files: Path | None) -> None:
    """Refuse files that cannot be written before minutes are spent on what goes into them.

    Raises:
        ConfigError: their folder is not there.
    """
    for file in files:
        if file is None:
            continue
        folder = file.absolute().parent
        if file.is_dir():
            raise ConfigError(f"{file} cannot be written: it is a folder, and a file is needed")
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise ConfigError(f"{file} cannot be written: {folder} is not a folder that one may write to")


def say_on_stderr(text: str) -> None:
    """One line of progress, which the next one overwrites on a terminal; an empty one leaves the line free for the result."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(f"\x1b[2K{text[: console.width - 1]}", end="\r", markup=False)
    elif text:
        console.print(text, markup=False, soft_wrap=True)


def seconds(value: float) -> str:
    """A time with three figures."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def mebibytes(value: float) -> str:
    """Memory in MiB."""
    return f"{value / MIB:,.0f} MiB"


def ratio(value: float) -> str:
    """A ratio with three figures."""
    return f"{value:.3g}"
