"""A node's edges in one native call are the same edges kernel by kernel: results, gradients and statistics, for any sizes."""

import copy
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adarts import kernels
from adarts.config.settings import EdgeDesign
from adarts.spaces import DARTS
from adarts.supernet.edges import SourceEdges, node_sum
from adarts.supernet.plan import CellPlan, plan

if kernels.status().functions is None:
    pytest.skip(f"no native kernels: {kernels.status().detail}", allow_module_level=True)

OPERATIONS = len(DARTS.operations)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A design, the sizes of a node, and the operations of its edges."""
    k = draw(st.sampled_from((1, 2, 4)))
    attention = draw(st.booleans())
    design: dict[str, Any] = {"k": k, "attention": attention, "normalization": draw(st.booleans())}
    selectors = ["all"] if k == 1 else ["attention", "first"] if attention else ["first", "random"]
    design["selector"] = draw(st.sampled_from(selectors))
    design["auxiliary_skip"] = draw(st.booleans())
    if attention:
        design["attention_scope"] = draw(st.sampled_from(("edge", "node")))
    if design["selector"] == "attention":
        design["mask_scope"] = draw(st.sampled_from(("batch", "sample")))
    edges = draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=OPERATIONS, max_size=OPERATIONS)
    return {
        "design": EdgeDesign(**design),
        "channels": k * draw(st.sampled_from((1, 2, 4, 8, 16, 48))),
        "stride": draw(st.sampled_from((1, 2))),
        "active": draw(st.lists(row, min_size=edges, max_size=edges)),
        "shape": (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))),
        "training": draw(st.booleans()),
        "learnt": draw(st.booleans()),
        "constants": draw(st.booleans()),
        "threads": draw(st.integers(1, 3)),
    }


def passed(edges: SourceEdges, case: dict[str, Any], native: bool) -> list[Tensor | None]:
    """Two nodes that the edges enter, and everything that a pass in both directions leaves."""
    torch.manual_seed(1)
    batch, height, width = case["shape"]
    count, design = len(case["active"]), case["design"]
    x = torch.randn(batch, case["channels"], height, width, dtype=torch.float64).requires_grad_()
    gain = torch.randn(OPERATIONS, count * case["channels"] // design.k, dtype=torch.float64).requires_grad_()
    beta = torch.rand(count, dtype=torch.float64).requires_grad_() if design.normalization else None
    groups = plan(case["active"], [range(count)])
    cell = CellPlan(groups, update_average=case["training"], auxiliary=0.7, constants=case["constants"])
    cell = CellPlan(**{**vars(cell), "generator": torch.Generator().manual_seed(2)})
    counters: list[Tensor] = []
    taken = []

    def spy(*arguments: Any) -> Any:
        taken.append(original(*arguments))
        return taken[-1] if native else None

    original = SourceEdges._native
    with mock.patch.object(SourceEdges, "_native", lambda self, *rest: spy(self, *rest)):
        results, chosen, _ = edges(x, gain, beta, None, 0, cell, counters)
    assert taken[0] is not None
    if counters:
        torch._foreach_add_(counters, 1)
    nodes = [node_sum(some) for some in (results[: count // 2], results[count // 2 :]) if some]
    # Edges without operations have no gradient.
    (torch.stack([(node * torch.randn_like(node)).sum() for node in nodes]).sum() + 0 * x.sum()).backward()
    gradients = [p.grad for p in (x, gain, *(() if beta is None else (beta,)), *edges.parameters())]
    return [*nodes, chosen, *gradients, *edges.buffers()]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases())
def test_in_one_call_and_kernel_by_kernel(case: dict[str, Any]) -> None:
    batch, *sides = case["shape"]
    computed = case["design"].auxiliary_skip or any(
        taken for row in case["active"] for name, taken in zip(DARTS.operations, row, strict=True) if name != "none"
    )
    if not computed:
        return  # nothing depends on the gains then, and autograd is to know that
    if case["training"] and batch * max(-(-side // case["stride"]) for side in sides) <= 2:
        return  # perhaps one value per channel: not computed in one call
    torch.manual_seed(0)
    count = len(case["active"])
    edges = SourceEdges(case["channels"], [[True] * OPERATIONS] * count, case["stride"], DARTS, case["design"]).double()
    edges.train(case["training"])
    for parameter in edges.parameters():
        parameter.requires_grad_(case["learnt"])
    other, threads = copy.deepcopy(edges), torch.get_num_threads()
    torch.set_num_threads(case["threads"])
    try:
        pairs = list(zip(passed(edges, case, True), passed(other, case, False), strict=True))
    finally:
        torch.set_num_threads(threads)
    largest = max(
        t.detach().abs().max().item() for _, t in pairs if t is not None and t.numel() and t.is_floating_point()
    )
    for one, expected in pairs:
        if one is None or expected is None:  # no gradient, or one that is zero
            there = one if expected is None else expected
            assert there is None or not there.any()
        else:
            torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-9 * largest)
