"""How fast, and in how much memory: the search step, the data, the training, and how they grow.

What is measured is what runs: the tasks of the search and of the training, on synthetic images. Times are taken in turn in one
process, so that a machine that slows down slows all of them; every peak of memory is taken in a process of its own, since an
allocator does not forget what came before.
"""

from adarts.benchmark.batch import largest_batches
from adarts.benchmark.data import time_data
from adarts.benchmark.growth import measure_growth
from adarts.benchmark.outcome import Conditions, Outcome
from adarts.benchmark.step import time_steps
from adarts.benchmark.training import time_training

__all__ = [
    "Conditions",
    "Outcome",
    "largest_batches",
    "measure_growth",
    "time_data",
    "time_steps",
    "time_training",
]
