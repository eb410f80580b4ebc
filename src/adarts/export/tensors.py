"""Files of torch: a graph for `torch.export.load`, and one file of safetensors with all that rebuilds the network."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from adarts.errors import DataError, refusing
from adarts.export.facts import Facts
from adarts.export.loaded import Logits, Pixels
from adarts.export.parity import Answer
from adarts.export.trained import Trained
from adarts.spaces import Genotype
from adarts.training.model import trained_network

_KEY = "adarts"


def write_pt2(trained: Trained, path: Path) -> Answer:
    """Write the graph of :mod:`torch.export` with any batch; return the network that the file holds.

    The facts, and the version of torch that the file needs, lie inside as ``facts.json`` and beside it with the ending ``.json``.
    """
    facts = trained.facts
    example = torch.zeros((2, facts.in_channels, *facts.image_size), dtype=torch.uint8)
    program = torch.export.export(trained.module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    text = json.dumps({**facts.of_graph(), "torch": torch.__version__}, indent=2, ensure_ascii=False) + "\n"
    torch.export.save(program, path, extra_files={"facts.json": text})
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    module = torch.export.load(path).module()

    def answer(pixels_bchw: Pixels) -> Logits:
        with torch.inference_mode():
            logits: Logits = module(torch.from_numpy(pixels_bchw)).numpy()
        return logits

    return answer


def write_safetensors(trained: Trained, path: Path) -> Answer:
    """Write weights, cells and facts as one file; return the network that :func:`read_safetensors` rebuilds."""
    genotype = trained.genotype
    held = {
        "details": trained.details,
        "genotype": None if genotype is None else genotype.to_dict(),
        "facts": trained.facts.to_dict(),
    }
    save_file(trained.network.state_dict(), path, {_KEY: json.dumps(held, ensure_ascii=False)})
    return read_safetensors(path).logits


def read_safetensors(path: str | Path) -> Trained:
    """Rebuild the network of a file of :func:`write_safetensors`.

    Raises:
        DataError: the file is missing, damaged, or something else.
    """
    with refusing(f"{path}: not a usable file of `adarts export`", DataError):
        with safe_open(path, "pt") as file:
            held = json.loads((file.metadata() or {})[_KEY])
        genotype = None if held["genotype"] is None else Genotype.from_dict(held["genotype"])
        facts = Facts.of(held["facts"], held["details"])
        network = trained_network(held["details"], genotype, load_file(path))
        return Trained(Path(path), network, facts, {}, held["details"])
