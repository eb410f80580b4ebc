"""``adarts truth``: what cells, supernets and searches are worth, by true accuracies or an estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import complain, print_table
from adarts.errors import AdartsError, CheckpointError, ConfigError, DataError
from adarts.truth import Estimate, Truth

if TYPE_CHECKING:
    from adarts.truth.floors import Accuracy
    from adarts.truth.judge import Answer

_FORM = "'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'"
_NOT_TO_BE_TRUSTED = "not to be trusted, beyond its data:"


@dataclass(frozen=True, config=FORM)
class Cells:
    """Tell what cells are worth: the true accuracy of cells of NAS-Bench-201 and their rank among all 15,625, or the estimated
    accuracy of cells of the DARTS space.

    `adarts truth floors` shows what a search must beat. `adarts truth correlation RUN` compares how a search's supernet ranks
    cells with their accuracies. `adarts truth stability SWEEP` shows how much the found cells depend on the seed.
    """

    cells: Annotated[tuple[str, ...], Positional("ARCH...")] = ()
    """Cells: quoted texts such as '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' or 'Genotype(normal=...)', genotype files, search
    runs, names from `adarts zoo`, random:darts:SEED or random:nasbench201:SEED."""
    json: bool = False
    """Print all facts as JSON."""


@dataclass(frozen=True, config=FORM)
class Correlation:
    """Compare the supernet of a finished search with the true accuracies (in NAS-Bench-201) or the estimated ones (in the DARTS
    space): measure a sample of cells with the shared weights on the images that train the alphas, and correlate.
    """

    run: Annotated[str, Positional("RUN")]
    """A search run: its folder, its name, or latest. correlation.json and correlation.svg are written there."""
    cells: int = 100
    """Cells to measure, including the derived one; all cells if the supernet contains fewer."""
    seed: int = 0
    """Seed of the sample."""
    weight: float = 1.0
    """Weight of the single operation on every edge; during the search, the weights of an edge's operations add up to 1."""
    method: str | None = None
    """The method of the search once more, path/to/file.py:Class, if it is your own file; the file is executed."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: PositiveInt | None = None
    """CPU threads; none uses torch's default."""


@dataclass(frozen=True, config=FORM)
class Stability:
    """Show how much the searches of a sweep depend on the seed: true or estimated accuracies, cells, channels."""

    sweep: Annotated[Path, Positional("SWEEP")]
    """The folder of a sweep. stability.json and stability.svg are written there."""


@dataclass(frozen=True, config=FORM)
class Floors:
    """Show what a search of a space must beat: the accuracies of cells that need no search."""

    space: Annotated[str, Positional("SPACE")] = "darts"
    """A search space."""


FORMS: dict[str, type[Any]] = {"floors": Floors, "correlation": Correlation, "stability": Stability}


def run(words: list[str]) -> int:
    """Run ``adarts truth``."""
    if words and words[0] in FORMS:
        form = parse(FORMS[words[0]], words[1:], f"adarts truth {words[0]}")
        match form:
            case Floors():
                return _floors(form)
            case Correlation():
                return _correlation(form)
        return _stability(form)
    cells = parse(Cells, words, "adarts truth")
    if not cells.cells:
        raise ConfigError(
            f"adarts truth needs one or more cells, such as {_FORM}, genotype files, search runs, or names from `adarts zoo`"
        )
    found: dict[str, Answer] = {}
    problems: list[AdartsError] = []
    for word in cells.cells:
        try:
            found[word] = _find(word)
        except AdartsError as problem:  # one bad cell must not hide the others
            problems.append(problem)
    if cells.json and found:
        print(json.dumps([asdict(answer) for answer in found.values()], indent=2))
    elif not cells.json:
        for word, answer in found.items():
            if isinstance(answer, Truth):
                _show(answer)
            else:
                _show_estimate(word, answer)
    return max(map(complain, problems), default=0)


def _floors(form: Floors) -> int:
    from adarts.truth.judge import judge_of

    judge = judge_of(form.space)
    print(f"{judge.word} {judge.figure}, in percent, of cells of the space '{form.space}' that need no search")
    for dataset, title in judge.data_sets.items():
        found = {floor.name: floor.accuracies[dataset] for floor in judge.floors()}
        rows = [[name, *_accuracy(accuracy), f"{accuracy.best:.2f}"] for name, accuracy in found.items()]
        print_table([title, "n", "mean ± sd", "worst", "best"], rows)
    return 0


