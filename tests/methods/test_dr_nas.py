"""DrNAS: samples of the distribution, its penalty, and a supernet that widens."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence

from adarts import kernels
from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.methods.dr_nas import _narrow, _shares, divergence, widen
from adarts.searching import search_config
from adarts.spaces import DARTS
from adarts.supernet import Supernet
from adarts.supernet.edges import SourceEdges
from adarts.supernet.operations import FactorizedReduce, Features, Identity
from tiny import tiny_search

TOTALS = {"loss": 1.0, "correct": 1.0, "images": 1.0}
FIRST = EdgeDesign(selector="first", k=4, attention=False, normalization=True)


@pytest.mark.parametrize(
    ("channels", "k", "narrow"), [(36, 4, 6), (16, 4, 8), (8, 4, 8), (8, 8, 8), (12, 2, 3), (36, 1, 2)]
)
def test_the_first_phase_has_fewer_channels(channels: int, k: int, narrow: int) -> None:
    assert _narrow(channels, FIRST.model_copy(update={"k": k}), 1.5) == narrow


@pytest.mark.parametrize(
    ("space", "k", "operations", "epochs", "rates"),
    [("darts", [6, 4], [7, 4], 25, (0.1, 0.0)), ("nasbench201", [4, 2], [5, 3], 50, (0.025, 0.001))],
)
def test_the_two_published_phases(
    space: str, k: list[int], operations: list[int], epochs: int, rates: tuple[float, float]
) -> None:
    published = search_config(method="dr-nas", space=space, scale="paper")
    size = {"channels": published.supernet.channels, "cells": 3}
    task = tiny_search("dr-nas", space=space, supernet=size, search={"epochs": published.search.epochs})
    assert [(phase.edge.k, phase.epochs, phase.warmup_epochs) for phase in task.phases] == [(n, epochs, 1) for n in k]
    found, seen = [], []
    for epoch in range(2 * epochs):
        if epoch == epochs:
            task.enter(1)
        seen.append(task.learning_rate(epoch))
        found += [task.supernet.active["normal"].sum(1).unique().item()]
    assert found == [operations[0]] * epochs + [operations[1]] * epochs
    first, last = rates  # of one cosine
    expected = [last + (first - last) * (1 + math.cos(math.pi * e / (2 * epochs))) / 2 for e in range(2 * epochs)]
    assert seen == pytest.approx(expected)


def test_all_channels_stay_all_channels() -> None:
    task = tiny_search("dr-nas", edge={"selector": "all", "k": 1})
    assert [phase.edge.k for phase in task.phases] == [1, 1]


def samples(alpha_o: Tensor, active_o: Tensor, count: int) -> Tensor:
    """What the method draws for so many edges with the same alphas."""
    task = tiny_search("dr-nas", supernet={"channels": 8, "cells": 3})
    net, kept = task.supernet, []
    torch.manual_seed(0)
    for kind in DARTS.cell_kinds:
        net.set_active(kind, [active_o.tolist()] * 14)
        net.alphas[kind] = nn.Parameter(alpha_o.expand(14, 8).clone())
    for _ in range(count):
        kept += list(task.method.arch_weights(task, "weights", *task.batch("weights")).operations.values())
    return torch.cat(kept)


def test_a_sample_has_the_moments_of_the_distribution() -> None:
    alpha_o = torch.tensor([9.0, 0.0, 1.5, -1.0, 0.3, -0.5, 2.0, 7.0])
    active_o = torch.tensor([False, True, True, True, True, True, True, False])
    theta_so = samples(alpha_o, active_o, 1000)
    assert not theta_so[:, ~active_o].any() and torch.allclose(theta_so.sum(1), torch.ones(len(theta_so)))
    concentration = nn.functional.elu(alpha_o[active_o]) + 1
    expected = Dirichlet(concentration)
    torch.testing.assert_close(theta_so[:, active_o].mean(0), expected.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(theta_so[:, active_o].var(0), expected.variance, atol=0.003, rtol=0)


def test_the_gradient_goes_through_the_sample() -> None:
    """d E[theta_0] / dc is known; the mean of the gradients of many samples comes close."""
    torch.manual_seed(0)
    c_o = torch.tensor([0.7, 1.0, 1.8, 5.0])
    active_o = torch.tensor([True, True, True, False])
    c_so = c_o.expand(40_000, 4).clone().requires_grad_()
    theta_so = _shares(torch.distributions.Gamma(c_so, torch.ones_like(c_so)).rsample(), active_o.expand(40_000, 4))
    theta_so[:, 0].sum().backward()
    total = c_o[:3].sum()
    exact = -c_o[0] / total**2 + torch.tensor([1.0, 0.0, 0.0]) / total
    assert c_so.grad is not None
    torch.testing.assert_close(c_so.grad.mean(0)[:3], exact, atol=0.005, rtol=0)
    assert not c_so.grad[:, 3].any()


def test_the_divergence_is_that_of_torch() -> None:
    c_eo = torch.rand(5, 8, dtype=torch.float64) * 3 + 0.2
    active_eo = torch.ones(5, 8, dtype=torch.bool)
    expected = kl_divergence(Dirichlet(c_eo), Dirichlet(torch.ones_like(c_eo)))
    torch.testing.assert_close(divergence(c_eo, active_eo), expected)
    active_eo[:, 3:] = False
    expected = kl_divergence(Dirichlet(c_eo[:, :3]), Dirichlet(torch.ones(5, 3, dtype=torch.float64)))
    torch.testing.assert_close(divergence(c_eo, active_eo), expected)


def test_the_penalty_pulls_alpha_to_the_uniform_distribution() -> None:
    task = tiny_search("dr-nas", options={"kl": 1e-3})
    alpha_eo = task.supernet.alphas["normal"]
    with torch.no_grad():
        alpha_eo.fill_(1.0)
    arch_weights = task.method.expected_arch_weights(task)
    penalty = task.method.penalty_of(task, arch_weights)
    assert penalty is not None
    penalty.backward()
    assert alpha_eo.grad is not None
    assert (alpha_eo.grad[:, 1:] > 0).all() and not alpha_eo.grad[:, 0].any()
    assert tiny_search("dr-nas").method.penalty_of(task, arch_weights) is None


def supernets(attention: bool = False) -> tuple[Supernet, Supernet]:
    design = EdgeDesign(selector="attention", k=4) if attention else FIRST
    size = SupernetSettings(channels=12, cells=3)
    torch.manual_seed(0)
    narrow = Supernet(DARTS, size, design.model_copy(update={"k": 6}), 5)
    for module in narrow.modules():
        for name, statistic in module.named_buffers(recurse=False):
            if name.startswith("running_"):
                statistic.uniform_(0.5, 1.5)
    return narrow, Supernet(DARTS, size, design, 5)


def result(operation: nn.Module, x_bnhw: Tensor, stride: int) -> Tensor:
    z, norm = operation(Features(x_bnhw, stride, [operation]))
    return kernels.normalized_sum([(z, torch.ones(z.shape[1]), norm)])


def replicated(x_bnhw: Tensor, edges: int, wide: int, parts: int = 1) -> Tensor:
    """The channels of every edge, in so many parts, the first ones again behind each."""
    x = x_bnhw.unflatten(1, (edges, parts, -1))
    return x[:, :, :, torch.arange(wide // parts) % x.shape[3]].flatten(1, 3)


@pytest.mark.parametrize("training", [True, False])
def test_a_widened_operation_computes_what_it_did(training: bool) -> None:
    narrow, wide = supernets()
    widen(narrow, wide)
    seen = set()
    for before, after in zip(narrow.train(training).modules(), wide.train(training).modules(), strict=True):
        if not isinstance(before, SourceEdges):
            continue
        assert isinstance(after, SourceEdges) and after.selected * 4 == before.selected * 6
        x_bnhw = torch.randn(3, before.num_edges * before.selected, 6, 6)
        x_wide = replicated(x_bnhw, before.num_edges, after.selected)
        for name, operation in before.operations.items():
            halves = 2 if isinstance(operation, FactorizedReduce) else 1
            expected = replicated(result(operation, x_bnhw, before.stride), before.num_edges, after.selected, halves)
            found = result(after.operations[name], x_wide, before.stride)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=f"{name}, stride {before.stride}")
            seen.add((name, before.stride))
    assert len(seen) == 14 and any(isinstance(m, Identity) for m in narrow.modules())


def test_no_channel_enters_a_widened_operation_twice() -> None:
    design = EdgeDesign(selector="random", k=4, attention=False, freeze=True)
    size = SupernetSettings(channels=12, cells=3)
    narrow, wide = (Supernet(DARTS, size, design.model_copy(update={"k": k}), 5) for k in (6, 4))
    widen(narrow, wide)
    wide(torch.randn(2, 3, 8, 8))
    for cell in wide.selection.cells:
        assert (cell.diff(dim=-1) > 0).all()


def test_a_widened_attention_computes_what_it_did() -> None:
    narrow, wide = supernets(attention=True)
    widen(narrow, wide)
    x_bchw = torch.randn(3, 12, 5, 5)
    before, after = (net.cells[0].sources[0].attention(x_bchw, False) for net in (narrow, wide))
    torch.testing.assert_close(before, after)


def test_the_second_phase_goes_on_with_what_the_first_has_learned() -> None:
    task = tiny_search(
        "dr-nas",
        supernet={"channels": 12, "cells": 3},
        edge={"normalization": True},
        search={"epochs": 1, "batch_size": 8, "warmup_epochs": 0},
    )
    first = task.supernet
    assert first.design.k == 6 and first.active["normal"].sum(1).tolist() == [7] * 14
    task.step(0, 0)
    strongest = first.operation_weights()["normal"].topk(4).indices.sort().values
    task.end_epoch(0, dict(TOTALS))
    second = task.supernet
    assert second is not first and second.design.k == 4
    assert torch.equal(second.active["normal"].nonzero()[:, 1].view(14, 4), strongest)
    for kind in ("normal", "reduction"):
        assert torch.equal(first.alphas[kind], second.alphas[kind])
        assert torch.equal(first.betas[kind], second.betas[kind])
    assert torch.equal(first.stem.conv.weight, second.stem.conv.weight)
    assert torch.equal(first.stem.norm.running_mean, second.stem.norm.running_mean)
    task.step(1, 0)
