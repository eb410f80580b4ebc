"""Write a trained network as a folder that timm loads: ``timm.create_model("local-dir:FOLDER", pretrained=True)``.

The reader needs adarts for the network itself: ``import adarts.zoo.timm`` registers it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from adarts.errors import ConfigError
from adarts.export.loaded import Logits, Pixels
from adarts.export.parity import Answer
from adarts.export.trained import Trained
from adarts.zoo.baselines import TIMM


def write_timm(trained: Trained, path: Path) -> Answer:
    """Write ``config.json`` and ``model.safetensors``; return the network that timm makes of them.

    Its input is normalized as the configuration says; timm's own transform does that.

    Raises:
        ConfigError: timm is not installed.
    """
    try:
        import timm

        from adarts.zoo.timm import OWN_CELLS, timm_name
    except ImportError:
        raise ConfigError("--to timm needs timm: pip install 'adarts[timm]'") from None
    facts, genotype = trained.facts, trained.genotype
    arguments: dict[str, Any] = {"in_chans": facts.in_channels}
    if genotype is not None:
        architecture = OWN_CELLS
        sizes = {name: trained.details[name] for name in ("channels", "cells", "stem_stride")}
        arguments |= {"genotype": genotype.to_dict(), **sizes}
    else:
        name = trained.details["network"]
        architecture = name.removeprefix(TIMM) if name.startswith(TIMM) else timm_name(name)
    layers = {part: name for name, part in trained.network.named_modules()}
    convolutions = [name for part, name in layers.items() if isinstance(part, nn.Conv2d)]
    *_, (last, classifier) = [(part, name) for part, name in layers.items() if isinstance(part, nn.Linear)]
    config = {
        "architecture": architecture,
        "num_classes": len(facts.classes),
        "num_features": last.in_features,
        "label_names": facts.classes,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [facts.in_channels, *facts.image_size],
            "num_classes": len(facts.classes),
            "mean": facts.mean,
            "std": facts.std,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "first_conv": convolutions[0],
            "classifier": classifier,
        },
        "adarts": facts.to_dict(),
    }
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file(trained.network.state_dict(), path / "model.safetensors")
    network = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
    module = trained.module

    def answer(pixels_bchw: Pixels) -> Logits:
        with torch.inference_mode():
            logits: Logits = network((torch.from_numpy(pixels_bchw).float() - module.shift) * module.scale).numpy()
        return logits

    return answer
