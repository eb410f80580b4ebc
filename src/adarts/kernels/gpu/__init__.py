"""Triton kernels for CUDA: each function computes the operator ``torch.ops.adarts.NAME`` of its name, from the same arguments.

Feature maps are channels last: a kernel sees (pixels of all images, channels). Sums over pixels are made in two stages, without
atomic additions, so a result does not depend on the order in which blocks run. Triton comes with torch's CUDA builds; only this
subpackage imports it, and only when a CUDA tensor (or a test in Triton's interpreter) first needs it.
"""

from adarts.kernels.gpu.attention import attention, attention_backward, factors, factors_backward, strongest
from adarts.kernels.gpu.channels import select, select_backward, write_back, write_back_backward
from adarts.kernels.gpu.fan import total
from adarts.kernels.gpu.norm import normalized_sum, normalized_sum_backward, statistics
from adarts.kernels.gpu.pool import global_pools, global_pools_backward, pools, pools_backward
from adarts.kernels.gpu.separable import separable, separable_backward, separable_each, separable_each_backward

__all__ = [
    "attention",
    "attention_backward",
    "factors",
    "factors_backward",
    "global_pools",
    "global_pools_backward",
    "normalized_sum",
    "normalized_sum_backward",
    "pools",
    "pools_backward",
    "select",
    "select_backward",
    "separable",
    "separable_backward",
    "separable_each",
    "separable_each_backward",
    "statistics",
    "strongest",
    "total",
    "write_back",
    "write_back_backward",
]
