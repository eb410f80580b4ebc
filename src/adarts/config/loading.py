"""Merge the layers of a configuration. Later layers override earlier ones:

    defaults < published values of the method or the network < scale < data set < configuration file < explicit settings

The published values of a method include those for the search space. A scale overrides them, e.g. with a smaller network.
Where the budget of a family of methods has another form, as that of cells trained alone, the scale has further settings for
this family, or for a single method.

Each layer is a partial, nested mapping of settings. Names and single values are checked layer by layer, so that an error
names the layer it comes from. Rules that involve several settings are checked once, after merging.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial, reduce
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from adarts.config.reading import cut, read_yaml, shown
from adarts.config.settings import VALUES, SearchConfig, Settings, code_in
from adarts.config.values import can_name_a_file, no_flag_for_a_number
from adarts.errors import ConfigError, nearest

SCALES = ("smoke", "demo", "cpu", "gpu", "paper")
"""Names of the scales, from the smallest budget to the largest."""

AUTO = "auto"
"""The scale that suits the machine, and the method that suits the space."""

FORMAT = 1
"""Format version of a written configuration; increased when old files would be read with another meaning."""

Values = Mapping[str, Any]
Stage = Literal["search", "train"]
C = TypeVar("C", bound=Settings)


class Scale(Settings):
    """A budget: its purpose, what it reduces, and the settings it changes."""

    description: str
    reduces: str
    search: dict[str, Any] = {}
    train: dict[str, Any] = {}
    cifar: dict[Stage, dict[str, Any]] = {}
    """Further settings for CIFAR only."""
    spaces: dict[str, dict[Stage, dict[str, Any]]] = {}
    """Further settings by space. Spaces without an entry use the entry of darts."""
    families: dict[str, dict[str, Any]] = {}
    """Further settings of a search by family of methods, for families whose budget has another form."""
    methods: dict[str, dict[str, Any]] = {}
    """Further settings of a search by method, in place of those of its family."""

    def layer(
        self, stage: Stage, data: str, space: str | None = "darts", method: str | None = None, family: str | None = None
    ) -> Values:
        """The settings that the scale changes.

        Args:
            stage: the stage.
            data: name of the data set.
            space: name of the space; None for hand-designed networks.
            method: name of the search method; None for a training.
            family: family of the method.
        """
        of_data = self.cifar if data in ("cifar10", "cifar100") else {}
        of_space = {} if space is None else self.spaces.get(space, self.spaces.get("darts", {}))
        of_method = self.methods.get(method or "", self.families.get(family or "", {}))
        return merged(getattr(self, stage), of_data.get(stage, {}), of_space.get(stage, {}), of_method)


class Layers:
    """The validated settings of a configuration file and of the caller, and the scale they select.

    Args:
        model: :class:`SearchConfig` or :class:`TrainConfig`.
        given: explicit settings; they override all others.
        automatic: setting -> the function that chooses its value if it is ``auto``, given all settings in `chosen`.
        config_file: a YAML file with some or all settings.

    Attributes:
        given: the explicit settings, converted.
        file: the settings of the file.
        chosen: defaults, file and explicit settings merged; names the method, space, scale and cells, none of them ``auto``.
        scale: the selected scale.

    Raises:
        ConfigError: a name or value is invalid.
    """

    def __init__(
        self,
        model: type[Settings],
        given: Values,
        automatic: Mapping[str, Callable[[Values], str]],
        config_file: Path | str | None = None,
    ) -> None:
        self.model = model
        self.given = _without_auto(checked(model, given), automatic)
        self.file: dict[str, Any] = {}
        if config_file is not None:
            written = checked(model, read_config_file(Path(config_file)), f"{config_file}: ".__add__)
            self.file = _without_auto(written, automatic)
            _refuse_contradiction(self.given, self.file, str(config_file))
            refuse_code(self.given, self.file, str(config_file))
        self.chosen = merged(model().model_dump(), self.file, self.given)
        self._found = {name: choose(self.chosen) for name, choose in automatic.items() if self.chosen[name] == AUTO}
        self.chosen |= self._found
        self.scale = load_scale(self.chosen["scale"])

    def put_together(
        self,
        space: str | None,
        published: Values,
        source: str,
        of_data: Callable[[str], Values],
        family: str | None = None,
    ) -> dict[str, Any]:
        """Merge all layers. The result is complete, but rules that involve several settings are not checked yet.

        Args:
            space: space of the cells; None for a hand-designed network.
            published: published settings of the method in this space, of the cells, or of the network.
            source: their owner, for messages.
            of_data: from a data set's name to the settings registered with it.
            family: family of the method of a search.

        Raises:
            ConfigError: the file holds such settings of another data set.
        """
        self._refuse_settings_of_other_data(of_data)
        stage: Stage = "search" if issubclass(self.model, SearchConfig) else "train"
        scale, data = self.chosen["scale"], self.chosen["data"]
        below = [
            (source, published),
            (f"scale '{scale}'", self.scale.layer(stage, data, space, self.chosen.get("method"), family)),
            (f"data set '{data}'", of_data(data)),
        ]
        layers = [checked(self.model, layer, f"{owner}: ".__add__) for owner, layer in below]
        return merged(self.model().model_dump(), *layers, self.file, self.given, self._found)

    def _refuse_settings_of_other_data(self, of_data: Callable[[str], Values]) -> None:
        """A file's image settings may suit the file's data set alone: digits are never mirrored, photographs are."""
        theirs, mine = self.file.get("data"), self.chosen["data"]
        if theirs in (None, mine):
            return
        sections = [layer.get("images", {}) for layer in (of_data(theirs), of_data(mine), self.file, self.given)]
        brought, wanted, written, asked = sections
        for name in brought.keys() | wanted.keys():
            if name in written and name not in asked and brought.get(name) != wanted.get(name):
                raise ConfigError(
                    f"images.{name} of the configuration file is for data {shown(theirs)}, not for {shown(mine)}; "
                    f"set it with --images.{name.replace('_', '-')}, or remove it from the file"
                )


def _without_auto(layer: dict[str, Any], automatic: Collection[str]) -> dict[str, Any]:
    """Remove the settings that are ``auto`` from a layer, so that the layers below choose them."""
    return {name: value for name, value in layer.items() if not (name in automatic and value == AUTO)}


def _refuse_contradiction(given: Values, file: Values, config_file: str) -> None:
    """Refuse a scale, method, space or network that differs from the file's.

    A complete file overrides everything these names would change, so another name would only change the label of the run.
    """
    both = [(name, given[name], file[name]) for name in ("scale", "method", "space") if name in given and name in file]
    networks = [layer.get("network", {}) for layer in (given, file)]
    if all("name" in network for network in networks):
        both.append(("network", *(network["name"] for network in networks)))
    for name, one, other in both:
        require_same(name, one, other, config_file, f"remove one of them (the file's settings override the {name}'s)")


def require_same(name: str, given: Any, written: Any, file: str, cure: str) -> None:
    """Refuse a setting that a file contradicts.

    Raises:
        ConfigError: they differ; the message ends with the cure.
    """
    if given != written:
        raise ConfigError(f"{name} {shown(given)} contradicts {file}, which says {shown(written)}; {cure}")


def refuse_code(given: Values, file: Values, path: str, option: str = "--{name} ") -> None:
    """Refuse code that only a file names; its user must repeat it.

    Raises:
        ConfigError: a setting in the file is code, and `given` does not have it; the message ends with the option that gives it.
    """
    for name, code in code_in(file).items():
        if given.get(name) != code:
            raise ConfigError(
                f"{path}: {name} {shown(code)} is code, which is not executed for a file alone; "
                f"if you trust it, add: {option.format(name=name)}{code}"
            )


def load_scale(name: str) -> Scale:
    """Read a scale by name; raises :class:`ConfigError` with the nearest name if it is unknown."""
    if name not in SCALES:
        raise ConfigError(f"unknown scale {shown(name)}{nearest(name, SCALES)}")
    return validated(Scale, read_yaml(Path(__file__).parent / "scales" / f"{name}.yaml"))


def read_config_file(path: Path, of_a_run: bool = False) -> dict[str, Any]:
    """Read the settings in a YAML file, unconverted.

    Args:
        path: the file.
        of_a_run: require the format number; files written by hand may omit it.

    Raises:
        ConfigError: the file cannot be read, or its format differs from that of :func:`to_yaml`.
    """
    content = read_yaml(path)
    found = content.pop("format", 0 if of_a_run else FORMAT)
    if found != FORMAT:
        what = f"format {shown(found)}, this one reads {FORMAT}"
        raise ConfigError(f"{path}: written by another version of adarts ({what}): start a new run")
    return content


def to_yaml(config: Settings) -> str:
    """Write the configuration as YAML that :func:`read_config_file` reads back exactly."""
    content = {"format": FORMAT, **config.model_dump(mode="json")}
    text = str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    if yaml.safe_load(text) != content:  # a control character in a path survives only as an escape
        text = str(yaml.safe_dump(content, sort_keys=False))
    return text


def merge(into: dict[str, Any], layer: Values) -> None:
    """Merge a layer into a mapping in place, section by section; the layer's values win."""
    for name, value in layer.items():
        if isinstance(value, Mapping):
            merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def merged(*layers: Values) -> dict[str, Any]:
    """Merge the layers into a new mapping; later layers win."""
    whole: dict[str, Any] = {}
    for layer in layers:
        merge(whole, layer)
    return whole


