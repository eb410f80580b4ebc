"""Networks of the zoo by name: all of them run, and what cannot be is refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import adarts
from adarts import zoo
from adarts.errors import ConfigError
from adarts.models import Network
from adarts.models.baselines import Classifier
from adarts.report.cells import cell_lines
from adarts.zoo.baselines import BASELINES
from adarts.zoo.create import count


@pytest.mark.parametrize("name", zoo.names())
def test_every_cell_runs_forward_and_backward(name: str) -> None:
    model = adarts.create_model(name, num_classes=3, channels=4, cells=5, seed=0)
    for size in ((32, 32), (24, 20)):
        model.zero_grad()
        scores = model(torch.randn(2, 3, *size))
        assert scores.shape == (2, 3)
        scores.square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        without = {n.split(".nodes.")[0] for n, p in model.named_parameters() if p.grad is None}
        assert not {part for part in without if not part.startswith("cells.")}  # a cell need not read all its nodes


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"resnet1202"}))  # that one is resnet110, and takes seconds
def test_hand_designed_networks_by_name(name: str) -> None:
    with torch.device("meta"):
        model = adarts.create_model(name.upper().replace("_", "-"), num_classes=3, in_channels=1, image_size=(24, 20))
        assert model(torch.empty(2, 1, 24, 20)).shape == (2, 3)


def test_the_size_is_the_callers() -> None:
    model = adarts.create_model("adarts_v1", num_classes=7, channels=6, cells=4, in_channels=1, image_size=(9, 5))
    assert isinstance(model, Network) and len(model.cells) == 4
    assert model.genotype == zoo.get("ADARTS_V1").genotype
    assert model(torch.randn(2, 1, 9, 5)).shape == (2, 7)
    head = adarts.create_model("ADARTS_V1", channels=4, cells=3, auxiliary=True)
    assert isinstance(head(torch.randn(2, 3, 16, 16)), tuple)


def test_a_seed_decides_the_weights_and_nothing_else() -> None:
    def weights(**kwargs: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in adarts.create_model("SETN", channels=4, cells=3, **kwargs).parameters()])

    torch.manual_seed(5)
    first, drawn = weights(seed=1), torch.rand(())
    torch.manual_seed(5)
    assert torch.rand(()) == drawn
    assert torch.equal(first, weights(seed=1)) and not torch.equal(first, weights(seed=2))
    built = adarts.build(zoo.get("SETN").genotype, 10, 4, 3, seed=1)
    assert torch.equal(first, torch.cat([p.flatten() for p in built.parameters()]))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"name": "ADARTS_V3"}, "unknown network 'ADARTS_V3'; did you mean 'ADARTS_V"),
        ({"name": "resnet111"}, "did you mean 'resnet110'"),
        ({"name": "x" * 10_000}, "unknown network 'x{60}'; `adarts zoo` lists"),
        ({"name": "resnet110", "channels": 16}, "designed by hand"),
        ({"name": "resnet110", "cells": 8}, "designed by hand"),
        ({"name": "resnet110", "auxiliary": True}, "designed by hand"),
        ({"name": "SETN", "num_classes": 0}, "num_classes of at least 1"),
        ({"name": "SETN", "cells": 0}, "cells of at least 1"),
        ({"name": "SETN", "channels": 0}, "channels of at least 1"),
        ({"name": "SETN", "cells": 2, "channels": 4, "image_size": 0}, "of at least 1x1 pixels, not 0x0"),
        ({"name": "SETN", "cells": 2, "channels": 4, "image_size": (8, -1)}, "of at least 1x1 pixels, not 8x-1"),
        ({"name": "densenet_bc_190_40", "image_size": (32, 15)}, "of at least 16x16 pixels, not 32x15"),
        (
            {"name": "SETN", "image_size": 32.0},
            r"image_size must be \(height, width\) or one side, in whole pixels, not 32.0",
        ),
        ({"name": "SETN", "image_size": (32, 32.0)}, r"in whole pixels, not \(32, 32.0\)"),
        ({"name": "SETN", "image_size": (3, 32, 32)}, r"in whole pixels, not \(3, 32, 32\)"),
        ({"name": "SETN", "image_size": "32"}, "in whole pixels, not '32'"),
        ({"name": "SETN", "image_size": None}, "in whole pixels, not None"),
    ],
)
def test_refusals(arguments: dict[str, object], match: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=match) as caught:
        adarts.create_model(**arguments)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 200


@pytest.mark.parametrize("size", [np.int64(16), [16, 16], torch.Size((16, 16))])
def test_whole_numbers_of_any_kind_are_sizes(size: Any) -> None:
    with torch.device("meta"):
        assert isinstance(adarts.create_model("resnet110", image_size=size), Classifier)


def test_parameters_and_macs_at_any_size() -> None:
    assert count("DARTS_V2") == (3_349_342, 528_359_040)
    assert count("ADARTS_V1", num_classes=100)[0] == 2_949_832
    (small, few), (large, many) = (count("GDAS_V1", 10, 4, 5, image_size=side) for side in (8, 16))
    assert small == large and few < many <= 4 * few
    assert count("resnet110", 100)[0] == 1_733_812


def test_cells_as_text() -> None:
    lines = cell_lines(zoo.get("FairDARTS_a").genotype, "normal")
    assert lines == [
        "node 2 = sep_conv_3x3(0) + sep_conv_5x5(1)",
        "node 3 has no input",
        "node 4 = max_pool_3x3(0)",
        "node 5 = sep_conv_3x3(0)",
        "output = 2 ++ 4 ++ 5",
    ]
