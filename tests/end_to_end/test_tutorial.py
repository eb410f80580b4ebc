"""What docs/tutorial.md shows is run, in its order, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
import threading
import urllib.request
from pathlib import Path

import pytest

from adarts.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
BUDGET = "--time-budget 10m"


@pytest.mark.full
def test_the_tutorial_ends_in_a_server_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a time budget of 20 seconds instead of 10 minutes."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("timm")
    from adarts.export.loaded import load
    from adarts.export.server import Server

    monkeypatch.chdir(tmp_path)
    assert BUDGET in PAGE
    said: dict[str, str] = {}
    served = ""
    for kind, text in re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        if kind == "python":
            exec(compile(text, "docs/tutorial.md", "exec"), {"__name__": "page"})
            continue
        (words,) = (shlex.split(line)[1:] for line in text.replace(BUDGET, "--time-budget 20s").splitlines())
        if words[0] == "serve":
            served = words[1]
            continue
        assert main([*words, *(["--threads", "1"] if words[0] in ("run", "predict") else [])]) == 0, words
        said[words[0]] = capsys.readouterr().out
    assert list(said) == ["data", "run", "report", "predict", "export"]
    summary = json.loads(Path("runs/run/digits/summary.json").read_text())
    assert summary["delivered"]["parameters"] <= 50_000 and len(summary["networks"]) >= 3
    assert "Accuracy and cost" in Path("runs/run/digits/comparison.html").read_text()
    assert len(said["predict"].splitlines()) == 1 + 183, "a line for each picture of a 3"
    assert Path(served).exists() and Path(served).with_name("model.int8.onnx").exists()
    with Server(load(served, 1), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            picture = Path("photos", "digit 3", "3.png").read_bytes()
            with urllib.request.urlopen(f"{server.url}/predict", picture, timeout=20) as answer:
                guesses = json.load(answer)["guesses"]
        finally:
            server.shutdown()
            thread.join()
    assert {guess["name"] for guess in guesses} < {f"digit {digit}" for digit in range(10)}
