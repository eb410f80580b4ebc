"""``adarts completion``: a script that lets a shell complete verbs, options and values."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.dataclasses import dataclass

from adarts.cli.main import VERBS
from adarts.cli.options import FORM, Positional, add_options, parse
from adarts.config.loading import SCALES, fields


@dataclass(frozen=True, config=FORM)
class Completion:
    """Print a script with which a shell completes verbs, options and their values. Add to ~/.bashrc: source <(adarts completion
    bash). To ~/.zshrc, after compinit: eval "$(adarts completion zsh)". To ~/.config/fish/config.fish: adarts completion fish |
    source. After an update of adarts, the next shell knows the new options.
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], Positional("SHELL")]
    """Your shell: bash, zsh or fish."""


_FORMS = {"truth": "Cells", "zoo": "List"}
"""The form of a verb's options is named after the verb, except these."""


def run(words: list[str]) -> int:
    """Run ``adarts completion``."""
    form = parse(Completion, words, "adarts completion")
    import shtab

    print(shtab.complete(_whole_parser(), form.shell))
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """One parser with all verbs, as argparse knows them."""
    parser = argparse.ArgumentParser("adarts", allow_abbrev=False)
    for option in ("--version", "--debug"):
        parser.add_argument(option, action="store_true")
    verbs = parser.add_subparsers()
    for verb, what in VERBS.items():
        module = importlib.import_module(f"adarts.cli.{verb}")
        form = getattr(module, _FORMS.get(verb, verb.capitalize()))
        _add(verbs, verb, what, form, getattr(module, "FORMS", {}))
    return parser


def _add(verbs: Any, name: str, what: str, form: type[Any], deeper: Mapping[str, type[Any]]) -> None:
    """Add a verb with the verbs below it and its options, and with the values of those that have few, or are paths."""
    import shtab

    parser: argparse.ArgumentParser = verbs.add_parser(name, help=" ".join(what.split()), allow_abbrev=False)
    if deeper:
        below = parser.add_subparsers()
        for word, inner in deeper.items():
            _add(below, word, inner.__doc__ or "", inner, {})
    add_options(parser, form)
    known = fields(form)
    for action in parser._actions:
        if (field := known.get(action.dest)) is None or action.nargs == 0:
            continue
        kinds = {field.annotation, *get_args(field.annotation)}
        if literals := [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]:
            action.choices = [str(value) for value in literals]
        elif action.dest == "scale":
            action.choices = list(SCALES)
        elif Path in kinds:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
