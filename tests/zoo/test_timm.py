"""The zoo in timm's registry, as timm's users call it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from adarts import zoo
from adarts.errors import ConfigError
from adarts.models import Network
from adarts.zoo.baselines import BASELINES

timm = pytest.importorskip("timm")

import adarts.zoo.timm  # noqa: E402 - it needs timm

SMALL = {"channels": 4, "cells": 3}
X = torch.randn(2, 3, 16, 16)


def test_everything_is_registered_under_a_name_of_its_own() -> None:
    registered = {adarts.zoo.timm.timm_name(name) for name in (*zoo.names(), *BASELINES)}
    assert len(registered) == 105 and registered <= set(timm.list_models())
    assert {"adarts_v1_cifar", "pc_darts_cifar", "drnas_cifar10", "resnet110_cifar"} <= registered
    assert timm.list_models("adarts_*") == ["adarts_cells", "adarts_v1_cifar", "adarts_v2_cifar"]
    assert timm.is_model("adarts_v1_cifar") and not timm.is_model_pretrained("adarts_v1_cifar")


@pytest.mark.full
def test_the_registry_of_timm_keeps_its_own_models() -> None:
    code = (
        "import timm; before = set(timm.list_models()); import adarts.zoo.timm; after = set(timm.list_models());"
        "print(len(after - before), before <= after)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["106", "True"]


def test_a_network_is_the_one_of_the_zoo() -> None:
    model = timm.create_model("adarts_v1_cifar", num_classes=7, in_chans=1, **SMALL).eval()
    ours = Network(zoo.get("ADARTS_V1").genotype, 7, 4, 3, in_channels=1).eval()
    ours.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(X[:, :1]), ours(X[:, :1]))


def test_the_same_seed_gives_the_weights_of_create_model() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenet_v2_cifar", num_classes=7).state_dict()
    torch.manual_seed(0)
    ours = adarts.create_model("mobilenet_v2", num_classes=7).state_dict()
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize("name", ["adarts_v1_cifar", "resnet110_cifar"])
def test_what_timms_users_expect(name: str) -> None:
    model = timm.create_model(name, num_classes=7, **(SMALL if "adarts" in name else {})).eval()
    features = model.forward_features(X)
    assert features.shape[:2] == (2, model.num_features) and features.ndim == 4
    assert torch.equal(model.forward_head(features), model(X)) and model(X).shape == (2, 7)
    assert model.forward_head(features, pre_logits=True).shape == (2, model.num_features)
    assert model.get_classifier().out_features == model.num_classes == 7
    assert model.default_cfg["input_size"] == (3, 32, 32) and model.default_cfg["architecture"] == name
    assert dict(model.named_modules())[model.default_cfg["classifier"]] is model.get_classifier()
    assert timm.data.resolve_data_config({}, model=model)["mean"] == pytest.approx((0.491, 0.482, 0.447), abs=1e-3)
    model.reset_classifier(0)
    assert torch.equal(model(X), features.mean((2, 3)))
    model.reset_classifier(3)
    assert model(X).shape == (2, 3) and model.num_classes == 3
    model.reset_classifier(0, "")
    assert torch.equal(model(X), features)


def test_the_first_convolution_is_named() -> None:
    model = timm.create_model("adarts_v1_cifar", in_chans=5, **SMALL)
    assert dict(model.named_modules())[model.default_cfg["first_conv"]].in_channels == model.in_chans == 5


def test_features_without_a_classifier() -> None:
    model = timm.create_model("adarts_v1_cifar", num_classes=0, **SMALL)
    assert model(X).shape == (2, model.num_features)
    assert timm.create_model("adarts_v1_cifar", num_classes=0, global_pool="", **SMALL)(X).shape == (2, 64, 4, 4)


def test_drop_path_and_dropout_are_for_training() -> None:
    model = timm.create_model("adarts_v1_cifar", drop_path_rate=0.5, drop_rate=0.5, **SMALL)
    torch.manual_seed(0)
    model.forward_features(X)
    first = model.forward_features(X)
    assert not torch.equal(first, model.forward_features(X))
    assert not torch.equal(model.forward_head(first), model.forward_head(first))
    model.eval()
    assert torch.equal(model(X), model(X))


def test_refusals() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("adarts_v1_cifar", pretrained=True, **SMALL)
    with pytest.raises(ConfigError, match="does not support features_only"):
        timm.create_model("adarts_v1_cifar", features_only=True)
    with pytest.raises(ConfigError, match="global_pool must be 'avg', or '' with num_classes=0, not 'max'"):
        timm.create_model("adarts_v1_cifar", global_pool="max", **SMALL)
    for name in ("adarts_v1_cifar", "mobilenet_v2_cifar"):
        with pytest.raises(ConfigError, match="num_classes must be a number of classes, or 0 for none, not -3"):
            timm.create_model(name, num_classes=-3)
    with pytest.raises(ConfigError, match=r"drop_path_rate must be in \[0, 1\), not 1"):
        timm.create_model("adarts_v1_cifar", drop_path_rate=1.0, **SMALL)
    with pytest.raises(ConfigError, match="not ''"):
        timm.create_model("adarts_v1_cifar", global_pool="", **SMALL)


SCRIPT = "networks of the zoo cannot be scripted; use torch.export or torch.jit.trace, without scriptable=True"


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["adarts_v1_cifar", "resnet110_cifar"])
def test_networks_are_traced_and_exported_but_not_scripted(name: str) -> None:
    small = SMALL if "adarts" in name else {}
    with pytest.raises(ConfigError, match=SCRIPT):
        timm.create_model(name, scriptable=True, **small)
    model = timm.create_model(name, scriptable=False, **small).eval()
    for whole in (model, nn.Sequential(model)):
        with pytest.raises(ConfigError, match=SCRIPT):
            torch.jit.script(whole)
    torch.testing.assert_close(torch.jit.trace(model, X)(X), model(X))
    torch.testing.assert_close(torch.export.export(model, (X,)).module()(X), model(X))


def test_without_timm_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['timm'] = None; sys.modules['timm.models'] = None; import adarts.zoo.timm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "ImportError: adarts.zoo.timm needs timm: pip install 'adarts[timm]'"
    assert "During handling" not in done.stderr
