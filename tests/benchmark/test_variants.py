from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, fields

import pytest
import torch

from adarts import kernels
from adarts.benchmark.growth import AXES, axes_of, points_of
from adarts.benchmark.variants import Variant, for_each_k, grid, require_differences
from adarts.cli.benchmark import Edge
from adarts.config.settings import EdgeDesign
from adarts.errors import ConfigError


def test_all_combinations_the_first_being_the_yardstick() -> None:
    variants = grid({"method": "darts,adarts", "kernels": "torch,auto", "batch": "4", "edge.k": None})
    labels = ["darts, kernels torch", "darts, kernels auto", "adarts, kernels torch", "adarts, kernels auto"]
    assert [variant.label for variant in variants] == labels
    assert [variant.k for variant in variants] == [1, 1, 4, 4]
    assert {variant.batch for variant in variants} == {4}


def test_one_variant_is_called_by_its_method() -> None:
    assert [variant.label for variant in grid({"method": "pc-darts"})] == ["pc-darts"]


def test_the_edge_design_is_the_methods_with_what_is_replaced() -> None:
    (variant,) = grid({"method": "pc-darts", "edge.k": "2", "edge.normalization": "no"})
    edge = variant.config().edge
    assert (edge.selector, edge.k, edge.attention, edge.normalization) == ("first", 2, False, False)


def test_a_variant_survives_the_way_to_a_child() -> None:
    (variant,) = grid({"method": "darts-random", "edge.k": "8", "size": "16"})
    assert Variant(**json.loads(json.dumps(asdict(variant)))) == variant


def test_the_command_line_knows_the_whole_edge_design() -> None:
    assert [field.name for field in fields(Edge)] == list(EdgeDesign.model_fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dart"}, "unknown method 'dart'; did you mean 'darts'?"),
        ({"method": "adarts,"}, "--method: an empty value"),
        ({"batch": "-4"}, "--batch: a whole number of at least 1"),
        ({"batch": "1"}, "--batch must be greater than or equal to 2, not 1"),
        ({"cells": "2"}, "--cells must be greater than or equal to 3, not 2"),
        ({"cells": "9999999999999999"}, "--cells: a whole number"),
        ({"kernels": "fast"}, "--kernels must be 'auto' or 'torch'"),
        ({"precision": "int8"}, "--precision must be 'float32' or 'bfloat16'"),
        ({"edge.k": "3"}, "edge.k = 3 does not divide the 16 channels"),
        ({"method": "darts", "edge.k": "4"}, "selector 'all' sends every channel"),
        ({"edge.selector": "best"}, "--edge.selector must be"),
        ({"edge.mask_scope": "x"}, "--edge.mask-scope must be"),
    ],
)
def test_what_cannot_be_measured(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grid(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_batch_by_k_takes_the_ks_that_a_method_can_have() -> None:
    spread = for_each_k(grid({"method": "darts,pc-darts"}))
    assert [variant.label for variant in spread] == ["darts, k 1", *(f"pc-darts, k {k}" for k in (1, 2, 4, 8))]
    assert [variant.k for variant in spread] == [1, 1, 2, 4, 8]


CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("options", "device", "same"),
    [
        ({"capture": "yes,no"}, CPU, True),
        ({"capture": "yes,no"}, GPU, False),
        ({"kernels": "torch,auto"}, CPU, kernels.active() == "torch"),
        ({"kernels": "torch,auto"}, GPU, True),
        ({"kernels": "torch,auto", "precision": "bfloat16"}, CPU, True),
        ({"capture": "no", "recompute": "no,yes"}, CPU, False),
    ],
)
def test_what_is_one_and_the_same_is_not_compared(options: dict[str, str], device: torch.device, same: bool) -> None:
    variants = grid(options)
    with pytest.raises(ConfigError, match="are the same here") if same else nullcontext():
        require_differences(variants, device)


def test_a_record_says_whether_the_native_kernels_ran() -> None:
    there = kernels.active() == "native"
    float32, torchs, bfloat16 = Variant(), Variant(kernels="torch"), Variant(precision="bfloat16")
    assert [v.facts(CPU)["native"] for v in (float32, torchs, bfloat16)] == [there, False, False]
    assert float32.facts(GPU)["native"] is False and float32.facts(CPU)["k"] == 4


def test_growth_varies_one_thing_at_a_time() -> None:
    points = points_of(Variant(label="adarts"), axes_of(["k=4,1", "channels"]))
    assert list(points["k"]) == [1, 4]
    assert [variant.channels for variant in points["channels"].values()] == [8, 16, 32]
    assert {variant.k for variant in points["channels"].values()} == {4}
    # The base lies on both axes; it is measured once.
    assert points["k"][4] == points["channels"][16]
    assert list(axes_of([])) == list(AXES)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["depth"], "nothing called 'depth'"), (["k=4"], "at least two values"), (["k=a,2"], "a whole number")],
)
def test_growth_along_nothing(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        axes_of(words)
