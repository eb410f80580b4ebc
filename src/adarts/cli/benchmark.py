"""``adarts benchmark``: how fast, and in how much memory."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, parse
from adarts.cli.output import print_table
from adarts.errors import ConfigError, nearest

if TYPE_CHECKING:
    from adarts.benchmark import Conditions, Outcome
    from adarts.benchmark.variants import Variant

Flag = bool


@dataclass(frozen=True, config=FORM)
class How:
    """Options of every benchmark."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: str | None = None
    """CPU threads; none takes one for each core."""
    json: Path | None = None
    """Write all figures and their provenance to this file."""
    plot: Path | None = None
    """Draw them into this SVG file."""


@dataclass(frozen=True, config=FORM)
class Rounds(How):
    """Options of the benchmarks that measure time."""

    repeats: int = 5
    """Rounds that count."""
    warmup: int | None = None
    """Rounds before them; none takes as many as the first steps on the device are slow: 1, and 5 on a GPU."""


@dataclass(frozen=True, config=FORM)
class Edge:
    """What replaces the method's own edge design; several values are parted by commas."""

    selector: str | None = None
    """all, first, random or attention."""
    k: str | None = None
    """One in k channels enters the operations."""
    attention: str | None = None
    """Scale the channels by channel attention: yes or no."""
    attention_scope: str | None = None
    """edge or node."""
    mask_scope: str | None = None
    """batch or sample."""
    normalization: str | None = None
    """Edge normalization: yes or no."""
    auxiliary_skip: str | None = None
    """A further skip connection beside the operations of every edge: yes or no."""


@dataclass(frozen=True, config=FORM)
class BatchEdge(Edge):
    """What replaces the method's own edge design; several values are parted by commas."""

    k: str | None = None
    """One in k channels enters the operations; none takes 1, 2, 4 and 8, and 1 alone where all channels do."""


@dataclass(frozen=True, config=FORM)
class Designs:
    """What search steps may differ in. Options marked * take several values, parted by commas."""

    method: str = "adarts"
    """* Search methods; `adarts methods` lists them."""
    edge: Edge = Edge()
    channels: str = "16"
    """* Channels of the first cells."""
    cells: str = "8"
    """* Number of cells."""
    size: str = "32"
    """* Side of the images."""
    kernels: str = "auto"
    """* auto or torch."""
    precision: str = "float32"
    """* float32 or bfloat16."""
    capture: str = "yes"
    """* Let a GPU replay whole updates: yes or no."""
    recompute: str = "no"
    """* Compute the cells again in the backward pass: yes or no."""


@dataclass(frozen=True, config=FORM)
class Step(Designs, Rounds):
    """Time and memory of a search step. Options marked * take several values, parted by commas: all combinations are measured in
    turn, and compared with the first.
    """

    batch: str = "32"
    """* Images of each update."""
    no_memory: Flag = False
    """Measure time alone."""


@dataclass(frozen=True, config=FORM)
class Data(Rounds):
    """Images a second of the data pipeline, and its share of a search step."""

    method: str = "adarts"
    """Whose search step it is compared with."""
    batch: str = "96"
    """Images of a batch."""
    size: str = "32"
    """Side of the images."""
    images: str = "50000"
    """Images to choose from."""
    kernels: str = "auto"
    """auto or torch, in the search step."""


@dataclass(frozen=True, config=FORM)
class Training(Rounds):
    """Images a second of the training of a found network."""

    genotype: str = "ADARTS_V1"
    """The paper's cells, or a search run's folder, a genotype file or its text, random:SEED or random:SPACE:SEED."""
    loop: str = "plain,torch,auto"
    """What is compared with the first: plain (eager NCHW), torch (ours without native kernels), auto (with them)."""
    channels: str = "16"
    """Channels of the first cells."""
    cells: str = "8"
    """Number of cells."""
    batch: str = "96"
    """Images of a step."""
    size: str = "32"
    """Side of the images."""
    precision: str = "float32"
    """float32 or bfloat16."""
    no_memory: Flag = False
    """Measure time alone."""


@dataclass(frozen=True, config=FORM)
class Batch(Designs, How):
    """The largest batch of a search step that fits into a memory, by K."""

    memory: str = "8GB"
    """The memory: 8GB is 8e9 bytes, 8GiB is 8 times 2^30."""
    edge: BatchEdge = BatchEdge()
    no_verify: Flag = False
    """Extrapolate from small batches, and measure nothing near the limit."""


