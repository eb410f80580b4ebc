#!/usr/bin/env python
"""What to do with a GPU for a quarter of an hour: tests, the search step, searches and trainings, the most important first.

    python scripts/gpu/run.py --out DIR --data CIFAR --public PC-DARTS --minutes 9

It begins nothing that it cannot stop in time. Whatever ends it, it loses at most the steps since the last checkpoint. The same
command goes on, also on another machine with a copy of DIR. `DIR/results.json` and `DIR/summary.md` have what was found so far;
README.md beside this file explains both.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from items import PARTS, ROOT, Choices, Content, Item, items
from summary import summary

from adarts.config.settings import RunSettings
from adarts.engine import environment, prepare_device
from adarts.engine.files import to_json, write_atomically
from adarts.engine.lock import Lock
from adarts.errors import AdartsError, ConfigError
from adarts.launch import INTERRUPTED

RESERVE = 15.0
"""Seconds that a run needs to begin, and to write its checkpoint after its time limit."""
LEAST = 10.0
"""Nothing begins with fewer seconds left than these and the reserve."""
PATIENCE = 30.0
"""Seconds for a command to end after it was asked to, before it is killed."""


def parse() -> argparse.Namespace:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder of the results; given again, it goes on there")
    options.add_argument("--data", type=Path, default=Path("data"), help="folder that holds cifar-10-batches-py")
    options.add_argument("--public", type=Path, help="folder of the public PC-DARTS code, with its model_search.py")
    options.add_argument("--minutes", type=float, default=9, help="length of this slice")
    options.add_argument("--seeds", type=int, default=3, help="searches of each method")
    options.add_argument("--epochs", type=int, help="epochs of a training; by default those of scale gpu")
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; the order stays the same")
    options.add_argument(
        "--dry-run", action="store_true", help="everything on the CPU at the smallest sizes, to try it out"
    )
    return options.parse_args()


class Stop:
    """A request to stop, by Ctrl-C or a signal; it is passed on to the command that runs."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        for number, code in ((signal.SIGINT, INTERRUPTED[0]), (signal.SIGTERM, INTERRUPTED[1])):
            signal.signal(number, lambda *_, code=code: self._ask(code))

    def _ask(self, code: int) -> None:
        self.code = code
        if self.process is not None:
            self.process.terminate()


