"""When a function is recorded, what it is replayed on, and that its results are the caller's own."""

import torch
from torch import Tensor

from adarts.config.settings import RunSettings
from adarts.engine.capture import WARM_UP, Captured
from adarts.engine.update import recorder
from recording import Again


def test_a_replayed_function_gives_what_the_function_gives() -> None:
    total = torch.zeros(())

    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        total.add_(x.sum())
        return [x * y, total]

    again = Again()
    replayed = Captured(function, again)
    kept = []
    for number in range(1, WARM_UP + 4):
        x = torch.full((2, 3), float(number))
        product, sum_ = replayed(x, x + 1)
        assert torch.equal(product, x * (x + 1)) and sum_ == 6 * sum(range(1, number + 1))
        if number > WARM_UP:
            kept.append((number, product))
        x.zero_()  # the caller's memory is not the recording's
    assert (again.warm_ups, again.recordings, again.replays) == (WARM_UP, 1, 3)
    assert all((product == number * (number + 1)).all() for number, product in kept)


def test_other_shapes_and_a_forgotten_recording_begin_anew() -> None:
    again = Again()
    replayed = Captured(lambda *inputs: [sum(inputs, torch.zeros(()))], again)
    for inputs in ((torch.ones(2),), (torch.ones(3),), (torch.ones(3), torch.ones(3))):
        for _ in range(WARM_UP + 1):
            assert replayed(*inputs)[0].shape == inputs[0].shape
    assert again.recordings == 3
    replayed.forget()
    replayed(torch.ones(3), torch.ones(3))
    assert again.recordings == 3 and again.warm_ups == 3 * WARM_UP + 1


def test_only_a_gpu_records() -> None:
    assert recorder(RunSettings(), torch.device("cpu")) is None
