"""What the README shows is run, and what it links to is there."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import adarts
from adarts.cli.main import main
from adarts.config.settings import ImageSettings
from adarts.data import Augmentation, load_images

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


FIRST, MODEL = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^adarts (?:search|train|sweep) [^#\n]*", README, flags=re.MULTILINE)


def _execute(snippet: str) -> None:
    exec(compile(snippet, "README.md", "exec"), {"__name__": "readme", "adarts": adarts})


def test_first_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Executed as printed, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    _execute(FIRST)
    assert re.search(r"% test accuracy; (decided|leaning|undecided|not judged)", capsys.readouterr().out)


def test_a_trained_model_names_the_class_of_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photograph is prepared as the folder of the training was."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for index in range(20):
        photo = Path("photos", "cat" if index % 2 else "dog", f"{index}.png")
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(photo)
    sizes = {"size": 16}
    adarts.train("random:1", data="folder:photos", scale="smoke", images=sizes, run={"run_dir": "runs/mine/found"})
    data = load_images("folder:photos", ImageSettings(size=16), 0)
    _, facts = adarts.load_model("runs/mine/found")
    expected = Augmentation.plain(data)(data.test.pixels, torch.zeros(len(data.test), Augmentation.NUM_DRAWS).long())
    found = [adarts.prepare(photo, facts) for photo in Path("photos").rglob("*.png")]
    for x_chw in expected:
        assert min(float((x_chw - other).abs().max()) for other in found) < 1e-5
    shutil.copy(photo, "photo.jpg")
    capsys.readouterr()
    _execute(MODEL)
    assert capsys.readouterr().out.strip() in ("cat", "dog")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_valid(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main([*shlex.split(command)[1:], "--print-config"]) == 0
    assert "seed:" in capsys.readouterr().out


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`make (\w+)", README)) | set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in [*re.findall(r"\]\(([^)#\s]+)[^)]*\)", text), *re.findall(r'src="([^"]+)"', text)]:
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
