"""What people see on a terminal."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
import torch
from rich.console import Console

from adarts.engine.progress import ProgressBar, plain_console


def test_bars_on_a_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with ProgressBar(console, epochs=4, done=1.0) as progress:
        progress.step(1, 2, 10, {"loss": torch.tensor(30.0), "images": 20.0})
        console.print("a line above the bars")
        times = progress.end_epoch(2.0, 4, 4000.0)
        time.sleep(0.2)
    text = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", screen.getvalue())
    assert "a line above the bars" in text
    assert "2/10" in text
    assert "loss 1.5000" in text
    assert "2/4" in text
    assert times == "1:06:40 elapsed, 0:00:00 to go"


def test_no_bars_elsewhere() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with ProgressBar(console, epochs=4, done=0.0) as progress:
        progress.step(0, 2, 10, {"accuracy": 1.0})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ZMQInteractiveShell:
    """The name by which rich knows Jupyter, whose output says that it is a terminal."""


@pytest.mark.parametrize("in_a_notebook", [False, True])
def test_a_notebook_gets_lines_only(in_a_notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen: Any = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    if in_a_notebook:
        monkeypatch.setattr("builtins.get_ipython", ZMQInteractiveShell, raising=False)
    console = plain_console()
    with ProgressBar(console, epochs=4, done=0.0) as progress:
        progress.step(0, 2, 10, {"loss": torch.tensor(30.0), "images": 20.0})
        console.print("epoch 1/4")
    text = screen.getvalue()
    assert (text == "epoch 1/4\n") == in_a_notebook
    assert ("\x1b[" in text) != in_a_notebook
