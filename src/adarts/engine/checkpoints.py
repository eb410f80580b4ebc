"""Checkpoints with a checksum; the previous one is kept.

A checkpoint is a torch file followed by the sha256 of its bytes, because a torch file with a flipped bit may load silently
with wrong numbers. Loading accepts only tensors and plain containers, never code.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from adarts.engine.config_file import differing_keys
from adarts.engine.files import sync_folder, write_atomically
from adarts.errors import CheckpointError

_FORMAT = 1
_SEAL = b"adarts-sha256:"
_SEAL_LENGTH = len(_SEAL) + 64
_MOST_PARTS = 1_000_000  # containers, tensors and values in a checkpoint


class Checkpoints:
    """The files `last.pt` and `previous.pt` of a run.

    Args:
        folder: their folder.
        config: the configuration that checkpoints must match, as plain containers.
        warn: called with a message about a damaged checkpoint.
        writes: False makes :meth:`save` do nothing.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], warn: Callable[[str], None], writes: bool = True
    ) -> None:
        self.folder, self._writes = folder, writes
        self._next, self._last, self._previous = (folder / f"{name}.pt" for name in ("next", "last", "previous"))
        self.loaded = self._last  # the file that `load` used
        self._config = dict(config)
        self._warn = warn

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a new last checkpoint; the one before becomes the previous one.

        Args:
            state: tensors, numbers, strings and plain containers.

        Raises:
            CheckpointError: the checkpoint cannot be written; the earlier ones are unchanged.
            TypeError: the state contains something that could not be loaded again.
        """
        if not self._writes:
            return
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "config": self._config, "state": dict(state)}, buffer)
        body = buffer.getbuffer()
        if not self._last.exists() and not self._previous.exists():
            try:
                _load(io.BytesIO(body))
            except Exception as error:
                raise TypeError(f"the state to be saved is not plain: {error}") from error
        write_atomically(self._next, body, _SEAL + hashlib.sha256(body).hexdigest().encode())
        with self._refusals():
            self._rotate()

    def load(self) -> dict[str, Any] | None:
        """Load the state of the newest intact checkpoint; None if there is no checkpoint.

        Raises:
            CheckpointError: all are damaged or unreadable, or they belong to another configuration.
        """
        with self._refusals():
            if self._next.exists():
                self._rotate()  # a process was killed between writing and renaming
            there = [path for path in (self._last, self._previous) if path.exists()]
        problems: list[str] = []
        for path in there:
            try:
                content = _read(path)
            except CheckpointError as error:
                problems.append(str(error))
                continue
            if keys := differing_keys(content["config"], self._config):
                raise CheckpointError(f"{path} was made with another configuration: {', '.join(keys)[:500]} differ")
            if problems:
                with self._refusals():  # so that the next save does not keep it as the previous one
                    self._last.replace(self._last.with_suffix(".damaged"))
                self._warn(f"{problems[0]}; using the previous checkpoint {path}")
            self.loaded = path
            return dict(content["state"])
        if problems:
            raise CheckpointError(f"no checkpoint can be used: {'; '.join(problems)}")
        return None

    def _rotate(self) -> None:
        if self._last.exists():
            self._last.replace(self._previous)
        self._next.replace(self._last)
        sync_folder(self.folder)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn errors of the drive into a one-line CheckpointError."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(f"cannot use {self.folder}: {error.strerror or error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise CheckpointError(f"{path} is empty")
    body, seal = memoryview(data)[:-_SEAL_LENGTH], data[-_SEAL_LENGTH:]
    if seal != _SEAL + hashlib.sha256(body).hexdigest().encode():
        raise CheckpointError(f"{path} is damaged: its checksum does not match ({len(data):,} bytes)")
    try:
        _require_unpacked(body)
        content = _load(io.BytesIO(body))
        _require_plain(content)
    except Exception as error:  # a hostile file may fail in any way
        raise CheckpointError(f"{path} is refused: it contains more than tensors and plain containers") from error
    found = {name: type(value) for name, value in content.items()} if isinstance(content, dict) else {}
    if found != {"format": int, "config": dict, "state": dict} or content["format"] != _FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version of adarts")
    return dict(content)


def _load(file: io.BytesIO) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True)


def _require_unpacked(body: memoryview) -> None:
    """Refuse a file that unpacks to more than it holds, before it fills the memory."""
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        if sum(entry.file_size for entry in file.infolist()) > len(body):
            raise ValueError("it is compressed")


def _require_plain(content: Any) -> None:
    """Refuse tensors that have more values than bytes, and containers that hold each other: a copy would fill the memory."""
    waiting = [content]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        match waiting.pop():
            case torch.Tensor() as tensor:
                is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
                if not is_plain or tensor.nbytes > tensor.untyped_storage().nbytes():
                    raise ValueError("a tensor is not stored as it is")
            case dict() as inner:
                waiting += inner.values()
            case list() | tuple() as several:
                waiting += several
    raise ValueError("it has too many parts")


def require_same_images(now: str, before: str) -> None:
    """Refuse to continue with other images, whose splits would mix held-out images with training images.

    Raises:
        CheckpointError: the fingerprints differ.
    """
    if now != before:
        raise CheckpointError(
            f"the images have changed since the run began (fingerprint {before[:12]}, now {now[:12]}); "
            "restore them or start a new run"
        )
