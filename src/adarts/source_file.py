"""Load modules from files of the user: each file is executed once per process and identified by its sha256."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import traceback
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from adarts.config.settings import Settings, code_in

_MODULES: dict[Path, ModuleType] = {}
"""Executed modules by resolved path."""


class _Loader(SourceFileLoader):
    """Compiles the current content of the file, ignoring Python's bytecode cache, and stores its hash."""

    sha256: str | None = None

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        source = self.get_data(self.path)
        self.sha256 = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)


def execute(path: Path) -> ModuleType:
    """Load a file as a module; only the first call executes it. Exceptions of its code propagate."""
    path = path.resolve()
    if path not in _MODULES:
        # The hash keeps files of the same name in different folders apart in `sys.modules`.
        name = f"adarts_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        spec = spec_from_file_location(name, path, loader=_Loader(name, str(path)))
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pydantic look their own module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        _MODULES[path] = module
    return _MODULES[path]


def code_hashes(config: Settings) -> dict[str, str | None]:
    """The sha256 of each executed file that the settings name, as ``method_source``, ``space_source``, ``data_source``."""
    files = {name: Path(code.rpartition(":")[0]).resolve() for name, code in code_in(config).items()}
    return {f"{name}_source": _hash(_MODULES[path]) for name, path in files.items() if path in _MODULES}


def source_hash(thing: type) -> str | None:
    """The sha256 of the file that defines a class; None for classes of adarts and classes without a file."""
    if thing.__module__.partition(".")[0] == "adarts":
        return None
    module = sys.modules.get(thing.__module__)
    if module is not None and (executed := _hash(module)):
        return executed
    try:
        return hashlib.sha256(Path(inspect.getfile(thing)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # defined in a notebook
        return None


def place_of(error: BaseException) -> str | None:
    """``file.py:LINE`` of the innermost traceback frame in an executed file; None if there is no such frame."""
    steps = traceback.walk_tb(error.__traceback__)
    places = [
        f"{f.f_code.co_filename}:{line}" for f, line in steps if isinstance(f.f_globals.get("__loader__"), _Loader)
    ]
    return places[-1] if places else None


def defined_in(path: Path) -> list[str]:
    """Names of the classes that a file defines, or else of its functions and variables, without executing it.

    Empty if the file cannot be parsed as Python.
    """
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    names = classes or functions + [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def in_one_line(error: BaseException) -> str:
    """An error of the user's code in one line: its type, the first line of its message, and file and line."""
    said, place = f"{type(error).__name__}: {error}".splitlines()[0][:300], place_of(error)
    return said if place is None else f"{said} ({place})"


def _hash(module: ModuleType) -> str | None:
    loader = getattr(module, "__loader__", None)
    return loader.sha256 if isinstance(loader, _Loader) else None
