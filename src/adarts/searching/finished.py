"""Load a finished search in its state after the last epoch, for further measurements."""

from __future__ import annotations

from pathlib import Path

from adarts.config.settings import RunSettings, SearchConfig, code_in
from adarts.data import Augmentation, Batches, load_images
from adarts.engine import GENOTYPE_FILE, images_again, prepare_device, read_config
from adarts.engine.checkpoints import Checkpoints
from adarts.engine.config_file import compared_settings
from adarts.errors import CheckpointError, ConfigError, refusing
from adarts.methods import create
from adarts.searching.task import SearchTask
from adarts.spaces import Genotype, load_genotype


def load_search(
    run_dir: Path, how: RunSettings, method: str | None = None, space: str | None = None
) -> tuple[SearchTask, Genotype]:
    """Load the search of a run folder in its state after the last epoch, and the cells that it found.

    Args:
        run_dir: folder of a finished search.
        how: device, threads and kernels to use; all other settings come from the search.
        method, space: needed if the search used a Python file for them; repeating the name permits executing that file.

    Raises:
        ConfigError: the method or space would execute a file, or the device is not available.
        DataError: the images cannot be found.
        CheckpointError: the search is not finished, or its images, configuration or checkpoint have changed.
    """
    if not (run_dir / "summary.json").is_file():
        command = f"adarts search --config {run_dir / 'config.yaml'} --run-dir {run_dir}"
        raise CheckpointError(f"{run_dir}: this search is not finished; continue it with: {command}")
    config = read_config(run_dir, SearchConfig)
    for name, code in code_in(config).items():
        if code not in (method, space):
            raise ConfigError(f"the search used a Python file for its {name}; permit executing it with --{name} {code}")
    circumstances = {name: getattr(how, name) for name in ("device", "threads", "kernels")}
    config = config.model_copy(update={"run": config.run.model_copy(update=circumstances)})
    device = prepare_device(config.run)
    data = load_images(images_again(config.data, run_dir), config.images, config.seed)
    task = SearchTask(config, data, create(config), device)
    checkpoints = Checkpoints(run_dir / "checkpoints", compared_settings(config), lambda text: None)
    state = checkpoints.load()
    if state is None:
        raise CheckpointError(f"{run_dir}: no checkpoint in {checkpoints.folder}")
    with refusing(f"{run_dir}: the search cannot be restored", CheckpointError):
        task.load_state_dict(state["task"])
        task.go_to(task.epochs - 1, 0)
        if state["epoch"] != task.epochs:
            raise CheckpointError(f"{run_dir}: the checkpoint of the last epoch is damaged; only an older one is left")
    return task, load_genotype(run_dir / GENOTYPE_FILE)


def learned_batches(task: SearchTask) -> Batches:
    """The alphas' images as in a search step: augmented, shuffled, in batches of the same size.

    They serve measurements that normalize with the statistics of each batch. The running statistics of the search belong to
    mixed operations and do not fit a single one. The batches must look like the ones that the weights were trained with.
    """
    return Batches(
        task.data.train,
        task.validation.indices,
        batch_size=task.config.search.batch_size,
        seed=task.config.seed,
        purpose="correlation",
        augmentation=Augmentation.of(task.config.images, task.data),
        device=task.device,
        drop_last=True,
    )
