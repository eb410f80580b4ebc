"""The phases of a search, and a position in it."""

from __future__ import annotations

from dataclasses import dataclass

from adarts.config.settings import EdgeDesign, SupernetSettings, WeightOptimizer


@dataclass(frozen=True)
class Phase:
    """A part of a search.

    Attributes:
        epochs: epochs of the phase.
        warmup_epochs: epochs at its start in which the alphas stay frozen.
        supernet: width and depth.
        edge: design of the mixed edges.
        fresh: start with a new supernet and new alphas; otherwise continue with those of the previous phase.
        weights: settings of the weights' optimizer; None uses those of the search.
        continues: the schedule of the weights' learning rate covers this phase and the one before; otherwise it starts anew.
        skipped: how many phases like this one are left out before the first one. Weights and batches are drawn as if they had
            been there, so that searches with one seed can each do a part of a longer one.
    """

    epochs: int
    warmup_epochs: int
    supernet: SupernetSettings
    edge: EdgeDesign
    fresh: bool = True
    weights: WeightOptimizer | None = None
    continues: bool = False
    skipped: int = 0


@dataclass(frozen=True)
class Progress:
    """Position in a search: index of the phase, epoch within it (from 0), its number of epochs, and steps per epoch."""

    phase: int
    epoch: int
    epochs: int
    steps: int
    warmup_epochs: int = 0

    @property
    def is_last(self) -> bool:
        """Whether this is the last epoch of the phase."""
        return self.epoch == self.epochs - 1

    @property
    def past_warmup(self) -> bool:
        """Whether the warm-up is over, i.e. the alphas are updated."""
        return self.epoch >= self.warmup_epochs

    @property
    def fraction(self) -> float:
        """Share of the epochs after the warm-up that are finished, in [0, 1); 0 during the warm-up.

        Schedules use it, because most papers have no warm-up: a temperature or weight should not change while the alphas are
        frozen.
        """
        return max(0, self.epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)

    @property
    def fraction_to_last(self) -> float:
        """Like `fraction`, but 1 in the last epoch; for schedules between two published values."""
        return max(0, self.epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs - 1)

    def line(self, first: float, last: float) -> float:
        """Interpolate linearly from `first`, in the first epoch after the warm-up, to `last`, in the last epoch."""
        return first + (last - first) * self.fraction_to_last
