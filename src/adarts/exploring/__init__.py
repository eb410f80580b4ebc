"""Explore a space with searchers and an evaluator, without a network: the loop, what a search was worth, and many runs of it."""

from adarts.exploring.explore import Budget, explore
from adarts.exploring.measures import Trace, hypervolume, trace
from adarts.exploring.runs import run_exploration
from adarts.exploring.setup import Exploration, Outcome

__all__ = ["Budget", "Exploration", "Outcome", "Trace", "explore", "hypervolume", "run_exploration", "trace"]
