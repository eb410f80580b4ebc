"""The contract of search spaces as tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import compress
from typing import ClassVar

import torch
from torch import Tensor

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.methods import get_method
from adarts.models import Network, build_operation
from adarts.searching import SearchTask
from adarts.spaces import (
    Genotype,
    Space,
    at_least,
    decided_edges,
    derive,
    never_none,
    random_genotype,
    register_space,
    strongest_edges,
    strongest_pairs,
)
from adarts.supernet import Supernet
from adarts.testing.searches import assert_equal_states, moved, small_search, snapshot

RULES = (strongest_edges, never_none, strongest_pairs, decided_edges, at_least(0.9))
SEEDS = range(5)
SIZES = ((8, 8), (9, 7))
"""Image sizes with even and odd sides."""


class SpaceContract:
    """The tests that every space must pass.

    Attributes:
        space: the space under test; it need not be registered.
    """

    space: ClassVar[Space]

    def setup_method(self) -> None:
        torch.manual_seed(0)
        register_space(self.space)

    # -------------------------------------------------------------------------------------------- description, genotypes

    def test_the_description_reads_back(self) -> None:
        assert Space.from_dict(json.loads(json.dumps(self.space.to_dict()))) == self.space

    def test_every_edge_may_have_something(self) -> None:
        for kind in self.space.cell_kinds:
            allowed = self.space.allowed(kind)
            assert len(allowed) == len(self.space.edges)
            for edge, row in zip(self.space.edges, allowed, strict=True):
                assert set(compress(self.space.operations, row)) - {"none"}, (
                    f"{kind} cell: the edge {edge} may have nothing"
                )

    def test_random_cells_are_of_the_space_and_read_back(self) -> None:
        for seed in SEEDS:
            genotype = random_genotype(self.space, seed)
            genotype.require_within(self.space)
            assert Genotype.from_json(genotype.to_json()) == genotype
            if genotype.has_text:
                assert Genotype.from_text(genotype.to_text()) == genotype

    def test_whatever_the_weights_the_derived_cells_are_of_the_space(self) -> None:
        for seed in SEEDS:
            torch.manual_seed(seed)
            op_weights, edge_weights = {}, {}
            for kind in self.space.cell_kinds:
                allowed_eo = torch.tensor(self.space.allowed(kind))
                op_weights[kind] = torch.rand(allowed_eo.shape) * allowed_eo
                edge_weights[kind] = torch.rand(len(allowed_eo))
            for rule in RULES:
                for of_edges in (None, edge_weights):
                    derive(self.space, op_weights, of_edges, rule).require_within(self.space)

    # ------------------------------------------------------------------------------------------------------- operations

    def test_every_operation_keeps_the_channels_divides_the_sides_and_leaves_its_input_alone(self) -> None:
        for name, stride in self._operations():
            for size in SIZES:
                x_bchw = torch.randn(4, 8, *size)
                before = x_bchw.clone()
                y_bchw = build_operation(name, 8, stride)(x_bchw.requires_grad_())
                where, expected = f"{name} with stride {stride}", (4, 8, *(-(-side // stride) for side in size))
                assert y_bchw.shape == expected, f"{where} makes {tuple(y_bchw.shape)} of {tuple(x_bchw.shape)}"
                assert torch.equal(x_bchw, before), f"{where} changes its input"
                assert y_bchw.isfinite().all(), f"{where}: a value that is not finite"

    # --------------------------------------------------------------------------------------------------------- supernet

    def test_every_operation_and_alpha_of_the_supernet_receives_a_finite_gradient(self) -> None:
        for design in (EdgeDesign(selector="all", k=1, attention=False), EdgeDesign(k=2)):
            for size in SIZES:
                net = self._supernet(design)
                net(torch.randn(4, 3, *size)).square().sum().backward()
                for name, gradient in net.canonical_gradients().items():
                    assert gradient.isfinite().all(), f"{name}: a gradient that is not finite"
                for kind, active_eo in net.active.items():
                    gradient_eo = net.alphas[kind].grad
                    assert gradient_eo is not None, f"no alpha of the {kind} cell has a gradient"
                    several_e = (
                        active_eo.sum(1, keepdim=True) > 1
                    )  # a softmax over one operation is 1, whatever its alpha
                    missing = (active_eo & several_e & (gradient_eo == 0)).nonzero().tolist()
                    assert not missing, f"{kind} cell: no gradient for the alphas (edge, operation) {missing[:5]}"

    def test_each_operation_alone_is_computed_and_the_others_rest(self) -> None:
        for chosen in self.space.operations:
            net = self._supernet(EdgeDesign(k=2))
            for kind in self.space.cell_kinds:
                net.set_active(kind, [[name == chosen for name in self.space.operations]] * len(self.space.edges))
            logits = net(torch.randn(4, 3, *SIZES[0]))
            assert logits.isfinite().all(), f"{chosen} alone: logits that are not finite"
            named = [(name, p) for name, p in net.named_parameters() if ".operations." in name]
            gradients = torch.autograd.grad(logits.square().sum(), [p for _, p in named], allow_unused=True)
            for (name, _), gradient in zip(named, gradients, strict=True):
                assert gradient is None or f".{chosen}." in name, f"{name} is computed where only {chosen} is active"

    def test_the_state_of_a_supernet_reads_back(self) -> None:
        nets = [self._supernet(EdgeDesign(k=2)) for _ in range(2)]
        nets[1].load_state_dict(nets[0].state_dict())
        assert_equal_states(nets[0].state_dict(), nets[1].state_dict())
        x_bchw, results = torch.randn(4, 3, *SIZES[0]), []
        for net in nets:
            torch.manual_seed(0)  # an operation may draw
            results.append(net.eval()(x_bchw))
        assert torch.equal(*results), "another supernet with the same state gives other logits"

    # ----------------------------------------------------------------------------------------------- network and search

    def test_the_network_of_random_cells_learns_at_any_size(self) -> None:
        for seed in SEEDS:
            network = Network(random_genotype(self.space, seed), num_classes=3, channels=4, cells=3)
            for size in SIZES:
                network.zero_grad()
                logits = network(torch.randn(4, 3, *size))
                assert isinstance(logits, Tensor) and logits.shape == (4, 3)
                logits.square().sum().backward()
                finite = [p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters()]
                assert all(finite), f"random cells {seed}: a gradient that is not finite"

    def test_a_search_moves_the_alphas_finds_cells_and_can_be_repeated(self) -> None:
        searches = [self._search() for _ in range(2)]
        before = snapshot(searches[0].supernet.alpha_parameters())
        for number, search in enumerate(searches):
            torch.rand(number)  # whatever was drawn before
            sums = search.step(1, 0)
            assert all(torch.as_tensor(value).isfinite() for value in sums.values())
            search.genotype().require_within(self.space)
        assert all(moved(before, searches[0].supernet.alpha_parameters())), "the alphas of a kind of cell did not move"
        assert_equal_states(searches[0].state_dict(), searches[1].state_dict())

    # -------------------------------------------------------------------------------------------- what some of them share

    def _operations(self) -> Iterator[tuple[str, int]]:
        """Every operation with every stride that it may have on an edge."""
        places = {
            (name, self.space.stride(kind, source)): None
            for kind in self.space.cell_kinds
            for (source, _), row in zip(self.space.edges, self.space.allowed(kind), strict=True)
            for name in compress(self.space.operations, row)
        }
        return iter(places)

    def _supernet(self, design: EdgeDesign) -> Supernet:
        return Supernet(self.space, SupernetSettings(channels=8, cells=3), design, num_classes=3)

    def _search(self) -> SearchTask:
        return small_search(get_method("darts"), {"space": self.space.name})
