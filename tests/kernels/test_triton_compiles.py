"""Triton's kernels compile for an H100 without a GPU: every kernel that a call of each operator launches."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

COMPILE = """
import sys, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from adarts.kernels import gpu, operators

dtype = getattr(torch, sys.argv[1])
KINDS = {torch.float32: "fp32", torch.float64: "fp64", torch.int64: "i64", torch.int32: "i32", torch.uint8: "u8"}
seen = set()

def kind(value):
    if isinstance(value, torch.Tensor):
        return "*" + KINDS[value.dtype]
    return tuple(map(kind, value)) if isinstance(value, tuple) else {int: "i32", bool: "i1"}[type(value)]

def compiled(self, *arguments, grid, warmup, **options):
    bound = self.signature.bind(*arguments, **options).arguments
    fixed = {p.name for p in self.params if p.is_constexpr}
    signature = {name: "constexpr" if name in fixed else kind(value) for name, value in bound.items()}
    source = ASTSource(self, signature, {name: bound[name] for name in fixed})
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
    seen.add(self.__name__)

JITFunction.run = compiled

def vector(*shape):
    return torch.zeros(shape, dtype=dtype)

def maps(*shape):
    return vector(*shape).contiguous(memory_format=torch.channels_last)

x, half, row = maps(2, 16, 8, 8), maps(2, 16, 4, 4), vector(16)
index, w3, w5, p = torch.zeros(1, 4, dtype=torch.long), vector(16, 1, 3, 3), vector(16, 1, 5, 5), vector(4, 4, 4)
two = vector(2, 16)
attention = vector(3, 2, 16), vector(2, 16), vector(2, 16), vector(3, 4, 16), vector(3, 16, 4)
samples = {
    "select": (x, index, vector(2, 4)),
    "select_backward": (maps(2, 4, 8, 8), x, index, vector(2, 4)),
    "write_back": ([x, x], [two, two], [maps(2, 4, 8, 8)] * 2, [index] * 2),
    "write_back_backward": (x, [x, x], [two, two], [index] * 2, 4),
    "statistics": ([x, x], [True, False], [row], [row], True, 0.1, 1e-5),
    "normalized_sum": ([x, x], two, two, two, row, [True, False]),
    "normalized_sum_backward": (x, [x, x], two, two, two, [True, False]),
    "pools": (x, 2),
    "pools_backward": (half, half, torch.zeros(half.shape, dtype=torch.uint8), [2, 16, 8, 8], 2),
    "global_pools": (x,),
    "global_pools_backward": (two, two, torch.zeros(2, 16, dtype=torch.int32), [2, 16, 8, 8]),
    "separable": (x, None, None, False, [w3, w5], [p, p], [1, 2], 2),
    "separable_backward": (x, None, None, [half, half], [w3, w5], [p, p], [1, 2], 2, True),
    "separable_each": ([x, x], two, two, True, [w3, w5], [p, p], [1, 1]),
    "separable_each_backward": ([x, x], [x, x], two, two, True, [w3, w5], [p, p], [1, 1], True),
    "attention": attention[1:],
    "attention_backward": (*attention, vector(3, 2, 16), True),
    "strongest": (vector(3, 2, 16), 4, False),
    "factors": (vector(3, 2, 16), torch.zeros(1, 3, 4, dtype=torch.long)),
    "factors_backward": (vector(2, 12), [two] * 3, torch.zeros(1, 3, 4, dtype=torch.long)),
    "total": ([x, x, x],),
}
assert samples.keys() == set(gpu.__all__)
for name, arguments in samples.items():
    getattr(gpu, name)(*arguments, operators.RESULTS[name](*arguments))
print(len(seen))
"""


@pytest.mark.full
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_compiles_for_an_h100(dtype: str) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-c", COMPILE, dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 20
