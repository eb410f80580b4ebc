"""Whole runs of the command line in child processes, as a user starts them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

#: A search and a training of a few seconds that still go through every part.
SMOKE = ["--data", "digits", "--scale", "smoke", "--threads", "1"]

#: The same in a fraction of the time.
SMALL = [*SMOKE, "--images.per-class", "4", "--images.size", "16"]


def adarts(*words: object, **options: object) -> "subprocess.Popen[str]":
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "adarts", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,  # type: ignore[call-overload]
    )


def finish(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    """Wait for a process that must end with this exit code."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err[-2000:] + out[-2000:]
    return out, err


def fingerprint(run: Path) -> str:
    """sha256 over everything a run computed: weights, alphas, optimizers, metrics and genotype; no times."""
    digest = hashlib.sha256()
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert _feed(digest, state["state"]["task"]) > 100  # tensors: weights, alphas, statistics, both optimizers
    digest.update((run / "metrics.jsonl").read_bytes())
    digest.update((run / "genotype.json").read_bytes())
    summary = json.loads((run / "summary.json").read_text())
    digest.update(json.dumps({k: v for k, v in summary.items() if k not in ("seconds", "genotype_source")}).encode())
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", value: object) -> int:
    """Hash a nested state without the settings of optimizers, which every update sets; the number of tensors in it."""
    if isinstance(value, torch.Tensor):
        digest.update(value.detach().contiguous().numpy().tobytes())
        return 1
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "param_groups"}
        digest.update(repr(list(kept)).encode())
        return sum(_feed(digest, item) for item in kept.values())
    if isinstance(value, list | tuple):
        return sum(_feed(digest, item) for item in value)
    digest.update(repr(value).encode())
    return 0
