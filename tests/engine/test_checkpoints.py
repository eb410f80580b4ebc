"""Damaged, hostile and foreign checkpoints; disks that are full."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_task import Plan, output, result, run_tiny, start, wait

from adarts.engine.checkpoints import Checkpoints
from adarts.engine.files import write_atomically
from adarts.errors import CheckpointError


class Rig:
    """Checkpoints in a folder, and the warnings they gave."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.warnings: list[str] = []
        self.folder = folder
        self.checkpoints = Checkpoints(folder, config or {"seed": 0}, self.warnings.append)

    def save(self, *numbers: int) -> None:
        for number in numbers:
            self.checkpoints.save({"number": number, "weights": torch.arange(100.0)})

    def loaded(self) -> int:
        state = self.checkpoints.load()
        assert state is not None
        return int(state["number"])


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.save(1, 2)
    return rig


def flip(data: bytes, place: float) -> bytes:
    index = int(place * (len(data) - 1))
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    **{f"flipped at {place}": lambda data, place=place: flip(data, place) for place in (0.0, 0.3, 0.5, 0.8, 1.0)},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_the_previous_one_is_used_with_a_warning(rig: Rig, damage: Callable[[bytes], bytes]) -> None:
    last = rig.folder / "last.pt"
    last.write_bytes(damage(last.read_bytes()))
    assert rig.loaded() == 1
    assert len(rig.warnings) == 1
    assert str(last) in rig.warnings[0]
    rig.save(3)
    (rig.folder / "last.pt").write_bytes(b"")
    assert rig.loaded() == 1, "the damaged one must not have replaced the previous one"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_without_any_left_the_error_names_the_paths(rig: Rig, damage: Callable[[bytes], bytes]) -> None:
    for name in ("last.pt", "previous.pt"):
        (rig.folder / name).write_bytes(damage((rig.folder / name).read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        rig.checkpoints.load()
    assert str(rig.folder / "last.pt") in str(caught.value)
    assert str(rig.folder / "previous.pt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_that_cannot_be_read_counts_as_damaged(rig: Rig) -> None:
    last, previous = (rig.folder / name for name in ("last.pt", "previous.pt"))
    last.unlink()
    last.mkdir()
    assert rig.loaded() == 1
    assert rig.warnings == [f"{last} cannot be read: Is a directory; using the previous checkpoint {previous}"]
    rig.save(3)
    assert rig.loaded() == 3
    for path in (last, previous):
        path.unlink()
        path.mkdir()
    with pytest.raises(CheckpointError, match=r"no checkpoint can be used: .*last\.pt cannot .*previous\.pt cannot"):
        rig.checkpoints.load()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"format": 2, "config": {}, "state": {}},
        {"format": torch.ones(2), "config": {"seed": 0}, "state": {}},
        {"format": 1, "state": {}},
        {"format": 1, "config": {"seed": 0}},
        {"format": 1, "config": {"seed": 0}, "state": 3},
    ],
)
def test_one_with_other_content_counts_as_damaged(rig: Rig, content: Any) -> None:
    seal(rig.folder / "last.pt", content)
    assert rig.loaded() == 1
    assert "last.pt is not a checkpoint of this version of adarts" in rig.warnings[0]


def compressed(content: Any, file: io.BytesIO) -> None:
    """As torch saves, but compressed: a short file for many numbers."""
    plain = io.BytesIO()
    torch.save(content, plain)
    with zipfile.ZipFile(plain) as whole, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as short:
        for entry in whole.infolist():
            short.writestr(entry.filename, whole.read(entry))


def doubled(times: int) -> list[Any]:
    """A list that is short in memory and long in print: each holds the one before twice."""
    found: list[Any] = [0]
    for _ in range(times):
        found = [found, found]
    return found


