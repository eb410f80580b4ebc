"""What the supernet promises besides being equal to the textbook."""

from itertools import compress

import pytest
import torch

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.errors import ConfigError
from adarts.spaces import DARTS, get_space
from adarts.supernet import Supernet
from adarts.supernet.edges import SourceEdges


def make(channels: int = 8, cells: int = 3, **design: object) -> Supernet:
    torch.manual_seed(0)
    return Supernet(DARTS, SupernetSettings(channels=channels, cells=cells), EdgeDesign(**design), num_classes=4)


@pytest.mark.parametrize(
    ("k", "weights", "attention"),
    [
        (1, 1_930_618, 444_416),
        (2, 671_482, 222_208),
        (4, 299_578, 111_104),
        (8, 178_042, 55_552),
        (16, 133_378, 27_776),
    ],
)
def test_golden_sizes(k: int, weights: int, attention: int) -> None:
    for scope, share in (("edge", 14), ("node", 5)):
        with torch.device("meta"):
            net = Supernet(DARTS, SupernetSettings(), EdgeDesign(k=k, attention_scope=scope), num_classes=10)
        sizes = {name: p.numel() for name, p in net.named_parameters() if not name.startswith(("alphas.", "betas."))}
        of_attention = sum(n for name, n in sizes.items() if ".attention." in name)
        assert sum(sizes.values()) - of_attention == weights
        assert of_attention == attention * share // 14
        assert sum(p.numel() for p in net.alpha_parameters()) == 224


@pytest.mark.parametrize("scope", ["edge", "node"])
def test_state_dict_has_readable_names_and_round_trips(scope: str) -> None:
    net, other = (make(attention_scope=scope, normalization=True, slots="persistent") for _ in range(2))
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    state = net.state_dict()
    assert state["cells.1.edges.0_2.operations.sep_conv_5x5.depthwise2.weight"].shape == (4, 1, 5, 5)
    assert state["cells.1.edges.0_2.slots"].tolist() == [0, 1, 2, 3]
    assert not any("sources" in name for name in state)
    other.load_state_dict(state)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    del state["cells.0.edges.1_3.operations.max_pool_3x3.norm.running_mean"]
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(state)


def test_statistics_follow_a_batch_only_when_told() -> None:
    net, x = make(), torch.randn(4, 3, 8, 8)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(x, update_statistics=False)
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    net(x)
    still = [name for name, buffer in net.named_buffers() if torch.equal(buffer, before[name])]
    assert not [name for name in still if "operations" in name or "attention" in name]


def test_persistent_slots_follow_a_batch_only_when_told() -> None:
    net, x = make(slots="persistent"), torch.randn(4, 3, 8, 8)

    def slots() -> list[torch.Tensor]:
        state = net.state_dict()
        edges = [f"{source}_{target}" for source, target in DARTS.edges]
        return [torch.stack([state[f"cells.{cell}.edges.{edge}.slots"] for edge in edges])[None] for cell in range(3)]

    before = slots()
    net(x, update_statistics=False)
    assert all(torch.equal(*pair) for pair in zip(slots(), before, strict=True))
    assert not all(torch.equal(*pair) for pair in zip(net.selection.cells, before, strict=True))
    net(x)
    assert all(torch.equal(*pair) for pair in zip(slots(), net.selection.cells, strict=True))
    net.eval()(x + 1)
    assert not all(torch.equal(*pair) for pair in zip(slots(), net.selection.cells, strict=True))


def test_the_running_average_frees_the_choice_from_the_batch() -> None:
    net = make().eval()
    for cell in net.cells:
        for source in cell.sources:
            torch.nn.init.uniform_(source.attention.average)
    x = torch.randn(6, 3, 8, 8)
    together = net(x, selection="average")
    apart = torch.cat([net(part, selection="average") for part in x.split(1)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    chosen = net.selection.cells
    net(x, selection="batch")
    assert any(not torch.equal(a, b) for a, b in zip(chosen, net.selection.cells, strict=True))


@pytest.mark.parametrize("mask_scope", ["batch", "sample"])
def test_the_selection_is_recorded_ascending_and_can_be_given(mask_scope: str) -> None:
    net, x = make(mask_scope=mask_scope), torch.randn(5, 3, 8, 8)
    first = net(x, update_statistics=False)
    given = net.selection
    for indices, channels in zip(given.cells, net.cell_channels, strict=True):
        assert indices.shape == (1 if mask_scope == "batch" else 5, 14, channels // 4)
        assert (indices.diff(dim=-1) > 0).all() and indices.min() >= 0 and indices.max() < channels
    torch.testing.assert_close(net(x, selection=given, update_statistics=False), first, rtol=0, atol=0)


def test_random_channels_come_from_the_generator_alone() -> None:
    net, x = make(selector="random", attention=False), torch.randn(2, 3, 8, 8)

    def choice(seed: int) -> list[torch.Tensor]:
        net(x, generator=torch.Generator().manual_seed(seed))
        return net.selection.cells

    assert all(torch.equal(a, b) for a, b in zip(choice(1), choice(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(choice(1), choice(2), strict=True))


@pytest.mark.parametrize("size", [(7, 7), (9, 12), (1, 1)])
def test_any_image_size(size: tuple[int, int]) -> None:
    assert make()(torch.randn(3, 3, *size)).shape == (3, 4)


def test_a_k_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"edge\.k = 3 does not divide the 8 channels"):
        make(k=3)


def test_an_operation_that_no_edge_of_a_node_may_have_is_not_made() -> None:
    space = get_space("s1")
    with torch.device("meta"):
        net = Supernet(space, SupernetSettings(), EdgeDesign(selector="all", k=1, attention=False), num_classes=10)
    for kind, cell in zip(net.kinds, net.search_cells(), strict=True):
        for rows, edges in zip(space.leaving, cell.sources, strict=True):
            candidates = [name for row in rows for name in compress(space.operations, space.allowed(kind)[row])]
            assert isinstance(edges, SourceEdges) and set(edges.operations) == set(candidates)
    assert sum(p.numel() for p in net.weight_parameters()) == 822_778  # with all six everywhere 1,262,202