def _correlation(form: Correlation) -> int:
    from rich.console import Console
    from rich.progress import track

    from adarts.config.settings import RunSettings, SearchConfig
    from adarts.engine import RunFolder, environment, read_config, write_atomically
    from adarts.engine.files import to_json
    from adarts.searching.finished import learned_batches, load_search
    from adarts.truth.correlation import SampleOfCells, correlate, in_words, picture
    from adarts.truth.judge import judge_of

    how = RunSettings(device=form.device, threads=form.threads)
    cells = SampleOfCells(form.cells, form.seed, form.weight)
    run_dir = RunFolder.find(form.run, "search")
    judge = judge_of(read_config(run_dir, SearchConfig).space)  # raises before images are read
    task, genotype = load_search(run_dir, how, form.method)
    batches = learned_batches(task)
    console = Console(stderr=True)
    result = correlate(
        task.supernet,
        genotype,
        lambda: (batches.batch(0, step) for step in range(len(batches))),
        task.method.edge_weights(task.supernet),
        cells,
        lambda found: track(found, "measuring cells", console=console, disable=not console.is_terminal),
        task.logits,
    )
    config, title = task.config, task.method.info.name
    facts = {"format": "adarts-correlation", "version": 1, "method": title, "data": config.data, "scale": config.scale}
    facts |= {"search_seed": config.seed, "sample_seed": form.seed, "images": len(batches) * batches.batch_size}
    facts |= {"weight": form.weight, "environment": environment(task.device), **result.content()}
    write_atomically(run_dir / "correlation.json", to_json(facts))
    drawing = picture(result, judge.dataset_of(config.data), f"{title} on {config.data[:40]}")
    write_atomically(run_dir / "correlation.svg", drawing.encode())
    found, floors = [result.agreements[dataset] for dataset in judge.data_sets], judge.floors()
    accuracies = {
        "derived cell": "derived",
        "cell ranked first by the supernet": "first",
        "best cell in the sample": "best_of_sample",
        f"mean of {floors[0].name}": "mean_of_random",
        f"best of {floors[-1].name}": "best_known",
    }
    rows = [
        ["Spearman's rho", *(in_words(one.spearman) for one in found)],
        ["Kendall's tau", *(in_words(one.kendall) for one in found)],
        [f"{judge.word} accuracy (%)", *("" for _ in found)],
        *([f"  {words}", *(f"{getattr(one, name):.2f}" for one in found)] for words, name in accuracies.items()),
    ]
    print(f"{title} on {config.data}: supernet and {judge.word} accuracy")
    derived = result.measured[0].truth
    print(f"derived cell {derived.arch}")
    print_table(["", *judge.data_sets.values()], rows)
    print(
        f"{facts['cells']:,} of the {facts['cells_in_supernet']:,} cells in the supernet, sample seed {form.seed}, "
        f"{facts['images']:,} images, operation weight {form.weight:g}"
    )
    if derived.beyond is not None:
        print(f"derived cell: {_NOT_TO_BE_TRUSTED} {derived.beyond}")
    print(run_dir / "correlation.svg")
    return 0


def _stability(form: Stability) -> int:
    from adarts.report.numbers import shown
    from adarts.truth.stability import DRAWING, stability

    result = stability(form.sweep)
    judge, names = result.judge, list(dict.fromkeys(name for group in result.groups for name in group.settings))
    keeps_none = judge.space.kept_edges is None

    def without_none(accuracies: Mapping[str, Accuracy]) -> list[str]:
        """The column `no none`, in spaces where `none` can win an edge."""
        found = accuracies.get(result.dataset)
        return [f"{found.spread.mean:.2f}" if found else ""] if keeps_none else []

    rows = [
        [
            *(shown(group.settings.get(name, "")) for name in names),
            *_accuracy(group.accuracies[result.dataset]),
            *without_none(group.without_none),
            "" if group.equal_edges is None else f"{100 * group.equal_edges:.0f} %",
            "" if group.channels is None else group.channels.words(lambda share: f"{100 * share:.0f}", " %"),
        ]
        for group in result.groups
    ]
    for index, floor in enumerate(judge.floors()):
        edges = "" if index else f"{100 * judge.equal_edges:.0f} %"
        blanks = [""] * (len(names) - 1)
        rows.append([floor.name, *blanks, *_accuracy(floor.accuracies[result.dataset]), *without_none({}), edges, ""])
    print(f"{judge.word} {judge.figure}, on {judge.data_sets[result.dataset]} in percent, over the seeds")
    print_table([*names, "n", "mean ± sd", "worst", *(["no none"] if keeps_none else []), "edges", "channels"], rows)
    if keeps_none:
        print("no none: mean if each edge takes its best operation other than `none`")
    print("edges: share of edges with the same operation in two seeds; channels: share of channels kept between epochs")
    for reason in result.left_out:
        print(f"left out: {reason}")
    for reason in result.beyond:
        print(f"{_NOT_TO_BE_TRUSTED} {reason}")
    for name in ("stability.json", DRAWING):
        if (form.sweep / name).exists():
            print(form.sweep / name)
    return 0


