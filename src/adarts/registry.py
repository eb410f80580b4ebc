"""Things by name: the package's own, those that people register, those of installed packages, and those in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from adarts.config.settings import names_code
from adarts.errors import ConfigError, nearest
from adarts.source_file import defined_in, execute, in_one_line

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: what messages call one, such as ``method``.
        group: of the entry points under which an installed package offers its own.
        check: raises a TypeError for what is not of the kind.
        name_of: the name that a thing itself says it has, where it does.

    Attributes:
        known: what was registered or loaded, by name.
    """

    def __init__(
        self, kind: str, group: str, check: Callable[[object], None], name_of: Callable[[T], str] | None = None
    ) -> None:
        self.kind, self.group, self.check, self.name_of = kind, group, check, name_of
        self.known: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Make a thing known.

        Raises:
            ValueError: the name is taken.
            TypeError: it is not of the kind.
        """
        self.check(thing)
        if name in self.known:
            raise ValueError(f"a {self.kind} named '{name}' is registered already: {_where(self.known[name])}")
        self.known[name] = thing

    def get(self, name: str) -> T:
        """The thing of a name, or of one in a file, written ``path/to/file.py:NAME``; that file is executed.

        Raises:
            ConfigError: there is none, with the nearest name; or it cannot be loaded, with the reason.
        """
        if names_code(name):
            return self._from_file(name)
        if name not in self.known:
            offers = self._offers()
            if name in offers:
                return self._load(name, offers[name])
            self.survey()  # a package may register more names than it offers
        if name not in self.known:
            if name.endswith(".py"):
                there = defined_in(Path(name))
                held = f" (it holds {', '.join(there)})" if there else ""
                which = f"{name}:{there[0] if len(there) == 1 else 'NAME'}"
                raise ConfigError(f"{self.kind} '{name}': say which one of the file is meant: {which}{held}")
            raise ConfigError(f"unknown {self.kind} {name[:60]!r}{nearest(name[:60], {*self.known, *offers})}")
        return self.known[name]

    def survey(self) -> list[str]:
        """Load all that installed packages offer; why some cannot be loaded, one line each."""
        problems = []
        for name, points in self._offers().items():
            try:
                self._load(name, points)
            except ConfigError as error:  # somebody else's fault, for which the others should not suffer
                problems.append(str(error))
        return problems

    def _offers(self) -> dict[str, list[EntryPoint]]:
        """What installed packages offer, by name; nothing is loaded."""
        offers: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            offers.setdefault(point.name, []).append(point)
        return offers

    def _load(self, name: str, points: Sequence[EntryPoint]) -> T:
        """What an installed package offers by a name; it is registered.

        Raises:
            ConfigError: it cannot be loaded, or the name is not its own or not its alone.
        """
        point, packages = points[0], sorted({_package(point) for point in points})
        if len({point.value for point in points}) > 1:
            which = " and ".join(f"'{package}'" for package in packages)
            raise ConfigError(
                f"{self.kind} '{name}' of the package {which}: one name for two {self.kind}s; uninstall all but one"
            )
        who = f"{self.kind} '{name}' of the package '{packages[0]}'"
        try:
            thing: T = point.load()
            self.check(thing)
        except (Exception, SystemExit) as error:  # somebody else's code may raise whatever it likes
            raise ConfigError(f"{who} cannot be loaded: {in_one_line(error)}") from error
        own = name if self.name_of is None else self.name_of(thing)
        if own != name:
            raise ConfigError(f"{who} is called '{own}' in its record; entry point and record must agree")
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
    """Where a class or function stands, or whatever else it is."""
    name = getattr(thing, "__qualname__", None)
    return f"{thing.__module__}.{name}" if name else f"{thing!r:.60}"
