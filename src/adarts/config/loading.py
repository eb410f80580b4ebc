"""How the layers of a configuration become one run.

    defaults < protocol of the space < published values of the method or the network < scale < data set < configuration file
    < explicit settings

A scale has two layers for the search of a space. Its *protocol* is how the space's benchmark searches; a method that publishes
other hyper-parameters keeps them. What outweighs the methods', such as the network of the space, belongs to the scale proper.

Every layer is a partial, nested mapping of the settings. Names and single values are checked layer by layer, so that a
mistake is reported with the layer that makes it; rules that tie several settings together are checked once, at the end,
since a later layer may complete what an earlier one began.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from adarts.config.settings import VALUES, SearchConfig, Settings, code_in, no_flag_for_a_number
from adarts.errors import ConfigError, nearest

SCALES = ("smoke", "demo", "cpu", "gpu", "paper")
"""The budgets, from the smallest to the largest."""

AUTO = "auto"
"""The scale that stands for what the machine can carry."""

FORMAT = 1
"""Of a written configuration; another number for every change after which an old one means something else."""

Values = Mapping[str, Any]
Stage = Literal["search", "train"]
C = TypeVar("C", bound=Settings)

_MAX_FILE = 1 << 20  # bytes; a configuration is a page of text, and a hostile one must not fill the memory
_MAX_BITS = 64  # of a whole number; Python refuses to write down one of thousands of digits
_MAX_SHOWN = 80  # characters of a file's text in a message
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring = 2, _MAX_SHOWN


class Scale(Settings):
    """A budget: what it is for, what it reduces, and the settings it changes."""

    description: str
    reduces: str
    search: dict[str, Any] = {}
    train: dict[str, Any] = {}
    cifar: dict[Stage, dict[str, Any]] = {}
    """Further settings that hold for CIFAR only."""
    spaces: dict[str, dict[Stage, dict[str, Any]]] = {}
    """Further settings that hold for the cells of one space; those of darts hold for all spaces that have none of their own."""

    protocols: dict[str, dict[str, Any]] = {}
    """By space, settings of a search that a method's published ones outweigh."""

    def layer(self, stage: Stage, data: str, space: str | None = "darts") -> Values:
        """The settings that the scale changes for a stage on a data set and a space; without a space, for no cells at all."""
        of_data = self.cifar if data in ("cifar10", "cifar100") else {}
        of_space = {} if space is None else self.spaces.get(space, self.spaces.get("darts", {}))
        return merged(getattr(self, stage), of_data.get(stage, {}), of_space.get(stage, {}))


class Layers:
    """What a configuration file and explicit settings say, each value valid, and the scale that they choose.

    Args:
        model: :class:`SearchConfig` or :class:`TrainConfig`.
        given: what outweighs everything else.
        machine: from the device setting to the scale that this machine can carry; it is asked where the scale is ``auto``.
        config_file: a YAML file with some or all settings.

    Attributes:
        given: as it came, converted.
        file: the settings of the file.
        chosen: defaults, file and given merged: which method, space, scale, cells are meant.
        scale: the budget.

    Raises:
        ConfigError: a name or value that cannot be; one line.
    """

    def __init__(
        self,
        model: type[Settings],
        given: Values,
        machine: Callable[[str], str],
        config_file: Path | str | None = None,
    ) -> None:
        self.model = model
        self.given = _without_auto(checked(model, given))
        self.file: dict[str, Any] = {}
        if config_file is not None:
            self.file = _without_auto(checked(model, read_config_file(Path(config_file)), f"{config_file}: ".__add__))
            _refuse_contradiction(self.given, self.file, str(config_file))
            _refuse_code(self.given, self.file, str(config_file))
        self.chosen = merged(model().model_dump(), self.file, self.given)
        if self.chosen["scale"] == AUTO:
            self.chosen["scale"] = machine(self.chosen["run"]["device"])
        self.scale = load_scale(self.chosen["scale"])

    def put_together(self, space: str | None, published: Values, source: str, of_data: Values) -> dict[str, Any]:
        """All layers merged: complete, but the rules that tie several settings together not yet checked.

        Args:
            space: of the cells; None for none at all.
            published: the published settings of the method, the cells or the network.
            source: whose they are, for messages.
            of_data: the settings that the data set brings with it.
        """
        stage: Stage = "search" if issubclass(self.model, SearchConfig) else "train"
        of_scale = f"scale '{self.chosen['scale']}'"
        data = self.chosen["data"]
        below = [(source, published), (of_scale, self.scale.layer(stage, data, space)), (f"data set '{data}'", of_data)]
        if stage == "search":
            below.insert(0, (of_scale, self.scale.protocols.get(str(space), {})))
        layers = [checked(self.model, layer, f"{owner}: ".__add__) for owner, layer in below]
        return merged(self.model().model_dump(), *layers, self.file, self.given, {"scale": self.chosen["scale"]})