@pytest.mark.parametrize(
    ("state", "save"),
    [
        ({"x": torch.zeros(1).expand(10**12)}, torch.save),
        ({"x": torch.eye(2).to_sparse()}, torch.save),
        ({"x": doubled(40)}, torch.save),
        ({"x": torch.zeros(100_000)}, compressed),
    ],
    ids=["a tensor of one number", "sparse", "doubled", "compressed"],
)
def test_one_that_would_fill_the_memory_counts_as_damaged(rig: Rig, state: Any, save: Callable[..., Any]) -> None:
    seal(rig.folder / "last.pt", {"format": 1, "config": {"seed": 0}, "state": state}, save)
    assert rig.loaded() == 1
    assert "last.pt is refused: it contains more than tensors and plain containers" in rig.warnings[0]


def seal(path: Path, content: Any, save: Callable[[Any, io.BytesIO], Any] = torch.save) -> None:
    """Write content with a checksum that fits."""
    buffer = io.BytesIO()
    save(content, buffer)
    body = buffer.getvalue()
    path.write_bytes(body + b"adarts-sha256:" + hashlib.sha256(body).hexdigest().encode())


def test_a_run_goes_on_from_the_previous_checkpoint(tmp_path: Path) -> None:
    run_tiny(tmp_path / "whole")
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(signal_at=(2, 1, 15)), checkpoint_minutes=5.0)) == 143
    last = run_dir / "checkpoints" / "last.pt"
    last.write_bytes(flip(last.read_bytes(), 0.4))
    assert wait(start(run_dir)) == 0
    assert f"warning: {last} is damaged" in output(run_dir)
    assert "continuing from epoch 3/4, step 1/6" in output(run_dir)
    assert result(run_dir) == result(tmp_path / "whole")


def test_none_yet(tmp_path: Path) -> None:
    assert Rig(tmp_path).checkpoints.load() is None


def test_torch_reads_a_checkpoint(rig: Rig) -> None:
    assert torch.load(rig.folder / "last.pt", weights_only=True)["state"]["number"] == 2


def test_another_configuration_is_refused_by_name(rig: Rig) -> None:
    rig.checkpoints = Checkpoints(rig.folder, {"seed": 1, "edge": {"k": 4}}, rig.warnings.append)
    with pytest.raises(CheckpointError, match=r"another configuration: seed, edge differ"):
        rig.checkpoints.load()


def test_code_in_a_checkpoint_is_refused_and_not_run(rig: Rig, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "harm"),)

    for save in (torch.save, lambda value, file: file.write(pickle.dumps(value, protocol=2))):
        for name in ("last.pt", "previous.pt"):
            seal(rig.folder / name, {"format": 1, "config": {"seed": 0}, "state": Hostile()}, save)
        with pytest.raises(CheckpointError, match="more than tensors and plain containers") as caught:
            rig.checkpoints.load()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_a_state_that_could_not_be_read_again_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not plain"):
        Rig(tmp_path).checkpoints.save({"number": np.float64(1.0), "path": tmp_path})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_checkpoint_and_no_stray_files(tmp_path: Path) -> None:
    run_tiny(tmp_path / "whole")
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(signal_at=(1, 1, 15)))) == 143
    before = {path.name: path.read_bytes() for path in (run_dir / "checkpoints").iterdir()}
    assert wait(start(run_dir, Plan(file_limit=4000))) == 3
    assert {path.name: path.read_bytes() for path in (run_dir / "checkpoints").iterdir()} == before
    last_line = output(run_dir).strip().splitlines()[-1]
    assert str(run_dir / "checkpoints" / "next.pt") in last_line
    assert "bytes needed" in last_line
    assert "bytes free" in last_line
    assert not list(run_dir.rglob("*.tmp"))
    assert wait(start(run_dir)) == 0
    assert result(run_dir) == result(tmp_path / "whole")


def test_a_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mount.returncode != 0:
        pytest.skip(f"mounting a small tmpfs is not permitted here: {mount.stderr.strip()}")
    try:
        rig = Rig(disk)
        rig.save(1, 2)
        with pytest.raises(
            CheckpointError, match=r"No space left on device \([\d,]+ bytes needed, [\d,]+ bytes free\)"
        ):
            rig.checkpoints.save({"number": 3, "weights": torch.zeros(50_000)})
        assert sorted(path.name for path in disk.iterdir()) == ["last.pt", "previous.pt"]
        assert rig.loaded() == 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, b"new", "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
