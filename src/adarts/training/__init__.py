"""Training, evaluation and prediction of a fixed network."""

from adarts.training.config import train_config
from adarts.training.model import build, load_model, prepare
from adarts.training.train import TrainResult, evaluate, images_of, run_training

__all__ = ["TrainResult", "build", "evaluate", "images_of", "load_model", "prepare", "run_training", "train_config"]
