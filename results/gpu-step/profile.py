"""What made kernels-adarts-float32.txt: time and launches of every kernel in a step, without CUDA graphs; OUT is the file."""

import sys
from pathlib import Path

import torch
from adarts.updates import fix_arithmetic
from torch.profiler import ProfilerActivity, profile

from adarts.benchmark.subjects import synthetic
from adarts.benchmark.variants import Variant
from adarts.methods import create
from adarts.searching import SearchTask

device = torch.device("cuda")
fix_arithmetic(device)
config = Variant(method="adarts", batch=96, channels=16, cells=8, size=32, precision="float32", capture="no").config()
task = SearchTask(config, synthetic(8 * 96, 32), create(config), device)
for step in range(4):
    task.step(0, step)
torch.cuda.synchronize()
with profile(activities=[ProfilerActivity.CUDA]) as profiled:
    for step in range(2):
        task.step(0, step)
    torch.cuda.synchronize()
rows = [(e.self_device_time_total / 2e3, e.count // 2, e.key[:200]) for e in profiled.key_averages()]
lines = [f"{ms:9.3f} ms {count:6d}  {name}" for ms, count, name in sorted(rows, reverse=True) if round(ms, 3)]
Path(sys.argv[1]).write_text("\n".join(lines) + "\n")
