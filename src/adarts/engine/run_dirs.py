"""Check, find and create run folders."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.engine.config_file import CONFIG_FILE, compared_settings, differing_keys, read_config
from adarts.engine.files import refuse
from adarts.engine.lock import require_free
from adarts.errors import CheckpointError, refusing

Kind = Literal["search", "train"]

CHECKPOINTS, ENVIRONMENT, SUMMARY = "checkpoints", "environment.json", "summary.json"
IMAGES_FILE = "data.json"
"""What a run knows about its images: fingerprint, classes, files left out, equal images, and their folder."""
ANSWERS_FILE = "answers.json"
"""What a trained network answered on the test images: how often each class was taken for another, and its worst mistakes."""
GENOTYPE_FILE = "genotype.json"
"""The genotype found by a search or used by a training."""
PLAN_FILE = "plan.yaml"
"""The plan in a folder of `adarts run`, beside its summary and the folders of its search and trainings."""
FRONT_FILE = "front.json"
"""The cells found by a search for several goals, smallest first."""

_NO_MORE_EPOCHS = (
    "; the learning rate schedule covers all epochs, so a run cannot be extended: start a new one in another folder"
)


def require_usable(kind: Kind, config: SearchConfig | TrainConfig) -> None:
    """Refuse a folder that is in use, not writable, or belongs to another configuration; create nothing."""
    try:
        path = existing_run_dir(kind, config)
        _require_writable(path or config.run.run_dir or config.run.runs / kind)
        if path is None:
            return
        _require_writable(path / CHECKPOINTS)
        require_free(path)
        if (path / CONFIG_FILE).exists():
            require_same_config(path, config)
    except OSError as error:
        refuse(config.run.run_dir or config.run.runs / kind, error, 0)


def require_same_config(path: Path, config: SearchConfig | TrainConfig) -> None:
    """Refuse a run folder of another configuration; the message names the settings that differ."""
    keys = differing_keys(compared_settings(read_config(path, type(config))), compared_settings(config))
    if keys:
        hint = _NO_MORE_EPOCHS if {"search.epochs", "training.epochs"} & set(keys) else "; choose another folder"
        raise CheckpointError(f"{path} is a run of another configuration: {', '.join(keys)[:500]} differ{hint}")


def make_run_dir(kind: Kind, label: str, config: SearchConfig | TrainConfig) -> Path:
    """Find or create the folder to work in."""
    settings, parent = config.run, config.run.runs / kind
    try:
        path = existing_run_dir(kind, config) or settings.run_dir
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
            return path
        parent.mkdir(parents=True, exist_ok=True)
        return new_folder(parent, label)
    except OSError as error:
        refuse(settings.run_dir or parent, error, 0)


def list_run_dirs(parent: Path) -> list[Path]:
    """Run folders in this folder, oldest first."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if not path.is_symlink() and (path / CONFIG_FILE).is_file())


def delivered_in(folder: Path) -> Path | None:
    """The training of the network that `adarts run` delivered; None in other folders.

    Raises:
        CheckpointError: nothing has been delivered yet, the summary is damaged, or the folder of the training is missing.
    """
    if not (folder / PLAN_FILE).is_file():
        return None
    if not (folder / SUMMARY).is_file():
        again = shlex.join(["adarts", "run", "--run-dir", str(folder)])
        raise CheckpointError(f"{folder}: no network has been delivered yet; continue with: {again}")
    with refusing(f"{folder}: its {SUMMARY} is damaged", CheckpointError):
        name = json.loads((folder / SUMMARY).read_bytes())["delivered"]["run"]
        if not re.fullmatch("network-[0-9]{1,9}", name):  # a file from anybody may name any place
            raise ValueError(f"no network is called {name!r:.60}")
    if not (folder / name / CONFIG_FILE).is_file():
        raise CheckpointError(f"{folder}: the folder of the delivered network is missing: {name}")
    return folder / str(name)


def existing_run_dir(kind: Kind, config: SearchConfig | TrainConfig) -> Path | None:
    """The existing folder that `config.run` refers to; None if a new one is needed.

    Raises:
        CheckpointError: there is no run to resume, or the folder contains something else.
    """
    path = config.run.run_dir
    if path is None:
        return _newest(config.run.runs / kind, config) if config.run.resume else None
    if not path.exists():
        return None
    inside = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    # A run that was killed right at its start has no config.yaml yet, but also no files of anybody else.
    if CONFIG_FILE not in inside and inside - {CHECKPOINTS, ENVIRONMENT, IMAGES_FILE}:
        raise CheckpointError(f"{path} is neither empty nor a run folder; choose another --run-dir")
    return path


def images_from(data: str, run_dir: Path) -> str | None:
    """The path of a folder of images, seen from a run folder; None for other data sets."""
    return os.path.relpath(_folder(data).resolve(), run_dir.resolve()) if data.startswith("folder:") else None


def images_again(data: str, run_dir: Path) -> str:
    """The images of a run: ``folder:PATH`` is found again if it was moved together with the run folder.

    Args:
        data: the data set in the run's configuration.
        run_dir: the run folder.
    """
    if not data.startswith("folder:") or _folder(data).exists():
        return data
    moved = run_dir / read_images_file(run_dir)["folder"]
    return f"folder:{moved.resolve()}" if moved.exists() else data


def read_images_file(run_dir: Path) -> dict[str, Any]:
    """What a run knows about its images.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = run_dir / IMAGES_FILE
    with refusing(f"{path} is missing or damaged", CheckpointError):
        content = json.loads(path.read_bytes())
        return {**content, "fingerprint": str(content["fingerprint"]), "folder": str(content["folder"])}


def _folder(data: str) -> Path:
    return Path(os.path.expanduser(data.removeprefix("folder:")))  # noqa: PTH111 - leaves ~NAME of an unknown user alone


def _newest(parent: Path, config: SearchConfig | TrainConfig) -> Path:
    """The newest unfinished run of this configuration, else the newest finished one, so `--resume` can be repeated."""
    same = []
    for path in reversed(list_run_dirs(parent)):
        with suppress(CheckpointError):  # skip unreadable runs and other configurations
            require_same_config(path, config)
            if read_config(path, type(config)).data == config.data:
                same.append(path)
    same.sort(key=lambda path: (path / SUMMARY).exists())
    if not same:
        raise CheckpointError(f"no run of this configuration under {parent} to resume; leave out --resume to start one")
    return same[0]


def _require_writable(path: Path) -> None:
    """Raise OSError unless files can be created in this folder, or in its nearest existing parent."""
    folder = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    TemporaryFile(dir=folder, prefix=".").close()  # only trying detects every reason: permissions, a full drive


def new_folder(parent: Path, label: str) -> Path:
    """Create a folder with the time and a label as its name, and a number if there is one of this name."""
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-.")
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{label}"
    for number in itertools.count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            break
    return path
