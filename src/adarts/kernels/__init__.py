"""The inner loops of supernet and network, each in torch's operators, as a native CPU kernel and as a Triton kernel for CUDA.

The kernels are used where they can be built. All give the same results, which tests check; callers see no difference.
"""

from adarts.kernels.attention import attention, factors, strongest
from adarts.kernels.build import Choice, Status, active, status, triton_problem, use, using
from adarts.kernels.channels import Contribution, select, write_back
from adarts.kernels.dense import channel_product, grouped_product, relu_halved, relu_product
from adarts.kernels.edges import (
    Active,
    Attention,
    Candidate,
    Carried,
    Kind,
    Statistics,
    attend,
    collect,
    edges,
    edges_fit,
)
from adarts.kernels.fan import fan
from adarts.kernels.norm import Normalization, normalized_sum
from adarts.kernels.pool import average_pool, global_pools, pools
from adarts.kernels.separable import Separable, separable, separable_each

__all__ = [
    "Active",
    "Attention",
    "Candidate",
    "Carried",
    "Choice",
    "Contribution",
    "Kind",
    "Normalization",
    "Separable",
    "Statistics",
    "Status",
    "active",
    "attend",
    "attention",
    "average_pool",
    "channel_product",
    "collect",
    "edges",
    "edges_fit",
    "factors",
    "fan",
    "global_pools",
    "grouped_product",
    "normalized_sum",
    "pools",
    "relu_halved",
    "relu_product",
    "select",
    "separable",
    "separable_each",
    "status",
    "strongest",
    "triton_problem",
    "use",
    "using",
    "write_back",
]
