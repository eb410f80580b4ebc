"""Heat maps: which part of a picture spoke for a wrong answer rather than for the true class.

They are Grad-CAM (Selvaraju et al., 2017, equations 1 and 2) at the last feature map, computed by Captum, an optional package.
What they explain is the lead of the answer: its logit minus that of the true class. A number added to all logits changes
neither the answer nor a lead, but it would change the map of a single logit.

Networks of cells and hand-designed ones classify the mean of the last feature map by one linear layer. Before its negative
values are cut off, their map is therefore the lead itself, spread over the picture, apart from the two biases.

Shape suffixes: b batch, c channels, h height, k classes, w width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adarts.models import Network
from adarts.models.baselines import Classifier

_WITH_EXTRA = (
    "With pip install 'adarts[heatmaps]', later trainings show here which part of each picture spoke for the answer."
)

_NO_FEATURES = "this network ends in no feature map, or in one that is not known"


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps of some images.

    Attributes:
        maps_hw: a map for each image, as small as the feature map: from 0, where nothing speaks for the answer, to 1 at the place
            that speaks for it most. Empty if there are none.
        problem: why there are none, in words for the reader of a report; otherwise empty.
    """

    maps_hw: tuple[Tensor, ...] = ()
    problem: str = ""


def heat_maps(
    network: nn.Module,
    images: Iterable[tuple[Tensor, Tensor, Tensor]],
    check_stop: Callable[[], None] = lambda: None,
) -> HeatMaps:
    """Find which part of each image spoke for an answer rather than for the true class.

    An image at a time is computed, so this takes less memory than a step of a training. The network, its gradients and torch's
    random state stay as they are.

    Args:
        network: the network, in evaluation mode.
        images: for each one the normalized image (1, c, h, w), the true class (1,), and the answer (1,).
        check_stop: called after each image.
    """
    try:
        from captum.attr import LayerGradCam  # optional
    except ImportError:
        return HeatMaps(problem=_WITH_EXTRA)
    layer = _last_features(network)
    if layer is None:
        return _none_because(_NO_FEATURES)

    def lead(x_bchw: Tensor, true_b: Tensor, answer_b: Tensor) -> Tensor:
        logits_bk: Tensor = network(x_bchw)
        return (logits_bk.gather(1, answer_b[:, None]) - logits_bk.gather(1, true_b[:, None]))[:, 0]

    grad_cam, found = LayerGradCam(lead, layer), []
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)  # for operations with random numbers, as in a measurement
        for x_bchw, *classes in images:
            try:
                map_b1hw = grad_cam.attribute(x_bchw, additional_forward_args=tuple(classes), relu_attributions=True)
            except (RuntimeError, AssertionError) as error:  # a trained network is worth more than its heat maps
                return _none_because(str(error).partition("\n")[0][:200])
            if not _covers(map_b1hw, x_bchw):
                return _none_because(_NO_FEATURES)
            if map_b1hw.numel() == 1:
                return _none_because("the last feature map of this network is a single pixel")
            map_hw = map_b1hw[0, 0].detach().float().cpu()
            found.append(map_hw / map_hw.max().clamp(min=1e-30))
            check_stop()
    return HeatMaps(tuple(found))


def _none_because(reason: str) -> HeatMaps:
    return HeatMaps(problem=f"There are no heat maps: {reason}.")


def _last_features(network: nn.Module) -> nn.Module | None:
    """The module whose output is the last feature map (b, c, h, w); None if there is none."""
    if isinstance(network, Network):
        return network.last
    if isinstance(network, Classifier):
        return network.features
    stages = getattr(network, "feature_info", None)  # timm
    if not stages:
        return None
    try:
        return network.get_submodule(stages[-1]["module"])
    except AttributeError:  # some transformers of timm name a stage that they do not have
        return None


def _covers(map_b1hw: Tensor, x_bchw: Tensor) -> bool:
    """Whether a map has the shape of a smaller image; what is computed from tokens, or from channels that come last, has not."""
    (height, width), (rows, columns) = x_bchw.shape[2:], map_b1hw.shape[-2:]
    return map_b1hw.dim() == 4 and abs(rows * width - columns * height) < max(height, width)
