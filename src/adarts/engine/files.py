"""Files that are either complete or not there: written beside the target, flushed to the disk, then renamed."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from adarts.errors import CheckpointError

_SUFFIX = ".tmp"


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Write the parts, one after the other, as the whole content of a file.

    Whatever happens, the file at `path` is the earlier or the new one, complete.

    Raises:
        CheckpointError: the file cannot be written; nothing of it is left over.
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
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            refuse(path, error, sum(len(part) for part in parts))
        raise


def append(path: Path, line: bytes) -> None:
    """Bring a line to the disk; a file that cannot take it (CheckpointError) ends where it ended before."""
    needed = len(line)
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                while line:  # a disk that fills up takes a part first, and says so at the next write
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        refuse(path, error, needed)


def refuse(path: Path, error: OSError, needed: int) -> NoReturn:
    """Say in one line which file cannot be written, why, and how much room there is."""
    reason, free = error.strerror or error, _free(path.absolute().parent)
    raise CheckpointError(f"cannot write {path}: {reason} ({needed:,} bytes needed, {free:,} bytes free)") from error


def _free(folder: Path) -> int:
    """The room on the drive of a folder, which need not be there, nor be ours to look into."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        if folder == folder.parent:
            raise
        return _free(folder.parent)


def to_json(value: Any) -> bytes:
    """Indented JSON text for people and programs."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def sync_folder(folder: Path) -> None:
    """Bring a rename in this folder to the disk; the file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    for path in folder.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)
