"""Classes from files: each file is executed once, as it is on disk, and what was executed can be told again by its hash."""

from __future__ import annotations

import hashlib
import inspect
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from adarts.errors import ConfigError, nearest

_MODULES: dict[Path, ModuleType] = {}
"""What was executed, by the one path that all spellings of it lead to."""


class _Loader(SourceFileLoader):
    """Compiles what is in the file now, not what Python may have kept of it, and remembers its hash."""

    sha256: str | None = None

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        source = self.get_data(self.path)
        self.sha256 = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)


def from_file(text: str) -> object:
    """What a file holds by a name, from ``path/to/file.py:Name``.

    Raises:
        ConfigError: there is no such file or name, or the file cannot be executed.
    """
    place, _, name = text.rpartition(":")
    path = Path(place)
    if not path.is_file():
        raise ConfigError(f"method '{text}': there is no file {path}")
    try:
        module = _module(path.resolve())
    except (Exception, SystemExit) as error:  # the user's own code
        raise ConfigError(f"method '{text}': {path} cannot be loaded: {in_one_line(error)}") from error
    if not hasattr(module, name):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
        raise ConfigError(f"method '{text}': {path} has no class '{name}'{nearest(name, classes)}")
    return getattr(module, name)


def source_hash(method: type) -> str | None:
    """The sha256 of the file that a class stands in; None for the package's own, and for one that stands in no file.

    Of a class from :func:`from_file` it is that of the text that was executed, whatever the file holds by now.
    """
    if method.__module__.partition(".")[0] == "adarts":
        return None
    loader = getattr(sys.modules.get(method.__module__), "__loader__", None)
    if isinstance(loader, _Loader):
        return loader.sha256
    try:
        return hashlib.sha256(Path(inspect.getfile(method)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # typed into a notebook
        return None


def in_one_line(error: BaseException) -> str:
    """The kind of an error in somebody else's code, and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _module(path: Path) -> ModuleType:
    if path not in _MODULES:
        # Two files may have one name, in two folders; and what is in `sys.modules` must not be another's.
        name = f"adarts_method_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
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
