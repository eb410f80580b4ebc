"""An operation without a batched form runs edge by edge; each batched form is what its plain module is, edge by edge."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from adarts import kernels
from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.engine.update import Learned
from adarts.errors import ConfigError
from adarts.models import register_operation
from adarts.models.operations import OPERATIONS
from adarts.spaces import DARTS, Space
from adarts.spaces.operation_names import OPERATION_NAMES
from adarts.supernet import ArchWeights, Supernet
from adarts.supernet.operations import BATCHED, EdgeByEdge, Features, candidate

EDGES, CHANNELS = 3, 4
NOT_HALVED = ("nor_conv_1x1", "nor_conv_3x3")  # batched on edges of stride 1 alone
WITH_STRIDE = [(name, 1) for name in BATCHED if name != "noise"]
WITH_STRIDE += [(name, 2) for name, _ in WITH_STRIDE if name not in NOT_HALVED]


@pytest.fixture
def lone(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered operation, forgotten after the test: a convolution with its own normalization and bias."""
    name = "lone_conv"
    register_operation(
        name,
        lambda channels, stride, affine: nn.Sequential(
            nn.Conv2d(channels, channels, 3, stride, 1), nn.BatchNorm2d(channels, affine=affine)
        ),
    )
    yield name
    del OPERATIONS[name]
    OPERATION_NAMES.discard(name)


def summed(module: nn.Module, x_bnhw: Tensor, stride: int, rows: slice | None) -> Tensor:
    """What an operation adds to a mixed edge, with another weight for each channel."""
    z, norm = module(Features(x_bnhw, stride, [module], rows))
    if norm is None and isinstance(module, EdgeByEdge) and module.name.endswith("_pool_3x3"):
        z = (z - z.mean((0, 2, 3), keepdim=True)) / (z.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    gain = torch.arange(1.0, z.shape[1] + 1, dtype=z.dtype)
    return kernels.normalized_sum([(z, gain, norm)])


@pytest.mark.parametrize(
    ("name", "stride"), [case for case in WITH_STRIDE if case[0] != "nor_conv_1x1" or case[1] == 1]
)
@pytest.mark.parametrize("rows", [None, slice(1, 3)])
def test_a_batched_form_is_its_plain_module_edge_by_edge(name: str, stride: int, rows: slice | None) -> None:
    torch.manual_seed(0)
    batched = candidate(name, EDGES, CHANNELS, stride, True).double()
    slow = EdgeByEdge(name, EDGES, CHANNELS, stride).double()
    for edge, plain in enumerate(slow.by_edge):  # in the order of the state, and without the normalization behind pools
        own = [t for key, t in batched.state_dict().items() if "_pool_" not in name]
        for to, of in zip(plain.state_dict().values(), own, strict=True):
            to.copy_(of[edge])
    count = EDGES if rows is None else rows.stop - rows.start
    inputs = [torch.randn(5, count * CHANNELS, 7, 6, dtype=torch.float64) for _ in range(2)]
    inputs[1] = inputs[0].clone()
    ours, theirs = (
        summed(module, x.requires_grad_(), stride, rows) for module, x in zip((batched, slow), inputs, strict=True)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    direction = torch.randn_like(ours)
    for y in (ours, theirs):
        if y.requires_grad:
            y.backward(direction)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-7, atol=1e-9)
    for position, parameter in enumerate(batched.parameters()):
        gradients = [list(plain.parameters())[position].grad for plain in slow.by_edge]
        expected = [torch.zeros_like(parameter[0]) if g is None else g for g in gradients]
        torch.testing.assert_close(parameter.grad, torch.stack(expected), rtol=1e-7, atol=1e-9)


def supernet(operations: tuple[str, ...], **design: object) -> Supernet:
    torch.manual_seed(0)
    space: Space = replace(DARTS, name="mine", title="mine", operations=operations)
    return Supernet(space, SupernetSettings(channels=8, cells=3), EdgeDesign(**design), num_classes=4)


@pytest.mark.parametrize("scope", ["edge", "node"])
def test_a_whole_supernet_is_the_same_with_the_slow_default(scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = (
        "none",
        "skip_connect",
        "nor_conv_1x1",
        "dil_conv_3x3",
    )  # where both forms name their parameters alike
    fast = supernet(operations, attention_scope=scope).double()
    monkeypatch.delitem(BATCHED, "dil_conv_3x3")
    slow = supernet(operations, attention_scope=scope).double()
    assert set(fast.state_dict()) == set(slow.state_dict())
    slow.load_state_dict(fast.state_dict())
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for net in (fast, slow):
        net(x).square().sum().backward()
    ours, theirs = fast.canonical_gradients(), slow.canonical_gradients()
    assert set(ours) == set(theirs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=1e-9, msg=name)
    for name, tensor in slow.state_dict().items():
        torch.testing.assert_close(tensor, fast.state_dict()[name], rtol=1e-9, atol=1e-12, msg=name)


def test_an_operation_of_ones_own_trains_beside_the_others_and_rests_where_it_is_not_active(lone: str) -> None:
    net = supernet(("skip_connect", lone), k=2)
    names = [name for name in net.state_dict() if lone in name]
    assert f"cells.1.edges.0_2.operations.{lone}.0.weight" in names and len(names) == 3 * 14 * 5
    for kind in net.space.cell_kinds:
        net.set_active(kind, [[True, edge % 2 == 0] for edge in range(14)])
    before = {name: p.clone() for name, p in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.weight_parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(4, 3, 8, 8)).square().sum().backward()
        Learned(optimizer, "the weights").step(net.movable(None))
    moved = {name for name, p in net.state_dict().items() if not torch.equal(p, before[name])}
    active = [f"{source}_{target}" for source, target in net.space.edges[::2]]
    assert {name for name in names if name in moved} == {name for name in names if name.split(".")[3] in active}
    sampled = {kind: torch.zeros(14, 2, dtype=torch.bool).index_fill(1, torch.tensor(0), True) for kind in net.alphas}
    logits = net(torch.randn(4, 3, 8, 8), arch_weights=ArchWeights(net.operation_weights(), active=sampled))
    unused = torch.autograd.grad(logits.sum(), net.weight_parameters(), allow_unused=True)
    own = {id(p) for name, p in net.named_parameters() if lone in name}
    assert all(g is None for p, g in zip(net.weight_parameters(), unused, strict=True) if id(p) in own)


def test_what_is_wrong_with_an_operation_is_said() -> None:
    with pytest.raises(ConfigError, match=r"unknown operation 'sep_conv_9x9'.*--space FILE\.py:NAME"):
        supernet(("skip_connect", "sep_conv_9x9"))
    with pytest.raises(ValueError, match="'sep_conv_3x3' is registered already"):
        register_operation("sep_conv_3x3", lambda channels, stride, affine: nn.Identity())
    for name in ("two words", "a.b", "", "keys", "x" * 41):
        with pytest.raises(ValueError, match="needs a name such as"):
            register_operation(name, lambda channels, stride, affine: nn.Identity())


def test_a_module_that_does_not_halve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATIONS, "lazy", lambda channels, stride, affine: nn.Identity())
    with pytest.raises(
        ConfigError, match=r"stride 2, operation 'lazy' turns .* into \(4, 4, 8, 8\), but must return \(4, 4, 4, 4\)"
    ):
        supernet(("lazy",))(torch.randn(4, 3, 8, 8))
