"""Snapshot of the options of every command. If you add or rename one, say so in the changelog.

To accept a change: ``python tests/cli/test_surface.py > tests/cli/surface.txt``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from adarts.cli import data, sweep, truth, tune, zoo
from adarts.cli.main import VERBS, main

NESTED = {"data": data.FORMS, "sweep": sweep.FORMS, "truth": truth.FORMS, "tune": tune.FORMS, "zoo": zoo.FORMS}


def surface() -> str:
    """One line per option, with its command and value, read from the parser's help."""
    lines = []
    deeper = [[verb, what] for verb, forms in NESTED.items() for what in forms]
    for words in [[verb] for verb in VERBS] + deeper:
        said = io.StringIO()
        with mock.patch.dict(os.environ, {"COLUMNS": "100"}), contextlib.redirect_stdout(said):
            assert main([*words, "--help"]) == 0
        for option in re.findall(
            r"^  (--.*?|[A-Z][A-Z.]+|\[[A-Z]+ ?\.*\])(?: {2,}.*)?$", said.getvalue(), flags=re.MULTILINE
        ):
            lines.append(f"{' '.join(words)} {option}")
    return "\n".join(lines) + "\n"


def test_surface() -> None:
    assert surface() == (Path(__file__).parent / "surface.txt").read_text()


if __name__ == "__main__":
    print(surface(), end="")
