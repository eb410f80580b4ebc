"""Training, evaluation and prediction of a fixed network."""

from adarts.training.model import build, load_model
from adarts.training.recipes import recipe
from adarts.training.train import TrainResult, evaluate, run_training

__all__ = ["TrainResult", "build", "evaluate", "load_model", "recipe", "run_training"]
