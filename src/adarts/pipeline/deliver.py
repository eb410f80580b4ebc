"""Carry out a plan: search, train, compare, export, report. Finished parts are kept, so the same command continues."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from adarts.config.loading import validated
from adarts.config.settings import RunSettings
from adarts.data import ImageData, load_images
from adarts.engine.files import to_json, write_atomically
from adarts.engine.signals import parse_time_limit
from adarts.errors import ConfigError, Stopped
from adarts.export import onnx_file
from adarts.export.export import Exported, export
from adarts.export.facts import Facts
from adarts.export.trained import Trained
from adarts.models import width_for
from adarts.models.limits import Limits, widest
from adarts.pipeline.choose import choose, heaviest, made_up, probe, search_settings, shape_of, training_settings
from adarts.pipeline.plan import LimitSettings, Plan, read_plan, written
from adarts.report import Lead, write_report
from adarts.searching import run_search, search_config
from adarts.spaces import Genotype
from adarts.training import TrainResult, run_training, train_config
from adarts.training.model import resolve_genotype
from adarts.zoo.baselines import TIMM, title_of

PLAN, SUMMARY, PAGE = "plan.yaml", "summary.json", "report.html"
"""Files of a run, beside the folders of its search and trainings."""


@dataclass(frozen=True)
class Delivered:
    """The result of a run.

    Attributes:
        run_dir: its folder.
        model: the exported ONNX file.
        test_accuracy: of the delivered network, in [0, 1].
        page: the report.
        summary: content of ``summary.json``.
    """

    run_dir: Path
    model: Path
    test_accuracy: float
    page: Path
    summary: dict[str, Any]


def require_feasible(plan: Plan, images: ImageData) -> None:
    """Check that whatever cells are found, a network of them can meet the limits.

    Raises:
        ConfigError: the narrowest network does not; the message has what it needs.
    """
    _fitted(heaviest(), plan, images)


def run_pipeline(plan: Plan, folder: Path, run: RunSettings | None = None) -> Delivered:
    """Carry out a plan.

    Args:
        plan: the plan.
        folder: folder of all parts. Finished parts in it are kept, an unfinished one is continued.
        run: device and threads.

    Raises:
        ConfigError: the limits cannot be met, or a setting is wrong.
        DataError: the images cannot be used.
        Stopped: a signal stopped a part at a checkpoint; the message has the command that continues.
    """
    run = run or RunSettings()
    settings = train_config(**training_settings(plan, run, {"channels": 2}, "random:darts:0", 1))
    images = load_images(plan.data, settings.images, plan.seed)
    require_feasible(plan, images)
    parts = 4 if plan.rivals else 3
    try:
        genotype, search_dir = _search(plan, folder, run, f"1 of {parts}: ")
        channels = _fitted(genotype, plan, images)
        print(f"\n2 of {parts}: training the network, {channels} channels", flush=True)
        own = {"channels": channels}
        delivered = _trained(plan, folder / "train", run, own, genotype.to_text(), plan.training.epochs)
        rivals: dict[str, TrainResult] = {}
        if plan.rivals:
            print(f"\n3 of {parts}: training {len(plan.rivals)} other networks for as long", flush=True)
        for number, name in enumerate(plan.rivals):
            place = folder / f"rival-{number + 1}"
            rivals[name] = _rival(plan, place, run, name, images, delivered.summary["parameters"])
        print(f"\n{parts} of {parts}: exporting", flush=True)
        exported = export(delivered.run_dir)
    except Stopped as stopped:
        command = shlex.join(["adarts", "run", "--run-dir", str(folder)])
        said = str(stopped).split("; continue with")[0]
        raise Stopped(f"{said}; continue with: {command}", stopped.exit_code) from None
    latency = onnx_file.latency(exported.path)
    limits = plan.limits.limits()
    summary = {
        "plan": plan.model_dump(mode="json"),
        "genotype": genotype.to_text(),
        "channels": channels,
        "delivered": _facts(delivered) | {"latency_ms": latency, "model": exported.path.name},
        "rivals": {name: _facts(result) for name, result in rivals.items()},
        "verdict": verdict(delivered, rivals, limits),
    }
    write_atomically(folder / SUMMARY, to_json(summary))
    runs = [*([search_dir] if search_dir else []), delivered.run_dir, *(one.run_dir for one in rivals.values())]
    page = write_report(runs, folder / PAGE, _lead(plan, delivered, rivals, exported, summary))
    return Delivered(folder, exported.path, delivered.test_accuracy, page, summary)


def verdict(delivered: TrainResult, rivals: dict[str, TrainResult], limits: Limits) -> str:
    """One sentence: which network to take. A lead of less than two standard errors of the difference is no lead."""
    if not rivals:
        return "No other network was trained, so nobody knows whether the search was worth it."
    allowed = {
        name: result
        for name, result in rivals.items()
        if limits.parameters is None or result.summary["parameters"] <= limits.parameters
    }
    if not allowed:
        return "Take the delivered network: all others are larger than the limit."
    name, best = max(allowed.items(), key=lambda pair: pair[1].test_accuracy)
    lead, error = delivered.test_accuracy - best.test_accuracy, _error(delivered, best)
    points = f"{100 * abs(lead):.1f} points (standard error {100 * error:.1f})"
    if lead > 2 * error:
        return f"Take the delivered network: it is {points} ahead of the best other one, {said(name)}."
    if lead < -2 * error:
        return f"Take {said(name)}: it is {points} ahead of the delivered network; the search was not worth it here."
    return (
        f"The delivered network and the best other one, {said(name)}, do not differ clearly: {points}. "
        "Take the smaller or faster one."
    )


def said(name: str) -> str:
    """A rival in words."""
    if name.startswith("random:"):
        return "random cells"
    return title_of(name) if name.startswith(TIMM) else f"the published cells {name}"


def _error(one: TrainResult, other: TrainResult) -> float:
    """Standard error of the difference of two accuracies, each measured on the same number of test images."""
    parts = [run.test_accuracy * (1 - run.test_accuracy) / run.summary["test_images"] for run in (one, other)]
    images: int = one.summary["test_images"]
    return max(math.sqrt(sum(parts)), 1 / images)


def _search(plan: Plan, folder: Path, run: RunSettings, step: str) -> tuple[Genotype, Path | None]:
    """The cells, and the folder of the search if there was one."""
    if not plan.search.trials:
        print(
            f"{step}taking the published cells {plan.search.without}, because there is no time for a search", flush=True
        )
        return resolve_genotype(plan.search.without), None
    print(f"{step}searching for cells, {plan.search.trials} trials", flush=True)
    place = run.model_copy(update={"run_dir": folder / "search"})
    found = run_search(search_config(**search_settings(plan, place)))
    return found.genotype, found.run_dir


def _trained(
    plan: Plan, place: Path, run: RunSettings, network: dict[str, Any], genotype: str | None, epochs: int
) -> TrainResult:
    where = run.model_copy(update={"run_dir": place})
    return run_training(train_config(**training_settings(plan, where, network, genotype, epochs)))


def _rival(plan: Plan, place: Path, run: RunSettings, name: str, images: ImageData, parameters: int) -> TrainResult:
    """Train another network for the same time; cells get as many parameters as the delivered network."""
    genotype: str | None = None
    network: dict[str, Any] = {"name": name}
    if not name.startswith(TIMM):
        cells, shape = resolve_genotype(name), shape_of(images, plan.size)
        sizes = shape.num_classes, plan.network.cells, shape.in_channels, shape.stem_stride
        genotype, network = name, {"channels": width_for(cells, parameters, *sizes)}
    known = place / "epochs.json"
    if known.exists():
        epochs = int(json.loads(known.read_text()))
    else:
        batch = plan.training.batch_size
        settings = training_settings(plan, run, network, genotype, 2)
        seconds = probe(settings, made_up(images, plan.size, batch), run)
        steps = max(1, len(images.train) // batch)
        epochs = max(1, min(plan.training.epochs * 3, int(plan.training.seconds / (seconds * steps))))
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(known, to_json(epochs))
    return _trained(plan, place / "train", run, network, genotype, epochs)


def _fitted(genotype: Genotype, plan: Plan, images: ImageData) -> int:
    """The width of the network of these cells within the limits, at most that of the plan."""
    shape = shape_of(images, plan.size)
    latency: Callable[[nn.Module], float] | None = None
    if plan.limits.max_latency is not None:
        latency = _latency(plan, images)
    return min(plan.network.channels, widest(genotype, plan.network.cells, shape, plan.limits.limits(), latency))


def _latency(plan: Plan, images: ImageData) -> Callable[[nn.Module], float]:
    """A function that exports a network and measures it in onnxruntime."""
    size = plan.size, plan.size
    facts = Facts(
        images.classes, size, images.in_channels, images.mean, images.std, plan.data, images.fingerprint, 0.0, 0
    )

    def measured(network: nn.Module) -> float:
        with TemporaryDirectory() as place, torch.no_grad():
            path = Path(place, "network.onnx")
            onnx_file.write_onnx(Trained(Path(place), network, facts, {}, {}), path)
            return onnx_file.latency(path)

    return measured


def _facts(result: TrainResult) -> dict[str, Any]:
    names = ("test_accuracy", "test_images", "parameters", "macs", "epochs")
    return {"run": str(result.run_dir), **{name: result.summary[name] for name in names}}


def _lead(
    plan: Plan, delivered: TrainResult, rivals: dict[str, TrainResult], exported: Exported, summary: dict[str, Any]
) -> Lead:
    runs = {
        "delivered: "
        + ("searched cells" if plan.search.trials else f"published cells {plan.search.without}"): delivered
    }
    runs |= {said(name): result for name, result in rivals.items()}
    rows = [
        (
            name,
            f"{100 * run.test_accuracy:.2f} % of {run.summary['test_images']:,}",
            f"{run.summary['parameters']:,}",
            f"{run.summary['macs'] / 1e6:,.1f} M",
            str(run.summary["epochs"]),
        )
        for name, run in runs.items()
    ]
    latency = summary["delivered"]["latency_ms"]
    return Lead(
        title=f"adarts run: {plan.data[:80]}",
        paragraphs=[
            summary["verdict"],
            f"Every network was trained for {plan.training.seconds / 60:.1f} minutes with one seed, and measured once on the "
            "test images. Cells have as many parameters as the delivered network; a network of timm is as it is.",
            f"The delivered network needs {latency:.2f} ms for one image in onnxruntime with one thread on this machine: "
            f"{exported.path.name}, {exported.path.stat().st_size / 1e6:.2f} MB.",
        ],
        head=("Network", "Test accuracy", "Parameters", "MACs per image", "Epochs"),
        rows=rows,
        charts=[],
        commands=[
            ("classify images", f"adarts predict {exported.path} PHOTO.jpg"),
            ("another format", f"adarts export {delivered.run_dir} --int8"),
        ],
    )


def run(
    path: str | Path | None = None,
    *,
    time_budget: str = "30m",
    max_params: int | None = None,
    max_macs: int | None = None,
    max_latency: float | None = None,
    compare: bool = True,
    seed: int = 0,
    plan: Path | str | None = None,
    run_dir: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Delivered:
    """From a folder of images to a network that can be deployed, as ``adarts run`` does it.

    Args:
        path: a folder of images, or the images by name, as for :func:`adarts.train`. Not needed with a plan.
        time_budget: time for everything, e.g. ``12m`` or ``2h``.
        max_params: largest number of parameters of the network.
        max_macs: most multiply-accumulate operations per image.
        max_latency: longest time for one image in milliseconds, with onnxruntime and one thread on this machine.
        compare: train random cells, published cells and a network of timm as well, each for the same time.
        seed: seed of all random numbers.
        plan: a plan to run; None chooses one, unless `run_dir` has one.
        run_dir: folder of everything. Finished parts in it are kept. None makes a new folder in ``runs/run``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None uses torch's default.

    Raises:
        ConfigError: a setting is wrong, or the limits cannot be met.
        DataError: the images cannot be used.
        Stopped: a signal stopped a part at a checkpoint; the message has the command that continues.
    """
    settings = RunSettings(device=device, threads=threads)
    limits = validated(LimitSettings, {"max_params": max_params, "max_macs": max_macs, "max_latency": max_latency})
    place = write_plan(path, limits, time_budget, compare, seed, plan, run_dir, settings)
    return run_pipeline(read_plan(place), place.parent, settings)


def write_plan(
    path: str | Path | None,
    limits: LimitSettings,
    time_budget: str,
    compare: bool,
    seed: int,
    plan: Path | str | None,
    run_dir: Path | str | None,
    settings: RunSettings,
) -> Path:
    """Put a plan into the run folder, unless there is one: the given one, or one that suits the images; see :func:`run`.

    Returns:
        The file.
    """
    folder = Path("runs", "run", time.strftime("%Y%m%d-%H%M%S")) if run_dir is None else Path(run_dir)
    kept = folder / PLAN
    if kept.exists():
        if plan is not None and read_plan(Path(plan)) != read_plan(kept):
            raise ConfigError(f"{folder} has another plan; edit {kept}, or choose another --run-dir")
        return kept
    if plan is not None:
        read_plan(Path(plan))
        text = Path(plan).read_text(encoding="utf-8")
    elif path is None:
        raise ConfigError("adarts run needs a folder of images, or --plan FILE")
    else:
        text = _chosen(str(path), limits, time_budget, compare, seed, settings)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, text.encode())
    return kept


def _chosen(path: str, limits: LimitSettings, time_budget: str, compare: bool, seed: int, settings: RunSettings) -> str:
    """Choose a plan for images, check that its limits can be met, and return it as the text of its file."""
    seconds = parse_time_limit(time_budget, "--time-budget")
    assert seconds is not None
    source = f"folder:{path}" if Path(path).is_dir() else path
    defaults = train_config(data=source, genotype="random:darts:0", scale="cpu", images={"per_class": None})
    images = load_images(source, defaults.images, seed)
    choice = choose(source, images, limits, seconds, seed, settings, compare)
    require_feasible(choice.plan, images)
    return written(choice.plan, choice.reasons)
