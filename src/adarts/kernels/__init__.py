"""The inner loops of supernet and network, each in torch's operators and as a native CPU kernel.

The native kernel is used if it can be built. Both give the same results, which tests check; callers see no difference.
"""

from adarts.kernels.build import Choice, Status, active, status, use, using
from adarts.kernels.channels import Contribution, select, write_back
from adarts.kernels.dense import channel_product, relu_product
from adarts.kernels.norm import Normalization, normalized_sum
from adarts.kernels.pool import average_pool, global_pools, pools
from adarts.kernels.separable import Separable, grouped_product, separable

__all__ = [
    "Choice",
    "Contribution",
    "Normalization",
    "Separable",
    "Status",
    "active",
    "average_pool",
    "channel_product",
    "global_pools",
    "grouped_product",
    "normalized_sum",
    "pools",
    "relu_product",
    "select",
    "separable",
    "status",
    "use",
    "using",
    "write_back",
]
