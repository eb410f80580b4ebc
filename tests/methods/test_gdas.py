"""GDAS: what is drawn, what is computed of it, and which gradient it gives."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from textbook201 import EDGES_201, OPERATIONS_201, MixedEdge201, TextbookSupernet201
from torch import Tensor

from adarts.errors import NotFiniteError
from adarts.methods import Progress
from adarts.methods.gumbel import gumbel_softmax, straight_through
from adarts.supernet import ArchWeights
from tiny import tiny_search

ALL = torch.ones(14, 8, dtype=torch.bool)


def at(epoch: int, epochs: int = 250) -> Progress:
    return Progress(0, epoch, epochs, 1)


def test_the_temperature_falls_from_10_to_0_1() -> None:
    assert at(0).line(10, 0.1) == 10 and at(249).line(10, 0.1) == pytest.approx(0.1)
    assert at(5, 11).line(10, 0.1) == pytest.approx((10 + 0.1) / 2)


def test_operations_are_drawn_as_often_as_the_softmax_says() -> None:
    torch.manual_seed(0)
    alpha_o = torch.tensor([0.0, 1.0, -1.0, 2.0, 5.0])
    active_o = torch.tensor([True, True, True, True, False])
    draws = gumbel_softmax(alpha_o.expand(20_000, -1), active_o.expand(20_000, -1), 10.0)
    shares = straight_through(draws)[1].double().mean(0)
    expected = alpha_o[:4].softmax(0).double()
    assert shares[4] == 0 and torch.allclose(shares[:4], expected, atol=4 * 0.5 / 20_000**0.5)


def test_the_gradient_of_a_pass_is_that_of_the_softmax_times_what_comes_from_the_drawn_operation() -> None:
    task = tiny_search("gdas")
    task.supernet.train()
    x_bchw, y_b = task.batch("alphas")
    torch.manual_seed(3)
    arch_weights = task.method.arch_weights(task, "alphas", x_bchw, y_b)
    assert arch_weights.active is not None
    for kind, weights_eo in arch_weights.operations.items():
        assert (
            torch.equal(weights_eo, arch_weights.active[kind].float()) and arch_weights.active[kind].sum(-1).eq(1).all()
        )
    alphas = task.supernet.alpha_parameters()
    found = torch.autograd.grad(task.loss(x_bchw, y_b, arch_weights)[0], alphas)

    hard = {kind: weights_eo.detach().requires_grad_() for kind, weights_eo in arch_weights.operations.items()}
    loss, _ = task.loss(x_bchw, y_b, ArchWeights(hard, active=arch_weights.active))
    upstream = torch.autograd.grad(loss, list(hard.values()))
    torch.manual_seed(3)
    soft = [gumbel_softmax(alpha_eo, ALL, 10.0) for alpha_eo in alphas]
    expected = torch.autograd.grad(soft, alphas, upstream)
    for mine, theirs, g_eo, active_eo in zip(found, expected, upstream, arch_weights.active.values(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-9)
        assert not g_eo[~active_eo].any()
        computed = active_eo[:, 1:].any(-1)  # an edge that has drawn `none` computes nothing
        assert mine[computed].ne(0).all() and not mine[~computed].any()


def test_in_nasbench201_the_other_operations_count_as_ones() -> None:
    """The oracle computes a node as the public code does: h_k o_k(x) for the sampled operation, plus all other h."""
    task = tiny_search("gdas", space="nasbench201")
    net = task.supernet.double()
    x_bchw, _ = task.batch("alphas")
    x_bchw = x_bchw.double()
    torch.manual_seed(2)  # the third edge draws `none`
    arch_weights = task.method.arch_weights(task, "alphas", *task.batch("alphas"))
    assert arch_weights.constants and arch_weights.active is not None
    hard_eo, chosen_eo = arch_weights.operations["normal"], arch_weights.active["normal"]
    logits = net(x_bchw, arch_weights=arch_weights, update_statistics=False)

    textbook = TextbookSupernet201(8, 3, 10, in_channels=1, selector="all", k=1, attention=False).double()
    textbook.load_state_dict(net.state_dict())
    for cell in textbook.cells:
        for edge, (source, target) in enumerate(EDGES_201):
            mixed = cell.edges[f"{source}_{target}"]
            mixed.mixed = partial(public_edge, mixed, chosen_eo[edge])
    direction = torch.randn_like(logits)
    expected = textbook(x_bchw, weights=hard_eo)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    alphas = net.alphas["normal"]
    ours, theirs = (torch.autograd.grad(y, alphas, direction, retain_graph=True)[0] for y in (logits, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)
    plain = net(x_bchw, arch_weights=replace(arch_weights, constants=False), update_statistics=False)
    other = torch.autograd.grad(plain, alphas, direction)[0]
    assert torch.equal(plain, logits)
    assert chosen_eo[2, 0] and ours[2].ne(0).all() and not other[2].any()


def public_edge(mixed: MixedEdge201, chosen_o: Tensor, x_bshw: Tensor, weights_o: Tensor) -> Tensor:
    names = zip(OPERATIONS_201, weights_o.unbind(), chosen_o.tolist(), strict=True)
    results = {"none": torch.zeros_like, **mixed.operations}
    return sum((w * results[name](x_bshw) if chosen else w.expand_as(x_bshw)) for name, w, chosen in names)


def test_only_the_drawn_operation_of_an_edge_moves() -> None:
    task = tiny_search("gdas")
    task.supernet.train()
    task.go_to(1, 0)
    before = {name: tensor.clone() for name, tensor in task.supernet.state_dict().items()}
    task.update("weights")
    assert task._arch_weights is not None and task._arch_weights.active is not None
    moved = {name for name, tensor in task.supernet.state_dict().items() if not torch.equal(tensor, before[name])}
    names, net = task.supernet.space.operations, task.supernet
    for index, kind in enumerate(net.kinds):
        for row, (source, target) in enumerate(net.space.edges):
            for name, drawn in zip(names, task._arch_weights.active[kind][row].tolist(), strict=True):
                prefix = f"cells.{index}.edges.{source}_{target}.operations.{name}."
                mine = {n for n in before if n.startswith(prefix) and n.endswith("weight")}
                assert mine <= moved if drawn else not mine & moved, prefix
    assert any(".operations." in name for name in moved)


def test_the_weights_move_first() -> None:
    one, two = tiny_search("gdas"), tiny_search("gdas")
    one.step(1, 0)
    two.supernet.train()
    two.go_to(1, 0)
    two.update("weights")
    two.update("alphas")
    for mine, theirs in zip(one.supernet.parameters(), two.supernet.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_weights_and_alphas_see_different_draws_and_the_parts_of_a_batch_the_same() -> None:
    task, seen = tiny_search("gdas"), []
    draw = task.method.arch_weights

    def spy(*arguments: object) -> ArchWeights:
        arch_weights = draw(*arguments)  # type: ignore[arg-type]
        seen.append(torch.cat(list(arch_weights.active.values())))  # type: ignore[union-attr]
        return arch_weights

    task.method.arch_weights = spy  # type: ignore[method-assign, assignment]
    assert task.halve_batch()
    task.step(1, 0)
    weights, again, alphas, once_more = seen
    assert torch.equal(weights, again) and torch.equal(alphas, once_more) and not torch.equal(weights, alphas)


def test_alphas_that_are_not_finite_end_the_search_and_not_in_an_endless_loop() -> None:
    task = tiny_search("gdas")
    with torch.no_grad():
        task.supernet.alphas["normal"].fill_(torch.nan)
    task.step(1, 0)
    with pytest.raises(NotFiniteError):
        task.genotype()  # part of the record of every epoch


def test_validation_takes_the_most_likely_operation() -> None:
    task = tiny_search("gdas")
    arch_weights = task.method.expected_arch_weights(task)
    assert arch_weights.active is not None
    for kind, weights_eo in task.supernet.operation_weights().items():
        assert torch.equal(arch_weights.operations[kind].argmax(-1), weights_eo.argmax(-1))
        assert torch.equal(arch_weights.operations[kind] > 0, arch_weights.active[kind])
