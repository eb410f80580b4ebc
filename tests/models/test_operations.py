import pytest
import torch
from torch import nn

from adarts.errors import ConfigError
from adarts.models import OPERATIONS, FactorizedReduce, ReLUConvBN, build_operation, count_parameters

C = 6


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 5), (8, 7), (16, 16)])
def test_all_operations_agree_in_shape(name, stride, size):
    x = torch.randn(2, C, *size)
    expected = (2, C, *(-(-side // stride) for side in size))
    assert build_operation(name, C, stride).eval()(x).shape == expected


@pytest.mark.parametrize("affine", [False, True])
def test_parameters_follow_the_formulas(affine):
    def parameters(name, stride=1):
        return count_parameters(build_operation(name, C, stride, affine))

    for k in (3, 5, 7):
        assert parameters(f"sep_conv_{k}x{k}") == 2 * (k * k * C + C * C) + 4 * C * affine
    for k in (3, 5):
        assert parameters(f"dil_conv_{k}x{k}") == k * k * C + C * C + 2 * C * affine
    assert parameters("skip_connect", 2) == C * C + 2 * C * affine
    assert [parameters(name) for name in ("none", "skip_connect", "max_pool_3x3", "avg_pool_3x3")] == [0] * 4


def test_operations_of_published_cells_alone():
    def parameters(name, channels):
        return count_parameters(build_operation(name, channels, 2))

    for k in (3, 7):
        assert parameters(f"conv_{k}x1_1x{k}", C) == 2 * k * C * C + 2 * C
    assert [parameters(name, C) for name in ("max_pool_5x5", "norm_max_pool_3x3")] == [0, 2 * C]
    # Two convolutions in eight groups, a 1x1 convolution, and a normalization after each of both; 6 channels have two groups.
    for channels, groups in ((16, 8), (C, 2), (5, 1)):
        grouped = 2 * 3 * channels * channels // groups
        assert parameters("grouped_conv_3x1_1x3", channels) == grouped + channels * channels + 4 * channels
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert build_operation("max_pool_5x5", 1, 2)(x).flatten().tolist() == [12, 14, 14, 22, 24, 24, 22, 24, 24]


def test_factorized_reduce_reads_the_diagonal_of_every_block():
    module = FactorizedReduce(1, 2).eval()
    nn.init.ones_(module.conv1.weight)
    nn.init.ones_(module.conv2.weight)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    y = module(x) * (1 + module.norm.eps) ** 0.5
    torch.testing.assert_close(y, torch.stack([x[0, 0, ::2, ::2], x[0, 0, 1::2, 1::2]])[None])
    odd = module(x[..., :3, :3]) * (1 + module.norm.eps) ** 0.5
    torch.testing.assert_close(odd[0, 0], x[0, 0, :3:2, :3:2])
    torch.testing.assert_close(odd[0, 1], torch.tensor([[5.0, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("channels", [(8, 2), (12, 12)])
def test_factorized_reduce_of_few_channels_learns_with_the_channels_last(channels):
    """torch 2.14 crashes in the backward pass of 1x1 convolutions of stride 2 and fewer than 16 channels, if images are large."""
    module, x = FactorizedReduce(*channels), torch.randn(16, channels[0], 48, 48)
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        module.zero_grad()
        module(x.contiguous(memory_format=layout)).pow(3).sum().backward()
        gradients.append(module.conv1.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_separable_halves_first_and_dilated_reaches_far():
    first, second = build_operation("sep_conv_5x5", C, 2)
    assert (first.depthwise.stride, second.depthwise.stride) == ((2, 2), (1, 1))
    dilated = build_operation("dil_conv_5x5", C, 1)
    assert (dilated.depthwise.dilation, dilated.depthwise.padding) == ((2, 2), (4, 4))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_shared_input_is_left_alone(name, stride):
    x = torch.randn(2, C, 5, 5)
    before = x.clone()
    build_operation(name, C, stride)(x)
    assert torch.equal(x, before)


def test_average_pool_does_not_count_padding():
    assert torch.allclose(build_operation("avg_pool_3x3", 1, 1)(torch.ones(1, 1, 4, 4)), torch.ones(()))


def test_zero_is_zero_even_of_infinity():
    assert torch.equal(build_operation("none", 1, 2)(torch.full((1, 1, 3, 3), torch.inf)), torch.zeros(1, 1, 2, 2))


def test_relu_conv_bn_keeps_the_size():
    assert ReLUConvBN(3, 5, kernel=3)(torch.randn(2, 3, 7, 7)).shape == (2, 5, 7, 7)


def test_refusals():
    with pytest.raises(ConfigError, match="did you mean 'sep_conv_3x3'"):
        build_operation("sep_conv_3", C, 1)
    with pytest.raises(ConfigError, match="even number of channels, not 3"):
        build_operation("skip_connect", 3, 2)