class Slice:
    """One call of this program.

    Args:
        options: its options.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.end = time.monotonic() + 60 * options.minutes
        self.options = options
        self.choices = choices(options)
        self.all = list(items(self.choices))
        self.items = [item for item in self.all if item.part in options.only]
        self.stop = Stop()

    def carry_out(self) -> int:
        """Do what is left; the exit code is 0 if everything is finished, 1 if something failed, 143 if the time was up."""
        out = self.choices.out
        for folder in ("logs", "tests"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        found = self._before()
        found["slices"].append(self._here())
        states: dict[str, Any] = found["items"]
        # What a slice had no time for comes last in the next one, so that it does not keep everything else from its turn.
        for item in sorted(
            self.items, key=lambda item: item.kills and states.get(item.name, {}).get("was_late", False)
        ):
            if states.get(item.name, {}).get("state") == "finished":
                continue
            left = self.end - time.monotonic() - RESERVE
            if self.stop.code is not None or left < LEAST:
                break
            if item.after and states.get(item.after, {}).get("state") != "finished":
                continue
            states[item.name] = self._do(item, left, len(found["slices"]))
            self._write(found)
            print(f"{item.name}: {states[item.name]['state']}", flush=True)
        self._write(found)
        open_ones = [item.name for item in self.items if states.get(item.name, {}).get("state") != "finished"]
        print(f"{len(self.items) - len(open_ones)} of {len(self.items)} finished: {out / 'summary.md'}")
        if not open_ones:
            return 0
        failed = [name for name in open_ones if states.get(name, {}).get("state") == "failed"]
        print(f"go on with: {shlex.join(['python', *sys.argv])}")
        return self.stop.code or (1 if failed else INTERRUPTED[1])

    def _do(self, item: Item, left: float, number: int) -> Content:
        """Run an item until it is finished or the time is up."""
        words = list(item.command(left))
        log = self.choices.out / "logs" / f"{item.name.replace('/', '-')}.txt"
        threads = {"OMP_NUM_THREADS": "1"} if self.choices.tiny else {}
        paths = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
        print(f"{item.name}: {shlex.join(words)}", flush=True)
        with log.open("ab") as said:
            began = said.tell()
            self.stop.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **threads, "PYTHONPATH": paths},
                cwd=ROOT,
                process_group=0,  # a Ctrl-C reaches this program only, which passes it on
            )
            code, is_late = self._wait(self.stop.process, left if item.kills else left + RESERVE)
        self.stop.process = None
        found, asked = item.read(), is_late or self.stop.code is not None
        if code == 0 or (item.part == "tests" and code == 1 and found):  # tests that fail are a result
            state = "finished"
        else:
            state = "open" if code in INTERRUPTED or (asked and code < 0) else "failed"
        command = shlex.join(["python", *words[1:]])
        for place, name in ((self.choices.out, "OUT"), (self.choices.root, "DATA"), (ROOT, ".")):
            command = command.replace(str(place), name)
        told: Content = {"state": state, "slice": number, "command": command, "was_late": is_late}
        if state == "failed":
            told["error"] = _last_line(log, began)
        return told | (found or {})

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> tuple[int, bool]:
        """Wait for a command, but no longer than its time: its exit code, and whether it was late and had to be ended."""
        try:
            return process.wait(seconds), False
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            return process.wait(PATIENCE), True
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(), True

    def _before(self) -> Content:
        file = self.choices.out / "results.json"
        found: Content = json.loads(file.read_bytes()) if file.exists() else {"slices": [], "items": {}}
        return found

    def _here(self) -> Content:
        """Machine, versions and command of this slice."""
        device = prepare_device(RunSettings(device=self.choices.device))
        told = environment(device)
        for name in ("host", "processes"):
            told.pop(name, None)
        return {**told, "command": shlex.join(["python", *sys.argv]), "minutes": self.options.minutes}

    def _write(self, found: Mapping[str, Any]) -> None:
        out = self.choices.out
        names = [item.name for item in self.all if item.part in self.options.only or item.name in found["items"]]
        write_atomically(out / "results.json", to_json(found))
        write_atomically(out / "summary.md", summary(found, names).encode())


def choices(options: argparse.Namespace) -> Choices:
    """What is asked for.

    Raises:
        ConfigError: there is no GPU, or something that is needed is missing.
    """
    tiny: bool = options.dry_run
    if not tiny and not torch.cuda.is_available():
        raise ConfigError("no CUDA GPU here; --dry-run tries everything on the CPU at the smallest sizes")
    if options.minutes <= 0 or options.seeds < 1:
        raise ConfigError("--minutes and --seeds must be positive")
    if options.public is not None and not (options.public / "model_search.py").is_file():
        raise ConfigError(f"--public: no model_search.py in {options.public}")
    needs_images = {"nasbench201", "search", "train"} & set(options.only)
    if not tiny and needs_images and not (options.data / "cifar-10-batches-py").is_dir():
        raise ConfigError(f"--data: no cifar-10-batches-py in {options.data}; --only tests steps needs no images")
    training = ["--scale", "smoke" if tiny else "gpu"]
    training += [] if options.epochs is None else ["--training.epochs", str(options.epochs)]
    public = None if options.public is None else options.public.resolve()
    return Choices(
        out=options.out.resolve(),
        root=options.data.resolve(),
        public=public,
        seeds=options.seeds,
        training=training,
        tiny=tiny,
    )


def _last_line(log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def main() -> int:
    """Carry out a slice."""
    try:
        here = Slice(parse())
        here.choices.out.mkdir(parents=True, exist_ok=True)
        lock = Lock(here.choices.out)
        try:
            return here.carry_out()
        finally:
            lock.release()
    except AdartsError as error:
        print("gpu:", error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
