"""Every registered space keeps the contract; so does the example; and the contract catches what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from adarts.models import OPERATIONS
from adarts.source_file import execute
from adarts.spaces import DARTS, SPACES
from adarts.testing import SpaceContract

for _space in SPACES.known.values():
    _name = f"Test_{_space.name}"
    globals()[_name] = type(_name, (SpaceContract,), {"space": _space})


def test_the_example_keeps_it(new_process: Callable[[], None]) -> None:
    module = execute(Path(__file__).parents[2] / "examples" / "own_space.py")
    contract = type("Own", (SpaceContract,), {"space": module.GATED})()
    for name in (name for name in dir(contract) if name.startswith("test_")):
        contract.setup_method()
        getattr(contract, name)()


class Scaled(nn.Module):
    """A convolution that something is wrong with."""

    def __init__(self, channels: int, stride: int, fault: str) -> None:
        super().__init__()
        self.conv, self.fault = nn.Conv2d(channels, channels, 1, stride, bias=False), fault

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fault == "in place":
            x.detach().relu_()
        y = self.conv(x) * (float("nan") if self.fault == "not finite" else 1.0)
        return y[..., :-1] if self.fault == "too small" and y.shape[-1] > 1 else y


@pytest.mark.parametrize(
    ("fault", "message"),
    [("in place", "changes its input"), ("not finite", "not finite"), ("too small", "makes .* of")],
)
def test_an_operation_with_a_fault_is_caught(fault: str, message: str, new_process: Callable[[], None]) -> None:
    OPERATIONS["faulty"] = lambda channels, stride, affine: Scaled(channels, stride, fault)
    space = replace(DARTS, name="faulty", title="Faulty", operations=("skip_connect", "faulty"))
    contract = type("Faulty", (SpaceContract,), {"space": space})()
    contract.setup_method()
    with pytest.raises(AssertionError, match=message):
        contract.test_every_operation_keeps_the_channels_divides_the_sides_and_leaves_its_input_alone()
