"""The house keeps its shape: arrows between rooms, a light front door, and short modules."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src" / "adarts").rglob("*.py"))
MAX_LINES = 400


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_arrows_between_the_rooms() -> None:
    """The contracts stand in pyproject.toml; docs/architecture.md draws them."""
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "import adarts",
        "import adarts.config.settings",
        "from adarts.cli.main import main",
    ],
)
def test_import_stays_light(statement: str) -> None:
    """Torch costs seconds; it is loaded when something is computed, not when a name is imported."""
    heavy = {"torch", "torchvision", "numpy"}
    code = f"import sys\n{statement}\nprint(*sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_images_are_decoded_without_torch() -> None:
    """An exported network is used where torch is not installed."""
    code = "import sys, adarts.data.decode\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_help_stays_light() -> None:
    code = (
        "import sys\n"
        "from adarts.cli.main import main\n"
        "sys.argv = ['adarts', '--help']\n"
        "try:\n    code = main()\n"
        "except SystemExit as stop:\n    code = stop.code\n"
        "print('exit', code or 0, 'torch', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["exit 0 torch False"], done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_short(path: Path) -> None:
    """Past this length, ask whether two things live in one room."""
    assert len(path.read_text().splitlines()) < MAX_LINES
