"""The script of `adarts completion` in a real bash."""

from __future__ import annotations

import contextlib
import io
import shlex
import subprocess
from pathlib import Path

import pytest

from adarts.cli.main import VERBS, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script as a file."""
    said, file = io.StringIO(), tmp_path_factory.mktemp("completion") / "adarts.bash"
    with contextlib.redirect_stdout(said):
        assert main(["completion", "bash"]) == 0
    file.write_text(said.getvalue())
    return file


def proposed(script: Path, *words: str) -> set[str]:
    """What bash proposes for the last of the words after `adarts`, as it asks the function that the script registers."""
    line = shlex.join(["adarts", *words])
    code = f"""
        source {shlex.quote(str(script))}
        COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}
        function=$(complete -p adarts | grep -oP '(?<=-F )\\S+')
        "$function" adarts {shlex.quote(words[-1])} {shlex.quote(["adarts", *words][-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("se",), {"search", "serve"}),
        (("search", "--edge.sel"), {"--edge.selector"}),
        (("search", "--edge.selector", ""), {"all", "first", "random", "attention"}),
        (("search", "--sca"), {"--scale"}),
        (("search", "--scale", "s"), {"smoke"}),
        (("truth", "st"), {"stability"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else " ".join(value),
)
def test_bash_completes(script: Path, words: tuple[str, ...], expected: set[str]) -> None:
    assert proposed(script, *words) == expected


def test_every_verb_is_there(script: Path) -> None:
    assert proposed(script, "") >= set(VERBS)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("search.epochs", "slurm.partition", "stability"))


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "bash" in capsys.readouterr().err
