"""What can go wrong for a reason that the user can mend.

Each error carries the exit code of the command line. Its message is one line that says what, where and what to do; the
command line prints it without a traceback. Everything else that is raised is a bug of ours: ``--debug`` shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AdartsError(Exception):
    """Base of the errors that are shown as one line. ``exit_code`` is the command line's."""

    exit_code = 1


class ConfigError(AdartsError):
    """A setting, a name or a combination of settings that cannot work (exit code 2)."""

    exit_code = 2


class DataError(AdartsError):
    """Images, a genotype or another input file that cannot be used (exit code 3)."""

    exit_code = 3


class CheckpointError(AdartsError):
    """A run folder or checkpoint that is damaged, locked or of another configuration (exit code 3)."""

    exit_code = 3


class NotFiniteError(AdartsError):
    """A loss that is NaN or infinite; nothing was updated with it (exit code 1)."""


class OutOfMemoryError(AdartsError):
    """The step does not fit in memory, even with the smallest batch (exit code 4)."""

    exit_code = 4


class Stopped(AdartsError):
    """The run stopped at a checkpoint because it was asked to: 130 after Ctrl-C, 143 after a signal or a time limit."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint `; did you mean 'x'?`, or the list of what there is when nothing is close.

    Args:
        name: what was asked for.
        known: the names that exist.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"
