"""A finished search as it stood after its last epoch, to be asked further questions."""

from __future__ import annotations

from pathlib import Path

from adarts.config.settings import RunSettings, SearchConfig, code_in
from adarts.data import Augmentation, Batches, load_images
from adarts.engine import GENOTYPE_FILE, prepare_device, read_config
from adarts.engine.checkpoints import Checkpoints
from adarts.engine.config_file import compared_settings
from adarts.errors import CheckpointError, ConfigError
from adarts.methods import create
from adarts.searching.task import SearchTask
from adarts.spaces import Genotype, load_genotype


def load_search(
    run_dir: Path, how: RunSettings, method: str | None = None, space: str | None = None
) -> tuple[SearchTask, Genotype]:
    """The search of a run folder after its last epoch, and the cells that it found.

    Args:
        run_dir: of a finished search.
        how: device, threads and kernels; the rest is as the search had it.
        method, space: those of the search, said again: what stands in a file is executed only when somebody says so.

    Raises:
        ConfigError: method or space would execute a file, or the device is not there.
        DataError: the images are gone.
        CheckpointError: the search is not finished, or its images, configuration or checkpoint are not what they were.
    """
    if not (run_dir / "summary.json").is_file():
        command = f"adarts search --config {run_dir / 'config.yaml'} --run-dir {run_dir}"
        raise CheckpointError(f"{run_dir}: this search is not finished; continue it with: {command}")
    config = read_config(run_dir, SearchConfig)
    for name, code in code_in(config).items():
        if code not in (method, space):
            raise ConfigError(f"the search executed the file of its {name}; to let it be again: --{name} {code}")
    circumstances = {name: getattr(how, name) for name in ("device", "threads", "kernels")}
    config = config.model_copy(update={"run": config.run.model_copy(update=circumstances)})
    device = prepare_device(config.run)
    task = SearchTask(config, load_images(config.data, config.images, config.seed), create(config), device)
    checkpoints = Checkpoints(run_dir / "checkpoints", compared_settings(config), lambda text: None)
    state = checkpoints.load()
    if state is None:
        raise CheckpointError(f"{run_dir}: there is no checkpoint in {checkpoints.folder}")
    try:
        task.load_state_dict(state["task"])
        if state["epoch"] != task.epochs:
            raise CheckpointError(f"{run_dir}: the checkpoint of the last epoch is damaged; what is left is older")
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{run_dir}: the search cannot be restored: {str(error).splitlines()[0]}") from error
    return task, load_genotype(run_dir / GENOTYPE_FILE)


def learned_batches(task: SearchTask) -> Batches:
    """The images of the alphas as a search step sees them: augmented, in a random order, in batches of the same size.

    For measurements in which the normalizations use the statistics of each batch, since those that the search gathered are of a
    mix of operations. Such a batch must look like those that the weights learned with.
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
