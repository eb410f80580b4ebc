"""The zoo in timm: ``import adarts.zoo.timm``, then ``timm.create_model("adarts_v1_cifar", num_classes=100)``.

Published cells and hand-designed networks are registered under their names in lower case; ``_cifar`` is appended unless the name
contains ``cifar`` already. They support timm's usual interface: `num_classes` (0 for features), `in_chans`, `global_pool`
(``"avg"``, or ``""`` for none), `drop_rate`, `forward_features`, `forward_head`, `get_classifier`, `reset_classifier`,
`num_features`, `default_cfg`; cells also take `channels`, `cells` and `drop_path_rate`. There are no pretrained weights and no
`features_only`. The networks cannot be scripted; export or trace them instead.

Cells of your own are the model ``adarts_cells`` with an argument `genotype`. ``adarts export --to timm`` writes a trained network
as a folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

try:
    from timm.layers.config import is_scriptable
    from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
except ImportError:
    raise ImportError("adarts.zoo.timm needs timm: pip install 'adarts[timm]'") from None

from adarts.errors import ConfigError
from adarts.models import DropPath, Network, baselines
from adarts.models.baselines import Classifier
from adarts.spaces import Genotype
from adarts.zoo.baselines import BASELINES
from adarts.zoo.catalog import CELLS, CHANNELS, entries, get

__all__: list[str] = []  # timm adds the registered names

OWN_CELLS = "adarts_cells"
"""The network of any cells, which it gets as the argument `genotype`, their JSON form as an object."""

_POOLS = ("avg", "")
# Statistics of CIFAR-10, as in the codes of the field.
_MEAN, _STD = (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)


def _refuse_script() -> NoReturn:
    raise ConfigError(
        "networks of the zoo cannot be scripted; use torch.export or torch.jit.trace, without scriptable=True"
    )


class _Model(nn.Module):
    """timm's model interface for a network that classifies its mean feature map by one linear layer."""

    classifier: Any

    def _take_over(self, num_classes: int, in_chans: int, global_pool: str, drop_rate: float) -> None:
        """Set timm's attributes; replace the classifier if the number of classes differs."""
        self.num_features = self.head_hidden_size = self.classifier.in_features
        self.num_classes, self.global_pool = self.classifier.out_features, "avg"
        self.in_chans, self.drop_rate = in_chans, drop_rate
        if num_classes != self.num_classes or global_pool != "avg":
            self.reset_classifier(num_classes, global_pool)

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        classifier: nn.Module = self.classifier
        return classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a new one; for 0 classes, remove it.

        Raises:
            ConfigError: the number is negative, the pool is unknown, or there is a classifier without a pool.
        """
        if num_classes < 0:
            raise ConfigError(f"num_classes must be a number of classes, or 0 for none, not {num_classes}")
        global_pool = self.global_pool if global_pool is None else global_pool
        if global_pool not in _POOLS or (num_classes and not global_pool):
            raise ConfigError(f"global_pool must be 'avg', or '' with num_classes=0, not {global_pool!r}")
        device = next(self.parameters()).device
        self.num_classes, self.global_pool = num_classes, global_pool
        self.classifier = nn.Linear(self.num_features, num_classes, device=device) if num_classes > 0 else nn.Identity()

    def __prepare_scriptable__(self) -> NoReturn:
        """Called first by ``torch.jit.script``."""
        _refuse_script()

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The last feature map."""
        raise NotImplementedError

    def forward_head(self, features_bchw: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits of a feature map, or, with ``pre_logits``, the input of the classifier."""
        if not self.global_pool:
            return features_bchw
        pooled_bc = F.dropout(features_bchw.mean((2, 3)), self.drop_rate, self.training)
        return pooled_bc if pre_logits else self.classifier(pooled_bc)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Logits."""
        return self.forward_head(self.forward_features(x_bchw))


class CellModel(_Model, Network):
    """A network of cells; its weights have the same names as in :class:`adarts.models.Network`.

    Args:
        genotype: the cells, their JSON form as an object, or their name in the zoo.
        num_classes, in_chans, global_pool, drop_rate, drop_path_rate: as usual in timm.
        channels, cells: width and depth.
        stem_stride: 1, or for large images 2, 4 or 8.
    """

    def __init__(
        self,
        genotype: Genotype | Mapping[str, Any] | str,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        channels: int = CHANNELS,
        cells: int = CELLS,
        stem_stride: int = 1,
    ) -> None:
        if not 0 <= drop_path_rate < 1:
            raise ConfigError(f"drop_path_rate must be in [0, 1), not {drop_path_rate}")
        if isinstance(genotype, str):
            genotype = get(genotype).genotype
        elif not isinstance(genotype, Genotype):
            genotype = Genotype.from_dict(genotype)
        Network.__init__(self, genotype, max(num_classes, 1), channels, cells, in_chans, stem_stride=stem_stride)
        self._take_over(num_classes, in_chans, global_pool, drop_rate)
        self.drop_path_rate = drop_path_rate

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The last feature map; in training, drop path drops operations."""
        scales = None
        if self.training and self.drop_path_rate:
            scales = DropPath(self.drop_path_rate, torch.default_generator).scales(self.num_paths, x_bchw)
        return self.features(x_bchw, scales)[0]

    def forward(self, x_bchw: Tensor, path_scales_pb111: Tensor | None = None) -> Tensor:
        """Logits. The model draws its own drop path, so `path_scales_pb111` is ignored."""
        return _Model.forward(self, x_bchw)


class HandDesignedModel(_Model, Classifier):
    """A hand-designed network; its weights have the same names as in :mod:`adarts.models.baselines`."""

    def __init__(
        self, name: str, num_classes: int = 10, in_chans: int = 3, global_pool: str = "avg", drop_rate: float = 0.0
    ) -> None:
        built = baselines.build(name, max(num_classes, 1), in_chans)
        # Skip Classifier.__init__, which would draw all weights again.
        nn.Module.__init__(self)
        self.features, self.classifier = built.features, built.classifier
        self._take_over(num_classes, in_chans, global_pool, drop_rate)

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The last feature map."""
        return self.feature_map(x_bchw)


def timm_name(name: str) -> str:
    """The name of a zoo's network in timm's registry."""
    small = name.lower()
    return small if "cifar" in small else f"{small}_cifar"


def _register(known: str, model: Callable[..., _Model], **more: Any) -> None:

    def entrypoint(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        if is_scriptable():  # type: ignore[no-untyped-call]
            _refuse_script()
        if kwargs.get("features_only"):
            raise ConfigError(f"{known} does not support features_only; use its forward_features")
        built: nn.Module = build_model_with_cfg(model, known, pretrained, **kwargs)
        return built

    entrypoint.__name__ = entrypoint.__qualname__ = known
    sizes = {"num_classes": 10, "input_size": (3, 32, 32), "crop_pct": 1.0}
    config = {**sizes, "mean": _MEAN, "std": _STD, "classifier": "classifier", **more}
    default_cfgs.update(generate_default_cfgs({known: config}))
    register_model(entrypoint)


default_cfgs: dict[str, Any] = {}
_CELLS = {"first_conv": "stem.conv", "pool_size": (8, 8)}
for _entry in entries():
    _register(timm_name(_entry.name), functools.partial(CellModel, _entry.name), **_CELLS)
for _name in BASELINES:
    _register(timm_name(_name), functools.partial(HandDesignedModel, _name))
_register(OWN_CELLS, CellModel, **_CELLS)
