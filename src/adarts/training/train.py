"""A whole training run: from an untrained network to a trained one in a run folder, and the test set, touched once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import RunSettings, TrainConfig
from adarts.data import Augmentation, Batches, ImageData, load_images
from adarts.engine import RunFolder, StopSignals, carry_out, out_of_memory_named, prepare_device, read_config
from adarts.engine.forecast import forecast
from adarts.engine.tables import table
from adarts.engine.update import measure
from adarts.errors import ConfigError
from adarts.models import Network, cost
from adarts.models.baselines import get_baseline
from adarts.report import cell_svg, write_report
from adarts.spaces import Genotype, load_genotype
from adarts.training.model import (
    MODEL_FACTS,
    MODEL_WEIGHTS,
    load_model,
    model_files,
    network_of,
    resolve_genotype,
)
from adarts.training.task import TrainTask


@dataclass(frozen=True)
class TrainResult:
    """What a training run gave.

    Attributes:
        run_dir: the run folder, with ``model.safetensors`` in it.
        test_accuracy: after the last epoch, in [0, 1].
        summary: what ``summary.json`` holds.
    """

    run_dir: Path
    test_accuracy: float
    summary: dict[str, Any]


def run_training(config: TrainConfig) -> TrainResult:
    """Train the network of a genotype or a hand-designed one, or continue a training that stopped; test it once.

    Args:
        config: the whole training; :func:`adarts.training.train_config` puts one together.

    Raises:
        ConfigError: settings that cannot work together.
        DataError: images or a genotype that cannot be used.
        CheckpointError: a run folder that is damaged, locked or of another configuration.
        NotFiniteError: the loss became NaN or infinite.
        OutOfMemoryError: a step does not fit in memory.
        Stopped: a signal or the time limit ended the run at a checkpoint.
    """
    with StopSignals(), out_of_memory_named("in the training"):  # outside the steps, where the driver sees to both
        return _train(config)


def _train(config: TrainConfig) -> TrainResult:
    device = RunFolder.check("train", config)  # refused before images are read
    data = load_images(config.data, config.images, config.seed)
    # Everything that can be refused is refused before there is a folder.
    genotype = None
    if config.genotype is not None:
        genotype = _kept_genotype(config.run.run_dir) or resolve_genotype(config.genotype)
    task = _task(config, data, genotype, device)
    with RunFolder.open("train", data.name, config) as run:
        if not run.finished:
            # A run that is continued keeps its own cells: `latest` may point to another search by now.
            kept = _kept_genotype(run.path)
            if kept is None and genotype is not None:
                run.write_text("genotype.json", genotype.to_json())
            elif kept != genotype:
                run.log(f"this run keeps the cells that it began with; {config.genotype} holds other ones now")
                task = _task(config, data, kept, device)
            task.check_stop = run.stop_if_asked
            with run.signals.deferred():  # a signal that meets the measurement of steps leaves them half undone
                _announce(run, task)
            carry_out(task, run, config.run)
            _finish(run, task)
            (run.path / "report.html").unlink(missing_ok=True)  # one that was written meanwhile shows an unfinished run
        if not (run.path / "report.html").exists():
            run.log(f"report: {write_report([run.path])}")
        summary = run.read_json("summary.json")
        return TrainResult(run.path, summary["test_accuracy"], summary)


def _kept_genotype(run_dir: Path | None) -> Genotype | None:
    """The genotype that an earlier process wrote into the run folder."""
    kept = None if run_dir is None else run_dir / "genotype.json"
    return load_genotype(kept) if kept is not None and kept.exists() else None


def _task(config: TrainConfig, data: ImageData, genotype: Genotype | None, device: torch.device) -> TrainTask:
    return TrainTask(config, data, network_of(config.network, genotype, data, config.seed).to(device), device)


def evaluate(run_dir: str | Path, run: RunSettings | None = None) -> dict[str, Any]:
    """Measure a trained network on the test set of its data once more.

    Args:
        run_dir: a finished training run.
        run: device and threads.

    Returns:
        ``test_accuracy`` in [0, 1], ``test_loss`` and ``test_images``.
    """
    device = prepare_device(run or RunSettings())
    config = read_config(Path(run_dir), TrainConfig)
    network, facts = load_model(run_dir)
    data = load_images(config.data, config.images, config.seed)
    if list(data.classes) != facts["classes"]:
        raise ConfigError(f"{run_dir}: the model knows other classes than the data '{config.data}' has now")
    if list(data.image_size) != facts["image_size"]:
        raise ConfigError(f"{run_dir}: the model was trained on images of another size than {data.image_size}")
    data = dataclasses.replace(data, mean=tuple(facts["mean"]), std=tuple(facts["std"]))
    network.to(device)
    batches = Batches(
        data.test,
        torch.arange(len(data.test.labels)),
        batch_size=2 * config.training.batch_size,
        seed=config.seed,
        purpose="measure",
        augmentation=Augmentation.plain(data),
        device=device,
        drop_last=False,
        shuffle=False,
    )
    loss, accuracy = measure(network, (batches.batch(0, step) for step in range(len(batches))), lambda: None)
    return {"test_accuracy": accuracy, "test_loss": loss, "test_images": len(data.test.labels)}


def _announce(run: RunFolder, task: TrainTask) -> None:
    """Say what will be done and what it will cost, before it begins."""
    config, data = task.config, task.data
    run.log(table("data", data.table()))
    size = cost(task.network, data.image_size)
    steps = config.training.epochs * task.steps(0)
    plan = {config.training.epochs - 1: steps}
    if config.network.name is not None:
        what = [("network", get_baseline(config.network.name).title)]
    else:
        shape = f"{config.network.cells} cells, {config.network.channels} channels"
        what = [("genotype", str(config.genotype)), ("network", shape)]
    extra = f" (and {size.auxiliary_parameters:,} in the auxiliary head)" if size.auxiliary_parameters else ""
    rows = [
        *what,
        ("parameters", f"{size.parameters:,}{extra}"),
        ("MACs", f"{size.macs / 1e6:,.1f} million an image"),
        ("steps", f"{config.training.epochs} epochs of {task.steps(0)} steps, {len(task.held_out)} images held out"),
        ("predicted", str(forecast(task, task.device, plan) or "not known")),
    ]
    run.log(table("training", rows))


def _finish(run: RunFolder, task: TrainTask) -> None:
    config, data, network = task.config, task.data, task.network
    loss, accuracy = task.measure(data.test, torch.arange(len(data.test.labels)))
    size = cost(network, data.image_size)
    weights, facts = model_files(network, config.network, data)
    run.write_bytes(MODEL_WEIGHTS, weights)
    run.write_json(MODEL_FACTS, facts)
    if isinstance(network, Network):
        for kind in network.genotype.cells:
            run.write_text(f"cell_{kind}.svg", cell_svg(network.genotype, kind))
        what = {"genotype": network.genotype.to_dict(), "genotype_source": config.genotype}
    else:
        what = {"network": config.network.name}
    run.finish(
        {
            "kind": "train",
            "data": config.data,
            "data_fingerprint": data.fingerprint,
            "seed": config.seed,
            "scale": config.scale,
            "epochs": config.training.epochs,
            "seconds": round(run.seconds, 1),
            **what,
            "test_accuracy": accuracy,
            "test_loss": loss,
            "test_images": len(data.test.labels),
            "training_accuracy": task.last_record["train_accuracy"],
            "parameters": size.parameters,
            "auxiliary_parameters": size.auxiliary_parameters,
            "macs": size.macs,
            "accumulation": task.accumulation,
        }
    )
    run.log(f"test accuracy after the last epoch: {accuracy:.2%} of {len(data.test.labels)} images")
