"""Channel attention (section III-B, eqs. 7 and 8), for all edges that leave a node at once."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from adarts import kernels
from adarts.supernet.batched import Weight

#: Share of a new batch in the running average of the attention.
AVERAGE_MOMENTUM = 0.1


class ChannelAttention(nn.Module):
    """F_c = sigmoid(MLP(average pool) + MLP(max pool)); one MLP per edge with hidden width C/k and no biases.

    It also keeps the running average of the attention over batches, so that channels can be selected independently of a batch.
    """

    def __init__(self, num_edges: int, channels: int, k: int) -> None:
        super().__init__()
        hidden = max(1, channels // k)
        self.reduce = Weight(math.sqrt(channels), num_edges, hidden, channels)
        self.expand = Weight(math.sqrt(hidden), num_edges, channels, hidden)
        self.average: Tensor
        self.register_buffer("average", torch.full((num_edges, channels), 0.5))

    def forward(self, x_bchw: Tensor, update_average: bool) -> Tensor:
        """Attention (E, B, C) of the feature map of the node."""
        pooled = kernels.global_pools(x_bchw)
        # In the precision of the weights, because scores of channels can be close together.
        with _exact(x_bchw.device.type):
            attention_ebc = kernels.attention(*pooled, *self.weights)
        self._update(attention_ebc.detach(), update_average)
        return attention_ebc

    def attend(self, x_bchw: Tensor, update_average: bool) -> kernels.Attention:
        """The same for :func:`adarts.kernels.edges`."""
        attention = kernels.attend(x_bchw, *self.weights)
        self._update(attention.attention_ebc, update_average)
        return attention

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        """The weights of all MLPs, (E, h, C) and (E, C, h)."""
        return self.reduce.weight, self.expand.weight

    def _update(self, attention_ebc: Tensor, update_average: bool) -> None:
        if update_average:
            self.average.lerp_(attention_ebc.mean(1), AVERAGE_MOMENTUM)


def _exact(device: str) -> AbstractContextManager[object]:
    """Disable autocast inside; the meta device does not support it."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
