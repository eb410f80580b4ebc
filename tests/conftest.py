"""One thread a test process: parallel workers with more are about ten times slower, and the last bits depend on the number."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # child processes started by tests inherit it
os.environ["COLUMNS"] = "200"  # pytest's workers would have tables of 80 columns

import hypothesis
import pytest
import torch

# How long an example takes is the machine's business, not a property: no deadline.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

torch.set_num_threads(1)

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=1, help="kill -9 a search and a training at so many random moments")
    parser.addoption(
        "--fuzz-minutes", type=float, default=0, help="try random inputs for so long, all parsers together"
    )
