"""The layers of the configuration of a search: what somebody asks for, what its scale changes, what its method publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adarts.config.loading import Layers, Values
from adarts.config.settings import SearchConfig
from adarts.methods import published


def search_layers(given: Values, config_file: Path | str | None = None) -> dict[str, Any]:
    """All layers merged: complete, but the rules that tie several settings together not yet checked."""
    layers = Layers(SearchConfig, given, config_file)
    method = layers.chosen["method"]
    return layers.put_together(layers.chosen["space"], published(method), f"method '{method}'")
