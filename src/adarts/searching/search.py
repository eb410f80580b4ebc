"""A whole search: from a configuration to a genotype in a run folder."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import SearchConfig
from adarts.data import ImageData, load_images
from adarts.engine import RunFolder, StopSignals, carry_out, out_of_memory_named
from adarts.engine.forecast import Forecast, forecast
from adarts.engine.tables import table
from adarts.methods import create, resolve_options
from adarts.models import count_macs
from adarts.report import cell_svg, write_report
from adarts.searching.memory import MemoryLimit, Workload
from adarts.searching.monitors import collapse_warning, truth
from adarts.searching.phases import checked_phases
from adarts.searching.task import SearchTask
from adarts.source_file import code_hashes, source_hash
from adarts.spaces import Genotype


@dataclass(frozen=True)
class SearchResult:
    """What a search found, and where it lies.

    Attributes:
        run_dir: the run folder.
        genotype: the cells named by the alphas after the last epoch.
        summary: what ``summary.json`` holds.
    """

    run_dir: Path
    genotype: Genotype
    summary: dict[str, Any]


def run_search(config: SearchConfig) -> SearchResult:
    """Search for cells, or continue a search that stopped.

    Args:
        config: the whole search; :func:`adarts.searching.search_config` puts one together.

    Raises:
        ConfigError: settings that cannot work together.
        DataError: images that cannot be used.
        CheckpointError: a run folder that is damaged, locked or of another configuration.
        NotFiniteError: the loss became NaN or infinite.
        OutOfMemoryError: a step does not fit in memory, or will need more than the memory limit.
        Stopped: a signal or the time limit ended the run at a checkpoint.
    """
    with StopSignals(), out_of_memory_named("in the search"):  # outside the steps, where the driver sees to both
        return _search(config)


def _search(config: SearchConfig) -> SearchResult:
    config = resolve_options(config)
    method = create(config)
    facts = {**code_hashes(config), "method_source": source_hash(type(method))}
    checked_phases(config, method)
    device = RunFolder.check("search", config)  # refused before images are read
    limit = MemoryLimit.of(config.run.memory_limit)
    data = load_images(config.data, config.images, config.seed)
    # Everything that can be refused is refused before there is a folder.
    task = SearchTask(config, data, method, device)
    tight = [limit.check(Workload.of(config, phase, data, device), device) for phase in task.phases]
    with RunFolder.open("search", f"{data.name}-{method.info.name}", config, facts) as run:
        if not run.finished:
            task.check_stop = run.stop_if_asked
            for warning in dict.fromkeys(filter(None, tight)):
                run.warn(warning)
            if budget_warning := method.budget_warning(task):
                run.warn(budget_warning)
            if config.search.validate_supernet and not task.validates:
                run.warn(f"the supernet is not validated: {method.info.title} learns from all training images")
            with run.signals.deferred():  # a signal that meets the measurement of steps leaves them half undone
                _announce(run, task, data, device)
            carry_out(task, run, config.run)
            _finish(run, task, data)
            (run.path / "report.html").unlink(missing_ok=True)  # one that was written meanwhile shows an unfinished run
        if not (run.path / "report.html").exists():
            run.log(f"report: {write_report([run.path])}")
        summary = run.read_json("summary.json")
        return SearchResult(run.path, Genotype.from_dict(summary["genotype"]), summary)


def _announce(run: RunFolder, task: SearchTask, data: ImageData, device: torch.device) -> None:
    """Say what will be done and what it will cost, before it begins."""
    net = task.supernet
    run.log(table("data", data.table()))
    shape = (1, data.in_channels, *data.image_size)
    steps, phase = task.steps(0), task.phases[0]
    weights, alphas = ([p.numel() for p in those] for those in (net.weight_parameters(), net.alpha_parameters()))
    run.log(
        table(
            "search",
            [
                ("method", f"{task.method.info.title}, 1/{phase.edge.k} of the channels"),
                ("space", net.space.title),
                ("supernet", f"{phase.supernet.cells} cells, {phase.supernet.channels} channels"),
                ("weights", f"{sum(weights):,} parameters, {sum(alphas)} alphas"),
                ("MACs", f"{count_macs(net, shape) / 1e6:,.0f} million an image"),
                (
                    "steps",
                    f"{task.epochs} epochs of {steps} steps, {sum(p.warmup_epochs for p in task.phases)} warm-up",
                ),
                ("predicted", str(_predicted(task, device) or "not known")),
            ],
        )
    )


def _predicted(task: SearchTask, device: torch.device) -> Forecast | None:
    """What the steps of all phases will cost; what a method measures after an epoch is not in it.

    A later phase is measured as if it began now, so with operations that are not yet the ones it will have.
    """
    before = copy.deepcopy(task.state_dict()) if len(task.phases) > 1 else None
    found: list[Forecast] = []
    begin = 0
    try:
        for index, phase in enumerate(task.phases):
            if index:
                task.enter(index)
            steps, warm = task.steps(begin), begin + phase.warmup_epochs
            plan = {begin: phase.warmup_epochs * steps, warm: (phase.epochs - phase.warmup_epochs) * steps}
            if (one := forecast(task, device, plan)) is None:
                return None
            found.append(one)
            begin += phase.epochs
    finally:
        if before is not None:
            task.load_state_dict(before)
    return Forecast(sum(one.seconds for one in found), found[-1].memory)


def _finish(run: RunFolder, task: SearchTask, data: ImageData) -> None:
    config = task.config
    genotype = task.genotype()
    skips = {kind: genotype.num_operations(kind, "skip_connect") for kind in genotype.cells}
    if warning := collapse_warning(genotype, task.supernet.space):
        run.warn(warning)
    for remark in genotype.remarks:
        run.warn(remark)
    run.write_text("genotype.json", genotype.to_json())
    if genotype.has_text:
        run.write_text("genotype.txt", genotype.to_text() + "\n")
    for kind in genotype.cells:
        run.write_text(f"cell_{kind}.svg", cell_svg(genotype, kind))
    run.finish(
        {
            "kind": "search",
            "method": task.method.info.name,
            "space": task.supernet.space.name,
            "data": config.data,
            "seed": config.seed,
            "scale": config.scale,
            "epochs": task.epochs,
            "planned_epochs": sum(phase.epochs for phase in task.phases),
            "stopped": task.stopped,
            "seconds": round(run.seconds, 1),
            "genotype": genotype.to_dict(),
            "skips": skips,
            "truth": truth(genotype),
            "data_fingerprint": data.fingerprint,
            "initial_genotype_differs": _cells(genotype) != _cells(task.initial_genotype),
            "supernet_parameters": sum(p.numel() for p in task.supernet.weight_parameters()),
            "accumulation": task.accumulation,
            "collapsed": collapse_warning(genotype, task.supernet.space) is not None,
        }
    )
    run.log(f"found: {genotype.to_text() if genotype.has_text else genotype.to_dict()['cells']}")


def _cells(genotype: Genotype) -> dict[str, list[list[tuple[str, int]]]]:
    """The cells without the order of the pairs of a node, which only says which edge is stronger."""
    return {kind: [sorted(pairs) for pairs in cell.nodes] for kind, cell in genotype.cells.items()}
