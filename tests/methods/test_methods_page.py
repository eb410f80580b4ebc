"""docs/methods.md is up to date with its script, the registry and the results."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "methods_page.py")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "methods.md").read_text(), "run: python scripts/methods_page.py > docs/methods.md"