def nested(name: str, value: Any) -> dict[str, Any]:
    """Turn ``("edge.k", 4)`` into ``{"edge": {"k": 4}}``."""
    return reduce(lambda inner, part: {part: inner}, reversed(name.split(".")), value)


def value_at(values: Values, name: str) -> Any:
    """Look up a dotted name in a nested mapping; raises KeyError or TypeError if it is missing."""
    return reduce(lambda found, part: found[part], name.split("."), values)


def fields(form: type[Any], prefix: str = "") -> dict[str, FieldInfo]:
    """All settings of a settings class or dataclass by dotted name: ``data``, ``search.epochs``."""
    found: dict[str, FieldInfo] = {}
    for name, field in form.__pydantic_fields__.items():
        inner = hasattr(field.annotation, "__pydantic_fields__")
        found |= fields(field.annotation, f"{prefix}{name}.") if inner else {prefix + name: field}
    return found


def checked(form: type[Any], values: Values, label: Callable[[str], str] = str) -> dict[str, Any]:
    """Check the names and convert the values of a partial mapping; return it nested.

    Args:
        form: the settings class that the mapping belongs to.
        values: the mapping. Keys may be dotted names such as ``search.epochs`` or sections. A section may be a settings
            object; only its explicitly set fields are used.
        label: dotted name -> name used in messages.

    Raises:
        ConfigError: a name is unknown or a value invalid.
    """
    known, result = fields(form), dict[str, Any]()

    def visit(values: Values, prefix: str) -> None:
        for key, value in values.items():
            name = f"{prefix}{key}"
            inner = value.model_dump(exclude_unset=True) if isinstance(value, Settings) else value
            if name in known:
                merge(result, nested(name, _leaf(known[name], value, label(name))))
            elif not any(other.startswith(f"{name}.") for other in known):
                raise ConfigError(f"{label(cut(name))}: unknown setting{nearest(cut(name), known)}")
            elif isinstance(inner, Mapping):
                visit(inner, f"{name}.")
            else:
                raise ConfigError(f"{label(name)} must be a section of settings, not {shown(value)}")

    visit(values, "")
    return result


