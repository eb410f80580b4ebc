"""The commands and snippets of every page are run, in their order, in a folder with photographs, two searches and a training.

What is long is made short: the embedded digits instead of CIFAR, the scale smoke, one seed. Left out is what needs other
programs, machines or downloads (lines that do not begin with ``adarts``, clusters, servers, SVHN), and indented lines of
Python. The tutorial and the page on exports have tests of their own.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adarts.cli.main import VERBS

ROOT = Path(__file__).parents[2]
OTHERS = "tutorial", "export", "cluster"
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.stem not in OTHERS)]

SHORTER = (
    (r"--data cifar100?\b", "--data digits"),
    (r" --download\b", ""),
    (r"--scale \w+", "--scale smoke"),
    (r"--seed 0-\d", "--seed 0"),
    (r"--slots \d+", "--slots 1"),
    (r"--trials \d+", "--trials 1"),
    (r"--runs \d+", "--runs 2"),
    (r"--cells 100", "--cells 4"),
    (r"--budget \d+( +)--batch \d+", r"--budget 1\1--batch 1"),
    (r"--time-budget \d+m", "--time-budget 5s --no-compare"),
    (r"search\.epochs=[\d,]+", "search.epochs=2,3"),
    (r"search\.warmup_epochs=0\.\.15", "search.warmup_epochs=0..1"),
    (r"search\.batch_size=32,64", "search.batch_size=8,16"),
    (r"training\.epochs=\d+", "training.epochs=1"),
    (r"RUN\|FILE\|NAME\|random:SEED", "runs/mine/search"),
    (r"random:SEED", "random:1"),
    (r"folder:PATH", "folder:photos"),
    (r"RUN:2", "runs/front:0"),
    (r"\bRUN\b", "runs/mine/found"),
    (r"\bPATH\b", "photos"),
    (r"runs/sweep/NAME", "runs/sweep/first"),
)
"""What stands on a page, and what is run instead."""
WITH_SCALE = "search", "train", "sweep", "tune"

DRIVER = """
import json, sys
from adarts.cli.main import main

if __name__ == "__main__":
    for kind, text, words in json.load(open("steps.json")):
        print("$", text, flush=True)
        if kind == "python":
            exec(compile(text, "the page", "exec"), {"__name__": "page"})
        elif (code := main(words)) != 0:
            sys.exit(f"exit code {code}: {text}")
"""


def steps_of(page: str) -> list[tuple[str, str, list[str]]]:
    """The kind, the text and, for a command, the words of what a page shows."""
    found = []
    blocks = re.finditer(
        r"^```(sh|python)\n(.*?)^```$|((?:^    adarts [a-z]+ .*?\n)+)", page, flags=re.MULTILINE | re.DOTALL
    )
    for block in blocks:
        if block[1] == "python":
            found.append(("python", block[2], []))
            continue
        for line in re.sub(r"\\\n\s*", "", block[2] or block[3]).splitlines():
            words = shlex.split(shorter(line.strip()), comments=True)
            if words[:1] == ["adarts"] and words[1] in VERBS and words[1] != "serve" and "SVHN" not in line.upper():
                found.append(("command", line.strip(), complete(words[1:])))
    return found


def shorter(line: str) -> str:
    for long, short in SHORTER:
        line = re.sub(long, short, line)
    return line


def complete(words: list[str]) -> list[str]:
    """A command with its scale, with few images, on one thread, and with a place that the next command knows."""
    if words[0] in WITH_SCALE:
        words = [*words, *(["--scale", "smoke"] if "--scale" not in words else [])]
        words += ["--images.per-class", "4", "--threads", "1"]
    if words[0] == "sweep" and "--sweep-dir" not in words:
        words = [*words, "--sweep-dir", "runs/sweep/first"]
    return [*words, "--seeds", "1"] if words[0] == "reproduce" else words


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, two searches and a training, as the pages take for granted."""
    folder, random = tmp_path_factory.mktemp("begun"), np.random.default_rng(0)
    for index in range(60):
        photo = folder / "photos" / ("bird", "cat", "dog")[index % 3] / f"{index}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photo)
    shutil.copy(photo, folder / "photo.jpg")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "examples" / "sharpening.py", folder)
    few = "--scale smoke --images.per-class 4"
    lines = (
        f"search --data digits --method darts {few}",
        f"search --data folder:photos --run-dir runs/mine/search {few}",
        f"search --data digits --method cars --run-dir runs/front {few}",
        f"train --data folder:photos --genotype runs/mine/search --run-dir runs/mine/found {few}",
    )
    carry_out(folder, [("command", line, line.split()) for line in lines])
    return folder


def carry_out(folder: Path, steps: list[tuple[str, str, list[str]]]) -> None:
    """Run the steps in a process of their own, because some of them register methods and spaces."""
    (folder / "steps.json").write_text(json.dumps(steps))
    (folder / "driver.py").write_text(DRIVER)
    done = subprocess.run([sys.executable, "driver.py"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout[-1000:], done.stderr[-2000:])


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_run(page: Path, begun: Path, tmp_path: Path) -> None:
    text = page.read_text()
    steps = steps_of(text)
    if not steps:
        pytest.skip("it shows no command")
    folder = tmp_path / "folder"
    shutil.copytree(begun, folder, symlinks=True)
    for name, file in re.findall(r"as `(\w+\.py)`:\n\n```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        (folder / name).write_text(file)
    carry_out(folder, steps)
