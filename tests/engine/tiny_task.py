"""A small real task, and what carries it out in a child process that a test can kill."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adarts.config.settings import RunSettings, SearchConfig
from adarts.engine import Metrics, RunFolder, carry_out
from adarts.engine.checkpoints import Checkpoints
from adarts.errors import AdartsError, NotFiniteError
from adarts.seeding import generator

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "adarts.engine"])  # torch is imported once, not once a child


@dataclass(frozen=True)
class Plan:
    """What happens in a child."""

    sleep: float = 0.0  # seconds a step
    nan_at: tuple[int, int] | None = None  # (epoch, step) of a loss that is NaN
    batch: int = 16
    megabytes: int = 0  # memory that one image needs, in a step
    grows_from: int = 0  # the first epoch whose steps need it
    memory_limit: int = 0  # megabytes of address space on top of those in use
    file_limit: int = 0  # largest file, in bytes
    die: str = ""  # where to kill oneself
    signal_at: tuple[int, int, int] | None = None  # (epoch, step, signal number)


class TinyTask:
    """A linear regression with momentum; every batch is a function of (epoch, step)."""

    def __init__(self, plan: Plan | None = None, epochs: int = 4, num_steps: int = 6) -> None:
        self.plan = plan or Plan()
        self.epochs = epochs
        self.num_steps = num_steps
        self.model = torch.nn.Linear(8, 3)
        with torch.no_grad():
            self.model.weight.copy_(torch.randn(3, 8, generator=generator(0, "weight")))
            self.model.bias.zero_()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.accumulation = 1
        self.taken: list[tuple[int, int]] = []

    def steps(self, epoch: int) -> int:
        return self.num_steps

    def step(self, epoch: int, step: int) -> Mapping[str, Tensor | float]:
        plan = self.plan
        self.taken.append((epoch, step))
        if plan.signal_at is not None and plan.signal_at[:2] == (epoch, step):
            os.kill(os.getpid(), plan.signal_at[2])
        if plan.megabytes and epoch >= plan.grows_from:
            torch.ones(plan.megabytes * plan.batch // self.accumulation, 1 << 20, dtype=torch.uint8)
        x = torch.randn(plan.batch, 8, generator=generator(0, "batch", epoch, step))
        loss = (self.model(x) - x[:, :3]).square().mean()
        if plan.nan_at == (epoch, step):
            raise NotFiniteError("the loss is nan, learning rate 0.05")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        time.sleep(plan.sleep)
        return {"loss": loss * plan.batch, "images": float(plan.batch)}

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        return {"epoch": epoch, "train_loss": totals["loss"] / totals["images"]}

    def describe(self, record: Mapping[str, Any]) -> str:
        return f"loss {record['train_loss']:.4f}"

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "accumulation": self.accumulation,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.accumulation = state["accumulation"]

    def halve_batch(self) -> bool:
        if self.accumulation >= self.plan.batch:
            return False
        self.accumulation *= 2
        return True


def settings(run_dir: Path, **changes: Any) -> RunSettings:
    """A checkpoint after every step."""
    return RunSettings(**{"run_dir": run_dir, "checkpoint_minutes": 1e-9, "threads": 1, "device": "cpu", **changes})


def run_tiny(run_dir: Path, plan: Plan | None = None, **changes: Any) -> TinyTask:
    """Carry the task out in this process, to its end."""
    config = SearchConfig(run=settings(run_dir, **changes))
    task = TinyTask(plan)
    with RunFolder.open("search", "tiny", config) as run:
        carry_out(task, run, config.run)
        run.finish({"kind": "search"})
    return task


def result(run_dir: Path) -> str:
    """The sha256 of everything that a run of the tiny task leaves: weights, optimizer and metrics."""
    checkpoint = torch.load(run_dir / "checkpoints" / "last.pt", weights_only=True)["state"]
    assert checkpoint["epoch"] == 4
    digest = hashlib.sha256((run_dir / "metrics.jsonl").read_bytes())
    task = checkpoint["task"]
    momenta = [state["momentum_buffer"] for state in task["optimizer"]["state"].values()]
    for tensor in [*task["model"].values(), *momenta]:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def start(run_dir: Path, plan: Plan | None = None, **changes: Any) -> Any:
    """Carry the task out in a child process; what it prints is in `run_dir.out`."""
    child = _CONTEXT.Process(target=_child, args=(run_dir, plan or Plan(), changes))
    child.start()
    return child


def wait(child: Any) -> int:
    """The exit code of a child."""
    child.join(timeout=120)
    assert child.exitcode is not None, "the child hangs"
    return int(child.exitcode)


def output(run_dir: Path) -> str:
    """What the children of this run folder have printed so far."""
    path = run_dir.with_suffix(".out")
    return path.read_text() if path.exists() else ""


def wait_for(run_dir: Path, text: str) -> None:
    """Wait until a child prints this."""
    for _ in range(6000):
        if text in output(run_dir):
            return
        time.sleep(0.01)
    raise AssertionError(f"{text!r} never came; the child printed: {output(run_dir)}")


def _child(run_dir: Path, plan: Plan, changes: dict[str, Any]) -> None:
    descriptor = os.open(run_dir.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    if plan.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan.file_limit, plan.file_limit))
    if plan.memory_limit:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + (plan.memory_limit << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _plan_death(plan.die)
    try:
        run_tiny(run_dir, replace(plan, die=""), **changes)
    except AdartsError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(error.exit_code)


def _plan_death(place: str) -> None:
    """Let this process kill itself in the middle of a write, in the second epoch."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if place == "between metrics and checkpoint":
        save = Checkpoints.save

        def save_or_die(self: Checkpoints, state: Mapping[str, Any]) -> None:
            if state["epoch"] == 2:
                die()
            save(self, state)

        Checkpoints.save = save_or_die  # type: ignore[method-assign]
    elif place == "in a metrics line":
        append = Metrics.append

        def append_half(self: Metrics, record: Mapping[str, Any]) -> None:
            if record["epoch"] == 1:
                with self.path.open("ab") as file:
                    file.write(b'{"epoch": 1, "train_lo')
                die()
            append(self, record)

        Metrics.append = append_half  # type: ignore[method-assign]
    elif place.startswith("in a rename"):
        replace_file, renames = Path.replace, iter(range(1000))

        def replace_or_die(self: Path, target: Path) -> Path:
            if "checkpoints" in self.parts and next(renames) == int(place[-2:]):
                die()
            return replace_file(self, target)

        Path.replace = replace_or_die  # type: ignore[method-assign]