def _leaf(field: FieldInfo, value: Any, label: str) -> Any:
    if isinstance(value, str) and value.lower() == "none" and NoneType in get_args(field.annotation):
        value = None
    if isinstance(value, str | Path) and not can_name_a_file(value):
        raise ConfigError(f"{label} has a character that no text and no name of a file can have: {shown(value)}")
    no_flag = BeforeValidator(partial(no_flag_for_a_number, field.annotation))
    kind: Any = Annotated[field.annotation, *field.metadata, no_flag]
    try:
        return TypeAdapter(kind, config=VALUES).validate_python(value)
    except ValidationError as error:
        hint = nearest(cut(str(value)), get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""
        raise ConfigError(f"{label} {_problem(error)}{hint if 'mean' in hint else ''}") from error


def validated(model: type[C], values: Values) -> C:
    """Build the settings object and check all rules; the first problem becomes a one-line ConfigError."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError(f"{where}: {_problem(error)}" if where else _problem(error)) from error


def _problem(error: ValidationError) -> str:
    """Pydantic's first problem in a few words, with the offending value."""
    first = error.errors()[0]
    text = first["msg"].removeprefix("Value error, ").split(", unable to parse")[0]
    if text.startswith("Input should be "):
        return f"must be {text.removeprefix('Input should be ')}, not {shown(first['input'])}"
    return text