def _accuracy(accuracy: Accuracy) -> list[str]:
    return [f"{accuracy.spread.n:,}", accuracy.spread.words("{:.2f}".format), f"{accuracy.worst:.2f}"]


def _find(word: str) -> Answer:
    """What is known about a cell, given as on the command line."""
    from adarts.truth import lookup

    if "|" in word:
        return lookup(word)
    from adarts.engine import RunFolder  # what follows needs torch
    from adarts.training.model import resolve_genotype
    from adarts.truth.judge import judge_of

    place = word
    with suppress(CheckpointError, OSError):  # not a run, or not a valid file name
        place = str(RunFolder.find(word, "search"))
    genotype = resolve_genotype(place)
    try:
        return judge_of(genotype.space).of(genotype)
    except (ConfigError, DataError) as error:
        raise DataError(f"{word if len(word) < 200 else 'the text'}: {error}") from None


def _show(truth: Truth) -> None:
    from adarts.truth import DATA_SETS, all_truths, same_structure

    known = [truth.on(dataset) for dataset in DATA_SETS]
    twins = same_structure(truth)
    spans = [sorted(twin.on(dataset).test for twin in twins) for dataset in DATA_SETS]
    rows = [
        ["test accuracy, 200 epochs", *(f"{on.test:.2f} %" for on in known)],
        [f"rank among {len(all_truths()):,}", *(f"{on.rank:,}" for on in known)],
        ["points below the best", *(f"{on.regret:.2f}" for on in known)],
        ["validation accuracy, 12 epochs", *(f"{on.validation_12:.2f} %" for on in known)],
        ["test accuracy, 12 epochs", *(f"{on.test_12:.2f} %" for on in known)],
    ]
    if len(twins) > 1:
        rows.append([f"{len(twins)} isomorphic cells", *(f"{low[0]:.2f} to {low[-1]:.2f} %" for low in spans)])
    print(truth.arch)
    print_table(["", *DATA_SETS.values()], rows)
    print(
        f"{truth.parameters:,} parameters (10 classes), {truth.macs:,.1f} million MACs per image, index {truth.index}"
    )


def _show_estimate(word: str, found: Estimate) -> None:
    import torch

    from adarts.models import Network, cost
    from adarts.spaces import Genotype
    from adarts.truth.estimate import CELLS, CHANNELS, FIGURE, table
    from adarts.truth.judge import judge_of

    random = judge_of("darts").floors()[0].accuracies["cifar10"].spread
    rows = [
        [f"estimated {FIGURE}", f"{found.cifar10:.2f} %"],
        ["error of an estimate", f"{found.error:.2f} points"],
        ["points above random cells", f"{found.cifar10 - random.mean:.2f}"],
    ]
    print(word if len(word) <= 100 else found.arch)
    print_table(["", "CIFAR-10"], rows)
    if found.beyond is not None:
        print(f"{_NOT_TO_BE_TRUSTED} {found.beyond}")
    print(f"estimated from published figures of {len(table()[1]):,} other cells; this one was not trained")
    with torch.device("meta"):
        network = cost(Network(Genotype.from_text(found.arch), 10, CHANNELS, CELLS), 32)
    print(
        f"{network.parameters:,} parameters (10 classes, {CELLS} cells, {CHANNELS} channels), "
        f"{network.macs / 1e6:,.1f} million MACs per image"
    )
