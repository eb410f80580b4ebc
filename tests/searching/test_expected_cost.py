"""The expected cost in the loss of the alphas."""

from __future__ import annotations

import pytest
import torch

from adarts.config.settings import EdgeDesign, LoopSettings, SupernetSettings
from adarts.errors import ConfigError
from adarts.methods import get_method
from adarts.models import Network, cost
from adarts.searching import search_config
from adarts.searching.expected_cost import cost_tables, expected_cost
from adarts.spaces import DARTS, NASBENCH201, Space, random_genotype
from adarts.supernet import ArchWeights, Supernet, masked_softmax
from adarts.testing.searches import at, gradient, small_search


@pytest.mark.parametrize("name", ["parameters", "macs"])
@pytest.mark.parametrize("space", [DARTS, NASBENCH201], ids=lambda space: space.name)
def test_the_costs_of_two_cells_differ_like_those_of_their_networks(space: Space, name: str) -> None:
    """In proportion: the same cells, compared with other cells, have the same ratio of the differences."""
    settings = SupernetSettings(channels=4, cells=5, stem_stride=2)
    net = Supernet(space, settings, EdgeDesign(selector="all", k=1, attention=False), 7)
    tables = cost_tables(net, LoopSettings(**{f"{name}_cost": 0.5}), (33, 40))
    found, wanted = [], []
    for seed in range(3):
        cells = random_genotype(space, seed)
        masks = {kind: torch.tensor(cells.mask(kind)).float() for kind in space.cell_kinds}
        found.append(float(expected_cost(ArchWeights(masks), tables)))
        with torch.device("meta"):
            network = Network(cells, 7, channels=4, cells=5, stem_stride=2)
        wanted.append(getattr(cost(network, (33, 40)), name))
    assert (found[0] - found[1]) * (wanted[0] - wanted[2]) == pytest.approx(
        (found[0] - found[2]) * (wanted[0] - wanted[1]), rel=1e-4
    )
    assert (found[0] - found[1]) * (wanted[0] - wanted[1]) > 0
    equal = {kind: torch.full_like(table, 1 / len(space.operations)) for kind, table in tables.items()}
    assert float(expected_cost(ArchWeights(equal), tables)) == pytest.approx(0.5)


@pytest.mark.parametrize("method", ["darts", "darts-2nd"])
def test_the_alphas_get_the_gradient_of_the_cost(method: str) -> None:
    """What the cost adds to their gradient is the central difference of the cost with respect to every alpha."""
    searches = [
        small_search(get_method(method), {"search": {"parameters_cost": weight, "macs_cost": 2 * weight}})
        for weight in (0.0, 3.0)
    ]
    own = []
    for search in searches:
        at(search, 1).update("alphas")
        own.append(gradient(search.supernet.alpha_parameters()))
    added, search = (
        own[1] - own[0],
        small_search(get_method(method), {"search": {"parameters_cost": 3.0, "macs_cost": 6.0}}),
    )
    assert added.abs().max() > 0.01
    tables = {kind: table.double() for kind, table in search._costs.items()}
    alphas = {kind: alpha.detach().double() for kind, alpha in search.supernet.alphas.items()}

    def total() -> float:
        weights = {kind: masked_softmax(alpha, search.supernet.active[kind]) for kind, alpha in alphas.items()}
        return float(expected_cost(ArchWeights(weights), tables))

    differences = []
    for alpha_eo in alphas.values():
        for index in range(0, alpha_eo.numel(), 7):
            sides = []
            for step in (1e-4, -2e-4, 1e-4):
                alpha_eo.view(-1)[index] += step
                sides.append(total())
            differences.append((sides[0] - sides[1]) / 2e-4)
    picked = torch.cat([part[::7] for part in added.split([alpha.numel() for alpha in alphas.values()])])
    assert picked.tolist() == pytest.approx(differences, abs=2e-5)


def test_methods_without_alphas_refuse_a_cost() -> None:
    with pytest.raises(ConfigError, match="'trials' has no alphas"):
        search_config(method="trials", search={"macs_cost": 0.1})
