"""The supernet of NAS-Bench-201 is the textbook one: output, all gradients, all statistics."""

import pytest
import torch
from textbook201 import TextbookSupernet201

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.spaces import NASBENCH201
from adarts.supernet import Selection, Supernet

DESIGNS = {
    "darts": {"selector": "all", "k": 1, "attention": False},
    "darts+attention": {"selector": "all", "k": 1},
    "pc_darts": {"selector": "first", "k": 4, "attention": False, "normalization": True},
    "random": {"selector": "random", "k": 4, "attention": False},
    "adarts": {"k": 4},
    "adarts-sample": {"k": 2, "mask_scope": "sample"},
    "adarts-normalized": {"k": 4, "normalization": True},
}


@pytest.mark.parametrize("design", DESIGNS)
def test_it_is_the_textbook_one(design: str) -> None:
    torch.manual_seed(0)
    textbook = TextbookSupernet201(
        8, 4, 5, **DESIGNS[design]
    )  # of four cells, blocks stand before the second and third
    supernet = Supernet(NASBENCH201, SupernetSettings(channels=8, cells=4), EdgeDesign(**DESIGNS[design]), 5)
    supernet.load_state_dict(textbook.state_dict())
    textbook, supernet = textbook.double(), supernet.double()
    x_bchw = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    expected = textbook(x_bchw)
    chosen = [
        torch.stack(
            [textbook.selection[c, e].reshape(-1, 8 * 2 ** min(c, 2) // supernet.design.k) for e in range(6)], 1
        )
        for c in range(4)
    ]
    found = supernet(x_bchw, selection=Selection(chosen))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    direction = torch.randn_like(found)
    found.backward(direction)
    expected.backward(direction)
    ours, theirs = supernet.canonical_gradients(), dict(textbook.named_parameters())
    assert set(ours) == {name for name, parameter in theirs.items() if parameter.grad is not None}
    for name, gradient in ours.items():
        torch.testing.assert_close(
            gradient, theirs[name].grad, rtol=1e-7, atol=1e-9, msg=lambda text, n=name: f"{n}: {text}"
        )
    state = supernet.state_dict()
    for name, buffer in textbook.named_buffers():
        if not name.endswith("first"):
            torch.testing.assert_close(state[name], buffer, rtol=1e-9, atol=1e-9)


def test_the_weights_of_a_node_that_nothing_enters_are_there_and_learn_nothing() -> None:
    supernet = Supernet(
        NASBENCH201, SupernetSettings(channels=8, cells=3), EdgeDesign(selector="all", k=1, attention=False), 5
    )
    only_none = [[name == "none" for name in NASBENCH201.operations]] * 6
    supernet.set_active("normal", only_none)
    scores = supernet(torch.randn(4, 3, 8, 8))
    assert torch.equal(scores[0], scores[1])
