"""The expected cost of the cells of a supernet, as a term in the loss of the alphas.

It is a weighted sum of two costs, the parameters and the multiply-accumulate operations (MACs) per image::

    cost = sum_e sum_o w_eo c_eo / sum_e mean_o c_eo

w are the operation weights of the pass and c the cost of an operation, summed over the cells of its kind in the network of the
supernet. So the cost is differentiable, linear in the weights, and 1 for equal weights. Methods that sample weights pay for
what they sample. Weights of edges are not part of it. Such a term, with measured latencies as costs, is in ProxylessNAS (Cai et
al., ICLR 2019) and, multiplied with the loss, in FBNet (Wu et al., CVPR 2019). It is a target and no limit: how large the found
network is depends on the weight.

Shape suffixes: e edges, o operations, k kinds of cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adarts.config.settings import LoopSettings
from adarts.models.cost import operation_macs, operation_sizes
from adarts.models.stem import after_stem
from adarts.supernet import ArchWeights, Supernet


def cost_tables(net: Supernet, settings: LoopSettings, image_size: tuple[int, int]) -> Mapping[str, Tensor]:
    """The weighted costs of operations by kind of cell, (edges, operations); empty if no cost has a weight.

    Args:
        net: the supernet, whose width and depth count.
        settings: the weights of the costs.
        image_size: (height, width) of the images.
    """
    place = net.space, net.cell_channels[0], len(net.kinds)
    total_keo = torch.zeros(())
    if settings.parameters_cost:
        total_keo = total_keo + settings.parameters_cost * _relative(operation_sizes(*place))
    if settings.macs_cost:
        seen = after_stem(image_size, net.stem_stride)
        total_keo = total_keo + settings.macs_cost * _relative(operation_macs(*place, seen))
    if not total_keo.dim():
        return {}
    device = net.classifier.weight.device
    return {kind: table.float().to(device) for kind, table in zip(net.space.cell_kinds, total_keo, strict=True)}


def _relative(costs_keo: Tensor) -> Tensor:
    """Costs as shares of the expected cost with equal weights of all operations."""
    return costs_keo / costs_keo.mean(-1).sum().clamp_min(1)  # a space may have no operation with weights


def expected_cost(arch_weights: ArchWeights, tables: Mapping[str, Tensor]) -> Tensor | None:
    """The expected cost of a pass; None without costs.

    Args:
        arch_weights: the operation weights of the pass.
        tables: the costs, of :func:`cost_tables`.
    """
    if not tables:
        return None
    return torch.stack([(arch_weights.operations[kind] * costs_eo).sum() for kind, costs_eo in tables.items()]).sum()
