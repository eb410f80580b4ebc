"""Run a complete training in a run folder. The test set is used once, at the end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adarts.config.settings import RunSettings, TrainConfig
from adarts.config.values import names_code
from adarts.data import Data, ImageData, Source, as_source, load_images
from adarts.engine import (
    GENOTYPE_FILE,
    RunFolder,
    carry_out,
    existing_run_dir,
    parallel,
    prepare_device,
    read_config,
    whole_run,
)
from adarts.engine.forecast import forecast, titled_rows
from adarts.engine.run_dirs import ANSWERS_FILE, images_again, read_images_file
from adarts.errors import ConfigError, DataError
from adarts.models import Network, cost
from adarts.models.stem import stride_for, strided
from adarts.report import cell_pngs, cell_svg, picture, write_report
from adarts.source_file import code_hashes
from adarts.training.config import kept_genotype
from adarts.training.model import (
    MODEL_FACTS,
    MODEL_WEIGHTS,
    load_model,
    model_files,
    network_of,
    read_facts,
    resolve_genotype,
    source_of,
)
from adarts.training.results import beside, details, figures
from adarts.training.task import TrainTask, tested
from adarts.zoo.baselines import title_of


@dataclass(frozen=True)
class TrainResult:
    """Result of a training run.

    Attributes:
        run_dir: the run folder, with ``model.safetensors``.
        test_accuracy: after the last epoch, in [0, 1].
        summary: content of ``summary.json``.
    """

    run_dir: Path
    test_accuracy: float
    summary: dict[str, Any]

    def _repr_svg_(self) -> str:
        """In a notebook, the result is the picture of its cells and curves."""
        return picture(self.run_dir)


@whole_run("training")
def run_training(config: TrainConfig, images: Source | None = None) -> TrainResult:
    """Train a network built from a genotype or a hand-designed one, or continue a training; then test it once.

    Args:
        config: the complete configuration, from :func:`adarts.training.train_config`.
        images: the images that `config.data` refers to, if they were given as objects.

    Raises:
        ConfigError: the settings do not fit together.
        DataError: the images or the genotype are unusable.
        CheckpointError: the run folder is damaged, locked, or belongs to another configuration.
        NotFiniteError: the loss became NaN or infinite.
        OutOfMemoryError: a step does not fit in memory.
        Stopped: a signal or the time limit ended the run at a checkpoint.
    """
    device = RunFolder.check("train", config)  # refused before images are read
    data = parallel.in_turn(lambda: load_images(images or config.data, config.images, config.seed))  # may download
    reference = kept_genotype(existing_run_dir("train", config)) or config.genotype
    genotype = None if reference is None else resolve_genotype(reference)
    # Errors in the settings must show before the run folder is created.
    network = network_of(config.network, genotype, data, config.seed)
    task = TrainTask(config, data, network.to(device), device)
    with RunFolder.open("train", data.name, config, code_hashes(config), data.record()) as run:
        if run.finished:
            summary = run.read_json("summary.json")
        else:
            if genotype is not None and not (run.path / GENOTYPE_FILE).exists():
                run.write(GENOTYPE_FILE, genotype.to_json())
            if task.batches.batch_size != config.training.batch_size:
                batch = f"a batch of {config.training.batch_size} is larger than the training set"
                run.warn(f"{batch}; using {task.batches.batch_size} instead")
            carry_out(task, run, config.run, partial(_description, task))
            summary = _write_results(run, task)
        if parallel.leads():
            run.log(f"report: {write_report([run.path])}")
    return TrainResult(run.path, summary["test_accuracy"], summary)


def evaluate(run_dir: str | Path, run: RunSettings | None = None, data: Data | None = None) -> dict[str, Any]:
    """Measure a trained network on the test images of its data set.

    Args:
        run_dir: a finished training run.
        run: device and threads.
        data: the data of the training, required if it was a loader in a file or an object; or the name of another data set
            with the same classes.

    Returns:
        The figures of :func:`adarts.training.results.figures`, and ``same_images``: whether these are the images of the training.

    Raises:
        ConfigError: `data` is missing or does not fit the network.
        DataError: the images of the training have changed.
    """
    device = prepare_device(run or RunSettings())
    network, _ = load_model(run_dir)
    images = images_of(run_dir, data)
    network.to(device)
    batch = 2 * read_config(Path(run_dir), TrainConfig).training.batch_size
    found = figures(images, tested(network, images, batch, device))
    return {**found, "same_images": images.fingerprint == read_images_file(Path(run_dir))["fingerprint"]}


def images_of(run_dir: str | Path, data: Data | None = None) -> ImageData:
    """Load the images of a finished training run once more, with the normalization of its network.

    Args:
        run_dir: the training run.
        data: the data of the training, required if it was a loader in a file or an object; or the name of another data set
            with the same classes. A folder that moved together with the run is found again without it.

    Raises:
        ConfigError: `data` is missing or does not fit the network.
        DataError: the images are missing or unusable, or those of the training have changed.
    """
    run_dir = Path(run_dir)
    config = read_config(run_dir, TrainConfig)
    facts = read_facts(run_dir)
    if data is None and names_code(config.data):  # a configuration file alone does not execute code
        raise ConfigError(
            f"{run_dir}: its data is loaded by a file, which is executed only if you add: --data {config.data}"
        )
    source = images_again(config.data, run_dir) if data is None else data if isinstance(data, str) else as_source(data)
    if isinstance(source, Source) and source.reference != config.data:
        raise ConfigError(f"{run_dir}: the model was trained on the data '{config.data}', not on '{source.reference}'")
    settings, (height, width) = config.images, facts["image_size"]
    if height == width:  # other images may have other sizes
        settings = settings.model_copy(update={"size": height})
    if (channels := facts["in_channels"]) in (1, 3):  # or colors
        settings = settings.model_copy(update={"channels": channels})
    images = load_images(source, settings, config.seed)
    if list(images.classes) != facts["classes"]:
        raise ConfigError(f"{run_dir}: the classes differ from those of the training: {', '.join(images.classes[:10])}")
    if [*images.image_size, images.in_channels] != [height, width, facts["in_channels"]]:
        raise ConfigError(f"{run_dir}: the model was trained on images of another size than {images.image_size}")
    before = read_images_file(run_dir)["fingerprint"]
    if images.fingerprint != before and (data is None or names_code(str(data))):
        raise DataError(
            f"{run_dir}: its images have changed since the training (fingerprint {before[:12]}, now {images.fingerprint[:12]}), "
            f"so a measurement could include images that it was trained on; to measure all the same, add --data {source}"
        )
    return dataclasses.replace(images, mean=tuple(facts["mean"]), std=tuple(facts["std"]))


def planned_steps(task: TrainTask) -> list[tuple[int, int]]:
    """A typical epoch of the training, and the number of its steps."""
    return [(task.epochs - 1, task.epochs * task.steps(0))]


def _description(task: TrainTask) -> str:
    """Summary of the training and its predicted cost."""
    config, data = task.config, task.data
    size = cost(task.network, data.image_size)
    if config.network.name is not None:
        what = [("network", title_of(config.network.name))]
    else:
        shape = f"{config.network.cells} cells, {config.network.channels} channels"
        shape += strided(config.network.stem_stride or stride_for(data.image_size))
        what = [("genotype", source_of(config)), ("network", shape)]
    extra = f" (and {size.auxiliary_parameters:,} in the auxiliary head)" if size.auxiliary_parameters else ""
    rows = [
        *what,
        ("parameters", f"{size.parameters:,}{extra}"),
        ("MACs", f"{size.macs / 1e6:,.1f} million per image"),
        ("steps", f"{config.training.epochs} epochs of {task.steps(0)} steps, {len(task.held_out)} images held out"),
        ("predicted", forecast(task, task.device, planned_steps(task))),
    ]
    return f"{titled_rows('data', data.facts())}\n{titled_rows('training', rows)}"


def _write_results(run: RunFolder, task: TrainTask) -> dict[str, Any]:
    """Test and save the network; write and return the summary."""
    config, data, network = task.config, task.data, task.result
    answers = task.test(data)
    found = figures(data, answers)
    size = cost(network, data.image_size)
    weights, facts = model_files(network, config.network, data)
    run.write(MODEL_WEIGHTS, weights)
    run.write_json(MODEL_FACTS, facts)
    run.write_json(ANSWERS_FILE, details(data, answers, task.heat_maps(answers)))
    if isinstance(network, Network):
        for kind in network.genotype.cells:
            run.write(f"cell_{kind}.svg", cell_svg(network.genotype, kind))
        what: dict[str, Any] = {"genotype_source": source_of(config)}
    else:
        what = {"network": config.network.name}
    run.log(
        f"test accuracy after the last epoch: {found['test_accuracy']:.2%} of {found['test_images']} images; {beside(found)}"
    )
    return run.finish(
        {
            "data": config.data,
            "data_fingerprint": data.fingerprint,
            "data_facts": data.facts(),
            "seed": config.seed,
            "scale": config.scale,
            "epochs": config.training.epochs,
            **what,
            **found,
            **_held_out(task),
            "training_accuracy": task.last_record["train_accuracy"],
            "parameters": size.parameters,
            "auxiliary_parameters": size.auxiliary_parameters,
            "macs": size.macs,
            "accumulation": task.accumulation,
        },
        lambda: cell_pngs(network.genotype) if isinstance(network, Network) else {},
    )


def _held_out(task: TrainTask) -> dict[str, Any]:
    """How the network does on held-out images, if there are any; they may choose a network, the test images may not."""
    if not len(task.held_out):
        return {}
    data = task.held_out_data
    found = figures(data, task.test(data))
    shown = {"images": "test_images", "accuracy": "test_accuracy", "balanced_accuracy": "balanced_accuracy"}
    return {"held_out": {name: found[figure] for name, figure in shown.items()}}
