"""Unfinished searches that an earlier adarts began and that would be other searches from here on."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from adarts.config.loading import read_yaml
from adarts.config.settings import SearchConfig
from adarts.errors import CheckpointError, ConfigError
from adarts.runs import unfinished

_SCHEDULED = frozenset({"gdas", "snas", "beta-darts", "darts-minus", "sdarts-rs", "sdarts-adv"})
"""Methods with a schedule that ran through the warm-up and begins behind it now."""


def require_same_course(config: SearchConfig) -> None:
    """Refuse to go on with a search whose schedule has changed since it began.

    Such a search is known by its configuration, which names no space: that setting is a little younger than the change. So a
    search from the few commits between the two is refused as well. Without a warm-up the schedules are what they were.

    Args:
        config: of the search that is about to begin or to go on.

    Raises:
        CheckpointError: it would go on with one.
    """
    path = unfinished("search", config)
    if path is None or config.method not in _SCHEDULED or config.search.warmup_epochs == 0 or _names_a_space(path):
        return
    raise CheckpointError(
        f"{path} was begun by an earlier adarts ({_version(path)}), in which the schedule of '{config.method}' ran through the "
        "warm-up epochs, too; it begins behind them now, so this would end as another search: begin it anew in another "
        "folder, or continue it with the version that began it"
    )


def _names_a_space(path: Path) -> bool:
    try:
        return "space" in read_yaml(path / "config.yaml")
    except ConfigError as error:
        raise CheckpointError(f"cannot read {error}") from error


def _version(path: Path) -> str:
    """What began a run, as far as it was written down."""
    began = {}
    with suppress(OSError, ValueError):
        began = json.loads((path / "environment.json").read_bytes())
    version, commit = (began.get(key) if isinstance(began, dict) else None for key in ("adarts", "git_commit"))
    return f"version {version or 'unknown'}, commit {commit or 'unknown'}"
