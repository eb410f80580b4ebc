"""Validated settings: one class per subpackage, and the full configurations of a search and a training run.

This module imports only pydantic, because the command line is generated from it before torch is loaded. Each subpackage
takes its own settings object; only the two loops see a full :class:`SearchConfig` or :class:`TrainConfig`. The defaults
follow the ADARTS paper (section IV-B); `docs/method.md` explains the values that the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

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

from adarts.config.values import Images, assignments, folded, names_code, no_flag_for_a_number

VALUES = ConfigDict(allow_inf_nan=False)
"""Validation of single values: numbers must be finite unless the field allows otherwise."""


class Settings(BaseModel):
    """Base of all settings: immutable; unknown names, infinite numbers, and booleans in place of numbers are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, **VALUES
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return no_flag_for_a_number(cls.model_fields[info.field_name].annotation, value)


def code_in(values: Mapping[str, Any] | Settings) -> dict[str, str]:
    """The settings of a run that refer to code in a file: setting name -> ``path/to/file.py:NAME``."""
    chosen = {name: value for name, value in dict(values).items() if name in ("method", "space", "data")}
    return {name: value for name, value in chosen.items() if names_code(value)}


def code_options(values: Settings) -> list[str]:
    """The command-line options that name this code. They must be repeated: a configuration file alone executes no code."""
    return [word for name, code in code_in(values).items() for word in (f"--{name}", code)]


class EdgeDesign(Settings):
    """Design of a mixed edge: which channels enter the candidate operations, and how channels and edges are weighted."""

    selector: Literal["all", "first", "random", "attention"] = "attention"
    """Channels that enter the operations: all, the first C/k, a random C/k, or the C/k with the highest attention."""
    k: PositiveInt = 4
    """One of k channels enters the operations (K in the paper); the others bypass them."""
    attention: bool = True
    """Scale the channels by channel attention (eqs. 7 and 8)."""
    attention_scope: Literal["edge", "node"] = "edge"
    """One attention module per edge, or one per node, shared by the edges that leave it."""
    mask_scope: Literal["batch", "sample"] = "batch"
    """Choose the channels once per batch, or for each image."""
    shuffle: bool | None = None
    """Shuffle the channels of every node (PC-DARTS); only with the selector `first`. none: shuffle with `first`, not with
    another selector."""
    slots: Literal["sorted", "persistent"] = "sorted"
    """Order in which the channels chosen by attention enter the operations, whose weights belong to slots. sorted: ascending,
    so one newcomer moves all channels behind it to other slots; persistent: a channel that stays chosen keeps its slot."""
    freeze: bool = False
    """Keep the same channels. The choice by attention stays as it is from the end of the warm-up on, by the average attention;
    a random choice is drawn once, at the start."""
    normalization: bool = False
    """Edge normalization: weight the edges that enter a node by a softmax over learned betas (PC-DARTS)."""
    auxiliary_skip: bool = False
    """Add a skip connection to every edge during the search (DARTS-). The method sets its weight; derived cells omit it."""

    @model_validator(mode="after")
    def _consistent(self) -> EdgeDesign:
        if self.selector == "all" and self.k != 1:
            raise ValueError(f"selector 'all' uses every channel, so edge.k must be 1, not {self.k}")
        if self.selector == "attention" and not self.attention:
            raise ValueError("selector 'attention' requires edge.attention")
        if self.mask_scope == "sample" and self.selector != "attention":
            raise ValueError("edge.mask_scope 'sample' requires edge.selector 'attention'")
        if self.freeze and self.selector not in ("attention", "random"):
            raise ValueError(
                f"edge.freeze requires edge.selector 'attention' or 'random'; '{self.selector}' never changes"
            )
        if self.freeze and self.mask_scope == "sample":
            raise ValueError("edge.freeze requires edge.mask_scope 'batch'")
        if self.slots == "persistent" and (self.selector, self.mask_scope) != ("attention", "batch"):
            raise ValueError("edge.slots 'persistent' requires edge.selector 'attention' and edge.mask_scope 'batch'")
        if self.shuffle and self.selector != "first":
            raise ValueError("edge.shuffle requires edge.selector 'first'")
        return self

    @property
    def draws(self) -> bool:
        """Whether every forward pass draws its channels."""
        return self.selector == "random" and not self.freeze

    @property
    def shuffles(self) -> bool:
        """Whether the channels of every node are shuffled."""
        return self.selector == "first" and self.shuffle is not False