def _without_auto(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer that asks for the scale ``auto`` leaves the choice to the layers below."""
    return {name: value for name, value in layer.items() if (name, value) != ("scale", AUTO)}


def _refuse_contradiction(given: Values, file: Values, config_file: str) -> None:
    """A complete file overrides all that a scale, method, space or network changes: another one would only change the label."""
    both = [(name, given[name], file[name]) for name in ("scale", "method", "space") if name in given and name in file]
    networks = [layer.get("network", {}) for layer in (given, file)]
    if all("name" in network for network in networks):
        both.append(("network", *(network["name"] for network in networks)))
    for name, one, other in both:
        if one != other:
            raise ConfigError(
                f"{name} {shown(one)} contradicts {config_file}, which says {shown(other)}; "
                f"remove one of them (the file's settings outweigh the {name}'s)"
            )


def _refuse_code(given: Values, file: Values, config_file: str) -> None:
    """What a file names is never executed; whoever gives the command may."""
    for name, code in code_in(file).items():
        if given.get(name) != code:
            raise ConfigError(
                f"{config_file}: {name} {shown(code)} is code, which a configuration file alone does not run; "
                f"if you trust it, add: --{name} {code}"
            )


def load_scale(name: str) -> Scale:
    """The scale of this name; :class:`ConfigError` with the nearest name if there is none."""
    if name not in SCALES:
        raise ConfigError(f"unknown scale {shown(name)}{nearest(name, SCALES)}")
    return validated(Scale, read_yaml(Path(__file__).parent / "scales" / f"{name}.yaml"))


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, and what few lines make huge: long numbers, and aliases, nine of which fill a memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed; write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key.value, str)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{_cut(key.value)} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if value.bit_length() > _MAX_BITS:
            problem = f"a number of more than {_MAX_BITS} bits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping read from a YAML file; nothing in it is evaluated."""
    try:
        if path.stat().st_size > _MAX_FILE:
            raise ConfigError(f"{path}: larger than 1 MiB, so not a configuration")
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {line}{_cut(str(error.problem))}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({type(error).__name__})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected settings by name, found {type(content).__name__}")
    return content


def read_config_file(path: Path, of_a_run: bool = False) -> dict[str, Any]:
    """The settings in a YAML file, as it has them.

    Args:
        path: of the file.
        of_a_run: refuse a file that does not say its format, too; people need not write it.

    Raises:
        ConfigError: it cannot be read, or its format is another than :func:`to_yaml` writes.
    """
    content = read_yaml(path)
    found = content.pop("format", 0 if of_a_run else FORMAT)
    if found != FORMAT:
        what = f"format {shown(found)}, this one reads {FORMAT}"
        raise ConfigError(f"{path}: written by another version of adarts ({what}): start a new run")
    return content


def to_yaml(config: Settings) -> str:
    """The configuration as text that :func:`read_config_file` reads back exactly."""
    content = {"format": FORMAT, **config.model_dump(mode="json")}
    text = str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    if yaml.safe_load(text) != content:  # a control character in a path, which only survives as an escape
        text = str(yaml.safe_dump(content, sort_keys=False))
    return text


def merge(into: dict[str, Any], layer: Values) -> None:
    """Put a layer above what is there, section by section."""
    for name, value in layer.items():
        if isinstance(value, Mapping):
            merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def merged(*layers: Values) -> dict[str, Any]:
    """The layers, each above the one before, as a new mapping."""
    whole: dict[str, Any] = {}
    for layer in layers:
        merge(whole, layer)
    return whole


def nested(name: str, value: Any) -> dict[str, Any]:
    """``("edge.k", 4)`` as ``{"edge": {"k": 4}}``."""
    return reduce(lambda inner, part: {part: inner}, reversed(name.split(".")), value)


def value_at(values: Values, name: str) -> Any:
    """The value of a dotted name in a nested mapping; a KeyError or TypeError where there is none."""
    return reduce(lambda found, part: found[part], name.split("."), values)


def fields(form: type[Any], prefix: str = "") -> dict[str, FieldInfo]:
    """Every single setting of a settings class or dataclass by its dotted name: ``data``, ``search.epochs``."""
    found: dict[str, FieldInfo] = {}
    for name, field in form.__pydantic_fields__.items():
        inner = hasattr(field.annotation, "__pydantic_fields__")
        found |= fields(field.annotation, f"{prefix}{name}.") if inner else {prefix + name: field}
    return found


def checked(form: type[Any], values: Values, label: Callable[[str], str] = str) -> dict[str, Any]:
    """A partial mapping, nested, with every name known and every single value converted and valid.

    Args:
        form: the settings that the mapping is a part of.
        values: the mapping, in which ``search.epochs`` is as good as a section; a section may also be a settings object, of
            which the fields that were set count.
        label: from a dotted name to how a message calls it.
    """
    known, result = fields(form), dict[str, Any]()

    def visit(values: Values, prefix: str) -> None:
        for key, value in values.items():
            name = f"{prefix}{key}"
            inner = value.model_dump(exclude_unset=True) if isinstance(value, Settings) else value
            if name in known:
                merge(result, nested(name, _leaf(known[name], value, label(name))))
            elif not any(other.startswith(f"{name}.") for other in known):
                raise ConfigError(f"{label(_cut(name))}: unknown setting{nearest(_cut(name), known)}")
            elif isinstance(inner, Mapping):
                visit(inner, f"{name}.")
            else:
                raise ConfigError(f"{label(name)}: a section of settings, not {shown(value)}")

    visit(values, "")
    return result


def _leaf(field: FieldInfo, value: Any, label: str) -> Any:
    if isinstance(value, str) and value.lower() == "none" and NoneType in get_args(field.annotation):
        value = None
    no_flag = BeforeValidator(partial(no_flag_for_a_number, field.annotation))
    kind: Any = Annotated[field.annotation, *field.metadata, no_flag]
    try:
        return TypeAdapter(kind, config=VALUES).validate_python(value)
    except ValidationError as error:
        hint = nearest(_cut(str(value)), get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""
        raise ConfigError(f"{label} {_problem(error)}{hint if 'mean' in hint else ''}") from error


def validated(model: type[C], values: Values) -> C:
    """The settings object, with all rules checked; the first problem as one line."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError(f"{where}: {_problem(error)}" if where else _problem(error)) from error


def _problem(error: ValidationError) -> str:
    """Pydantic's first problem in few words, with the value that makes it."""
    first = error.errors()[0]
    text = first["msg"].removeprefix("Value error, ").split(", unable to parse")[0]
    if text.startswith("Input should be "):
        return f"must be {text.removeprefix('Input should be ')}, not {shown(first['input'])}"
    return text


def shown(value: Any) -> str:
    """A value as messages show it: short, however much a file holds."""
    return _cut(_BRIEF.repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
