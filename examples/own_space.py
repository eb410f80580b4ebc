"""Your own search space and operation: DARTS with a gated convolution instead of the dilated ones.

adarts search --data digits --scale smoke --space examples/own_space.py:GATED
adarts train --data digits --scale smoke --space examples/own_space.py:GATED
"""

from dataclasses import replace

from torch import nn

from adarts.models import register_operation
from adarts.spaces import DARTS


class GatedConv(nn.Module):
    """A 3x3 convolution, normalized, times its own sigmoid."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x_bchw):
        """The gated feature map."""
        y_bchw = self.norm(self.conv(x_bchw))
        return y_bchw * y_bchw.sigmoid()


register_operation("gated_conv_3x3", GatedConv)

OPERATIONS = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "gated_conv_3x3")
GATED = replace(DARTS, name="gated", title="DARTS with a gated convolution", operations=OPERATIONS)