class SupernetSettings(Settings):
    """The supernet."""

    channels: PositiveInt = 16
    """Channels of the first cells (C); doubled at each reduction."""
    cells: PositiveInt = Field(default=8, ge=3)
    """Number of cells (L); cells L//3 and 2L//3 are reduction cells."""
    stem_stride: Literal[1, 2, 4, 8] | None = None
    """Stride of the stem; none takes 1 for images up to 64 pixels, and for larger ones what leaves at most 32 for the cells."""
    recompute: bool = False
    """Store only the inputs of cells and recompute them in the backward pass: the same bits, less memory, more time."""


class WeightOptimizer(Settings):
    """SGD with momentum for the weights; the learning rate follows a cosine, or falls in steps."""

    learning_rate: PositiveFloat = 0.025
    """Learning rate of the first epoch."""
    final_learning_rate: NonNegativeFloat = 0.0
    """Learning rate at the end of the cosine."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Divide the learning rate by 10 after each of these shares of the epochs, e.g. 0.5 0.75. Empty: cosine schedule."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; beta1 of AdamW."""
    nesterov: bool = False
    """Use Nesterov momentum."""
    weight_decay: NonNegativeFloat = 3e-4
    """L2 penalty on the weights."""
    clip: PositiveFloat = Field(default=5.0, allow_inf_nan=True)
    """Clip the gradient of all weights to this norm; inf disables clipping."""

    @model_validator(mode="after")
    def _one_schedule(self) -> WeightOptimizer:
        if self.milestones and self.final_learning_rate:
            raise ValueError(
                "final_learning_rate applies to the cosine schedule, which milestones replace; remove one of the two"
            )
        return self


class AlphaOptimizer(Settings):
    """Adam for the alphas."""

    learning_rate: PositiveFloat = 6e-4
    """Learning rate, constant."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of Adam's mean of squared gradients."""
    weight_decay: NonNegativeFloat = 1e-3
    """L2 penalty, added to the gradient (Adam, not AdamW)."""
    clip: PositiveFloat | None = None
    """Clip the gradient of all alphas to this norm; none disables clipping."""


class LoopSettings(Settings):
    """The search loop."""

    epochs: PositiveInt = 80
    """Search epochs, per phase if the method has several phases."""
    batch_size: int = Field(default=96, ge=2)
    """Images per update, for both weights and alphas."""
    warmup_epochs: NonNegativeInt = 15
    """Epochs at the start of each phase in which the alphas stay frozen."""
    steps: PositiveInt | None = None
    """Steps per epoch; each epoch continues in the images where the previous one ended. None: one pass through the images."""
    validate_supernet: bool = False
    """After every epoch, measure the supernet on the half of the images that trains the alphas."""
    parameters_cost: NonNegativeFloat = 0.0
    """Weight of the expected number of parameters in the loss of the alphas, for methods that have alphas. The number is a
    multiple of that of equal operation weights."""
    macs_cost: NonNegativeFloat = 0.0
    """The same for the multiply-accumulate operations per image."""

    @model_validator(mode="after")
    def _alphas_move(self) -> LoopSettings:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"all {self.epochs} epochs are warm-up, so the alphas are never updated; "
                f"search.warmup_epochs must be below search.epochs, not {self.warmup_epochs}"
            )
        return self


class ImageSettings(Settings):
    """Which images to use, and how to transform them."""

    root: Path = Path("data")
    """Folder of the named data sets, also for downloads."""
    download: bool = False
    """Download a named data set if it is missing."""
    size: PositiveInt | None = None
    """Resize the images to this side in pixels. none: keep the common size; a folder's images are resized to at most 64 pixels
    unless all are squares of one size up to 96."""
    channels: Literal[1, 3] | None = None
    """Read images as gray (1) or RGB (3). none: a folder's images are gray if all of them are, else RGB; others stay."""
    per_class: PositiveInt | None = None
    """Use only this many training images of each class (seeded); none uses all. The test set is never reduced."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the images held out as the test set if the data has none, such as a folder without train/ and test/."""
    validation: Literal["train", "omit"] = "train"
    """Images of a validation folder beside a test folder. train: add them to the training images; omit: leave them out."""
    max_broken: NonNegativeInt = 0
    """Largest number of unreadable images to leave out; a folder with more is refused."""
    split: Literal["stratified", "index"] = "stratified"
    """How the search divides the training images between weights and alphas. stratified: halve each class by seed; index:
    first and second half, as the original DARTS code does with CIFAR."""
    crop_padding: NonNegativeInt = 4
    """Padding of the random crop, in pixels; 0 turns it off."""
    flip: bool = True
    """Flip images horizontally at random."""
    cutout: NonNegativeInt = 0
    """Side of the cutout square in pixels; 0 turns it off."""
    rand_augment: int = Field(default=0, ge=0, le=30)
    """Magnitude of RandAugment's two random changes of every image (Cubuk et al., 2020; torchvision's); 0 turns it off."""


