"""Write a trained network as one readable Python module that needs torch alone, and its weights beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual

from adarts.errors import ConfigError
from adarts.export.loaded import Logits, Pixels
from adarts.export.parity import Answer
from adarts.export.templates import ENVIRONMENT
from adarts.export.trained import Trained
from adarts.models import FactorizedReduce, Network, ResidualReduction
from adarts.models.baselines import Block, Classifier, DenseLayer
from adarts.models.network import Cell
from adarts.spaces import Space, get_space

_NEEDS = {"twice": "DepthwiseSeparable", "ResidualReduction": "ReLUConvBN"}


def write_module(trained: Trained, path: Path) -> Answer:
    """Write the module, and its weights with the ending ``.pt``; return the network that the module loads.

    Raises:
        ConfigError: the cells have an operation of somebody else, whose source is not known here.
    """
    path.write_text(source(trained), encoding="utf-8")
    torch.save(trained.network.state_dict(), path.with_suffix(".pt"))
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": "exported_network"}
    exec(compile(path.read_bytes(), path, "exec"), namespace)  # unlike an import, this leaves no bytecode behind
    network = namespace["load"]()

    def answer(pixels_bchw: Pixels) -> Logits:
        with torch.inference_mode():
            logits: Logits = network(torch.from_numpy(pixels_bchw)).numpy()
        return logits

    return answer


def source(trained: Trained) -> str:
    """The source code of a network."""
    network, facts = trained.network, trained.facts
    if not isinstance(network, Network | Classifier):
        raise ConfigError("the source code of a network of timm is in timm; take --to timm")
    parts = _cells(network) if isinstance(network, Network) else _designed(network)
    template = ENVIRONMENT.get_template("network.py.jinja")
    classifier = network.classifier.in_features, network.classifier.out_features
    return template.render(
        facts=facts, classes=map(_quoted, facts.classes), classifier=classifier, sum_of=_sum, **parts
    )


def _cells(network: Network) -> dict[str, Any]:
    """The parts of a network of cells."""
    space = get_space(network.genotype.space)
    cells = [cell for cell in network.cells if isinstance(cell, Cell)]
    kinds = [space.cell_kind(index, len(cells)) for index in range(len(cells))]
    shown = [_kind(space, kind, network) for kind in dict.fromkeys(kinds)]
    reductions = {
        index: f"ResidualReduction({block.shortcut.in_channels}, {block.shortcut.out_channels})"
        for index, block in network.reductions.items()
        if isinstance(block, ResidualReduction)
    }
    calls = [f"{_title(kind)}({_sizes(cell)})" for kind, cell in zip(kinds, cells, strict=True)]
    expressions = [call for kind in shown for node in kind["nodes"] for call, _ in node] + list(reductions.values())
    used = set(re.findall(r"(?<!\.)\b[A-Za-z]\w+(?=\()", " ".join(expressions)))
    used |= {"ReLUConvBN", "FactorizedReduce"} if space.num_inputs == 2 else set()
    return {
        "kinds": shown,
        "used": used | {_NEEDS[name] for name in used if name in _NEEDS},
        "stem": {name: _layer(layer) for name, layer in network.stem.named_children()},
        "layers": _repeated(calls),
        "reductions": reductions,
        "normalizes_last": not space.all_nodes,
    }


def _kind(space: Space, kind: str, network: Network) -> dict[str, Any]:
    """A kind of cell: the calls that build its operations, with their sources, and its output."""
    genotype = network.genotype.cells[kind]
    nodes = [
        [(_operation(name, space.stride(kind, source)), source) for name, source in pairs] for pairs in genotype.nodes
    ]
    outputs = [f"x{node}" for node in genotype.concat]
    output = outputs[0] if len(outputs) == 1 else f"torch.cat([{', '.join(outputs)}], dim=1)"
    return {"name": _title(kind), "inputs": space.num_inputs, "nodes": nodes, "output": output}


def _sum(node: int, pairs: Sequence[tuple[str, int]]) -> str:
    """A node as the sum of its operations."""
    terms = [f"self.nodes[{node}][{place}](x{source})" for place, (_, source) in enumerate(pairs)]
    return " + ".join(terms) or "torch.zeros_like(x0)"


def _sizes(cell: Cell) -> str:
    """The arguments of a cell's class."""
    channels = cell.out_channels // len(cell.concat)
    if len(cell.preprocess) == 1:
        return str(channels)
    first, second = cell.preprocess
    halves = isinstance(first, FactorizedReduce)
    before, last = (_convolutions(part)[0].in_channels for part in (first, second))
    return f"{before}, {last}, {channels}{', halves_before=True' if halves else ''}"


