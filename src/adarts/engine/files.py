"""Atomic file writes: a file is written beside its target, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from adarts.errors import CheckpointError

_SUFFIX = ".tmp"


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Replace a file with the concatenated parts.

    At every moment, `path` is the complete old or the complete new file.

    Raises:
        CheckpointError: the file cannot be written; no partial file is left over.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # report the first error
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            refuse(path, error, sum(len(part) for part in parts))
        raise


def append(path: Path, line: bytes) -> None:
    """Append a line and flush it to the disk; on failure (CheckpointError) the file keeps its previous content."""
    needed = len(line)
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                while line:  # a disk that fills up writes a part first and fails at the next write
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        refuse(path, error, needed)


def refuse(path: Path, error: OSError, needed: int) -> NoReturn:
    """Raise a CheckpointError that says which file cannot be written, why, and, if space is short, how much is free."""
    space = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        space = f" ({needed:,} bytes needed, {_free(path.absolute().parent):,} bytes free)"
    raise CheckpointError(f"cannot write {path}: {error.strerror or error}{space}") from error


def _free(folder: Path) -> int:
    """Free bytes on the drive of a folder; the folder may be missing or unreadable."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        if folder == folder.parent:
            raise
        return _free(folder.parent)


def to_json(value: Any) -> bytes:
    """Indented JSON text; a lone surrogate becomes the escape that JSON has for it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CheckpointError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error


def sync_folder(folder: Path) -> None:
    """Flush a rename in this folder to the disk; the file's own fsync does not do this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while writing."""
    for path in folder.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)