class NetworkSettings(Settings):
    """The network to train: built from a genotype, or hand-designed."""

    name: Annotated[str, AfterValidator(folded)] | None = None
    """Train a hand-designed network instead: resnet110, resnet1202, densenet_bc_190_40, vgg19_bn or mobilenet_v2; or one of
    the package timm, e.g. timm:mobilenetv3_small_050."""
    pretrained: Path | None = None
    """A file of weights from which a network of timm starts; its classifier starts anew."""
    channels: PositiveInt | None = 36
    """Channels of the first cells (C); doubled at each reduction; none for a hand-designed network."""
    cells: int | None = Field(default=20, ge=3)
    """Number of cells (L); cells L//3 and 2L//3 are reduction cells; none for a hand-designed network."""
    stem_stride: Literal[1, 2, 4, 8] | None = None
    """Stride of the stem; none takes 1 for images up to 64 pixels, and for larger ones what leaves at most 32 for the cells;
    none for a hand-designed network."""
    drop_path: float = Field(default=0.3, ge=0, lt=1)
    """Probability of dropping a path; grows linearly from 0 to this value during training."""
    auxiliary_weight: NonNegativeFloat = 0.4
    """Weight of the auxiliary head's loss; 0 omits the head."""

    @model_validator(mode="after")
    def _with_or_without_cells(self) -> NetworkSettings:
        of_cells = (self.channels, self.cells, self.stem_stride)
        if self.pretrained is not None and not (self.name or "").startswith("timm:"):
            raise ValueError("network.pretrained is for networks of timm, e.g. --network timm:mobilenetv3_small_050")
        if self.name is None and None in of_cells[:2]:
            raise ValueError("a network built from a genotype needs network.channels and network.cells")
        if self.name is not None and (of_cells != (None, None, None) or self.drop_path or self.auxiliary_weight):
            raise ValueError(
                f"'{self.name}' has no cells: channels, cells and stem_stride must be none, drop_path and auxiliary_weight 0"
            )
        return self


class TrainingSettings(Settings):
    """Training of a fixed network."""

    epochs: PositiveInt = 600
    """Training epochs."""
    batch_size: int = Field(default=64, ge=2)
    """Images per update."""
    steps: PositiveInt | None = None
    """Steps per epoch; each epoch continues in the images where the previous one ended. None: one pass through the images."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """adamw: the decoupled weight decay and the moments of Loshchilov and Hutter (2019); it needs a smaller learning rate."""
    mixup: NonNegativeFloat = 0.0
    """Alpha of mixup, which blends pairs of images and labels (Zhang et al., 2018; torchvision's); 0 turns it off."""
    cutmix: NonNegativeFloat = 0.0
    """Alpha of CutMix, which pastes a part of another image (Yun et al., 2019; torchvision's); 0 turns it off. With mixup, every
    batch draws one of the two."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Probability mass spread over all classes."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """balanced: in the loss, all classes weigh the same, however many images they have. equal: all images weigh the same."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of a moving average of the weights, which is measured and saved in place of the last weights; 0 is off."""
    learning_rate_warmup: NonNegativeFloat = 0.0
    """Epochs over which the learning rate grows linearly from 0, before the cosine."""
    warmup_learning_rate: PositiveFloat | None = None
    """Upper limit of the learning rate until an epoch ends with less than 80 % training error (the warm-up of ResNet-110);
    none: no limit."""
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training images held out and measured after every epoch; 0 trains on all of them."""

    @model_validator(mode="after")
    def _rate_is_reached(self) -> TrainingSettings:
        if self.learning_rate_warmup >= self.epochs:
            raise ValueError(
                f"training.learning_rate_warmup must be below training.epochs ({self.epochs}), "
                f"not {self.learning_rate_warmup}; otherwise the full learning rate is never reached"
            )
        if self.learning_rate_warmup and self.warmup_learning_rate is not None:
            raise ValueError("learning_rate_warmup and warmup_learning_rate are two kinds of warm-up; choose one")
        return self


class RunSettings(Settings):
    """Where and how to run. A resumed run may change all but the precision; device, threads, kernels change last bits."""

    runs: Path = Path("runs")
    """Parent of new run folders."""
    run_dir: Path | None = None
    """The run folder itself; an unfinished run in it is continued."""
    resume: bool = False
    """Continue the newest unfinished run of the same configuration."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    processes: PositiveInt = 1
    """Processes on this machine that share every batch. On the command line only; in Python, start with torchrun."""
    threads: PositiveInt | None = None
    """CPU threads; none uses torch's default."""
    kernels: Literal["auto", "torch"] = "auto"
    """auto: native kernels on a CPU and Triton's on a GPU, if there are any; torch: only torch's operators."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of convolutions and matrix products in training steps; all else stays in float32, measurements, too."""
    capture: bool = True
    """On a GPU, capture whole updates as CUDA graphs. An update that draws random numbers on the CPU is not captured."""
    time_limit: str | None = None
    """Stop at a checkpoint after this time, e.g. 90s, 9m or 2h."""
    checkpoint_minutes: PositiveFloat = Field(default=5.0, allow_inf_nan=True)
    """Longest time between checkpoints within an epoch; inf writes none there. One is always written after every epoch."""
    rollbacks: int = Field(default=0, ge=0, le=3)
    """How many times a NaN or infinite loss returns the run to its last checkpoint before the run stops."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that also get the metrics of every epoch, the cells and the configuration, such as tensorboard mlflow."""


class SearchConfig(Settings):
    """Search for cells."""

    data: Images = "digits"
    """digits (embedded), cifar10, cifar100, folder:PATH (or ./PATH), or your own loader: path/to/file.py:NAME."""
    method: str = "auto"
    """Search method; `adarts methods` lists them, adarts is the paper's. auto is trials; in nasbench201 it is adarts-trials.
    Your own class: path/to/file.py:Class."""
    options: Annotated[dict[str, bool | int | Annotated[float, AllowInfNan()] | str], BeforeValidator(assignments)] = {}
    """The method's own settings, as NAME=VALUE,...; `adarts methods show NAME` lists them."""
    space: str = "darts"
    """Search space: darts, nasbench201 (every cell's true accuracy is known), the reduced spaces s1 to s4, or your own:
    path/to/file.py:NAME."""
    scale: str = "auto"
    """Budget; `adarts configs` lists them. auto is gpu if a GPU is available, else cpu."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers."""
    edge: EdgeDesign = EdgeDesign()
    supernet: SupernetSettings = SupernetSettings()
    search: LoopSettings = LoopSettings()
    weights: WeightOptimizer = WeightOptimizer()
    alphas: AlphaOptimizer = AlphaOptimizer()
    images: ImageSettings = ImageSettings()
    run: RunSettings = RunSettings()


class TrainConfig(Settings):
    """Train a fixed network: from a genotype, or hand-designed."""

    genotype: str | None = "runs/search/latest"
    """The cells: a search run's folder, RUN:NUMBER for one of a front, a genotype file or its text, a name in the zoo,
    random:SEED or random:SPACE:SEED. If not given, the latest search in runs."""
    data: Images = "digits"
    """digits (embedded), cifar10, cifar100, folder:PATH (or ./PATH), or your own loader: path/to/file.py:NAME."""
    scale: str = "auto"
    """Budget; `adarts configs` lists them. auto is gpu if a GPU is available, else cpu."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers."""
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    weights: WeightOptimizer = WeightOptimizer(learning_rate=0.017)
    images: ImageSettings = ImageSettings(cutout=16)
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _one_network(self) -> TrainConfig:
        if self.genotype is not None and self.network.name is not None:
            raise ValueError(
                f"network '{self.network.name}' and genotype '{self.genotype[:60]}' are both given; remove one of them"
            )
        if self.genotype is None and self.network.name is None:
            raise ValueError("neither a genotype nor a network is given; use --genotype or --network")
        if self.training.optimizer == "adamw" and self.weights.nesterov:
            raise ValueError("weights.nesterov is for SGD; with training.optimizer 'adamw' it must be false")
        return self
