"""Methods of installed packages: what is wrong with one is said, and harms no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.errors import ConfigError
from adarts.methods import get_method, list_methods, register
from adarts.methods.registry import METHODS, survey
from adarts.source_file import source_hash

EXAMPLE = (Path(__file__).parents[2] / "examples" / "sharpening.py").read_text()
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package with a module of its name, and entry points; the registry forgets it after the test."""
    monkeypatch.setattr(METHODS, "known", dict(METHODS.known))

    def installed(package: str, entry_points: dict[str, str], *methods: str, text: str = EXAMPLE) -> Path:
        folder = tmp_path / package
        about = folder / f"{package}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[adarts.methods]", *lines, ""]))
        for name in methods:
            (folder / f"{package}_{name}.py").write_text(text.replace('"sharpening"', f'"{name}"'))
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return installed


def refusal(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        get_method(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_that_fails_harms_no_other(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    points = {"well": "mixed_well:Sharpening", "broken": "mixed_well:Nothing", "quits": "mixed_quits:Sharpening"}
    folder = install("mixed", points, "well")
    (folder / "mixed_quits.py").write_text("import sys\nsys.exit('two\\nlines')\n")
    assert get_method("adarts").info.name == "adarts"
    assert "method 'broken' of the package 'mixed' cannot be loaded: AttributeError: " in refusal("broken")
    assert refusal("quits").endswith("cannot be loaded: SystemExit: two")

    assert main(["methods"]) == 0
    out, err = capsys.readouterr()
    shown = {line.split()[0] for line in out.splitlines()}
    assert {"adarts", "well"} <= shown and not {"broken", "quits"} & shown
    assert sorted(line.split(" cannot")[0] for line in err.splitlines()) == [
        f"adarts: warning: method '{name}' of the package 'mixed'" for name in ("broken", "quits")
    ]
    with pytest.warns(UserWarning, match="of the package 'mixed' cannot be loaded") as warned:
        assert "well" in [info.name for info in list_methods()]
    assert len(warned) == 2
    assert main(["methods", "--json", "well"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)[0]["name"], err) == ("well", "")


def test_the_name_of_the_record_is_the_one_it_is_asked_for_by(install: Install) -> None:
    install("other", {"otherwise": "other_own:Sharpening"}, "own")
    message = (
        "method 'otherwise' of the package 'other' has the name 'own' in its info; entry point and info must agree"
    )
    assert refusal("otherwise") == message
    methods, problems = survey()
    assert message in problems
    names = [method.info.name for method in methods]
    assert not {"otherwise", "own"} & set(names)
    assert all(get_method(name) in methods for name in names)  # whatever is listed can be used


def test_a_name_of_the_package_is_not_taken_over(install: Install) -> None:
    darts = get_method("darts")
    install("greedy", {"darts": "greedy_darts:Sharpening"}, "darts")
    methods, problems = survey()
    assert "method 'darts' of the package 'greedy': the name is taken by adarts.methods.darts.Darts" in problems
    assert darts in methods and get_method("darts") is darts


def test_two_packages_that_offer_one_name_are_both_refused(install: Install) -> None:
    for package in ("second", "first"):
        install(package, {"double": f"{package}_double:Sharpening"}, "double")
    message = "method 'double' is offered by the packages 'first' and 'second'; uninstall all but one"
    assert refusal("double") == message
    assert message in survey()[1]


def test_a_class_that_is_registered_and_offered_is_one_method(install: Install) -> None:
    text = EXAMPLE.replace("class Sharpening", "@register\nclass Sharpening").replace(
        "MethodInfo\n", "MethodInfo, register\n"
    )
    install("both", {"twice": "both_twice:Sharpening"}, "twice", text=text)
    method = get_method("twice")
    methods, problems = survey()
    assert method in methods and not problems
    with pytest.raises(ValueError, match="'twice' is registered already"):
        register(method)


def test_what_a_package_only_registers_is_found(install: Install) -> None:
    text = EXAMPLE.replace("MethodInfo\n", "MethodInfo, register\n")
    text += "\n\n@register\nclass Quiet(Sharpening):\n    info = MethodInfo('quiet', 'Q', 2026, 'none', 'nothing', 'as darts')\n"
    install("loud", {"loud": "loud_loud:Sharpening"}, "loud", text=text)
    assert get_method("quiet").info.title == "Q"


def test_the_file_of_an_offered_class_has_a_hash_and_the_package_none(install: Install) -> None:
    folder = install("hashed", {"kept": "hashed_kept:Sharpening"}, "kept")
    text = (folder / "hashed_kept.py").read_bytes()
    assert source_hash(get_method("kept")) == hashlib.sha256(text).hexdigest()
    assert source_hash(get_method("adarts")) is None
