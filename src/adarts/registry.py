"""A registry by name, for built-in objects, registered ones, entry points of installed packages, and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from adarts.config.settings import Settings
from adarts.config.values import names_code
from adarts.errors import ConfigError, nearest
from adarts.source_file import defined_in, execute, in_one_line

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Objects of one kind by name.

    Args:
        kind: name of the kind in messages, such as ``method``.
        group: entry-point group under which installed packages offer theirs.
        check: raises a TypeError for an object of another kind.
        name_of: object -> its own name, if the objects have one.

    Attributes:
        known: the registered and loaded objects, by name.
    """

    def __init__(
        self, kind: str, group: str, check: Callable[[object], None], name_of: Callable[[T], str] | None = None
    ) -> None:
        self.kind, self.group, self.check, self.name_of = kind, group, check, name_of
        self.known: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Register an object.

        Raises:
            ValueError: the name is taken.
            TypeError: the object is of another kind.
        """
        self.check(thing)
        if name in self.known:
            raise ValueError(f"a {self.kind} named '{name}' is registered already: {_where(self.known[name])}")
        self.known[name] = thing

    def register(self, cls: C) -> C:
        """Class decorator that registers a class under its own name.

        Raises:
            ValueError: the name is taken.
            TypeError: the class is of another kind.
        """
        assert self.name_of is not None
        self.check(cls)  # before reading its name
        self.add(self.name_of(cast("T", cls)), cast("T", cls))
        return cls

    def get(self, name: str) -> T:
        """Look up a name, or load ``path/to/file.py:NAME``, which executes the file.

        Raises:
            ConfigError: the name is unknown (the message has the nearest one), or cannot be loaded.
        """
        if names_code(name):
            return self._from_file(name)
        if name not in self.known:
            offers = self._offers()
            if name in offers:
                return self._load(name, offers[name])
            self.survey()  # loading a package may register further names
        if name not in self.known:
            if name.endswith(".py"):
                there = defined_in(Path(name))
                held = f" (it defines {', '.join(there)})" if there else ""
                which = f"{name}:{there[0] if len(there) == 1 else 'NAME'}"
                raise ConfigError(f"{self.kind} '{name}': name the one you mean in this file: {which}{held}")
            raise ConfigError(f"unknown {self.kind} {name[:60]!r}{nearest(name[:60], {*self.known, *offers})}")
        return self.known[name]

    def survey(self) -> list[str]:
        """Load all entry points of installed packages; return one line for each that cannot be loaded."""
        problems = []
        for name, points in self._offers().items():
            try:
                self._load(name, points)
            except ConfigError as error:  # one broken package must not hide the others
                problems.append(str(error))
        return problems

    def _offers(self) -> dict[str, list[EntryPoint]]:
        """Entry points of installed packages by name; nothing is loaded."""
        offers: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            offers.setdefault(point.name, []).append(point)
        return offers

    def _load(self, name: str, points: Sequence[EntryPoint]) -> T:
        """Load and register an entry point.

        Raises:
            ConfigError: it cannot be loaded, its object has another name, or the name is taken.
        """
        point, packages = points[0], sorted({_package(point) for point in points})
        if len({point.value for point in points}) > 1:
            which = " and ".join(f"'{package}'" for package in packages)
            raise ConfigError(f"{self.kind} '{name}' is offered by the packages {which}; uninstall all but one")
        who = f"{self.kind} '{name}' of the package '{packages[0]}'"
        try:
            thing: T = point.load()
            self.check(thing)
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise ConfigError(f"{who} cannot be loaded: {in_one_line(error)}") from error
        own = name if self.name_of is None else self.name_of(thing)
        if own != name:
            raise ConfigError(f"{who} has the name '{own}' in its info; entry point and info must agree")
        known = self.known.setdefault(name, thing)
        if known != thing:
            raise ConfigError(f"{who}: the name is taken by {_where(known)}")
        return known

    def _from_file(self, text: str) -> T:
        place, _, name = text.rpartition(":")
        path = Path(place)
        if not path.is_file():
            raise ConfigError(f"{self.kind} '{text}': there is no file {path}")
        try:
            module = execute(path)
        except (Exception, SystemExit) as error:  # the user's own code
            raise ConfigError(f"{self.kind} '{text}': {path} cannot be loaded: {in_one_line(error)}") from error
        if not hasattr(module, name):
            raise ConfigError(f"{self.kind} '{text}': {path} has no '{name}'{nearest(name, defined_in(path))}")
        thing: T = getattr(module, name)
        try:
            self.check(thing)
        except TypeError as error:
            raise ConfigError(f"{self.kind} '{text}': {error}") from error
        return thing


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _where(thing: object) -> str:
    """Qualified name of a class or function, or the repr of anything else."""
    name = getattr(thing, "__qualname__", None)
    return f"{thing.__module__}.{name}" if name else f"{thing!r:.60}"


def require_class(kind: str, thing: object, base: type[Any], info: type[Any]) -> str:
    """Check that an object is a subclass with a record of facts and settings of its own, as methods and searchers are.

    Args:
        kind: name of the kind in messages.
        thing: the object.
        base: the base class.
        info: class of its attribute `info`.

    Returns:
        How messages name the class.

    Raises:
        TypeError: it is not such a class.
    """
    if not (isinstance(thing, type) and issubclass(thing, base)):
        raise TypeError(f"{thing!r} is not a subclass of {base.__module__.rpartition('.')[0]}.{base.__name__}")
    who = f"{kind} {thing.__qualname__}"
    if not isinstance(getattr(thing, "info", None), info):
        raise TypeError(f"{who} needs a class attribute info = {info.__name__}(name=..., ...)")
    if not issubclass(thing.Options, Settings):  # type: ignore[attr-defined]
        raise TypeError(f"{who}: Options must be a subclass of adarts.config.settings.Settings")
    return who
