"""Read YAML from a file of anybody, and quote from it."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import yaml

from adarts.errors import ConfigError

_MAX_FILE = 1 << 17  # bytes; PyYAML reads so many in a second or two
_MAX_DIGITS = 100  # of an integer; the time for 1:59:59, in base 60, grows with their square
_MAX_BITS = 64  # of an integer; Python refuses to print integers with thousands of digits
_MAX_SHOWN = 80  # characters quoted from a file in a message
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring = 2, _MAX_SHOWN


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys, and what lets a short file fill the memory: huge integers and nested aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed; write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key.value, str)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{cut(key.value)} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node) if len(node.value) <= _MAX_DIGITS else 1 << _MAX_BITS
        if value.bit_length() > _MAX_BITS:
            problem = f"a number of more than {_MAX_BITS} bits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; nothing in it is evaluated.

    Raises:
        ConfigError: the file cannot be read, or is not such a mapping.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    if len(text) > _MAX_FILE:
        raise ConfigError(f"{path}: larger than {_MAX_FILE >> 10} KiB, which is too large for a configuration")
    try:
        content = yaml.load(text.decode("utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a UTF-8 text file") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {line}{cut(str(error.problem))}") from error
    except Exception as error:  # a value that its tag does not fit, such as !!bool maybe, fails in many ways
        raise ConfigError(f"{path}: not readable as YAML ({type(error).__name__})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected settings by name, found {type(content).__name__}")
    return content


def shown(value: Any) -> str:
    """A value as shown in messages, cut to a fixed length."""
    return cut(_BRIEF.repr(value))


def cut(text: str) -> str:
    """A text, cut to a fixed length."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
