#!/usr/bin/env python
"""Builds the site from the repository's own pages: `python scripts/site.py`, then open build/site/index.html.

An argument names another folder than `build`.

The README is the home page. Every page, picture and source file that it links to, directly or through other pages, becomes a
part of the site under the same path, so no text exists twice. The reference is made here, from docstrings and from what
`--help` prints. zensical turns it all into HTML; a link that leads nowhere fails the build.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from adarts.cli.main import VERBS, main

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build"
PAGES = FOLDER / "pages"
LINK = re.compile(r"""(\]\(|src=")(?![a-z]+:|#)([^)#"\s]+)""")
WRITTEN = {".md", ".ipynb"}
SOURCES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".cpp": "cpp", "": "text"}

PYTHON = {
    "Search, train, predict": ["adarts"],
    "Results": ["adarts.searching.SearchResult", "adarts.training.TrainResult", "adarts.sweeping.SweepResult"],
    "Settings": ["adarts.config.settings"],
    "Your own method": ["adarts.methods.Method", "adarts.methods.MethodInfo", "adarts.methods.register"],
    "Spaces and cells": ["adarts.spaces.Space", "adarts.spaces.Genotype", "adarts.spaces.load_genotype"],
    "Searchers": ["adarts.searchers.Searcher", "adarts.searchers.SearcherInfo", "adarts.searchers.Trial"],
    "Supernet and network": ["adarts.supernet.Supernet", "adarts.models.Network"],
    "What cells are worth": ["adarts.truth.judge.Judge", "adarts.truth.evaluators.TableEvaluator"],
    "Tests for your own": ["adarts.testing"],
    "Errors": ["adarts.errors"],
}
"""Headings of the Python reference, and the names under each."""


def build() -> int:
    """Write the pages, and let zensical build the site.

    Returns:
        zensical's exit code: 0, or 1 if a link leads nowhere.
    """
    shutil.rmtree(PAGES, ignore_errors=True)
    for source in linked(ROOT / "README.md"):
        write(source)
    reference = PAGES / "reference"
    reference.mkdir()
    (reference / "python.md").write_text(python_reference())
    (reference / "commands.md").write_text(command_reference())
    # Paths in the settings are relative to them.
    settings = (ROOT / "zensical.toml").read_text()
    for name in ("src", "scripts/roles.py"):
        settings = settings.replace(f'"{name}"', f'"{ROOT / name}"')
    (FOLDER / "zensical.toml").write_text(settings)
    tool = Path(sys.executable).with_name("zensical")
    return subprocess.run([tool, "build", "--strict"], cwd=FOLDER, env={**os.environ, "NO_COLOR": "1"}).returncode


def linked(start: Path) -> Iterator[Path]:
    """The files of the repository that a page leads to, itself first."""
    seen, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        yield page
        if page.suffix not in WRITTEN:
            continue
        for _, link in LINK.findall(prose(text_of(page))):
            target = (page.parent / link).resolve()
            if target not in seen:
                seen.add(target)
                waiting.append(target)


def prose(text: str) -> str:
    """A page without its blocks of code, whose brackets are no links."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def write(source: Path) -> None:
    """Put a file of the repository among the pages of the site."""
    target = PAGES / place(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix in WRITTEN:
        target.write_text(LINK.sub(lambda found: found[1] + moved(source, found[2]), text_of(source)))
    elif source.suffix in SOURCES:
        path = source.relative_to(ROOT)
        target.write_text(f'# {path.name}\n\n```{SOURCES[source.suffix]} title="{path}"\n{source.read_text()}```\n')
    else:
        shutil.copyfile(source, target)


def text_of(page: Path) -> str:
    """The text of a page or of a notebook."""
    return notebook(page) if page.suffix == ".ipynb" else page.read_text()


def notebook(source: Path) -> str:
    """A notebook as a page: its text, its code, and what the cells say and draw."""
    parts = []
    for cell in json.loads(source.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            if "text" in output:
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            elif svg := "".join(output["data"].get("image/svg+xml", [])):
                content = base64.b64encode(svg.encode()).decode()
                parts.append(f"![what the cell shows](data:image/svg+xml;base64,{content})")
    return "\n\n".join(parts) + "\n"


def place(source: Path) -> Path:
    """Where a file of the repository stands among the pages."""
    path = source.relative_to(ROOT)
    if path == Path("README.md"):
        return Path("index.md")
    if path.suffix == ".ipynb":
        return path.with_suffix(".md")
    return path.with_name(f"{path.name}.md") if path.suffix in SOURCES else path


def moved(page: Path, link: str) -> str:
    """A link of a page, to where its target stands among the pages; one that leads nowhere stays."""
    target = (page.parent / link).resolve()
    if not target.is_file():
        return link
    return os.path.relpath(PAGES / place(target), (PAGES / place(page)).parent)


def python_reference() -> str:
    """The page of the Python interface; mkdocstrings fills it in."""
    parts = [f"## {title}\n" + "".join(f"\n::: {name}\n" for name in names) for title, names in PYTHON.items()]
    return "# Python\n\n" + "\n".join(parts)


def command_reference() -> str:
    """The page of the command line, with what `--help` prints."""
    parts = []
    for verb in VERBS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main([verb, "--help"])
        parts.append(f"## adarts {verb}\n\n```text\n{said.getvalue().strip()}\n```\n")
    return "# Command line\n\n" + "\n".join(parts)


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    sys.exit(build())
