"""Check the phases of a search before the first one begins, and build the supernet of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from adarts.config.settings import SearchConfig
from adarts.data import ImageData
from adarts.errors import ConfigError
from adarts.methods import Method, Phase
from adarts.models.stem import stride_for
from adarts.seeding import derive_seed
from adarts.spaces import get_space
from adarts.supernet import Supernet, require_k


def checked_phases(config: SearchConfig, method: Method) -> tuple[Phase, ...]:
    """The phases of a search. All are checked here, before the search begins.

    Raises:
        ConfigError: the method does not support the space or a cost of the alphas, has no phases, or one of its phases
            cannot run.
    """
    name, space = method.info.name, get_space(config.space)
    if reason := method.supports(space):
        raise ConfigError(f"method '{name}' is not defined on the space '{space.name}': {reason}")
    if method.info.family != "gradient" and (config.search.parameters_cost or config.search.macs_cost):
        raise ConfigError(
            f"method '{name}' has no alphas, so search.parameters_cost and search.macs_cost have no effect; remove them"
        )
    phases = method.phases(config, space)
    if not phases:
        raise ConfigError(f"method '{name}' has no phases")
    for index, phase in enumerate(phases):
        try:
            if phase.warmup_epochs >= phase.epochs:
                raise ConfigError(f"all {phase.epochs} epochs are warm-up, so the alphas never move")
            require_k(phase.supernet.channels, phase.edge)
            starts_anew = phase.fresh or index == 0
            if phase.edge.freeze and phase.edge.selector == "attention" and starts_anew and not phase.warmup_epochs:
                raise ConfigError("edge.freeze needs a warm-up to choose the channels; set search.warmup_epochs")
        except ConfigError as error:
            where = f"phase {index + 1} of method '{name}': " if len(phases) > 1 else ""
            raise ConfigError(f"{where}{error}") from None
    return phases


def scheduled_together(phases: Sequence[Phase], index: int) -> range:
    """The epochs of the search that share a schedule of the learning rate with a phase."""
    first, last = index, index + 1
    while first and phases[first].continues:
        first -= 1
    while last < len(phases) and phases[last].continues:
        last += 1
    begin = sum(phase.epochs for phase in phases[:first])
    return range(begin, begin + sum(phase.epochs for phase in phases[first:last]))


def build_supernet(config: SearchConfig, phase: Phase, index: int, data: ImageData) -> Supernet:
    """Build the supernet of a phase; the search's seed determines its initial weights and alphas."""
    with torch.random.fork_rng(devices=[]):
        number = phase.skipped + index
        torch.manual_seed(derive_seed(config.seed, "supernet", *([number] if number else [])))
        stride = phase.supernet.stem_stride or stride_for(data.image_size)
        settings = phase.supernet.model_copy(update={"stem_stride": stride})
        return Supernet(get_space(config.space), settings, phase.edge, data.num_classes, data.in_channels)
