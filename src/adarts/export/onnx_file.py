"""Write a trained network as an ONNX file, in float32 or, statically quantized, in int8.

Shape suffixes: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from adarts.errors import ConfigError
from adarts.export.facts import Facts
from adarts.export.loaded import OnnxModel, Pixels
from adarts.export.trained import Deployed

CALIBRATION = 256
"""Training images from which int8 learns the range of each tensor."""


def write_onnx(module: Deployed, facts: Facts, path: Path) -> None:
    """Write a float32 file. Its input is ``pixels``, uint8 (b, c, h, w) with any b; its output is ``logits``.

    Args:
        module: the network with its normalization.
        facts: what the file says of it.
        path: the new file.

    Raises:
        ConfigError: onnx or onnxscript is not installed.
    """
    onnx = _onnx()
    program = torch.onnx.export(
        module,
        (torch.zeros((2, facts.in_channels, *facts.image_size), dtype=torch.uint8),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["pixels"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    for part in (*proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info, proto.graph):
        del part.metadata_props[:]  # torch's notes, with paths of this machine
    _save(onnx, proto, facts, path)


def write_int8(float_file: Path, pixels_bchw: Pixels, path: Path) -> None:
    """Quantize a float32 file: weights by channel, activations by ranges measured on training images.

    Dynamic quantization is not offered: it ruins depthwise convolutions.

    Args:
        float_file: the file of :func:`write_onnx`.
        pixels_bchw: training images.
        path: the new file.
    """
    onnx = _onnx()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    facts = OnnxModel(float_file).facts
    with TemporaryDirectory() as folder:
        prepared, quantized = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        quant_pre_process(float_file, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _Calibration(pixels_bchw),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        _save(onnx, onnx.load(quantized), facts, path)


def set_accuracy(path: Path, accuracy: float) -> None:
    """Write the measured accuracy of a file into its facts."""
    onnx = _onnx()
    facts = OnnxModel(path).facts
    _save(onnx, onnx.load(path), facts.measured(accuracy), path)


def latency(path: Path) -> float:
    """Median milliseconds for one image in onnxruntime, with one thread."""
    model = OnnxModel(path, threads=1)
    facts = model.facts
    pixels_bchw = torch.zeros((1, facts.in_channels, *facts.image_size), dtype=torch.uint8).numpy()
    for _ in range(5):
        model.logits(pixels_bchw)
    times: list[float] = []
    end = time.perf_counter() + 2
    while len(times) < 200 and (time.perf_counter() < end or len(times) < 5):
        start = time.perf_counter()
        model.logits(pixels_bchw)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


class _Calibration:
    """Feeds images to the quantizer, one after the other."""

    def __init__(self, pixels_bchw: Pixels) -> None:
        self._rest = iter(pixels_bchw)

    def get_next(self) -> dict[str, Pixels] | None:
        pixels_chw = next(self._rest, None)
        return None if pixels_chw is None else {"pixels": pixels_chw[None]}


def _save(onnx: Any, proto: Any, facts: Facts, path: Path) -> None:
    onnx.helper.set_model_props(proto, facts.to_texts())
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def require_packages() -> None:
    """Refuse early, before a training, if files cannot be written or measured here.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is not installed.
    """
    _onnx()


def _onnx() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401  files are compared and measured with it
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError:
        raise ConfigError("ONNX files need onnx, onnxruntime and onnxscript: pip install 'adarts[export]'") from None
    return onnx
