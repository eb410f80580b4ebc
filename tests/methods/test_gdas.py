"""GDAS: what is drawn, what is computed of it, and which gradient it gives."""

import pytest
import torch

from adarts.errors import NotFiniteError
from adarts.methods import Moment, get_method
from adarts.methods.gdas import Gdas
from adarts.methods.gumbel import gumbel_softmax, straight_through
from adarts.supernet import Mixture
from tiny import tiny_search

ALL = torch.ones(14, 8, dtype=torch.bool)


def at(epoch: int, epochs: int = 250) -> Moment:
    return Moment(0, epoch, epochs, 1)


def test_the_temperature_falls_from_10_to_0_1() -> None:
    method = Gdas(Gdas.Options())
    assert method.temperature(at(0)) == 10 and method.temperature(at(249)) == pytest.approx(0.1)
    assert method.temperature(at(5, 11)) == pytest.approx((10 + 0.1) / 2)


def test_operations_are_drawn_as_often_as_the_softmax_says() -> None:
    torch.manual_seed(0)
    logits_o = torch.tensor([0.0, 1.0, -1.0, 2.0, 5.0])
    active_o = torch.tensor([True, True, True, True, False])
    draws = gumbel_softmax(logits_o.expand(20_000, -1), active_o.expand(20_000, -1), 10.0)
    shares = straight_through(draws)[1].double().mean(0)
    expected = logits_o[:4].softmax(0).double()
    assert shares[4] == 0 and torch.allclose(shares[:4], expected, atol=4 * 0.5 / 20_000**0.5)


def test_the_gradient_of_a_pass_is_that_of_the_softmax_times_what_comes_from_the_drawn_operation() -> None:
    task = tiny_search("gdas")
    task.supernet.train()
    x_bchw, y_b = task.batch("logits")
    torch.manual_seed(3)
    mixture = task.method.mixture(task, "logits", x_bchw, y_b)
    assert mixture.active is not None
    for kind, weights_eo in mixture.operations.items():
        assert torch.equal(weights_eo, mixture.active[kind].float()) and mixture.active[kind].sum(-1).eq(1).all()
    logits = task.supernet.logit_parameters()
    found = torch.autograd.grad(task.loss(x_bchw, y_b, mixture)[0], logits)

    hard = {kind: weights_eo.detach().requires_grad_() for kind, weights_eo in mixture.operations.items()}
    loss, _ = task.loss(x_bchw, y_b, Mixture(hard, active=mixture.active))
    upstream = torch.autograd.grad(loss, list(hard.values()))
    torch.manual_seed(3)
    soft = [gumbel_softmax(alpha_eo, ALL, 10.0) for alpha_eo in logits]
    expected = torch.autograd.grad(soft, logits, upstream)
    for mine, theirs, g_eo, active_eo in zip(found, expected, upstream, mixture.active.values(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-9)
        assert not g_eo[~active_eo].any()
        computed = active_eo[:, 1:].any(-1)  # an edge that has drawn `none` computes nothing
        assert mine[computed].ne(0).all() and not mine[~computed].any()


def test_only_the_drawn_operation_of_an_edge_moves() -> None:
    task = tiny_search("gdas")
    task.supernet.train()
    task.go_to(1, 0)
    before = {name: tensor.clone() for name, tensor in task.supernet.state_dict().items()}
    task.update_weights()
    assert task._mixture is not None and task._mixture.active is not None
    moved = {name for name, tensor in task.supernet.state_dict().items() if not torch.equal(tensor, before[name])}
    names, net = task.supernet.space.operations, task.supernet
    for index, kind in enumerate(net.kinds):
        for row, (source, target) in enumerate(net.space.edges):
            for name, drawn in zip(names, task._mixture.active[kind][row].tolist(), strict=True):
                prefix = f"cells.{index}.edges.{source}-{target}.operations.{name}."
                mine = {n for n in before if n.startswith(prefix) and n.endswith("weight")}
                assert mine <= moved if drawn else not mine & moved, prefix
    assert any(".operations." in name for name in moved)


def test_the_weights_move_first() -> None:
    one, two = tiny_search("gdas"), tiny_search("gdas")
    one.step(1, 0)
    two.supernet.train()
    two.go_to(1, 0)
    two.update_weights()
    two.update_logits()
    for mine, theirs in zip(one.supernet.parameters(), two.supernet.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_weights_and_logits_see_different_draws_and_the_parts_of_a_batch_the_same() -> None:
    task, seen = tiny_search("gdas"), []
    draw = task.method.mixture

    def spy(*arguments: object) -> Mixture:
        mixture = draw(*arguments)  # type: ignore[arg-type]
        seen.append(torch.cat(list(mixture.active.values())))  # type: ignore[union-attr]
        return mixture

    task.method.mixture = spy  # type: ignore[method-assign, assignment]
    assert task.halve_batch()
    task.step(1, 0)
    weights, again, logits, once_more = seen
    assert torch.equal(weights, again) and torch.equal(logits, once_more) and not torch.equal(weights, logits)


def test_logits_that_are_not_finite_end_the_search_and_not_in_an_endless_loop() -> None:
    task = tiny_search("gdas")
    with torch.no_grad():
        task.supernet.logits["normal_alpha"].fill_(torch.nan)
    task.step(1, 0)
    with pytest.raises(NotFiniteError):
        task.genotype()  # part of the record of every epoch


def test_validation_takes_the_most_likely_operation() -> None:
    task = tiny_search("gdas")
    mixture = task.method.plain_mixture(task)
    assert mixture.active is not None
    for kind, weights_eo in task.supernet.operation_weights().items():
        assert torch.equal(mixture.operations[kind].argmax(-1), weights_eo.argmax(-1))
        assert torch.equal(mixture.operations[kind] > 0, mixture.active[kind])


def test_the_memory_is_predicted_for_one_operation_of_an_edge() -> None:
    assert [phase.num_operations for phase in tiny_search("gdas").phases] == [1]
    assert get_method("gdas").info.replay == "never"
