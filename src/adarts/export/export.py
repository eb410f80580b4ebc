"""Export a trained network: write the files beside their place, compare them with the network, then move them there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import torch

from adarts.data import Data, ImageData
from adarts.engine.run_dirs import PLAN_FILE
from adarts.errors import AdartsError, ConfigError, DataError, nearest
from adarts.export import onnx_file
from adarts.export.loaded import OnnxModel, Pixels
from adarts.export.parity import Answer, accuracy, check, some
from adarts.export.source_code import write_module
from adarts.export.tensors import write_pt2, write_safetensors
from adarts.export.timm_folder import write_timm
from adarts.export.trained import Trained
from adarts.models import Network
from adarts.training import images_of

Target = Literal["onnx", "pt2", "python", "safetensors", "timm", "hub"]

Write = Callable[[Trained, Path], Answer]
"""(network, path) -> the written network, loaded again; with more files than one, they lie beside the path."""

WORST_DROP = 0.01
"""Loss of accuracy from which an int8 file comes with a warning: one point."""


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        path: the file or the folder.
        rows: what was written, checked and measured, as pairs (name, value).
        warning: what speaks against using the file, or None.
    """

    path: Path
    rows: list[tuple[str, str]]
    warning: str | None = None


def export(
    run: str | Path,
    to: Target = "onnx",
    out: str | Path | None = None,
    int8: bool = False,
    data: Data | ImageData | None = None,
) -> Exported:
    """Export the network of a training run, and compare the file with it on test images.

    If the images of the training are not at hand, random pixels take their place, and the result says so.

    Args:
        run: a finished training run: its folder, its name or ``latest``; or a folder of `adarts run`.
        to: the format.
        out: the file or the folder; by default in the folder ``export`` of the training, or in the folder of `adarts run`.
        int8: with ``onnx``, write a statically quantized file beside the first, and measure both on the test images.
        data: the data of the training; needed if it was a loader in a file or an object. Or its images, if they are loaded.

    Raises:
        ConfigError: the format is unknown or a package is missing; or the format does not fit the network.
        DataError: the run is unusable, the images for int8 are missing, or the file cannot be written.
        ExportError: the exported network does not give the answers of the trained one.
    """
    if to not in get_args(Target):
        raise ConfigError(f"unknown format {to!r:.60}{nearest(str(to), get_args(Target))}")
    if int8 and to != "onnx":
        raise ConfigError("--int8 belongs to --to onnx")
    trained = Trained.load(run)
    if isinstance(trained.network, Network) and "noise" in trained.network.genotype.operations:
        raise ConfigError(f"{run}: its cells have noise, so the network has no fixed answer that a file could give")
    write, name = _FORMATS[to]
    home = Path(run) if (Path(run) / PLAN_FILE).is_file() else trained.path / "export"
    path = home / name if out is None else Path(out)
    suffix = Path(name).suffix
    if suffix and path.suffix != suffix:
        raise ConfigError(f"--out {path}: a file of this format ends in {suffix}")
    images, without = _images(trained, data, needed=int8)
    rows = [] if images is not None else [("images", f"not at hand, compared on random pixels: {without}")]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=path.parent) as folder, _quiet():
            new = Path(folder, path.name)
            answer = write(trained, new)
            rows += [
                ("parity", str(check(trained, answer, some(trained, images)))),
                ("size", _size(*Path(folder).rglob("*"))),
            ]
            if to == "onnx":
                float_milliseconds = onnx_file.latency(new)
                rows.append(("latency", _latency(float_milliseconds)))
            warning = None
            if images is not None and int8:
                small = new.with_suffix(".int8.onnx")
                warning = _add_int8(new, float_milliseconds, small, images, rows)
                path = path.with_suffix(".int8.onnx")
            for file in new.iterdir() if new.is_dir() else Path(folder).iterdir():
                place = path if new.is_dir() else path.parent
                place.mkdir(exist_ok=True)
                file.replace(place / file.name)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    return Exported(path, rows, warning)


def _add_int8(
    float_file: Path, float_milliseconds: float, small: Path, images: ImageData, rows: list[tuple[str, str]]
) -> str | None:
    """Write the int8 file beside the float one, add what was measured, and return the warning."""
    onnx_file.write_int8(float_file, calibration_images(images), small)
    before, after = (accuracy(OnnxModel(path).logits, images) for path in (float_file, small))
    onnx_file.set_accuracy(small, after)
    milliseconds = onnx_file.latency(small)
    rows += [
        ("int8 size", _size(small)),
        ("int8 latency", _latency(milliseconds)),
        ("int8 accuracy", f"{after:.2%} of {len(images.test):,} test images; float32 {before:.2%}"),
    ]
    if before - after > WORST_DROP:
        return f"int8 loses {100 * (before - after):.1f} points of accuracy; take the float32 file"
    if small.stat().st_size >= float_file.stat().st_size and milliseconds >= float_milliseconds:
        return "int8 is neither smaller nor faster for this network; take the float32 file"
    return None


def calibration_images(images: ImageData) -> Pixels:
    """A fixed draw of the training images."""
    order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0))
    return images.train.select(order[: onnx_file.CALIBRATION]).pixels.contiguous().numpy()


def _images(trained: Trained, data: Data | ImageData | None, needed: bool) -> tuple[ImageData | None, str]:
    """The images of the training; or None and the reason why they are not at hand."""
    if isinstance(data, ImageData):
        return data, ""
    try:
        return images_of(trained.path, data), ""
    except AdartsError as error:
        if needed or data is not None:
            raise
        return None, str(error)


def _size(*paths: Path) -> str:
    return f"{sum(path.stat().st_size for path in paths if path.is_file()):,} bytes"


def _latency(milliseconds: float) -> str:
    return f"{milliseconds:.2f} ms for one image (median; onnxruntime, one CPU thread)"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the notes of torch and onnxruntime about their own progress."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _onnx(trained: Trained, path: Path) -> Answer:
    onnx_file.write_onnx(trained.module, trained.facts, path)
    return OnnxModel(path).logits


def _hub(trained: Trained, path: Path) -> Answer:
    from adarts.export.hub import write_hub  # needs huggingface_hub

    return write_hub(trained, path)


_FORMATS: dict[str, tuple[Write, str]] = {
    "onnx": (_onnx, "model.onnx"),
    "pt2": (write_pt2, "model.pt2"),
    "python": (write_module, "model.py"),
    "safetensors": (write_safetensors, "model.safetensors"),
    "timm": (write_timm, "timm"),
    "hub": (_hub, "hub"),
}
"""Format -> how it is written, and the default name of its file or folder."""
