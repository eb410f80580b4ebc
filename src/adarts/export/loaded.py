"""Networks that are ready to predict: an ONNX file in onnxruntime, without torch, or a training run in torch.

Shape suffixes: b batch, c channels, h height, w width, k classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adarts.errors import ConfigError, DataError, refusing
from adarts.export.facts import Facts

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]


class Model(Protocol):
    """A network with its facts; many threads may call it at the same time."""

    @property
    def facts(self) -> Facts: ...

    def logits(self, pixels_bchw: Pixels) -> Logits:
        """The scores of the classes (b, k) of images as they were decoded."""
        ...


class OnnxModel:
    """An exported ONNX file in onnxruntime on the CPU.

    Args:
        path: the file.
        threads: threads of one call; None uses all cores.

    Raises:
        ConfigError: onnxruntime is not installed.
        DataError: the file is missing, damaged, or not from `adarts export`.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ConfigError("ONNX files need onnxruntime: pip install 'adarts[export]'") from None
        if not Path(path).is_file():
            raise DataError(f"no file {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors only
        self._path = path
        with refusing(f"{path}: not a usable ONNX file", DataError):
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.facts = Facts.from_texts(self._session.get_modelmeta().custom_metadata_map, path)
            parts = (*self._session.get_inputs(), *self._session.get_outputs())
            found = [(part.name, part.type, part.shape[1:]) for part in parts]
        shape = [self.facts.in_channels, *self.facts.image_size]
        if found != [("pixels", "tensor(uint8)", shape), ("logits", "tensor(float)", [len(self.facts.classes)])]:
            raise DataError(f"{path}: its metadata do not fit its graph")

    def logits(self, pixels_bchw: Pixels) -> Logits:
        """As :meth:`Model.logits`."""
        with refusing(f"{self._path}: its graph cannot be computed", DataError):
            found: Any = self._session.run(["logits"], {"pixels": pixels_bchw})
        logits: Logits = found[0]
        if logits.shape != (len(pixels_bchw), len(self.facts.classes)):
            raise DataError(f"{self._path}: its graph gives {logits.shape} logits, not one row for each image")
        return logits


def load(reference: str | Path, threads: int | None = None) -> Model:
    """Load an exported ONNX or safetensors file, or a training run by its folder, its name or ``latest``.

    Args:
        reference: the file, whose name ends in ``.onnx`` or ``.safetensors``, or the run.
        threads: threads of one call; None uses all cores.

    Raises:
        AdartsError: there is no such model, or it is damaged.
    """
    if str(reference).lower().endswith(".onnx"):
        return OnnxModel(reference, threads)
    # All others load torch.
    if str(reference).lower().endswith(".safetensors"):
        from adarts.export.tensors import read_safetensors

        return read_safetensors(reference)
    from adarts.export.trained import Trained

    return Trained.load(reference, threads)