def _operation(name: str, stride: int) -> str:
    """The call that builds an operation of a cell with `channels`."""
    strides = stride != 1
    step = f", {stride}" if strides else ""
    calls = {
        "none": f"Zero({stride if strides else ''})",
        "skip_connect": "FactorizedReduce(channels, channels)" if strides else "nn.Identity()",
        "avg_pool_3x3": f"avg_pool({stride if strides else ''})",
        "max_pool_3x3": f"max_pool({stride if strides else ''})",
        "max_pool_5x5": f"max_pool({stride}, kernel=5)",
        "norm_max_pool_3x3": f"nn.Sequential(max_pool({stride}), nn.BatchNorm2d(channels))",
        **{f"sep_conv_{side}x{side}": f"twice(channels, {side}{step})" for side in (3, 5, 7)},
        **{f"dil_conv_{side}x{side}": f"DepthwiseSeparable(channels, {side}, {stride}, dilation=2)" for side in (3, 5)},
        **{f"nor_conv_{side}x{side}": f"ReLUConvBN(channels, channels, {side}{step})" for side in (1, 3)},
        **{f"conv_{side}x1_1x{side}": f"crossed(channels, {side}{step})" for side in (3, 7)},
        "grouped_conv_3x1_1x3": f"nn.Sequential(crossed(channels, 3, {stride}, 8), ReLUConvBN(channels, channels))",
    }
    call = calls.get(name)
    if call is None:
        raise ConfigError(f"the source code of the operation '{name}' is not known here; take --to onnx or pt2")
    return call


def _designed(network: Classifier) -> dict[str, Any]:
    """The parts of a hand-designed network."""
    layers = [_layer(layer) for layer in network.features.children()]
    used = {name for name in ("Block", "DenseLayer", "InvertedResidual") if any(name in layer for layer in layers)}
    return {"kinds": [], "used": used, "layers": _repeated(layers), "normalizes_last": False}


def _layer(layer: nn.Module) -> str:
    """The call that builds a layer of a hand-designed network."""
    match layer:
        case nn.Conv2d():
            side, stride = layer.kernel_size[0], layer.stride[0]
            padding = f", padding={layer.padding[0]}" if layer.padding[0] else ""
            more = f"{f', {stride}' if stride > 1 else ''}{padding}{', bias=False' if layer.bias is None else ''}"
            return f"nn.Conv2d({layer.in_channels}, {layer.out_channels}, {side}{more})"
        case nn.BatchNorm2d():
            return f"nn.BatchNorm2d({layer.num_features})"
        case nn.MaxPool2d():
            return f"nn.MaxPool2d({layer.kernel_size}, ceil_mode={layer.ceil_mode})"
        case nn.AvgPool2d():
            return f"nn.AvgPool2d({layer.kernel_size})"
        case nn.ReLU() | nn.ReLU6():
            return f"nn.{type(layer).__name__}()"
        case Block():
            first, last = _convolutions(layer)
            return f"Block({first.in_channels}, {last.out_channels})"
        case DenseLayer():
            first, last = _convolutions(layer)
            return f"DenseLayer({first.in_channels}, {last.out_channels})"
        case InvertedResidual():
            convolutions = _convolutions(layer)
            depthwise, last = convolutions[-2:]
            before, wide = convolutions[0].in_channels, last.in_channels
            return f"InvertedResidual({before}, {last.out_channels}, {depthwise.stride[0]}, {wide // before})"
        case nn.Sequential():
            return f"nn.Sequential({', '.join(map(_layer, layer))})"
        case _:
            raise ConfigError(
                f"the source code of the layer {type(layer).__name__} is not known here; take --to onnx or pt2"
            )


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def _repeated(calls: Sequence[str]) -> list[str]:
    """Lines of a list of modules; equal neighbors share a line."""
    groups = [(call, len(list(group))) for call, group in groupby(calls)]
    return [call if count == 1 else f"*({call} for _ in range({count}))" for call, count in groups]


def _quoted(name: str) -> str:
    """A text as Python writes it; escaped if a file cannot hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return ascii(name)
    return json.dumps(name, ensure_ascii=False)


def _title(kind: str) -> str:
    """The class of a kind of cell: ``NormalCell``."""
    return f"{kind.title().replace('_', '')}Cell"
