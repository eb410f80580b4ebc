"""Carry out a plan: search, train, compare, export, report. Finished parts are kept, so the same command continues."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adarts.config.loading import validated
from adarts.config.settings import RunSettings
from adarts.config.values import names_code
from adarts.data import ImageData, Source, load_images, read_source
from adarts.engine.files import to_json, write_atomically
from adarts.engine.run_dirs import SUMMARY
from adarts.engine.signals import StopSignals
from adarts.errors import NotFiniteError, OutOfMemoryError, Stopped
from adarts.export import onnx_file
from adarts.export.export import export
from adarts.models.cost import Cost
from adarts.pipeline.begin import write_plan
from adarts.pipeline.candidates import MEASURED, Candidate, Candidates
from adarts.pipeline.choose import search_settings, training_settings
from adarts.pipeline.comparison import Measure, best_of, lead, verdict
from adarts.pipeline.fitting import decided, latency_of, macs_limit, require_feasible
from adarts.pipeline.plan import LimitSettings, Plan, Wishes, read_plan
from adarts.pipeline.rivals import rival_cells
from adarts.report import write_report
from adarts.searching import run_search, search_config
from adarts.spaces import Genotype
from adarts.training import TrainResult, load_model, train_config
from adarts.training.model import resolve_genotype
from adarts.training.results import beside

MODEL, PAGE = "model.onnx", "report.html"
"""The files that a run delivers, in its folder."""


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


def run_pipeline(plan: Plan, folder: Path, run: RunSettings | None = None, source: Source | None = None) -> Delivered:
    """Carry out a plan. The images are read once for all parts; if the folder has its result, not even that.

    Args:
        plan: the plan.
        folder: folder of all parts. Finished parts in it are kept, an unfinished one is continued.
        run: device and threads.
        source: the images that the plan was just chosen for; its limits were checked then.

    Raises:
        ConfigError: the limits cannot be met, a setting is wrong, or a package is missing.
        DataError: the images cannot be used.
        CheckpointError: the folder cannot be written, or has parts of another plan.
        NotFiniteError: the loss of the search, or of the first network, became NaN or infinite.
        OutOfMemoryError: a step of the search, or of the first network, does not fit in memory.
        Stopped: a signal stopped the run, or Ctrl-C did; the message has the command that continues.
    """
    if (finished := _finished(plan, folder)) is not None:
        return finished
    try:
        with StopSignals() as signals:
            return _delivered(plan, folder, run or RunSettings(), source, signals)
    except Stopped as stopped:
        data = [plan.data] if names_code(plan.data) else []
        command = shlex.join(["adarts", "run", *data, "--run-dir", str(folder)])
        said = str(stopped).split("; continue with")[0]
        raise Stopped(f"{said}; continue with: {command}", stopped.exit_code) from None


def _delivered(plan: Plan, folder: Path, run: RunSettings, source: Source | None, signals: StopSignals) -> Delivered:
    """Read the images, which a signal stops at once, and do the rest, which it stops at a checkpoint or after an export."""
    onnx_file.require_packages()
    settings = train_config(**training_settings(plan, run, {"channels": 2}, "random:darts:0", 1))
    is_chosen = source is not None
    if source is None or source.train.pixels.shape[2:] != (plan.size, plan.size):
        source = read_source(plan.data, settings.images)
    images = load_images(source, settings.images, plan.seed)
    with signals.deferred():
        return _made(plan, folder, run, source, images, is_chosen)


def _made(plan: Plan, folder: Path, run: RunSettings, source: Source, images: ImageData, is_chosen: bool) -> Delivered:
    """Search, train, export and report; `is_chosen` if the plan was just chosen for these images, and its limits checked."""
    if not (is_chosen or (folder / MEASURED).exists()):
        require_feasible(plan, images)
    # A wrong name is refused now, not after hours.
    others = {name: rival_cells(name, images) for name in plan.rivals if name != plan.first}
    networks, failed, search_dir = _networks(plan, images, folder, run, source, others)
    results = {name: one.result for name, one in networks.items()}
    latencies = {name: _latency(one) for name, one in networks.items()} if plan.limits.max_latency else {}
    broken = {name: _broken(plan, result, latencies.get(name)) for name, result in results.items()}
    measure: Measure = "balanced_accuracy" if plan.training.class_weights == "balanced" else "test_accuracy"
    allowed = {name: result for name, result in results.items() if not broken[name]} or {
        plan.first: results[plan.first]
    }
    chosen = best_of(allowed, measure)
    print(f"\nexporting {chosen}", flush=True)
    exported = export(results[chosen].run_dir, out=folder / MODEL, data=networks[chosen].images())
    summary = {
        "plan": plan.model_dump(mode="json"),
        "delivered": {
            "network": chosen,
            **_facts(results[chosen]),
            **networks[chosen].settings,
            "latency_ms": latencies.get(chosen) or onnx_file.latency(exported.path),
            "model": exported.path.name,
        },
        "networks": {name: _facts(result) for name, result in results.items()},
        "failed": failed,
        "left_out": images.record()["left_out"],
        "breaks_limits": {name: problems for name, problems in broken.items() if problems},
        "verdict": verdict(results, chosen, allowed, measure),
    }
    write_atomically(folder / SUMMARY, to_json(summary))
    runs = [*([search_dir] if search_dir else []), *(result.run_dir for result in results.values())]
    page = write_report(runs, folder / PAGE, lead(plan, results, measure, exported, summary))
    return Delivered(folder, exported.path, results[chosen].test_accuracy, page, summary)


def _finished(plan: Plan, folder: Path) -> Delivered | None:
    """The result of this plan in a folder; None if it is not there, or not whole."""
    summary, model, page = (folder / name for name in (SUMMARY, MODEL, PAGE))
    if not (model.is_file() and page.is_file()):
        return None
    # A missing or damaged summary is written again.
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads(summary.read_bytes())
        if content["plan"] == plan.model_dump(mode="json") and closing_lines(content):
            return Delivered(folder, model, float(content["delivered"]["test_accuracy"]), page, content)
    return None


def closing_lines(summary: Mapping[str, Any]) -> list[str]:
    """What is said at the end of a run, from its summary."""
    delivered = summary["delivered"]
    figures = f"test accuracy {delivered['test_accuracy']:.2%}, {delivered['parameters']:,} parameters"
    lines = [summary["verdict"], f"{figures}; {beside(delivered)}"]
    if problems := summary["breaks_limits"].get(delivered["network"]):
        lines.append(f"warning: it breaks a limit: {'; '.join(problems)}")
    return lines


def _networks(
    plan: Plan,
    images: ImageData,
    folder: Path,
    run: RunSettings,
    source: Source,
    others: Mapping[str, Genotype | None],
) -> tuple[dict[str, Candidate], dict[str, str], Path | None]:
    """All networks, trained, that of the found or published cells first; others that failed, with the reason; and the folder of
    the search if there was one.
    """
    number = 1 + len(others)
    if plan.search.trials:
        print(f"searching for cells, {plan.search.trials} trials", flush=True)
        cells, search_dir = _searched(plan, images, folder, run, source)
    else:
        print(f"taking the published cells {plan.search.published}; the plan has no trials for a search", flush=True)
        cells, search_dir = resolve_genotype(plan.search.published), None
    candidates = Candidates(plan, folder, run, images, source)
    print(f"\ntraining network 1 of {number}: {plan.first}", flush=True)
    first = candidates.first(cells)
    networks, failed = {plan.first: first}, dict[str, str]()
    for place, (name, others_cells) in enumerate(others.items(), start=2):
        print(f"\ntraining network {place} of {number}: {name}", flush=True)
        try:
            networks[name] = candidates.other(place, name, others_cells, first, cells)
        except (NotFiniteError, OutOfMemoryError) as error:  # the others are worth delivering
            failed[name] = str(error)
            print(f"warning: {name} is left out: {error}", flush=True)
    return networks, failed, search_dir


def _searched(plan: Plan, images: ImageData, folder: Path, run: RunSettings, source: Source) -> tuple[Genotype, Path]:
    """The found cells, and the folder of the search."""
    place = run.model_copy(update={"run_dir": folder / "search"})
    about = plan.model_dump(mode="json", include={"limits", "network", "size"})
    macs = decided(folder / MEASURED / "macs.json", about, lambda: macs_limit(plan, images))
    found = run_search(search_config(**search_settings(plan, place, macs)), source)
    return found.genotype, found.run_dir


def _latency(one: Candidate) -> float:
    """The latency of a trained network in milliseconds, measured now."""
    images = one.images()
    return latency_of(images, images.image_size[0])(load_model(one.result.run_dir)[0])


def _broken(plan: Plan, result: TrainResult, latency: float | None) -> list[str]:
    """The limits that a trained network breaks."""
    found = Cost(result.summary["parameters"], 0, result.summary["macs"])
    return plan.limits.limits().broken(found, latency)


def _facts(result: TrainResult) -> dict[str, Any]:
    names = ("test_accuracy", "balanced_accuracy", "largest_class", "test_images", "parameters", "macs", "epochs")
    known = {name: result.summary[name] for name in (*names, "held_out") if name in result.summary}
    return {"run": result.run_dir.name, **known}


def run(
    path: str | Path | None = None,
    *,
    time_budget: str | None = None,
    max_params: int | None = None,
    max_macs: int | None = None,
    max_latency: float | None = None,
    max_broken: int | None = None,
    compare: bool = True,
    pretrained: str | None = None,
    flip: bool | None = None,
    seed: int | None = None,
    plan: Path | str | None = None,
    run_dir: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Delivered:
    """From a folder of images to a network that can be deployed, as ``adarts run`` does it.

    Where there is a plan, in `plan` or in `run_dir`, it decides; what is given beside it must not contradict it.

    Args:
        path: a folder of images, or the images by name, as for :func:`adarts.train`. Not needed with a plan.
        time_budget: time for everything, e.g. ``12m`` or ``2h``; None means 30 minutes. A plan has its own times.
        max_params: largest number of parameters of the network.
        max_macs: most multiply-accumulate operations per image.
        max_latency: longest time for one image in milliseconds, with onnxruntime and one thread on this machine.
        max_broken: largest number of unreadable images to leave out; None means 0.
        compare: train random cells, published cells and a network of timm as well, each for the same time.
        pretrained: a file of weights for the network of timm, which is then compared with and without them. ``timm:NAME@FILE``
            names another network of timm.
        flip: train on mirrored images, too; None does so unless the data set forbids it.
        seed: seed of all random numbers; None means 0.
        plan: a plan to run; None chooses one, unless `run_dir` has one.
        run_dir: folder of everything. Finished parts in it are kept. None makes a new folder in ``runs/run``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None uses torch's default.

    Returns:
        What is delivered: the best of the networks by held-out images, as a file, with a report.

    Raises:
        ConfigError: a setting is wrong or contradicts the plan, or the limits cannot be met.
        DataError: the images cannot be used.
        CheckpointError: `run_dir` cannot be written, or has parts of another plan.
        NotFiniteError: the loss of the search, or of the first network, became NaN or infinite.
        OutOfMemoryError: a step of the search, or of the first network, does not fit in memory.
        Stopped: a signal stopped the run, or Ctrl-C did; the message has the command that continues.
    """
    settings = RunSettings(device=device, threads=threads)
    limits = validated(LimitSettings, {"max_params": max_params, "max_macs": max_macs, "max_latency": max_latency})
    wishes = Wishes(limits, time_budget, flip, compare, pretrained, max_broken, seed)
    file, source = write_plan(path, wishes, plan, run_dir, settings)
    return run_pipeline(read_plan(file), file.parent, settings, source)
