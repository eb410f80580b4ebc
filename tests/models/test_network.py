import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adarts.errors import ConfigError
from adarts.models import DropPath, Network, OperationCost, cost, count_macs, operation_cost
from adarts.models.network import AuxiliaryHead
from adarts.spaces import DARTS, CellGenotype, Genotype, random_genotype
from published import ADARTS_V1, DARTS_V2


def tiny(genotype=ADARTS_V1, **kwargs):
    torch.manual_seed(0)
    return Network(genotype, **{"num_classes": 5, "channels": 4, "cells": 3, **kwargs})


def drop_path(probability=0.5, seed=1):
    return DropPath(probability, torch.Generator().manual_seed(seed))


def factors(network, x, *args, **kwargs):
    return drop_path(*args, **kwargs).scales(network.num_paths, x)


def test_golden_numbers():
    with torch.device("meta"):
        ten = cost(Network(ADARTS_V1, 10, 36, 20, auxiliary=True), 32)
        hundred = cost(Network(ADARTS_V1, 100, 36, 20), (32, 32))
        darts = cost(Network(DARTS_V2, 10, 36, 20), 32)
    assert (ten.parameters, ten.auxiliary_parameters) == (2_897_902, 476_426)
    assert (hundred.parameters, hundred.auxiliary_parameters) == (2_949_832, 0)
    assert (darts.parameters, darts.macs) == (3_349_342, 528_359_040)


def test_macs_of_a_convolution_by_hand():
    assert count_macs(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 12)) == 3 * 8 * 9 * 10 * 12


def test_the_cost_of_an_operation() -> None:
    pixels = 10 * 12
    separable = 2 * (9 * 8 + 8 * 8)  # twice a depthwise and a pointwise convolution, each of which reads and writes all
    assert operation_cost("sep_conv_3x3", 8, 1, (10, 12)) == OperationCost(
        separable, separable * pixels, 8 * 8 * pixels + separable
    )
    assert operation_cost("max_pool_3x3", 8, 2, (10, 12)) == OperationCost(
        0, 9 * 8 * pixels // 4, 8 * (pixels + pixels // 4)
    )
    assert operation_cost("skip_connect", 8, 1, (10, 12)) == OperationCost(0, 0, 2 * 8 * pixels)
    assert operation_cost("none", 8, 2, (10, 12)) == OperationCost(0, 0, 0)


def test_cost_leaves_the_network_alone():
    network = tiny(auxiliary=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cost(network, 16)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 7), (8, 8), (16, 16), (20, 20), (32, 32), (37, 24), (64, 64)])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_any_image_size(size, in_channels):
    network = tiny(in_channels=in_channels, auxiliary=True)
    x = torch.randn(2, in_channels, *size)
    alphas, auxiliary = network(x, factors(network, x))
    assert alphas.shape == auxiliary.shape == (2, 5)
    (alphas.sum() + auxiliary.sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.eval()(x).shape == (2, 5)


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_depth_and_random_cells(cells, seed):
    network = tiny(random_genotype(DARTS, seed), cells=cells, auxiliary=True)
    assert network(torch.randn(2, 3, 13, 13))[0].shape == (2, 5)


def test_one_seed_builds_one_network():
    first, second = tiny().state_dict(), tiny().state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_channels_last_stays_channels_last():
    network = tiny().to(memory_format=torch.channels_last).eval()
    layouts = []
    for cell in network.cells:
        cell.register_forward_hook(
            lambda cell, inputs, output: layouts.append(output.is_contiguous(memory_format=torch.channels_last))
        )
    x = torch.randn(2, 3, 12, 12)
    y = network(x.to(memory_format=torch.channels_last))
    assert layouts == [True] * 3
    torch.testing.assert_close(y, network.to(memory_format=torch.contiguous_format)(x), rtol=1e-4, atol=1e-5)


def test_auxiliary_head_is_the_original_pool_at_8x8():
    torch.manual_seed(0)
    head = AuxiliaryHead(4, 3).eval()
    x = torch.randn(2, 4, 8, 8)
    pooled = F.avg_pool2d(F.relu(x), 5, stride=3, count_include_pad=False)
    torch.testing.assert_close(head(x), head.classifier(head.features(pooled).flatten(1)))


def test_auxiliary_head_works_in_training_only_and_before_the_end():
    network = tiny(cells=6, auxiliary=True)
    assert network.auxiliary_index == 4
    assert isinstance(network(torch.randn(2, 3, 8, 8)), tuple)
    assert isinstance(network.eval()(torch.randn(2, 3, 8, 8)), torch.Tensor)
    _, auxiliary = network.train()(torch.randn(2, 3, 8, 8))
    auxiliary.sum().backward()
    grown = {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None and "cells." in name}
    assert grown == {"0", "1", "2", "3", "4"}


def test_drop_path_is_reproducible_and_off_in_evaluation():
    network, x = tiny(), torch.randn(4, 3, 8, 8)
    assert torch.equal(network(x, factors(network, x)), network(x, factors(network, x)))
    assert not torch.equal(network(x, factors(network, x)), network(x, factors(network, x, seed=2)))
    assert torch.equal(network(x, factors(network, x, 0.0)), network(x))
    network.eval()
    assert torch.equal(network(x, factors(network, x)), network(x))


def test_drop_path_spares_identities_and_keeps_the_mean():
    network = tiny()
    # Either cell has eight pairs, of which two are identities.
    assert network.num_paths == 3 * 6
    scales = drop_path(0.25).scales(2000, torch.empty(4, 3, 2, 2))
    assert scales.shape == (2000, 4, 1, 1, 1)
    assert scales.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert scales.mean().item() == pytest.approx(1.0, abs=0.03)


def test_drop_path_drops_whole_paths_of_single_images():
    cell = CellGenotype(((("skip_connect", 0), ("max_pool_3x3", 1)),), (2,))
    network = tiny(Genotype({"normal": cell, "reduction": cell})).cells[0].eval()
    x = torch.randn(2, 12, 6, 6)
    identity = network.preprocess[0](x)
    path = F.max_pool2d(network.preprocess[1](x), 3, 1, 1)
    scale = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(network(x, x, iter([scale])), identity + scale * path)


def test_none_repeated_pairs_empty_nodes_and_short_concat():
    normal = CellGenotype(((("none", 0),), (), (("sep_conv_3x3", 2), ("sep_conv_3x3", 2), ("skip_connect", 0))), (4,))
    reduction = CellGenotype(((("none", 0), ("none", 1)), (("conv_7x1_1x7", 1),)), (2, 3))
    network = tiny(Genotype({"normal": normal, "reduction": reduction}), cells=5)
    assert [cell.out_channels for cell in network.cells] == [4, 16, 8, 32, 16]
    x = torch.randn(2, 3, 9, 9)
    assert network(x, factors(network, x)).shape == (2, 5)


def test_state_dict_names_are_readable():
    names = tiny(auxiliary=True).state_dict()
    assert {"stem.conv.weight", "classifier.weight", "auxiliary_head.classifier.bias"} <= set(names)
    assert "cells.0.nodes.0.1.0.depthwise.weight" in names


@pytest.mark.parametrize("name", ["num_classes", "channels", "cells", "in_channels"])
def test_refuses_sizes_below_one(name):
    with pytest.raises(ConfigError, match=f"{name} of at least 1, not 0"):
        tiny(**{name: 0})
