"""Golden numbers and known special cases of the textbook supernet, independent of the package."""

import ast
from pathlib import Path

import pytest
import textbook
import torch
from textbook import EDGES, ChannelAttention, Design, MixedEdge, TextbookSupernet, channel_shuffle, select
from timm.layers.cbam import ChannelAttn


def num_weights(**design) -> int:
    with torch.device("meta"):
        net = TextbookSupernet(channels=16, cells=8, num_classes=10, **design)
    return sum(p.numel() for name, p in net.named_parameters() if not name.startswith(("alphas.", "betas.")))


def mixed_edge(selector: str, k: int, stride: int = 1, attention: bool = False, mask_scope: str = "batch") -> MixedEdge:
    torch.manual_seed(0)
    module = ChannelAttention(8, 8 // k, mask_scope) if attention else None
    return MixedEdge(8, stride, Design(selector, k, attention, "edge", mask_scope), module).double()


def images(channels: int = 8) -> torch.Tensor:
    return torch.randn(3, channels, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


WEIGHTS_O = torch.linspace(0.05, 0.2, 8, dtype=torch.float64)


@pytest.mark.parametrize(
    ("k", "weights", "edge_attention", "node_attention"),
    [
        (1, 1_930_618, 444_416, 158_720),
        (2, 671_482, 222_208, 79_360),
        (4, 299_578, 111_104, 39_680),
        (8, 178_042, 55_552, 19_840),
        (16, 133_378, 27_776, 9_920),
    ],
)
def test_golden_weight_counts(k, weights, edge_attention, node_attention):
    assert num_weights(selector="random", attention=False, k=k) == weights
    assert num_weights(k=k) == weights + edge_attention
    assert num_weights(k=k, attention_scope="node") == weights + node_attention


def test_fourteen_edges_and_224_alphas():
    assert len(EDGES) == 14
    assert sum(p.numel() for p in TextbookSupernet(4, 3, k=2).alphas.parameters()) == 224


def test_imports_only_torch():
    tree = ast.parse(Path(textbook.__file__).read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert {module.split(".")[0] for module in modules} == {"__future__", "dataclasses", "torch"}


def test_attention_agrees_with_timm():
    ours = ChannelAttention(8, 2, "batch").double()
    theirs = ChannelAttn(8, rd_channels=2).double()
    theirs.fc1.weight.data = ours.reduce.weight.data[:, :, None, None]
    theirs.fc2.weight.data = ours.expand.weight.data[:, :, None, None]
    torch.testing.assert_close(ours(images())[0], theirs(images()))


def test_attention_scores_are_the_batch_mean_in_training_and_its_average_in_evaluation():
    attention = ChannelAttention(8, 2, "batch").double()
    x = images()
    _, scores = attention(x)
    torch.testing.assert_close(attention.average, 0.9 * torch.full((8,), 0.5).double() + 0.1 * scores)
    average = attention.average.clone()
    attention.eval()
    _, scores = attention(x)
    assert torch.equal(scores, average) and torch.equal(attention.average, average)


def test_an_image_does_not_depend_on_its_batch_in_evaluation():
    for mask_scope in ("batch", "sample"):
        net = TextbookSupernet(8, 3, k=2, mask_scope=mask_scope).double().eval()
        x = images(3)
        torch.testing.assert_close(net(x)[:1], net(x[:1]))


def test_selection_takes_the_highest_scores_in_channel_order():
    assert select(torch.tensor([0.1, 0.9, 0.2, 0.8]), 2).tolist() == [1, 3]
    assert select(torch.tensor([[0.1, 0.9, 0.2, 0.8], [0.7, 0.1, 0.6, 0.2]]), 2).tolist() == [[1, 3], [0, 2]]


@pytest.mark.parametrize("stride", [1, 2])
def test_unit_attention_with_every_channel_is_darts(stride):
    adarts, darts = mixed_edge("attention", 1, stride), mixed_edge("all", 1, stride)
    x, scores = images(), torch.ones(8)  # attention == 1: x' = x, and all scores tie
    expected = sum(
        WEIGHTS_O[textbook.OPERATIONS.index(name)] * operation(x) for name, operation in darts.operations.items()
    )
    torch.testing.assert_close(adarts(x, scores, WEIGHTS_O, None)[0], expected)
    torch.testing.assert_close(darts(x, None, WEIGHTS_O, None)[0], expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_unit_attention_that_selects_the_first_channels_is_pc_darts_before_its_shuffle(stride):
    adarts, pc_darts = mixed_edge("attention", 4, stride), mixed_edge("first", 4, stride)
    x = images()
    y, _ = adarts(x, torch.arange(8, 0, -1), WEIGHTS_O, None)
    torch.testing.assert_close(pc_darts(x, None, WEIGHTS_O, None)[0], channel_shuffle(y, 4))


def test_channel_shuffle_interleaves_the_groups():
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert channel_shuffle(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


@pytest.mark.parametrize("stride", [1, 2])
def test_bypassed_channels_are_scaled_and_stay_where_they_were(stride):
    edge = mixed_edge("attention", 4, stride, attention=True)
    x = images()
    y, index = edge(x, None, WEIGHTS_O, torch.tensor([2, 5]))
    scaled, _ = edge.attention(x)
    bypass = scaled if stride == 1 else torch.nn.functional.max_pool2d(scaled, 2)
    others = [0, 1, 3, 4, 6, 7]
    torch.testing.assert_close(y[:, others], bypass[:, others])
    torch.testing.assert_close(y[:, [2, 5]], edge.mixed(scaled[:, [2, 5]], WEIGHTS_O))
    assert index.tolist() == [2, 5]


@pytest.mark.parametrize("stride", [1, 2])
def test_masks_by_image_that_agree_equal_one_mask(stride):
    one, many = (mixed_edge("attention", 4, stride, attention=True, mask_scope=scope) for scope in ("batch", "sample"))
    index = torch.tensor([1, 6])
    y_one, _ = one(images(), None, WEIGHTS_O, index)
    y_many, _ = many(images(), None, WEIGHTS_O, index.expand(3, 2))
    torch.testing.assert_close(y_one, y_many)


@pytest.mark.parametrize("selector", ["all", "first", "random", "attention"])
def test_a_recorded_selection_repeats_the_forward_pass(selector):
    net = TextbookSupernet(8, 3, selector=selector, k=1 if selector == "all" else 4, attention=selector == "attention")
    x = images(3).float()
    y = net(x)
    used = net.selection
    assert set(used) == {(cell, edge) for cell in range(3) for edge in range(14)}
    assert all(torch.equal(index, index.sort().values) for index in used.values())
    torch.testing.assert_close(net(x, used), y)


def test_a_selection_cannot_be_forced_on_the_first_channels():
    edge = mixed_edge("first", 4)
    with pytest.raises(ValueError, match="selection of its own"):
        edge(images(), None, WEIGHTS_O, torch.tensor([0, 2]))


def test_edge_normalization_is_a_softmax_over_the_edges_of_a_node():
    weights = TextbookSupernet(4, 3, k=2, normalization=True).edge_weights("normal")
    assert [round(w.sum().item(), 5) for w in weights.split([2, 3, 4, 5])] == [1.0] * 4


def test_k_must_divide_the_channels_and_factorized_reduce_needs_an_even_number():
    with pytest.raises(ValueError, match="k=3"):
        TextbookSupernet(8, 3, k=3)
    with pytest.raises(ValueError, match="even"):
        textbook.FactorizedReduce(4, 3)


def test_first_order_gradients_reach_every_weight_and_every_alpha_but_none():
    net = TextbookSupernet(8, 3, k=2, normalization=True).double()
    net(images(3)).square().sum().backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []
