"""The validated settings of every room, and of a whole search and training run.

Pure pydantic: importing this module must stay cheap, since the command line is generated from it before torch is loaded.
Every room takes its own small settings object; only the two loops see a whole :class:`SearchConfig` or
:class:`TrainConfig`. The defaults are those of the ADARTS paper (section IV-B), with the gaps filled as `docs/method.md` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

VALUES = ConfigDict(allow_inf_nan=False)
"""What holds for every value of a setting: a number is finite, unless its field says otherwise."""


class Settings(BaseModel):
    """Base of all settings: immutable, an unknown name is an error, and a number is finite and no flag."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, **VALUES
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return no_flag_for_a_number(cls.model_fields[info.field_name].annotation, value)


def no_flag_for_a_number(annotation: Any, value: Any) -> Any:
    """The value, unless it is a bool for a setting that takes a number: Python, and so pydantic, would take True for 1.

    Raises:
        ValueError: it is one.
    """
    kinds = _kinds(annotation)
    if isinstance(value, bool) and bool not in kinds and (int in kinds or float in kinds):
        raise ValueError(f"must be a number, not {value}")
    return value


def _kinds(annotation: Any) -> list[Any]:
    """The types that a setting takes: of ``PositiveFloat | None``, float and None."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(parts[0])
    if origin in (Union, UnionType):
        return [kind for part in parts for kind in _kinds(part)]
    return [annotation]


def folded(name: str) -> str:
    """A network's name as it is looked up: case does not matter, and ``-`` is as good as ``_``."""
    return name.strip().lower().replace("-", "_")


def assignments(value: Any) -> Any:
    """``tau=0.5,hard=true`` as a mapping with plain values; anything but a text stays as it is.

    Raises:
        ValueError: a part of the text is no assignment.
    """
    if not isinstance(value, str):
        return value
    result: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        name, equals, text = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"must be NAME=VALUE,..., not {part[:40]!r}")
        result[name.strip().replace("-", "_")] = _plain(text.strip())
    return result


def _plain(text: str) -> bool | int | float | str:
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def names_code(text: str) -> bool:
    """Whether a name is that of something in a file, ``path/to/file.py:NAME``, which would be executed."""
    return re.fullmatch(r".+\.py:[A-Za-z_]\w*", text) is not None


def code_in(values: Mapping[str, Any] | Settings) -> dict[str, str]:
    """The settings of a run that name something in a file, by their names."""
    chosen = {name: value for name, value in dict(values).items() if name in ("method", "space", "data")}
    return {name: value for name, value in chosen.items() if names_code(value)}


def code_options(values: Settings) -> list[str]:
    """The options that name such things again: they are executed only when a command says so, not for a configuration file."""
    return [word for name, code in code_in(values).items() for word in (f"--{name}", code)]


class EdgeDesign(Settings):
    """What happens on a mixed edge before and after its candidate operations: which channels enter, and how they are weighed."""

    selector: Literal["all", "first", "random", "attention"] = "attention"
    """Which channels enter the operations: all, the first C/k (then a channel shuffle), a random C/k, or the C/k with the
    highest attention."""
    k: PositiveInt = 4
    """One in k channels enters the operations (K in the paper); the others bypass them."""
    attention: bool = True
    """Scale the channels by channel attention (eqs. 7 and 8)."""
    attention_scope: Literal["edge", "node"] = "edge"
    """One attention module for each edge, or one for each node, shared by the edges that leave it."""
    mask_scope: Literal["batch", "sample"] = "batch"
    """Choose the channels once for the whole batch, or for each image."""
    normalization: bool = False
    """Edge normalization: weigh the edges that enter a node by a softmax over learned beta (PC-DARTS)."""
    auxiliary_skip: bool = False
    """A further skip connection beside the operations of every edge, which a method weighs and no cell inherits (DARTS-)."""

    @model_validator(mode="after")
    def _consistent(self) -> EdgeDesign:
        if self.selector == "all" and self.k != 1:
            raise ValueError(f"selector 'all' sends every channel, so edge.k must be 1, not {self.k}")
        if self.selector == "attention" and not self.attention:
            raise ValueError("selector 'attention' needs edge.attention")
        if self.mask_scope == "sample" and self.selector != "attention":
            raise ValueError("edge.mask_scope 'sample' needs the selector 'attention'")
        return self


class SupernetSettings(Settings):
    """The network that is searched."""

    channels: PositiveInt = 16
    """Channels of the first cells (C); doubled at each reduction."""
    cells: PositiveInt = Field(default=8, ge=3)
    """Number of cells (L); reduction cells stand at L//3 and 2L//3."""
    recompute: bool = False
    """Keep only the inputs of each cell and compute it again in the backward pass: the same result to the last bit, less
    memory, more time."""


class WeightOptimizer(Settings):
    """SGD with momentum on the weights; the learning rate falls along a cosine, or in steps."""

    learning_rate: PositiveFloat = 0.025
    """Learning rate of the first epoch."""
    final_learning_rate: NonNegativeFloat = 0.0
    """Learning rate that the cosine reaches after the last epoch."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Shares of the epochs, e.g. 0.5 0.75, after each of which the learning rate falls to a tenth; without any it falls along
    a cosine."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    weight_decay: NonNegativeFloat = 3e-4
    """L2 penalty on the weights."""
    clip: PositiveFloat = Field(default=5.0, allow_inf_nan=True)
    """Largest norm of the gradient of all weights together; inf does not clip."""

    @model_validator(mode="after")
    def _one_schedule(self) -> WeightOptimizer:
        if self.milestones and self.final_learning_rate:
            raise ValueError(
                "final_learning_rate is the end of a cosine, and with milestones there is none; remove one"
            )
        return self


class AlphaOptimizer(Settings):
    """Adam on the architecture alphas."""

    learning_rate: PositiveFloat = 6e-4
    """Learning rate, constant."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of Adam's mean of squared gradients."""
    weight_decay: NonNegativeFloat = 1e-3
    """L2 penalty, added to the gradient (Adam, not AdamW)."""
    clip: PositiveFloat | None = None
    """Largest norm of the gradient of all alphas together; none does not clip."""


class LoopSettings(Settings):
    """The search loop."""

    epochs: PositiveInt = 80
    """Search epochs; of each phase, where a method has several."""
    batch_size: int = Field(default=96, ge=2)
    """Images of one update, for weights and alphas alike."""
    warmup_epochs: NonNegativeInt = 15
    """Epochs at the start, of each phase, in which the alphas stay frozen."""
    steps: PositiveInt | None = None
    """Steps of an epoch, however many images there are: the next epoch continues where this one ended. None makes an epoch one
    pass through the images."""
    validate_supernet: bool = False
    """After every epoch, measure the supernet on the half of the images that the alphas learn from."""

    @model_validator(mode="after")
    def _alphas_move(self) -> LoopSettings:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"all {self.epochs} epochs are warm-up, so the alphas never move; "
                f"search.warmup_epochs must be below search.epochs, not {self.warmup_epochs}"
            )
        return self


class ImageSettings(Settings):
    """Which images, and what is done to them."""

    root: Path = Path("data")
    """Where the named data sets lie (or are downloaded to)."""
    download: bool = False
    """Allow the download of a named data set that is not there."""
    size: PositiveInt | None = None
    """Side in pixels that the images are brought to; none keeps the size of a set whose images agree."""
    per_class: PositiveInt | None = None
    """Use only this many training images of each class (seeded); none uses all. The test set is never reduced."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the images kept for the test, for a set that is not divided, such as a folder without train/ and test/."""
    max_broken: NonNegativeInt = 0
    """How many unreadable images are left out before the folder is refused."""
    split: Literal["stratified", "index"] = "stratified"
    """How the search splits the training images between weights and alphas: by seed, every class halved; or by index, as
    the original DARTS code does with CIFAR."""
    crop_padding: NonNegativeInt = 4
    """Padding of the random crop, in pixels; 0 turns it off."""
    flip: bool = True
    """Random horizontal flip."""
    cutout: NonNegativeInt = 0
    """Side of the cutout square in pixels; 0 turns it off."""


class NetworkSettings(Settings):
    """The network that is built from a genotype, or a hand-designed one."""

    name: Annotated[str, AfterValidator(folded)] | None = None
    """A hand-designed network in the place of cells: resnet110, resnet1202, densenet_bc_190_40, vgg19_bn or mobilenet_v2."""
    channels: PositiveInt | None = 36
    """Channels of the first cells (C); doubled at each reduction; none for a hand-designed network."""
    cells: int | None = Field(default=20, ge=3)
    """Number of cells (L); reduction cells stand at L//3 and 2L//3; none for a hand-designed network."""
    drop_path: float = Field(default=0.3, ge=0, lt=1)
    """Probability of dropping a path at the end of training; it grows linearly from 0."""
    auxiliary_weight: NonNegativeFloat = 0.4
    """Weight of the auxiliary head's loss; 0 builds the network without that head."""

    @model_validator(mode="after")
    def _with_or_without_cells(self) -> NetworkSettings:
        of_cells = (self.channels, self.cells)
        if self.name is None and None in of_cells:
            raise ValueError("the network of a genotype needs channels and cells")
        if self.name is not None and (of_cells != (None, None) or self.drop_path or self.auxiliary_weight):
            raise ValueError(
                f"'{self.name}' has no cells, so channels and cells must be none, drop_path and auxiliary_weight 0"
            )
        return self


class TrainingSettings(Settings):
    """Training of a fixed network."""

    epochs: PositiveInt = 600
    """Training epochs."""
    batch_size: int = Field(default=64, ge=2)
    """Images of one update."""
    steps: PositiveInt | None = None
    """Steps of an epoch, however many images there are: the next epoch continues where this one ended. None makes an epoch one
    pass through the images."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Probability mass spread over all classes."""
    learning_rate_warmup: NonNegativeFloat = 0.0
    """Epochs over which the learning rate grows linearly from 0, before the cosine."""
    warmup_learning_rate: PositiveFloat | None = None
    """Largest learning rate at the beginning, until an epoch ends with less than 80 % errors on its training images (the
    warm-up of ResNet-110); none has no such beginning."""
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training images held out and measured after every epoch; 0 trains on all of them."""

    @model_validator(mode="after")
    def _rate_is_reached(self) -> TrainingSettings:
        if self.learning_rate_warmup >= self.epochs:
            raise ValueError(
                f"training.learning_rate_warmup must be below training.epochs ({self.epochs}), "
                f"not {self.learning_rate_warmup}, or the full learning rate is never reached"
            )
        if self.learning_rate_warmup and self.warmup_learning_rate is not None:
            raise ValueError("learning_rate_warmup and warmup_learning_rate are two forms of a warm-up; choose one")
        return self


class RunSettings(Settings):
    """Where and how a run is carried out; of all this only the precision counts as another run; device, threads and kernels
    change the last bits of a result.
    """

    runs: Path = Path("runs")
    """The folder that run folders are made in."""
    run_dir: Path | None = None
    """The run folder itself; an unfinished run found there is continued."""
    resume: bool = False
    """Continue the newest unfinished run of the same configuration."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: PositiveInt | None = None
    """CPU threads; none leaves torch's choice."""
    kernels: Literal["auto", "torch"] = "auto"
    """auto takes the native CPU kernels where they can be built; torch uses torch's own operators only."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of convolutions and matrix products; parameters, statistics, softmax and loss stay in float32, and so does measuring."""
    capture: bool = True
    """On a GPU, capture whole updates as CUDA graphs; an update that draws on the CPU inside runs as it is."""
    time_limit: str | None = None
    """Stop at a checkpoint after this time, e.g. 90s, 9m or 2h."""
    checkpoint_minutes: PositiveFloat = Field(default=5.0, allow_inf_nan=True)
    """Longest time between two checkpoints, inf for none within an epoch; there is one after every epoch in any case."""
    rollbacks: int = Field(default=0, ge=0, le=3)
    """How often a loss that is not finite rolls the run back to the last checkpoint before it stops."""


class SearchConfig(Settings):
    """A whole search run."""

    data: str = "digits"
    """digits (embedded), cifar10, cifar100, or folder:PATH. A loader of your own: path/to/file.py:NAME."""
    method: str = "adarts"
    """Search method; `adarts methods` lists them. A class of your own: path/to/file.py:Class."""
    options: Annotated[dict[str, bool | int | Annotated[float, AllowInfNan()] | str], BeforeValidator(assignments)] = {}
    """The method's own settings, as NAME=VALUE,...; `adarts methods show NAME` lists them."""
    space: str = "darts"
    """What is searched: darts, nasbench201 (every cell's true accuracy is known), or the reduced spaces s1 to s4. One of your
    own: path/to/file.py:NAME."""
    scale: str = "auto"
    """Budget; `adarts configs` lists them. auto is gpu where there is one, else cpu."""
    seed: NonNegativeInt = 0
    """Seed of everything random."""
    edge: EdgeDesign = EdgeDesign()
    supernet: SupernetSettings = SupernetSettings()
    search: LoopSettings = LoopSettings()
    weights: WeightOptimizer = WeightOptimizer()
    alphas: AlphaOptimizer = AlphaOptimizer()
    images: ImageSettings = ImageSettings()
    run: RunSettings = RunSettings()


class TrainConfig(Settings):
    """A whole training run of a fixed network."""

    genotype: str | None = "runs/search/latest"
    """The cells: a search run's folder, a genotype file or its text, a name of the zoo, random:SEED or random:SPACE:SEED;
    not given, the latest search in runs."""
    data: str = "digits"
    """digits (embedded), cifar10, cifar100, or folder:PATH. A loader of your own: path/to/file.py:NAME."""
    scale: str = "auto"
    """Budget; `adarts configs` lists them. auto is gpu where there is one, else cpu."""
    seed: NonNegativeInt = 0
    """Seed of everything random."""
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    weights: WeightOptimizer = WeightOptimizer(learning_rate=0.017)
    images: ImageSettings = ImageSettings(cutout=16)
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _one_network(self) -> TrainConfig:
        if self.genotype is not None and self.network.name is not None:
            raise ValueError(
                f"network '{self.network.name}' and genotype '{self.genotype[:60]}' are both given; a training has one of them"
            )
        if self.genotype is None and self.network.name is None:
            raise ValueError("neither a genotype nor a network is given")
        return self
