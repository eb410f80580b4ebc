"""Heat maps: where a picture spoke for a wrong answer. They change nothing else."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import adarts
from adarts.models import Network
from adarts.models.baselines import Classifier
from adarts.spaces import DARTS, get_space, random_genotype
from adarts.training.heat import heat_maps
from adarts.zoo.create import create_model

pytest.importorskip("captum", reason="Captum is missing: pip install 'adarts[heatmaps]'")

ANSWER, TRUE = torch.tensor([1]), torch.tensor([0])


def map_of(network: nn.Module, x_1chw: Tensor, true: Tensor = TRUE, answer: Tensor = ANSWER) -> Tensor:
    found = heat_maps(network.eval(), [(x_1chw, true, answer)])
    assert found.problem == ""
    (map_hw,) = found.maps_hw
    assert map_hw.min() >= 0 and map_hw.max() == 1
    return map_hw


def problem_of(network: nn.Module, x_1chw: Tensor) -> str:
    found = heat_maps(network.eval(), [(x_1chw, TRUE, ANSWER)])
    assert found.maps_hw == ()
    return found.problem


def random_network(space: str = "darts", in_channels: int = 3, stem_stride: int = 1) -> Network:
    """A small network whose batch normalizations and classifier have seen something."""
    torch.manual_seed(0)
    network = Network(random_genotype(get_space(space), 1), 3, 4, 3, in_channels, stem_stride=stem_stride)
    network(torch.randn(4, in_channels, 16, 16))
    network.classifier.weight.data *= 10  # features decide, not the bias
    return network.eval()


@pytest.mark.parametrize("corner", [(0, 0), (0, 7), (7, 3)])
def test_the_part_that_decides_is_hot(corner: tuple[int, int]) -> None:
    """Class 1 is light in the first channel, class 0 light in the second."""
    convolution = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    network = Classifier(convolution, 2, 2)
    with torch.no_grad():
        convolution.weight.copy_(torch.eye(2)[:, :, None, None].expand(2, 2, 3, 3) / 9)
        network.classifier.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    x_1chw = torch.zeros(1, 2, 8, 8)
    x_1chw[0, 0, *corner] = 5
    x_1chw[0, 1, 4, 5] = 4
    map_hw = map_of(network, x_1chw)
    near = torch.zeros(8, 8)
    near[max(corner[0] - 1, 0) : corner[0] + 2, max(corner[1] - 1, 0) : corner[1] + 2] = 1
    assert map_hw[near == 1].sum() / map_hw.sum() > 0.99


@pytest.mark.parametrize(
    ("space", "in_channels", "size", "stem_stride", "seen"),
    [
        ("darts", 1, (8, 8), 1, (2, 2)),
        ("nasbench201", 4, (16, 24), 1, (4, 6)),
        ("darts", 3, (256, 250), 8, (8, 8)),
    ],
)
def test_the_map_is_the_lead_spread_over_the_picture(
    space: str, in_channels: int, size: tuple[int, int], stem_stride: int, seen: tuple[int, int]
) -> None:
    network = random_network(space, in_channels, stem_stride)
    x_1chw = torch.randn(1, in_channels, *size)
    with torch.no_grad():
        logits_k = network(x_1chw)[0]
        true, answer = logits_k.argmin(), logits_k.argmax()
        weight_c, bias = (one[answer] - one[true] for one in (network.classifier.weight, network.classifier.bias))
        lead_hw = torch.einsum("chw,c->hw", network.features(x_1chw)[0][0], weight_c)
        torch.testing.assert_close(lead_hw.mean() + bias, logits_k[answer] - logits_k[true])
    assert lead_hw.shape == seen
    map_hw = map_of(network, x_1chw, true[None], answer[None])
    torch.testing.assert_close(map_hw, lead_hw.relu() / lead_hw.max(), rtol=1e-4, atol=1e-4)


def test_a_network_of_timm_has_the_map_of_finite_differences() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = create_model("timm:mobilenetv3_small_050", 3, seed=0).eval().double()
    assert isinstance(network, timm.models.MobileNetV3)
    x_1chw, added = torch.randn(1, 3, 96, 64, dtype=torch.float64), [torch.zeros(())]
    features: list[Tensor] = []
    last = network.get_submodule("blocks")
    handle = last.register_forward_hook(lambda *call: features.append(call[2]) or call[2] + added[-1])

    def lead() -> float:
        with torch.no_grad():
            logits_k = network(x_1chw)[0]
        return float(logits_k[1] - logits_k[0])

    lead()
    places = features[0].flatten(2).unbind(2)
    slopes = []
    for place_1c in places:  # Grad-CAM is the slope along the features of a place, added everywhere
        added.append(1e-4 * place_1c[..., None, None])
        above = lead()
        added.append(-added[-1])
        slopes.append((above - lead()) / 2e-4)
    handle.remove()
    expected_hw = torch.tensor(slopes).relu().view(3, 2)
    torch.testing.assert_close(map_of(network, x_1chw), expected_hw / expected_hw.max(), rtol=1e-3, atol=1e-3)


def test_networks_without_a_map_say_why() -> None:
    pytest.importorskip("timm")
    small = create_model("timm:mobilenetv3_small_050", 3, seed=0)
    assert problem_of(small, torch.randn(1, 3, 32, 32)).endswith("is a single pixel.")
    tokens = create_model("timm:vit_tiny_patch16_224", 3, seed=0)
    assert "no feature map" in problem_of(tokens, torch.randn(1, 3, 224, 224))
    assert "no feature map" in problem_of(nn.Linear(2, 3), torch.randn(1, 2))


def test_network_and_random_state_stay_as_they_are() -> None:
    network = random_network()
    network.requires_grad_()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(7)
    state, calls = torch.get_rng_state(), []
    images = [(torch.randn(1, 3, 16, 16, generator=torch.Generator()), TRUE, ANSWER)] * 2
    heat_maps(network, images, lambda: calls.append(1))
    assert torch.equal(torch.get_rng_state(), state) and len(calls) == 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters()) and not network.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def train(folder: Path) -> Path:
    return adarts.train(
        random_genotype(DARTS, 1),
        data="digits",
        scale="smoke",
        images={"per_class": 10},
        training={"epochs": 1, "steps": 2},
        run={"run_dir": folder},
    ).run_dir


def test_a_training_is_the_same_with_and_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_them = train(tmp_path / "with")
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    without = train(tmp_path / "without")
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (with_them / name).read_bytes() == (without / name).read_bytes()
    answers, plain = (json.loads((run / "answers.json").read_text()) for run in (with_them, without))
    heat = [one.pop("heat") for one in answers["mistakes"]]
    assert [one.pop("heat") for one in plain["mistakes"]] == [None] * len(heat)
    assert answers.pop("no_heat") == "" and "adarts[heatmaps]" in plain.pop("no_heat")
    assert answers == plain
    pages = [(run / "report.html").read_text() for run in (with_them, without)]
    assert ["Grad-CAM" in page for page in pages] == [True, False]
    assert ["pip install &#39;adarts[heatmaps]&#39;" in page for page in pages] == [False, True]
    picture = Image.open(io.BytesIO(base64.b64decode(heat[0]["png"])))
    red, _, blue = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert picture.size == (16, 16) and red > blue