@dataclass(frozen=True, config=FORM)
class Growth(Rounds):
    """How time and memory of a search step grow, with the fitted exponents."""

    vary: tuple[str, ...] = ()
    """k, channels, cells, batch, size, each alone or with its values as in k=1,2,4; none varies them all."""
    method: str = "adarts"
    """Search method."""
    edge: Edge = Edge()
    channels: str = "16"
    """Channels of the first cells, where they are not varied."""
    cells: str = "8"
    """Number of cells, where it is not varied."""
    batch: str = "16"
    """Images of each update, where they are not varied."""
    size: str = "32"
    """Side of the images, where it is not varied."""
    kernels: str = "auto"
    """auto or torch."""
    precision: str = "float32"
    """float32 or bfloat16."""
    capture: str = "yes"
    """Let a GPU replay whole updates: yes or no."""
    recompute: str = "no"
    """Compute the cells again in the backward pass: yes or no."""
    no_memory: Flag = False
    """Measure time alone."""


FORMS: dict[str, type[How]] = {"step": Step, "data": Data, "training": Training, "batch": Batch, "growth": Growth}

_HELP = f"""usage: adarts benchmark WHAT [OPTIONS]

How fast, and in how much memory, on this machine.

what:
  step        time and memory of a search step, design beside design
  data        images a second of the data pipeline, and its share of a step
  training    images a second of the training of a found network
  batch       the largest batch that fits into a memory, by K
  growth      how time and memory grow with K, width, depth, batch and image size

options:
  -h, --help  print this, or with one of {", ".join(FORMS)} its options"""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    if not words or words[0] in ("-h", "--help"):
        print(_HELP)
        return 0 if words else 2
    if words[0] not in FORMS:
        raise ConfigError(f"adarts benchmark: nothing called '{words[0][:60]}'{nearest(words[0], FORMS)}")
    form = parse(FORMS[words[0]], words[1:], f"adarts benchmark {words[0]}")
    from adarts.benchmark.outcome import Conditions, require_writable, say_on_stderr

    require_writable(form.json, form.plot)
    rounds = (form.repeats, form.warmup) if isinstance(form, Rounds) else (1, None)
    outcome = _measure(form, Conditions.of(form.device, form.threads, *rounds))
    say_on_stderr("")
    print(outcome.title)
    print_table(outcome.head, outcome.rows)
    for note in outcome.notes:
        print(note)
    outcome.write(form.json, form.plot)
    return 0


def _measure(form: How, conditions: Conditions) -> Outcome:
    from adarts import benchmark
    from adarts.benchmark.growth import axes_of
    from adarts.benchmark.training import train_variants
    from adarts.benchmark.variants import NUMBERS, for_each_k, require_differences, values_of, whole_number
    from adarts.engine.memory import parse_memory_limit

    match form:
        case Step():
            variants = _variants(form)
            require_differences(variants, conditions.device)
            return benchmark.time_steps(variants, conditions, memory=not form.no_memory)
        case Batch():
            limit = parse_memory_limit(form.memory) or 0
            variants = for_each_k(_variants(form)) if form.edge.k is None else _variants(form)
            require_differences(variants, conditions.device)
            return benchmark.largest_batches(variants, limit, conditions, verify=not form.no_verify)
        case Data():
            return benchmark.time_data(_only(_variants(form)), conditions, whole_number("--images", form.images))
        case Growth():
            axes = axes_of(form.vary)
            return benchmark.measure_growth(_only(_variants(form)), axes, conditions, memory=not form.no_memory)
        case Training():
            numbers = {name: whole_number(f"--{name}", getattr(form, name)) for name in NUMBERS}
            chosen = {"genotype": form.genotype, "precision": form.precision, **numbers}
            loops = train_variants(values_of("loop", form.loop), conditions.device, **chosen)
            return benchmark.time_training(loops, conditions, memory=not form.no_memory)
    raise AssertionError(form)


def _variants(form: How) -> list[Variant]:
    """All combinations of what the form lists, in the order of its fields."""
    from adarts.benchmark.variants import VARIED, grid

    options = {name: getattr(form, name) for name in VARIED if hasattr(form, name)}
    edge = getattr(form, "edge", Edge())
    options |= {f"edge.{field.name}": getattr(edge, field.name) for field in fields(Edge)}
    return grid(options)


def _only(variants: list[Variant]) -> Variant:
    if len(variants) > 1:
        raise ConfigError("one value for each option: only `adarts benchmark step` and `batch` compare several")
    return variants[0]
