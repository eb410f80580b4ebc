"""Begin a run: put a plan into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from adarts.config.loading import refuse_code, require_same
from adarts.config.settings import RunSettings
from adarts.config.values import path_or_name
from adarts.data import Source, load_images, read_source
from adarts.data.layout import find_folder
from adarts.data.load import folder_in
from adarts.engine.files import refuse, write_atomically
from adarts.engine.run_dirs import PLAN_FILE, new_folder
from adarts.engine.signals import parse_time_limit
from adarts.errors import ConfigError
from adarts.export import onnx_file
from adarts.pipeline.choose import choose
from adarts.pipeline.fitting import require_feasible
from adarts.pipeline.plan import Plan, Wishes, read_plan, written
from adarts.pipeline.rivals import start_of
from adarts.training import train_config


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
    """Put a plan into the run folder, unless there is one: the given one, or one that suits the images (:func:`adarts.run`)."""
    onnx_file.require_packages()
    kept = None if run_dir is None else Path(run_dir, PLAN_FILE)
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
        folder = _place(run_dir, found.data)
        text = Path(file).read_text(encoding="utf-8")
    elif path is None:
        raise ConfigError("adarts run needs a folder of images, or --plan FILE")
    else:
        folder = _place(run_dir, path_or_name(str(path)))
        text, source = _chosen(str(path), wishes, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if run_dir is None:
            folder = new_folder(folder, "plan" if path is None else Path(path).name)
        write_atomically(folder / PLAN_FILE, text.encode())
    except OSError as error:
        refuse(folder, error, len(text))
    return Planned(folder / PLAN_FILE, source)


def _place(run_dir: Path | str | None, data: str) -> Path:
    """The folder of a new run, or the one in which a new folder is made.

    Raises:
        ConfigError: other files are in it, or it would be read as a class of the images.
        CheckpointError: it cannot be read.
    """
    folder, images = Path("runs", "run") if run_dir is None else Path(run_dir), folder_in(data)
    try:
        inside = images is not None and folder.resolve().is_relative_to(images.resolve())
        strange = folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())
    except OSError as error:
        refuse(folder, error, 0)
    if run_dir is not None and strange:
        raise ConfigError(f"{folder} has other files and no {PLAN_FILE}; choose another --run-dir")
    if inside and images is not None and find_folder(images, "train").parts == ("",):
        raise ConfigError(f"{folder} would be a class of the images in {images}; choose another place with --run-dir")
    return folder


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
