"""What the driver does, item by item, the most important first: a command for each, and what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from adarts.engine import GENOTYPE_FILE
from adarts.engine.run_dirs import SUMMARY
from adarts.spaces import load_genotype

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("tests", "steps", "nasbench201", "search", "train")
"""The parts in their order."""
TESTS = ("tests/cuda/test_triton_on_a_gpu.py", "tests/cuda/test_on_a_gpu.py", "tests/data/test_batches.py")
IN_TABLE = ("darts", "adarts", "pc-darts")
EXPECTED_SKIPS = {"darts": 6}
"""Skip connections that a method must find in NAS-Bench-201 at its full budget: DARTS collapses there (Dong, Yang 2020)."""
TINY = ("--batch", "2", "--channels", "8", "--cells", "3", "--size", "8", "--threads", "1", "--repeats", "1")
TINY_CASES = ("adarts float32 graphs", "float32 textbook", "K=8 float32", "float32 public")

Content = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One thing to do.

    Attributes:
        name: its name, the part first.
        command: from the seconds that are left to the words of its command.
        read: what it has found so far; None if there is nothing yet.
        after: name of the item whose result it needs; empty for none.
        kills: whether the command knows no time limit of its own, so that it is ended when the time is up.
    """

    name: str
    command: Callable[[float], Sequence[str]]
    read: Callable[[], Content | None]
    after: str = ""
    kills: bool = False

    @property
    def part(self) -> str:
        """Its part."""
        return self.name.split("/")[0]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user chose.

    Attributes:
        out: folder of the results.
        root: folder of CIFAR-10.
        public: folder of the public PC-DARTS code, or None.
        seeds: searches of each method.
        training: options of the trainings.
        tiny: whether all is done on the CPU at the smallest sizes.
    """

    out: Path
    root: Path
    public: Path | None
    seeds: int
    training: Sequence[str]
    tiny: bool

    @property
    def device(self) -> str:
        """The device of everything."""
        return "cpu" if self.tiny else "cuda"

    @property
    def common(self) -> list[str]:
        """Options of all runs: their images, and in a trial their size."""
        return (
            ["--data", "digits", "--threads", "1"]
            if self.tiny
            else ["--data", "cifar10", "--images.root", str(self.root)]
        )


def items(choices: Choices) -> Iterator[Item]:
    """All items in their order; the first seed of everything comes before the second of anything."""
    for file in TESTS:
        yield _tests(choices, file)
    yield _steps(choices)
    for seed in range(choices.seeds):
        for method in IN_TABLE:
            yield _search(choices, f"nasbench201/{method}-seed{seed}", method, seed, ["--space", "nasbench201"])
    searches = [_search(choices, f"search/adarts-seed{seed}", "adarts", seed, []) for seed in range(choices.seeds)]
    yield from searches
    for seed, search in enumerate(searches):
        yield _training(choices, f"train/adarts-seed{seed}", seed, search.name)


def _tests(choices: Choices, file: str) -> Item:
    found = choices.out / "tests" / f"{Path(file).stem}.xml"
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        f"--junitxml={found}",
        str(ROOT / file),
    ]

    def read() -> Content | None:
        if not found.exists():
            return None
        (suite,) = ElementTree.parse(found).getroot().iter("testsuite")
        counts = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
        cases = [
            case
            for case in suite.iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None
        ]
        return {**counts, "seconds": float(suite.get("time", "0")), "failed": [case.get("name") for case in cases]}

    return Item(f"tests/{Path(file).stem}", lambda _: words, read, kills=True)


def _steps(choices: Choices) -> Item:
    folder = choices.out / "steps"
    words = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(folder), "--device", choices.device]
    words += [] if choices.public is None else ["--public", str(choices.public)]
    words += ["--only", *TINY_CASES, *TINY] if choices.tiny else []

    def read() -> Content | None:
        content = _json(folder / "gpu.json")
        kept = ("name", "seconds", "peak_bytes", "kernels", "kernel_seconds", "error")
        return content and {
            "ceilings": content["ceilings"],
            "steps": [{name: record[name] for name in kept if name in record} for record in content["results"]],
        }

    return Item("steps", lambda left: [*words, "--budget-s", f"{left:.0f}"], read, kills=True)


def _search(choices: Choices, name: str, method: str, seed: int, where: Sequence[str]) -> Item:
    folder = choices.out / "runs" / name
    scale = "smoke" if choices.tiny else "paper"
    words = _adarts("search", *where, "--method", method, "--seed", str(seed), "--scale", scale, *choices.common)
    words += ["--device", choices.device, "--run-dir", str(folder)]

    def read() -> Content | None:
        summary = _json(folder / SUMMARY)
        if summary is None:
            return None
        cells = load_genotype(folder / GENOTYPE_FILE)
        found: Content = {name: summary.get(name) for name in ("scale", "epochs", "seconds", "skips", "truth")}
        found["genotype"] = cells.to_text() if cells.has_text else cells.to_json()
        if where and not choices.tiny and method in EXPECTED_SKIPS:
            found["as_expected"] = found["skips"]["normal"] == EXPECTED_SKIPS[method]
        return found | _where(folder)

    return Item(name, lambda left: [*words, "--time-limit", f"{left:.0f}s"], read)


def _training(choices: Choices, name: str, seed: int, search: str) -> Item:
    folder = choices.out / "runs" / name
    words = _adarts("train", "--genotype", str(choices.out / "runs" / search), "--seed", str(seed), *choices.training)
    words += [*choices.common, "--device", choices.device, "--run-dir", str(folder)]

    def read() -> Content | None:
        summary = _json(folder / SUMMARY)
        kept = ("scale", "epochs", "seconds", "test_accuracy")
        return summary and {name: summary[name] for name in kept} | _where(folder)

    return Item(name, lambda left: [*words, "--time-limit", f"{left:.0f}s"], read, after=search)


def _adarts(*words: str) -> list[str]:
    return [sys.executable, "-m", "adarts", *words]


def _where(folder: Path) -> Content:
    """Machine, versions and commit of a run."""
    found = _json(folder / "environment.json") or {}
    kept = ("started", "device", "torch", "cuda", "git_commit", "kernels", "threads")
    return {"environment": {name: found.get(name) for name in kept}}


def _json(file: Path) -> Content | None:
    """The content of a file; None if there is none."""
    return json.loads(file.read_bytes()) if file.exists() else None
