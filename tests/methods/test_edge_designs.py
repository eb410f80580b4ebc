"""Methods that are published with all channels, with the partial connections of ADARTS and PC-DARTS."""

import pytest
import torch

from tiny import tiny_search

DESIGNS = {
    "adarts-en": {"selector": "attention", "k": 4, "attention": True, "normalization": True},
    "pc-darts": {"selector": "first", "k": 4, "attention": False, "normalization": True},
}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("method", ["gdas", "snas", "fair-darts", "beta-darts", "darts-minus"])
def test_a_step_with_a_partial_connection_in_two_parts(method: str, design: str) -> None:
    task = tiny_search(method, edge=DESIGNS[design])
    before = [p.detach().clone() for p in task.supernet.alpha_parameters()]
    assert task.halve_batch()
    sums = task.step(2, 0)
    assert sums["images"] == 8 and torch.isfinite(torch.as_tensor(sums["loss"]))
    assert all(not torch.equal(old, new) for old, new in zip(before, task.supernet.alpha_parameters(), strict=True))
    assert set(task.genotype().cells) == {"normal", "reduction"}
