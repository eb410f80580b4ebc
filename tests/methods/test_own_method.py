"""A method from outside the package: from a file, from an installed package, and what is wrong with one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import adarts
from adarts.cli.main import main
from adarts.errors import ConfigError
from adarts.methods import Method, MethodInfo, get_method, list_methods, register
from adarts.testing import MethodContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "sharpening.py"
SHARPENING = f"{EXAMPLE}:Sharpening"


class TestTheExample(MethodContract):
    method = get_method(SHARPENING)

    def test_the_same_seed_gives_the_same_cells_in_another_process(self) -> None:
        pytest.skip("a class from a file is not importable by name")


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 40


def test_a_file_on_the_command_line_and_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, config = str(tmp_path / "run"), tmp_path / "run" / "config.yaml"
    method = ["--method", SHARPENING]
    words = ["search", "--scale", "smoke", "--images.per-class", "4", "--images.size", "16", "--threads", "1"]
    assert main([*words, *method, "--options", "final=0.5", "--run-dir", run]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["method"] == "sharpening"
    assert "final: 0.5" in config.read_text()
    # A file alone runs no code; with the same name on the command line it does.
    capsys.readouterr()
    for more, code in (([], 2), (method, 0)):
        assert main(["search", "--config", str(config), "--run-dir", run, *more]) == code
        refused = "is code, which is not executed for a file alone" in capsys.readouterr().err
        assert refused == (code == 2)


def test_a_wrong_option_is_refused_before_anything_begins(tmp_path: Path) -> None:
    for options, message in (
        ({"finale": 0.5}, r"options.finale: unknown option; did you mean 'final'\?"),
        ({"final": -1}, "options.final: must be greater than 0, not -1"),
    ):
        with pytest.raises(ConfigError, match=message):
            adarts.search(method=SHARPENING, scale="smoke", options=options, run={"runs": tmp_path})
    with pytest.raises(ConfigError, match=r"options\.final: unknown option; method 'darts' has none"):
        adarts.search(method="darts", scale="smoke", options={"final": 1}, run={"runs": tmp_path})
    assert not list(tmp_path.iterdir())


def test_an_installed_package_offers_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered_method.py").write_text(EXAMPLE.read_text().replace('"sharpening"', '"offered"'))
    package = tmp_path / "offered-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[adarts.methods]\noffered = offered_method:Sharpening\nbroken = offered_method:Nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="method 'broken' of the package 'offered' cannot be loaded"):
        get_method("broken")
    (package / "entry_points.txt").write_text("[adarts.methods]\noffered = offered_method:Sharpening\n")
    assert get_method("offered").info.name == "offered"
    assert "offered" in [info.name for info in list_methods()]


INFO = MethodInfo("mine", "Mine", 2026, "none", "nothing", "as darts")


def test_what_the_loop_could_not_use_is_refused() -> None:
    class NoRecord(Method):
        pass

    class Misspelled(Method):
        info = INFO

        def operations_weights(self, supernet: object) -> dict[str, object]:
            return {}

    class WrongArguments(Method):
        info = INFO

        def penalty(self, search: object) -> None:
            return None

    class NoFunction(Method):
        info = INFO
        derive = "best"  # type: ignore[assignment]

    def recorded(**facts: object) -> type[Method]:
        return type("Recorded", (Method,), {"info": replace(INFO, **facts)})  # type: ignore[arg-type]

    for wrong, message in (
        (NoRecord, "needs a class attribute info"),
        (Misspelled, "unknown hook 'operations_weights'; did you mean 'operation_weights'"),
        (WrongArguments, r"penalty must take \(self, alpha_eo, active_eo, weights_eo, progress\)"),
        (NoFunction, "derive is a hook, so it must be a function"),
        (object(), "is not a subclass of adarts.methods.Method"),
        (recorded(replay="always"), "info.replay must be one of 'never', 'epoch', 'run', not 'always'"),
        (recorded(replay=None), "info.replay must be one of 'never', 'epoch', 'run', not None"),
        (recorded(year="2026"), "info.year must be a whole number, not '2026'"),
        (recorded(year=True), "info.year must be a whole number, not True"),
        (recorded(name=None), "info.name must be a text, not None"),
        (recorded(defaults=[("edge", {})]), "info.defaults must be a mapping of sections of settings"),
        (recorded(spaces={"darts": 1}), "info.spaces must be a mapping of spaces to sections of settings"),
    ):
        with pytest.raises(TypeError, match=message):
            register(wrong)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "M", "there is no file"),
        ("x = 1 +", "M", "cannot be loaded: SyntaxError"),
        ("class Mine: pass", "Min", "has no 'Min'; did you mean 'Mine'"),
        ("class Mine: pass", "Mine", "is not a subclass"),
    ],
)
def test_a_file_that_holds_no_method(content: str | None, name: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        get_method(f"{file}:{name}")


def test_a_method_says_which_spaces_it_knows(tmp_path: Path) -> None:
    file = tmp_path / "picky.py"
    file.write_text(
        EXAMPLE.read_text()
        + "\n    @classmethod\n    def supports(cls, space):\n        return 'it needs cells without reductions'\n"
    )
    with pytest.raises(ConfigError, match="'sharpening' is not defined on the space 'darts': it needs cells without"):
        adarts.search(method=f"{file}:Sharpening", scale="smoke", run={"runs": tmp_path / "runs"})


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("final - None", "TypeError: unsupported operand"),  # in the method's own code
        ("torch.zeros(2) @ torch.zeros(3)", "RuntimeError: "),  # in what it calls
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_line(
    broken: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    lines = ["import torch", "final = 1", *EXAMPLE.read_text().splitlines()]
    while lines[-1].strip() == "":
        lines.pop()
    lines[-1] = f"        return {broken}"
    file.write_text("\n".join(lines) + "\n")
    words = ["search", "--scale", "smoke", "--images.per-class", "4", "--method", f"{file}:Sharpening"]
    assert main([*words, "--runs", str(tmp_path / "runs"), "--threads", "1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"adarts: {file}:{len(lines)}: {error}") and said.count("\n") == 1 and "a bug" not in said


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("print('executed')\nclass Mine: pass\n", "mine.py:Mine (it defines Mine)"),
        ("class One: pass\nclass _Two: pass\nclass Three: pass\n", "mine.py:NAME (it defines One, Three)"),
        ("class", "mine.py:NAME"),
        (None, "mine.py:NAME"),
    ],
)
def test_a_file_without_a_class_is_told_with_its_classes_and_not_executed(
    text: str | None, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    assert main(["search", "--scale", "smoke", "--method", str(file)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err == f"adarts: method '{file}': name the one you mean in this file: {tmp_path}/{hint}\n"
