"""Run a complete search: from a configuration to a genotype in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import SearchConfig
from adarts.data import Source, load_images
from adarts.engine import FRONT_FILE, GENOTYPE_FILE, RunFolder, carry_out, parallel, whole_run
from adarts.engine.forecast import forecast, titled_rows
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import CheckpointError, refusing
from adarts.methods import create, resolve_options
from adarts.models import count_macs
from adarts.models.stem import strided
from adarts.report import cell_pngs, cell_svg, picture, write_report
from adarts.searchers import Trial
from adarts.searching.budget import alpha_updates, too_few_updates
from adarts.searching.monitors import collapse_warning, truth
from adarts.searching.phases import checked_phases
from adarts.searching.task import SearchTask
from adarts.searching.verdict import Verdict, judge, unordered_cells
from adarts.source_file import code_hashes, source_hash
from adarts.spaces import Genotype, load_genotype
from adarts.spaces.derivation import decided_edges, never_none
from adarts.truth.judge import find_judge


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        run_dir: the run folder.
        genotype: the cells derived after the last epoch.
        summary: content of ``summary.json``.
    """

    run_dir: Path
    genotype: Genotype
    summary: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """How clearly the search decided."""
        with refusing(f"{self.run_dir}: its {SUMMARY} is damaged", CheckpointError):
            return Verdict.from_dict(self.summary["verdict"])

    def _repr_svg_(self) -> str:
        """In a notebook, the result is the picture of its cells and curves."""
        return picture(self.run_dir)


@whole_run("search")
def run_search(
    config: SearchConfig,
    images: Source | None = None,
    watch: Callable[[Mapping[str, Any]], str | None] | None = None,
) -> SearchResult:
    """Search for cells, or continue an interrupted search.

    Args:
        config: the complete configuration; :func:`adarts.searching.search_config` builds one.
        images: the images that `config.data` refers to, if the caller passed them as objects.
        watch: called with the record of every epoch, in every process, and again for an epoch that an interruption repeats. A
            text ends the search as finished, with this reason in its summary; None lets it go on.

    Raises:
        ConfigError: the settings do not work together.
        DataError: the images cannot be used.
        CheckpointError: the run folder is damaged, locked, or belongs to another configuration.
        NotFiniteError: the loss became NaN or infinite.
        OutOfMemoryError: a step does not fit in memory.
        Stopped: a signal or the time limit ended the run at a checkpoint.
    """
    config = resolve_options(config)
    method = create(config)
    checked_phases(config, method)
    device = RunFolder.check("search", config)  # fails before images are read
    data = parallel.in_turn(lambda: load_images(images or config.data, config.images, config.seed))  # may download
    # Building the task completes all checks, before the run folder is created.
    task = SearchTask(config, data, method, device)
    if watch is not None:
        task.watch = watch
    facts = {**code_hashes(config), "method_source": source_hash(type(method))}
    with RunFolder.open("search", f"{data.name}-{method.info.name}", config, facts, data.record()) as run:
        if run.finished:
            genotype, summary = load_genotype(run.path / GENOTYPE_FILE), run.read_json("summary.json")
        else:
            for warning in filter(None, _warnings(config, task)):
                run.warn(warning)
            carry_out(task, run, config.run, partial(_description, task))
            genotype = task.genotype()
            summary = _write_results(run, task, genotype)
        if parallel.leads():
            run.log(f"report: {write_report([run.path])}")
    return SearchResult(run.path, genotype, summary)


def _warnings(config: SearchConfig, task: SearchTask) -> Iterator[str | None]:
    """Warnings to log before the search begins."""
    batch = task.config.search.batch_size
    if batch != config.search.batch_size:
        yield f"a batch of {config.search.batch_size} is larger than the number of images for an update; using {batch} instead"
    if config.search.validate_supernet and not task.validates:
        yield f"the supernet is not validated: {task.method.info.title} trains on all images and leaves none for validation"
    yield task.method.budget_warning(task)
    if task.method.chosen_by() is None:
        last = max(index for index, phase in enumerate(task.phases) if index == 0 or phase.fresh)
        updates = sum(_alpha_updates(task)[last:])
        yield too_few_updates(updates, config.alphas.learning_rate, task.phases[-1])


