"""A whole search: from a configuration to a genotype in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import SearchConfig
from adarts.data import Source, load_images
from adarts.engine import GENOTYPE_FILE, RunFolder, carry_out, whole_run
from adarts.engine.forecast import forecast, titled_rows
from adarts.methods import create, resolve_options
from adarts.models import count_macs
from adarts.report import cell_svg, write_report
from adarts.searching.budget import alpha_updates, too_few_updates
from adarts.searching.monitors import collapse_warning, truth
from adarts.searching.phases import checked_phases
from adarts.searching.task import SearchTask
from adarts.searching.verdict import Verdict, judge
from adarts.source_file import code_hashes, source_hash
from adarts.spaces import Genotype, load_genotype
from adarts.spaces.derivation import decided_edges, never_none


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

    @property
    def verdict(self) -> Verdict:
        """Whether the search decided."""
        older = {"word": "not judged", "reason": "the search is older than verdicts"}
        return Verdict.from_dict(self.summary.get("verdict", older))


@whole_run("search")
def run_search(config: SearchConfig, images: Source | None = None) -> SearchResult:
    """Search for cells, or continue a search that stopped.

    Args:
        config: the whole search; :func:`adarts.searching.search_config` puts one together.
        images: those that `config.data` refers to, where they were given as objects.

    Raises:
        ConfigError: settings that cannot work together.
        DataError: images that cannot be used.
        CheckpointError: a run folder that is damaged, locked or of another configuration.
        NotFiniteError: the loss became NaN or infinite.
        OutOfMemoryError: a step does not fit in memory.
        Stopped: a signal or the time limit ended the run at a checkpoint.
    """
    config = resolve_options(config)
    method = create(config)
    checked_phases(config, method)
    device = RunFolder.check("search", config)  # refused before images are read
    data = load_images(images or config.data, config.images, config.seed)
    # Everything that can be refused is refused before there is a folder.
    task = SearchTask(config, data, method, device)
    facts = {**code_hashes(config), "method_source": source_hash(type(method))}
    with RunFolder.open("search", f"{data.name}-{method.info.name}", config, facts) as run:
        if run.finished:
            genotype, summary = load_genotype(run.path / GENOTYPE_FILE), run.read_json("summary.json")
        else:
            for warning in filter(None, _warnings(config, task)):
                run.warn(warning)
            carry_out(task, run, config.run, partial(_description, task))
            genotype = task.genotype()
            summary = _write_results(run, task, genotype)
        run.log(f"report: {write_report([run.path])}")
    return SearchResult(run.path, genotype, summary)


def _warnings(config: SearchConfig, task: SearchTask) -> Iterator[str | None]:
    """What somebody should know of a search before it begins."""
    batch = task.config.search.batch_size
    if batch != config.search.batch_size:
        yield f"a batch of {config.search.batch_size} is more than the images for an update; it is {batch} here"
    if config.search.validate_supernet and not task.validates:
        yield f"the supernet is not validated: {task.method.info.title} learns from all training images"
    yield task.method.budget_warning(task)
    if task.method.chosen_by() is None:
        last = max(index for index, phase in enumerate(task.phases) if index == 0 or phase.fresh)
        updates = sum(_alpha_updates(task)[last:])
        yield too_few_updates(updates, config.alphas.learning_rate, task.phases[-1])


def _description(task: SearchTask) -> str:
    """What will be done and what it will cost."""
    net, data = task.supernet, task.data
    shape = (1, data.in_channels, *data.image_size)
    steps, phase = task.steps(0), task.phases[0]
    weights, alphas = ([p.numel() for p in those] for those in (net.weight_parameters(), net.alpha_parameters()))
    rows = [
        ("method", f"{task.method.info.title}, 1/{phase.edge.k} of the channels"),
        ("space", net.space.title),
        ("supernet", f"{phase.supernet.cells} cells, {phase.supernet.channels} channels"),
        ("weights", f"{sum(weights):,} parameters, {sum(alphas)} alphas"),
        ("MACs", f"{count_macs(net, shape) / 1e6:,.0f} million an image"),
        ("steps", f"{task.epochs} epochs of {steps} steps, {sum(p.warmup_epochs for p in task.phases)} warm-up"),
        ("updates", f"{sum(_alpha_updates(task)):,} of the alphas"),
        ("predicted", forecast(task, task.device, _plan(task))),
    ]
    return f"{titled_rows('data', data.facts())}\n{titled_rows('search', rows)}"


def _alpha_updates(task: SearchTask) -> list[int]:
    """How many updates move the alphas in each phase."""
    return alpha_updates(task.order, task.phases, task.steps(0), task.epochs)


def _verdict(task: SearchTask, records: list[dict[str, Any]], guessing: float) -> Verdict:
    """Whether a search that is over decided."""
    method, space = task.method, task.supernet.space
    if (reason := method.chosen_by()) is not None:
        return Verdict("not judged", f"{method.info.title} chooses by {reason}")
    rule: object = type(method).rule
    keeps_none = rule is decided_edges or (space.kept_edges is None and rule is not never_none)
    return judge(records, space, guessing, keeps_none)


def _guessing(task: SearchTask) -> float:
    """The cross-entropy of one who knows of the images of the alphas only how frequent their classes are."""
    labels = task.data.train.labels[task.alpha_batches.indices]
    return float(torch.special.entr(labels.bincount() / len(labels)).sum())


def _plan(task: SearchTask) -> Iterator[tuple[int, int]]:
    """The steps of all phases, each of them entered when its turn comes: a typical epoch, and how many steps are like its own.

    A later phase is entered as if it began now, so with operations that are not yet the ones it will have.
    """
    begin = 0
    for index, phase in enumerate(task.phases):
        if index:
            task.enter(index)
        yield begin, phase.warmup_epochs * task.steps(begin)
        yield begin + phase.warmup_epochs, (phase.epochs - phase.warmup_epochs) * task.steps(begin)
        begin += phase.epochs


def _write_results(run: RunFolder, task: SearchTask, genotype: Genotype) -> dict[str, Any]:
    """Write what was found, and return the summary."""
    config = task.config
    collapse = collapse_warning(genotype, task.supernet.space)
    for warning in filter(None, [collapse, *genotype.remarks]):
        run.warn(warning)
    run.write(GENOTYPE_FILE, genotype.to_json())
    if genotype.has_text:
        run.write("genotype.txt", genotype.to_text() + "\n")
    for kind in genotype.cells:
        run.write(f"cell_{kind}.svg", cell_svg(genotype, kind))
    run.log(f"found: {genotype.to_text() if genotype.has_text else genotype.to_dict()['cells']}")
    guessing = _guessing(task)
    verdict = _verdict(task, run.metrics.read(), guessing)
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
            "data_fingerprint": task.data.fingerprint,
            "data_facts": task.data.facts(),
            "initial_genotype_differs": _cells(genotype) != _cells(task.initial_genotype),
            "supernet_parameters": sum(p.numel() for p in task.supernet.weight_parameters()),
            "accumulation": task.accumulation,
            "collapsed": collapse is not None,
            "verdict": {**verdict.to_dict(), "guessing": guessing, "alpha_updates": sum(_alpha_updates(task))},
        }
    )


def _cells(genotype: Genotype) -> dict[str, list[list[tuple[str, int]]]]:
    """The cells without the order of the pairs of a node, which only says which edge is stronger."""
    return {kind: [sorted(pairs) for pairs in cell.nodes] for kind, cell in genotype.cells.items()}
