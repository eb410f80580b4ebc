"""Carry out a plan: search, train, compare, export, report. Finished parts are kept, so the same command continues."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from adarts.config.loading import refuse_code, require_same, validated
from adarts.config.settings import RunSettings
from adarts.config.values import names_code, path_or_name
from adarts.data import ImageData, Source, load_images, read_source
from adarts.engine.files import refuse, to_json, write_atomically
from adarts.engine.run_dirs import new_folder
from adarts.engine.signals import parse_time_limit
from adarts.errors import ConfigError, Stopped
from adarts.export import onnx_file
from adarts.export.export import export
from adarts.models import width_for
from adarts.models.cost import Cost
from adarts.pipeline.choose import choose, made_up, probe, search_settings, shape_of, training_settings
from adarts.pipeline.comparison import Measure, lead, verdict
from adarts.pipeline.fitting import decided, fitted, latency_of, macs_limit, require_feasible
from adarts.pipeline.plan import LimitSettings, Plan, Wishes, read_plan, written
from adarts.pipeline.rivals import rival_cells, start_of
from adarts.report import write_report
from adarts.searching import run_search, search_config
from adarts.spaces import Genotype
from adarts.training import TrainResult, load_model, run_training, train_config
from adarts.training.model import resolve_genotype

PLAN, MACS, WIDTH, SUMMARY, PAGE = "plan.yaml", "macs.json", "width.json", "summary.json", "report.html"
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


def run_pipeline(plan: Plan, folder: Path, run: RunSettings | None = None, source: Source | None = None) -> Delivered:
    """Carry out a plan. The images are read once for all parts.

    Args:
        plan: the plan.
        folder: folder of all parts. Finished parts in it are kept, an unfinished one is continued.
        run: device and threads.
        source: the images that the plan was just chosen for; its limits were checked then.

    Raises:
        ConfigError: the limits cannot be met, a setting is wrong, or a package is missing.
        DataError: the images cannot be used.
        Stopped: a signal stopped a part at a checkpoint; the message has the command that continues.
    """
    run = run or RunSettings()
    onnx_file.require_packages()
    settings = train_config(**training_settings(plan, run, {"channels": 2}, "random:darts:0", 1))
    is_chosen = source is not None
    if source is None or source.train.pixels.shape[2:] != (plan.size, plan.size):
        source = read_source(plan.data, settings.images)
    images = load_images(source, settings.images, plan.seed)
    sources = {plan.size: source}
    if not (is_chosen or (folder / WIDTH).exists()):
        require_feasible(plan, images)
    others = {name: rival_cells(name, images) for name in plan.rivals}  # refused now rather than after hours
    parts = 4 if others else 3
    try:
        genotype, search_dir = _search(plan, images, folder, run, source, f"1 of {parts}: ")
        told = plan.model_dump(mode="json", include={"limits", "network", "size"})
        channels = decided(
            folder / WIDTH, {"genotype": genotype.to_text(), **told}, lambda: fitted(genotype, plan, images)
        )
        print(f"\n2 of {parts}: training the network, {channels} channels", flush=True)
        own = {"channels": channels}
        delivered = _trained(plan, folder / "train", run, sources, own, genotype.to_text(), plan.training.epochs)
        rivals: dict[str, TrainResult] = {}
        if others:
            print(f"\n3 of {parts}: training {len(others)} other networks for as long", flush=True)
        for number, (name, cells) in enumerate(others.items(), start=1):
            place = folder / f"rival-{number}"
            rivals[name] = _rival(plan, place, run, sources, name, cells, images, (own, genotype), delivered)
        print(f"\n{parts} of {parts}: exporting", flush=True)
        exported = export(delivered.run_dir, data=images)
    except Stopped as stopped:
        data = [plan.data] if names_code(plan.data) else []
        command = shlex.join(["adarts", "run", *data, "--run-dir", str(folder)])
        said = str(stopped).split("; continue with")[0]
        raise Stopped(f"{said}; continue with: {command}", stopped.exit_code) from None
    limits = plan.limits.limits()
    latencies = {"delivered": onnx_file.latency(exported.path)}
    if limits.latency is not None:
        latency = latency_of(plan, images)
        latencies |= {name: latency(load_model(result.run_dir)[0]) for name, result in rivals.items()}
    broken = {
        name: limits.broken(Cost(one.summary["parameters"], 0, one.summary["macs"]), latencies.get(name))
        for name, one in {"delivered": delivered, **rivals}.items()
    }
    allowed = {name: result for name, result in rivals.items() if not broken[name]}
    measure: Measure = "balanced_accuracy" if plan.training.class_weights == "balanced" else "test_accuracy"
    summary = {
        "plan": plan.model_dump(mode="json"),
        "genotype": genotype.to_text(),
        "channels": channels,
        "delivered": _facts(delivered) | {"latency_ms": latencies["delivered"], "model": exported.path.name},
        "rivals": {name: _facts(result) for name, result in rivals.items()},
        "left_out": images.record()["left_out"],
        "breaks_limits": {name: problems for name, problems in broken.items() if problems},
        "verdict": verdict(delivered, allowed, len(rivals), search_dir is not None, measure),
    }
    write_atomically(folder / SUMMARY, to_json(summary))
    runs = [*([search_dir] if search_dir else []), delivered.run_dir, *(one.run_dir for one in rivals.values())]
    page = write_report(runs, folder / PAGE, lead(plan, delivered, rivals, exported, summary))
    return Delivered(folder, exported.path, delivered.test_accuracy, page, summary)


def _search(
    plan: Plan, images: ImageData, folder: Path, run: RunSettings, source: Source, step: str
) -> tuple[Genotype, Path | None]:
    """The cells, and the folder of the search if there was one."""
    if not plan.search.trials:
        print(
            f"{step}taking the published cells {plan.search.published}, because there is no time for a search",
            flush=True,
        )
        return resolve_genotype(plan.search.published), None
    print(f"{step}searching for cells, {plan.search.trials} trials", flush=True)
    place = run.model_copy(update={"run_dir": folder / "search"})
    told = plan.model_dump(mode="json", include={"limits", "network", "size"})
    macs = decided(folder / MACS, told, lambda: macs_limit(plan, images))
    found = run_search(search_config(**search_settings(plan, place, macs)), source)
    return found.genotype, found.run_dir


def _trained(
    plan: Plan,
    place: Path,
    run: RunSettings,
    sources: dict[int, Source],
    network: dict[str, Any],
    genotype: str | None,
    epochs: int,
) -> TrainResult:
    where = run.model_copy(update={"run_dir": place})
    config = train_config(**training_settings(plan, where, network, genotype, epochs))
    size = config.images.size or plan.size
    if size > plan.size and size not in sources:  # from the files again: enlarged ones would lack detail
        sources[size] = read_source(plan.data, config.images)
    return run_training(config, sources.get(size, sources[plan.size]))


def _rival(
    plan: Plan,
    place: Path,
    run: RunSettings,
    sources: dict[int, Source],
    name: str,
    cells: Genotype | None,
    images: ImageData,
    own: tuple[dict[str, Any], Genotype],
    delivered: TrainResult,
) -> TrainResult:
    """Train another network for the same time; cells get as many parameters as the delivered network, within the limits.

    The steps of both networks are timed one after the other, so that other work on the machine slows both of them.
    """
    parameters = delivered.summary["parameters"]
    others = {"rivals", "search"} | ({"timm"} if cells else set())
    told = {"name": name, "parameters": parameters, **plan.model_dump(mode="json", exclude=others)}
    title, file = start_of(name)
    network: dict[str, Any] = {"name": title} if file is None else {"name": title, "pretrained": file}
    if cells is not None:
        shape, found = shape_of(images, plan.size), cells
        sizes = shape.num_classes, plan.network.cells, shape.in_channels, shape.stem_stride

        def width() -> int:
            return fitted(found, plan, images, most=max(2, width_for(found, parameters, *sizes) // 2 * 2))

        network = {"channels": decided(place / WIDTH, told, width)}
    genotype = None if cells is None else name

    def seconds(network: dict[str, Any], genotype: str | None) -> float:
        settings = training_settings(plan, run, network, genotype, 2)
        return probe(settings, made_up(images, settings["images"]["size"], plan.training.batch_size), run)

    def fitting_epochs() -> int:
        mine, other = seconds(own[0], own[1].to_text()), seconds(network, genotype)
        return max(1, min(plan.training.epochs * 3, int(plan.training.epochs * mine / other)))

    epochs = decided(place / "epochs.json", told, fitting_epochs)
    return _trained(plan, place / "train", run, sources, network, genotype, epochs)


def _facts(result: TrainResult) -> dict[str, Any]:
    names = ("test_accuracy", "balanced_accuracy", "largest_class", "test_images", "parameters", "macs", "epochs")
    return {"run": str(result.run_dir), **{name: result.summary[name] for name in names}}


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

    Raises:
        ConfigError: a setting is wrong or contradicts the plan, or the limits cannot be met.
        DataError: the images cannot be used.
        Stopped: a signal stopped a part at a checkpoint; the message has the command that continues.
    """
    settings = RunSettings(device=device, threads=threads)
    limits = validated(LimitSettings, {"max_params": max_params, "max_macs": max_macs, "max_latency": max_latency})
    wishes = Wishes(limits, time_budget, flip, compare, pretrained, max_broken, seed)
    file, source = write_plan(path, wishes, plan, run_dir, settings)
    return run_pipeline(read_plan(file), file.parent, settings, source)


