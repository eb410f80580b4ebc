"""``adarts export``: a trained network as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse


@dataclass(frozen=True, config=FORM)
class Export:
    """Write a trained network for other programs. The file is compared with the network on test images before it is kept."""

    run: Annotated[str, Positional("RUN")]
    """A training run: its folder, its name, or latest."""
    to: Literal["onnx", "pt2", "python", "safetensors", "timm", "hub"] = "onnx"
    """onnx: for onnxruntime and most other tools. pt2: a graph for torch.export.load. python: one readable module that needs
    torch alone. safetensors: one file that adarts loads again. timm: a folder for timm. hub: one for the Hugging Face Hub."""
    out: Path | None = None
    """The file, or for timm and hub the folder; none: in the folder export of the run, or in that of `adarts run`."""
    int8: bool = False
    """With onnx: write a quantized file beside the first, calibrated on training images, and measure the accuracy of both."""
    data: str | None = None
    """The data of the training once more, path/to/file.py:NAME, if it was loaded by your own file; the file is executed."""


def run(words: list[str]) -> int:
    """Run ``adarts export``."""
    form = parse(Export, words, "adarts export")
    from adarts.engine.forecast import titled_rows
    from adarts.export.export import export

    result = export(form.run, form.to, form.out, form.int8, form.data)
    print(titled_rows(form.to, result.rows))
    if result.warning is not None:
        print(f"warning: {result.warning}")
    print(result.path)
    return 0
