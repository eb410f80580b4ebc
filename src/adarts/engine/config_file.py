"""The file `config.yaml` of a run, with its complete configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from adarts.config.loading import read_config_file
from adarts.config.reading import cut
from adarts.config.settings import RunSettings, Settings
from adarts.errors import CheckpointError, ConfigError

CONFIG_FILE = "config.yaml"

AnySettings = TypeVar("AnySettings", bound=Settings)


def read_config(run_dir: Path, kind: type[AnySettings]) -> AnySettings:
    """Read the configuration of a run.

    Raises:
        CheckpointError: the file is missing, has another format, or is not a configuration of this kind.
    """
    path = run_dir / CONFIG_FILE
    try:
        content = read_config_file(path, of_a_run=True)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        keys = ", ".join(cut(".".join(map(str, problem["loc"]))) or "content" for problem in error.errors())
        raise CheckpointError(f"{path} is not a {kind.__name__}: {keys}") from error


def compared_settings(config: Settings) -> dict[str, Any]:
    """The settings that must be equal to continue a run.

    These are all settings except the section `run`, `images.root`, `images.download` and `supernet.recompute`. From `run`,
    only the precision is compared, because it changes more than the last bits of a result. The path of a folder of images is
    left out, because the folder may have moved; a run folder keeps the fingerprint of its images.
    """
    circumstances = set(RunSettings.model_fields) - {"precision"}
    left_out = {"run": circumstances, "images": {"download", "root"}, "supernet": {"recompute"}}
    content = config.model_dump(mode="json", exclude=left_out)
    if str(content.get("data")).startswith("folder:"):
        content["data"] = "folder"
    return dict(content)


def differing_keys(first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of the values that differ between two nested mappings."""
    keys: list[str] = []
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            keys += differing_keys(one, other, f"{prefix}{key}.")
        elif one != other or (key in first) != (key in second):
            keys.append(f"{prefix}{key}")
    return keys