def _description(task: SearchTask) -> str:
    """Description of the data and the search, with predicted time and memory."""
    net, data = task.supernet, task.data
    shape = (1, data.in_channels, *data.image_size)
    steps, phase = task.steps(0), task.phases[0]
    weights, alphas = ([p.numel() for p in those] for those in (net.weight_parameters(), net.alpha_parameters()))
    rows = [
        ("method", f"{task.method.info.title}, 1/{phase.edge.k} of the channels"),
        ("space", net.space.title),
        ("supernet", f"{phase.supernet.cells} cells, {phase.supernet.channels} channels{strided(net.stem_stride)}"),
        ("weights", f"{sum(weights):,} parameters" + (f", {sum(alphas)} alphas" if task.learns_alphas else "")),
        ("MACs", f"{count_macs(net, shape) / 1e6:,.0f} million an image"),
        ("steps", f"{task.epochs} epochs of {steps} steps, {sum(p.warmup_epochs for p in task.phases)} warm-up"),
        *([("updates", f"{sum(_alpha_updates(task)):,} of the alphas")] if task.learns_alphas else []),
        ("predicted", forecast(task, task.device, planned_steps(task))),
    ]
    return f"{titled_rows('data', data.facts())}\n{titled_rows('search', rows)}"


def _alpha_updates(task: SearchTask) -> list[int]:
    """Number of updates of the alphas in each phase."""
    return alpha_updates(task.order, task.phases, task.steps(0), task.epochs)


def _verdict(task: SearchTask, records: list[dict[str, Any]], guessing: float) -> Verdict:
    """The verdict on a finished search."""
    method, space = task.method, task.supernet.space
    if (reason := method.chosen_by()) is not None:
        return Verdict("not judged", f"{method.info.title} chooses by {reason}")
    rule: object = type(method).rule
    keeps_none = rule is decided_edges or (space.kept_edges is None and rule is not never_none)
    return judge(records, space, guessing, keeps_none)


def _guessing(task: SearchTask) -> float:
    """Cross-entropy of guessing by class frequency on the alphas' images."""
    labels = task.data.train.labels[task.alpha_batches.indices]
    return float(torch.special.entr(labels.bincount() / len(labels)).sum())


def planned_steps(task: SearchTask) -> Iterator[tuple[int, int]]:
    """Pairs of a typical epoch and the number of steps like it, for all phases; of equal phases in a row, one stands for all.

    The task enters each of these phases in turn. A later phase starts here from the present state, so its operations may differ
    from those it will have in the search.
    """
    index = begin = 0
    for phase, equal in groupby(task.phases):
        if index:
            task.enter(index)
        number = len(list(equal))
        yield begin, number * phase.warmup_epochs * task.steps(begin)
        yield begin + phase.warmup_epochs, number * (phase.epochs - phase.warmup_epochs) * task.steps(begin)
        index, begin = index + number, begin + number * phase.epochs


def _of_front(trial: Trial) -> dict[str, Any]:
    """A trial as an entry of ``front.json``."""
    score, genotype = trial.score, trial.genotype
    known = {"accuracy": score.value, "parameters": score.size, "truth": truth(genotype)}
    return {**known, "genotype": genotype.to_dict()}


def _write_results(run: RunFolder, task: SearchTask, genotype: Genotype) -> dict[str, Any]:
    """Write the result files and the summary; return the summary."""
    config = task.config
    collapse = collapse_warning(genotype, task.supernet.space)
    for warning in filter(None, [collapse, *genotype.remarks]):
        run.warn(warning)
    run.write(GENOTYPE_FILE, genotype.to_json())
    if genotype.has_text:
        run.write("genotype.txt", genotype.to_text() + "\n")
    for kind in genotype.cells:
        run.write(f"cell_{kind}.svg", cell_svg(genotype, kind))
    if front := task.method.front():
        run.write_json(FRONT_FILE, {"cells": [_of_front(trial) for trial in front]})
        run.log(
            f"front: {len(front)} cells in {FRONT_FILE}; train one with --genotype {run.path}:NUMBER, from 0, the smallest"
        )
    run.log(f"found: {genotype.to_text() if genotype.has_text else genotype.to_dict()['cells']}")
    guessing = _guessing(task)
    verdict = _verdict(task, run.metrics.read(), guessing)
    initial = task.initial_genotype.to_dict()
    known = find_judge(genotype.space)
    run.log(f"verdict: {verdict}")
    return run.finish(
        {
            "method": task.method.info.name,
            "space": task.supernet.space.name,
            "data": config.data,
            "seed": config.seed,
            "scale": config.scale,
            "epochs": task.epochs,
            "planned_epochs": sum(phase.epochs for phase in task.phases),
            "stopped": task.stopped,
            "skips": {kind: genotype.num_operations(kind, "skip_connect") for kind in genotype.cells},
            "truth": truth(genotype),
            "floors": [] if known is None else [floor.record() for floor in known.floors()],
            "data_fingerprint": task.data.fingerprint,
            "data_facts": task.data.facts(),
            "initial_genotype_differs": unordered_cells(genotype.to_dict()) != unordered_cells(initial),
            "supernet_parameters": sum(p.numel() for p in task.supernet.weight_parameters()),
            "accumulation": task.accumulation,
            "collapsed": collapse is not None,
            "verdict": {**verdict.to_dict(), "guessing": guessing, "alpha_updates": sum(_alpha_updates(task))},
        },
        partial(cell_pngs, genotype),
    )
