"""Classes from files: one execution a file, no two files mixed up, and the hash of what was executed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.errors import ConfigError
from adarts.methods import get_method
from adarts.source_file import source_hash

EXAMPLE = Path(__file__).parents[2] / "examples" / "sharpening.py"
TEXT = EXAMPLE.read_text()
TWIN = "\n\nclass Twin(Sharpening):\n    pass\n"


def test_a_file_is_executed_once_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    file = tmp_path / "mine.py"
    file.write_text(f"{TEXT}{TWIN}\nopen({str(count)!r}, 'a').write('x')\n")
    (tmp_path / "link.py").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    spellings = ("mine.py", "./mine.py", f"../{tmp_path.name}/mine.py", str(file), "link.py")
    assert len({get_method(f"{place}:Sharpening") for place in spellings}) == 1
    assert get_method("mine.py:Twin").__bases__ == (get_method("mine.py:Sharpening"),)
    assert count.read_text() == "x"
    assert not (tmp_path / "__pycache__").exists()


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(TEXT.replace('"sharpening"', f'"{name}"'))
        found.append(get_method(f"{tmp_path / name / 'mine.py'}:Sharpening"))
    assert [method.info.name for method in found] == ["one", "two"]
    assert len({method.__module__ for method in found}) == 2
    for method in found:
        assert getattr(sys.modules[method.__module__], "Sharpening") is method  # noqa: B009 (mypy knows no such attribute)


def test_a_file_that_failed_may_be_mended(tmp_path: Path) -> None:
    file = tmp_path / "mended.py"
    before = set(sys.modules)
    file.write_text("import sys\nsys.exit('no')\n")
    with pytest.raises(ConfigError, match="cannot be loaded: SystemExit: no"):
        get_method(f"{file}:Sharpening")
    assert not [name for name in set(sys.modules) - before if "mended" in name]
    file.write_text(TEXT)
    assert get_method(f"{file}:Sharpening").info.name == "sharpening"


def test_the_hash_is_that_of_what_was_executed(tmp_path: Path) -> None:
    file = tmp_path / "hashed.py"
    file.write_text(TEXT)
    method = get_method(f"{file}:Sharpening")
    executed = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text(TEXT + "\n# changed since\n")
    assert source_hash(method) == executed


@pytest.mark.full
def test_a_search_that_goes_on_with_another_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run = tmp_path / "changing.py", tmp_path / "run"
    file.write_text(TEXT)
    words = ["search", "--scale", "smoke", "--images.per-class", "4", "--images.size", "16", "--threads", "1"]
    words += ["--method", f"{file}:Sharpening", "--run-dir", str(run)]

    def search_elsewhere() -> str:
        done = subprocess.run([sys.executable, "-m", "adarts", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def unfinished() -> None:
        (run / "summary.json").unlink()

    assert main(words) == 0
    facts = json.loads((run / "environment.json").read_text())
    assert facts["method_source"] == hashlib.sha256(file.read_bytes()).hexdigest()
    unfinished()
    capsys.readouterr()
    assert main(words) == 0
    assert "warning: the file of the method" not in capsys.readouterr().out
    unfinished()
    file.write_text(TEXT + "\n# another\n")
    assert "warning: the file of the method has changed since this run began" in search_elsewhere()
    facts = json.loads((run / "environment.json").read_text())
    assert facts["continued"][-1]["method_source"] == hashlib.sha256(file.read_bytes()).hexdigest()
