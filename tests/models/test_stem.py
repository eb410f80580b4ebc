"""The stem: its strides, its layers against DARTS's ImageNet network, and the same one in supernet and network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.errors import ConfigError
from adarts.models import Network, count_parameters
from adarts.models.stem import stem, stride_for
from adarts.spaces import DARTS, random_genotype
from adarts.supernet import ArchWeights, Supernet


@pytest.mark.parametrize(
    ("size", "stride"),
    [((8, 8), 1), ((64, 64), 1), ((64, 65), 4), ((96, 64), 4), ((128, 128), 4), ((224, 224), 8), ((512, 512), 8)],
)
def test_cells_read_at_most_32_pixels_of_a_large_image(size: tuple[int, int], stride: int) -> None:
    assert stride_for(size) == stride


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("side", [33, 64])
def test_every_stride_divides_the_sides_and_rounds_up(stride: int, side: int) -> None:
    assert stem(3, 12, stride)(torch.zeros(2, 3, side, 32)).shape == (2, 12, -(-side // stride), 32 // stride)


def test_a_stride_of_8_has_the_layers_of_the_imagenet_network() -> None:
    # DARTS's network for ImageNet with 48 channels: stem0 of two convolutions, stem1 of one, each with a normalization.
    layers = stem(3, 48, 8)
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
    assert [type(layer) is kind or issubclass(type(layer), kind) for layer, kind in zip(layers, kinds, strict=True)]
    assert count_parameters(layers) == 9 * (3 * 24 + 24 * 48 + 48 * 48) + 2 * (24 + 48 + 48)


def test_other_strides_are_refused() -> None:
    with pytest.raises(ConfigError, match="is 1, 2, 4, 8, not 3"):
        stem(3, 12, 3)


def test_supernet_and_network_have_the_same_stem() -> None:
    network = Network(random_genotype(DARTS, 0), 3, channels=4, cells=3, stem_stride=4)
    supernet = Supernet(DARTS, SupernetSettings(channels=4, cells=3, stem_stride=4), EdgeDesign(), num_classes=3)
    network.stem.load_state_dict(supernet.stem.state_dict())
    x_bchw = torch.randn(2, 3, 70, 40)
    assert torch.equal(network.stem(x_bchw), supernet.stem(x_bchw))
    logits = supernet(x_bchw, arch_weights=ArchWeights(supernet.operation_weights()))
    assert logits.shape == network.eval()(x_bchw).shape == (2, 3)
