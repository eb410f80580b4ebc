"""A whole search: from a configuration to a genotype in a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import SearchConfig
from adarts.data import ImageData, load_images
from adarts.forecast import forecast
from adarts.methods import get_method
from adarts.report import cell_svg, write_report
from adarts.runs import RunFolder, StopSignals, carry_out, out_of_memory_named
from adarts.runs.tables import table
from adarts.searching.footprint import MemoryLimit, Workload
from adarts.searching.monitors import collapse_warning
from adarts.searching.task import SearchTask
from adarts.seeding import derive_seed
from adarts.space import DARTS, MAX_SKIPS, Genotype, count_macs
from adarts.supernet import Supernet


@dataclass(frozen=True)
class SearchResult:
    """What a search found, and where it lies.

    Attributes:
        run_dir: the run folder.
        genotype: the cells named by the logits after the last epoch.
        summary: what ``summary.json`` holds.
    """

    run_dir: Path
    genotype: Genotype
    summary: dict[str, Any]


def run_search(config: SearchConfig) -> SearchResult:
    """Search for cells, or continue a search that stopped.

    Args:
        config: the whole search; :func:`adarts.config.loading.search_config` puts one together.

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
    method = get_method(config.method)()
    device = RunFolder.check("search", config)  # refused before images are read
    limit = MemoryLimit.of(config.run.memory_limit)
    data = load_images(config.data, config.images, config.seed)
    supernet = build_supernet(config, data).to(device)
    # Everything that can be refused is refused before there is a folder.
    task = SearchTask(config, data, supernet, method, device)
    tight = limit.check(Workload.of(config, data, device), device)
    with RunFolder.open("search", f"{data.name}-{config.method}", config) as run:
        if not run.finished:
            task.between = run.stop_if_asked
            if tight is not None:
                run.warn(tight)
            _announce(run, task, data, device)
            carry_out(task, run, config.run)
            _finish(run, task, data)
            (run.path / "report.html").unlink(missing_ok=True)  # one that was written meanwhile shows an unfinished run
        if not (run.path / "report.html").exists():
            run.log(f"report: {write_report([run.path])}")
        summary = run.read_json("summary.json")
        return SearchResult(run.path, Genotype.from_dict(summary["genotype"]), summary)


def build_supernet(config: SearchConfig, data: ImageData) -> Supernet:
    """The supernet of a search, with weights and logits drawn from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "supernet"))
        return Supernet(DARTS, config.supernet, config.edge, data.num_classes, data.in_channels)


def _announce(run: RunFolder, task: SearchTask, data: ImageData, device: torch.device) -> None:
    """Say what will be done and what it will cost, before it begins."""
    config, net = task.config, task.supernet
    run.log(table("data", data.table()))
    weights = sum(parameter.numel() for parameter in net.weight_parameters())
    shape = (1, data.in_channels, *data.image_size)
    steps, epochs, warmup = task.steps(0), config.search.epochs, config.search.warmup_epochs
    plan = {0: warmup * steps, warmup: (epochs - warmup) * steps}
    run.log(
        table(
            "search",
            [
                ("method", f"{task.method.info.title}, 1/{config.edge.k} of the channels"),
                ("supernet", f"{config.supernet.cells} cells, {config.supernet.channels} channels"),
                ("weights", f"{weights:,} parameters, {sum(p.numel() for p in net.logit_parameters())} logits"),
                ("MACs", f"{count_macs(net, shape) / 1e6:,.0f} million an image"),
                (
                    "steps",
                    f"{config.search.epochs} epochs of {task.steps(0)} steps, {config.search.warmup_epochs} warm-up",
                ),
                ("predicted", str(forecast(task, device, plan) or "not known")),
            ],
        )
    )


def _finish(run: RunFolder, task: SearchTask, data: ImageData) -> None:
    config = task.config
    genotype = task.genotype()
    skips = {kind: genotype.num_operations(kind, "skip_connect") for kind in genotype.cells}
    if warning := collapse_warning(skips):
        run.warn(warning)
    run.write_text("genotype.json", genotype.to_json())
    run.write_text("genotype.txt", genotype.to_text() + "\n")
    for kind in genotype.cells:
        run.write_text(f"cell_{kind}.svg", cell_svg(genotype, kind))
    run.finish(
        {
            "kind": "search",
            "method": config.method,
            "data": config.data,
            "seed": config.seed,
            "scale": config.scale,
            "epochs": config.search.epochs,
            "seconds": round(run.seconds, 1),
            "genotype": genotype.to_dict(),
            "skips": skips,
            "data_fingerprint": data.fingerprint,
            "initial_genotype_differs": _cells(genotype) != _cells(task.initial_genotype),
            "supernet_parameters": sum(p.numel() for p in task.supernet.weight_parameters()),
            "batch_parts": task.parts,
            "collapsed": skips.get("normal", 0) > MAX_SKIPS,
        }
    )
    run.log(f"found: {genotype.to_text()}")


def _cells(genotype: Genotype) -> dict[str, list[list[tuple[str, int]]]]:
    """The cells without the order of the pairs of a node, which only says which edge is stronger."""
    return {kind: [sorted(pairs) for pairs in cell.nodes] for kind, cell in genotype.cells.items()}
