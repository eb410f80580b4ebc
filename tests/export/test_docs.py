"""What docs/export.md shows is run, in its order, in a folder with a training and a photograph."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from adarts.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


@pytest.mark.full
def test_the_page_is_run(
    run: Path,
    onnx_file: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("huggingface_hub")
    shutil.copytree(run, tmp_path / "runs" / "mine" / "found")
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copy(next((photos / "cat").iterdir()), tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    classes = []
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) > 7
    for kind, text in blocks:
        capsys.readouterr()
        if kind == "python":
            exec(compile(text, "docs/export.md", "exec"), {"__name__": "page"})
            if "photo.jpg" in text:
                classes.append(capsys.readouterr().out.strip())
            continue
        for line in text.splitlines():
            words = shlex.split(line)[1:]
            if words[0] == "serve":  # tests of the server start one
                continue
            assert main(words) == 0, line
    assert len(classes) == 2 and len(set(classes)) == 1  # adarts, and onnxruntime alone
    sys.modules.pop("mynet")
