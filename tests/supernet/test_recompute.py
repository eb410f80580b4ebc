"""A supernet that recomputes its cells is the supernet itself, to the last bit, and keeps less."""

import pytest
import torch
from test_against_textbook import BATCH, CELLS, CHANNELS, CLASSES, DESIGNS, images
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.spaces import DARTS
from adarts.supernet import Supernet

NAMES = ["darts", "darts+attention", "pc_darts-k2", "random-k4", "adarts-k2", "adarts-k4", "adarts-node-k4"]
NAMES += ["adarts-sample-k2", "adarts-node-sample-normalized", "random+attention", "drawn-once", "persistent-k2"]


def make(design: str, recompute: bool) -> Supernet:
    torch.manual_seed(0)
    settings = SupernetSettings(channels=CHANNELS, cells=CELLS, recompute=recompute)
    return Supernet(DARTS, settings, EdgeDesign(**DESIGNS[design]), CLASSES)


def two_passes(net: Supernet, *, update_statistics: bool = True) -> dict[str, Tensor]:
    """Outputs, gradients, statistics and chosen channels after two passes; the second shows what the first one left."""
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(1)
    found = {}
    for index in range(2):
        y = net(images(torch.float32), update_statistics=update_statistics, generator=generator)
        y.square().sum().backward()
        found[f"output {index}"] = y.detach()
        found |= {f"chosen {index}.{cell}": chosen for cell, chosen in enumerate(net.selection.cells)}
    found["drawn after"] = torch.rand(1, generator=generator)
    found |= {f"gradient of {name}": gradient for name, gradient in net.canonical_gradients().items()}
    return found | {f"state {name}": tensor.clone() for name, tensor in net.state_dict().items()}


def assert_equal(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(actual[name], expected[name])] == []


@pytest.mark.parametrize("design", NAMES)
def test_nothing_changes_to_the_last_bit(design: str) -> None:
    expected = two_passes(make(design, False))
    assert any(name.endswith("num_batches_tracked") and (t == 2).all() for name, t in expected.items())
    assert_equal(two_passes(make(design, True)), expected)


@pytest.mark.parametrize("design", ["adarts-k4", "random-k4"])
def test_nor_where_the_statistics_stand_still(design: str) -> None:
    untouched = {f"state {name}": t.clone() for name, t in make(design, True).state_dict().items()}
    found = two_passes(make(design, True), update_statistics=False)
    assert_equal({name: found[name] for name in untouched}, untouched)
    assert_equal(found, two_passes(make(design, False), update_statistics=False))


@pytest.mark.parametrize("frozen", ["weights", "alphas"])
def test_nor_where_only_one_kind_of_parameters_wants_a_gradient(frozen: str) -> None:
    found = []
    for recompute in (True, False):
        net = make("adarts-k4", recompute)
        for parameter in net.weight_parameters() if frozen == "weights" else net.alpha_parameters():
            parameter.requires_grad_(False)
        found.append(two_passes(net))
    assert_equal(*found)


def test_a_given_selection_is_kept() -> None:
    chosen = make("adarts-k4", False)
    chosen(images(torch.float32))
    given = chosen.selection
    given.cells[0] = torch.arange(CHANNELS // 4).expand_as(given.cells[0])
    found = []
    for recompute in (True, False):
        net = make("adarts-k4", recompute)
        torch.manual_seed(1)
        net(images(torch.float32), selection=given).sum().backward()
        assert all(torch.equal(a, b) for a, b in zip(net.selection.cells, given.cells, strict=True))
        found.append(net.canonical_gradients())
    assert_equal(*found)


def test_evaluation_without_gradients() -> None:
    found = []
    for recompute in (True, False):
        net = make("adarts-k4", recompute).eval()
        torch.manual_seed(1)
        with torch.no_grad():
            found.append({"output": net(images(torch.float32), selection="average")})
    assert_equal(*found)


def test_little_is_kept_for_the_backward_pass() -> None:
    def kept(net: Supernet) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x = torch.randn(4 * BATCH, 3, 16, 16)
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            scores = net(x)  # held, so that no two storages can have the same place
        assert scores.requires_grad
        return sum(storages.values())

    assert kept(make("adarts-k4", True)) < 0.3 * kept(make("adarts-k4", False))
