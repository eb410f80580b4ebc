"""Errors that the user can fix.

Each error has an exit code for the command line. Its message is one line that says what is wrong, where, and what to do.
The command line prints it without a traceback. Any other exception is a bug in adarts; ``--debug`` shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class AdartsError(Exception):
    """Base of the errors that the command line shows as one line; ``exit_code`` is its exit code."""

    exit_code = 1


class ConfigError(AdartsError):
    """An invalid setting, name or combination of settings (exit code 2)."""

    exit_code = 2


class DataError(AdartsError):
    """Unusable images, genotype or other input file (exit code 3)."""

    exit_code = 3


class CheckpointError(AdartsError):
    """A run folder or checkpoint that is damaged, locked, or belongs to another configuration (exit code 3)."""

    exit_code = 3


class NotFiniteError(AdartsError):
    """A NaN or infinite loss or gradient; it was not used for an update (exit code 5)."""

    exit_code = 5


class OutOfMemoryError(AdartsError):
    """The step does not fit in memory, even with the smallest batch (exit code 4)."""

    exit_code = 4


class ExportError(AdartsError):
    """An exported file that does not agree with the trained network; it is not kept (exit code 1)."""


class Stopped(AdartsError):
    """The run stopped on request: exit code 130 after Ctrl-C, 143 after SIGTERM, SIGUSR1, SIGUSR2 or the time limit."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def refusing(what: str, kind: type[AdartsError]) -> Iterator[None]:
    """Turn whatever code that reads a file stumbles over into one line, because a file from anybody may hold anything.

    Errors of adarts pass as they are.

    Args:
        what: begins the line: the file, and that it is damaged.
        kind: class of the error.
    """
    try:
        yield
    except AdartsError:
        raise
    except Exception as error:
        found = (
            f"{error} is missing" if isinstance(error, KeyError) else (str(error).splitlines() or [""])[0].rstrip(":")
        )
        raise kind(f"{what}: {found[:300] or type(error).__name__}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint `; did you mean 'x'?`, or the list of known names if none is close.

    Args:
        name: the unknown name.
        known: the names that exist.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"