class Planned(NamedTuple):
    """A plan in its run folder."""

    file: Path
    source: Source | None
    """The images that it was just chosen for; None if there was a plan."""


def write_plan(
    path: str | Path | None,
    wishes: Wishes,
    plan: Path | str | None,
    run_dir: Path | str | None,
    settings: RunSettings,
) -> Planned:
    """Put a plan into the run folder, unless there is one: the given one, or one that suits the images; see :func:`run`."""
    onnx_file.require_packages()
    kept = None if run_dir is None else Path(run_dir, PLAN)
    continues = kept is not None and kept.exists()
    file = kept if continues else plan
    source = None
    if file is not None:
        found = read_plan(Path(file))
        if plan is not None and continues and read_plan(Path(plan)) != found:
            raise ConfigError(f"{run_dir} has another plan; edit {file}, or choose another --run-dir")
        if plan is not None and wishes.time_budget is not None:
            raise ConfigError("a plan has its own times: leave out --time-budget, or --plan")
        _require_same(found, str(file), path, wishes)
        if kept is not None and continues:
            return Planned(kept, None)
        text = Path(file).read_text(encoding="utf-8")
    elif path is None:
        raise ConfigError("adarts run needs a folder of images, or --plan FILE")
    else:
        text, source = _chosen(str(path), wishes, settings)
    folder = Path("runs", "run") if run_dir is None else Path(run_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if run_dir is None:
            folder = new_folder(folder, "plan" if path is None else Path(path).name)
        write_atomically(folder / PLAN, text.encode())
    except OSError as error:
        refuse(folder, error, len(text))
    return Planned(folder / PLAN, source)


def _require_same(plan: Plan, file: str, path: str | Path | None, wishes: Wishes) -> None:
    """Refuse what contradicts a plan, and code that the plan alone names: it would be executed."""
    options = {
        "max_broken": wishes.max_broken,
        "seed": wishes.seed,
        "flip": wishes.flip,
        **wishes.limits.model_dump(),
    }
    given = {name: value for name, value in options.items() if value is not None}
    if path is not None:
        given = {"data": path_or_name(str(path)), **given}
    planned = plan.model_dump() | plan.limits.model_dump()
    for name, value in given.items():
        require_same(name.replace("_", "-"), value, planned[name], file, "leave it out, or edit the plan")
    refuse_code(given, planned, file, option="")
    if plan.rivals and not wishes.compare:
        raise ConfigError(f"{file} has networks to compare with; remove its rivals instead of a comparison")
    pretrained = wishes.pretrained
    if pretrained is not None and not any(
        rival.endswith(f"@{start_of(pretrained)[1] or pretrained}") for rival in plan.rivals
    ):
        raise ConfigError(f"{file} has no network with the weights {pretrained}; add timm:NAME@FILE to its rivals")


def _chosen(path: str, wishes: Wishes, settings: RunSettings) -> tuple[str, Source]:
    """Choose a plan for images and check that its limits can be met; return the text of its file, and the images."""
    if wishes.pretrained is not None and not wishes.compare:
        raise ConfigError("pretrained weights are for the comparison, which is turned off; leave out one of the two")
    seconds = parse_time_limit(wishes.time_budget or "30m", "--time-budget")
    assert seconds is not None
    name = path_or_name(path)
    how = {"per_class": None, "max_broken": wishes.max_broken or 0}
    defaults = train_config(data=name, genotype="random:darts:0", scale="cpu", images=how)
    source = read_source(name, defaults.images)
    images = load_images(source, defaults.images, wishes.seed or 0)
    choice = choose(name, images, wishes, seconds, settings)
    require_feasible(choice.plan, images)
    return written(choice.plan, choice.reasons), source
