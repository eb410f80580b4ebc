"""The entry point: help at once, one line for an error, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from adarts.cli import configs
from adarts.cli.main import VERBS, main
from adarts.errors import AdartsError, CheckpointError, ConfigError, DataError, OutOfMemoryError, Stopped


def test_help_needs_no_heavy_package() -> None:
    heavy = {"torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "yaml"}
    code = f"""
import sys
from adarts.cli.main import main

assert main(["--help"]) == 0
assert not {heavy} & {{*sys.modules}}
for verb in {VERBS}:
    assert main([verb, "-h"]) == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"usage: adarts {verb} " in done.stdout for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"adarts {version('adarts')}\n"


def test_nothing_given_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: adarts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("serch", "unknown verb 'serch'; did you mean 'search'?"),
        ("--versoin", "unknown option '--versoin'; did you mean '--version'?"),
    ],
)
def test_unknown_first_word(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert capsys.readouterr().err == f"adarts: {message}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AdartsError("x"), 1),
        (ConfigError("x"), 2),
        (DataError("x"), 3),
        (CheckpointError("two\nlines"), 3),
        (OutOfMemoryError("x"), 4),
        (Stopped("x", 143), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(configs, "run", fail)
    assert main(["configs"]) == code
    short = capsys.readouterr().err
    assert short.startswith("adarts: ")
    assert short.count("\n") == 1
    assert main(["configs", "--debug"]) == code
    long = capsys.readouterr().err
    assert "Traceback" in long
    assert long.endswith(short)


def test_a_bug_is_called_so_and_shows_its_traceback_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise RuntimeError("our\nfault")

    monkeypatch.setattr(configs, "run", fail)
    assert main(["configs"]) == 1
    said = "adarts: a bug: RuntimeError: our fault; run again with --debug for the traceback\n"
    assert capsys.readouterr().err == said
    with pytest.raises(RuntimeError):
        main(["configs", "--debug"])


def test_a_reader_that_has_enough_is_no_error() -> None:
    code = "import sys, adarts.cli.main as m; sys.exit(m.main(['--help']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_what_a_terminal_cannot_show_is_replaced() -> None:
    code = "from adarts.cli.main import main; assert main(['--version']) == 0; print('caf\\xe9', '\\udce9')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == r"caf\xe9 \udce9"


def test_a_closed_output_is_no_error() -> None:
    command = f"'{sys.executable}' -c 'import sys, adarts.cli.main as m; sys.exit(m.main([\"--help\"]))' >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
