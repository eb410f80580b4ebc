"""The layers of a configuration, and what a file may not do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.config.loading import SCALES, load_scale, merge, merged, to_yaml, validated
from adarts.config.reading import read_yaml
from adarts.config.settings import EdgeDesign, LoopSettings, SearchConfig, TrainConfig
from adarts.errors import ConfigError
from adarts.methods import get_method, list_methods
from adarts.searching import search_config
from adarts.spaces import SPACES
from adarts.training import train_config

METHODS = [info.name for info in list_methods()]


def test_each_layer_outweighs_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("search: {batch_size: 3}\n")
    config = search_config(file, method="pc-darts", scale="smoke", data="cifar10", search={"warmup_epochs": 0})
    smoke = load_scale("smoke").search["search"]
    assert config.images.crop_padding == SearchConfig().images.crop_padding == 4
    assert config.weights.learning_rate == get_method("pc-darts").info.defaults["weights"]["learning_rate"] == 0.1
    assert config.search.epochs == smoke["epochs"]
    assert config.search.batch_size == 3
    assert config.search.warmup_epochs == 0


def test_the_paper_is_the_defaults_and_what_suits_the_data() -> None:
    paper: dict[str, Any] = {"scale": "paper", "method": "adarts"}
    of_digits = {"images": {"flip": False, "crop_padding": 2}}
    expected = merged(SearchConfig().model_dump(), paper, of_digits, {"search": {"validate_supernet": True}})
    assert search_config(scale="paper", method="adarts").model_dump() == expected
    trained = merged(TrainConfig().model_dump(), {"scale": "paper"}, of_digits)
    assert train_config(scale="paper").model_dump() == trained
    assert train_config(scale="paper", data="folder:x").images == TrainConfig().images


@pytest.mark.parametrize("configure", [search_config, train_config])
def test_nothing_given_is_the_scale_that_the_machine_can_carry(configure: Any, tmp_path: Path) -> None:
    of_machine = "gpu" if torch.cuda.is_available() else "cpu"
    assert configure().scale == configure(scale="auto").scale == of_machine
    assert configure(scale="auto", run={"device": "cpu"}).scale == "cpu"
    (tmp_path / "some.yaml").write_text("scale: smoke\n")
    assert configure(tmp_path / "some.yaml").scale == configure(tmp_path / "some.yaml", scale="auto").scale == "smoke"


def test_nothing_given_is_the_method_that_suits_the_space(tmp_path: Path) -> None:
    assert search_config().method == search_config(method="auto").method == search_config(space="s2").method == "trials"
    config = search_config(space="nasbench201", scale="cpu")
    assert config.method == "adarts-trials"
    assert config == search_config(space="nasbench201", scale="cpu", method="adarts-trials")
    (tmp_path / "some.yaml").write_text("method: adarts\n")
    assert search_config(tmp_path / "some.yaml", method="auto", space="nasbench201").method == "adarts"


@pytest.mark.parametrize("configure", [search_config, train_config])
def test_a_data_set_outweighs_the_scale_and_yields_to_file_and_options(configure: Any, tmp_path: Path) -> None:
    assert not configure(data="digits").images.flip and configure(data="cifar10").images.flip
    assert configure(data="digits", images={"flip": True}).images.flip
    (tmp_path / "some.yaml").write_text("images: {flip: true}\n")
    assert configure(tmp_path / "some.yaml", data="digits").images.flip


@pytest.mark.parametrize("configure", [search_config, train_config])
def test_a_file_does_not_carry_the_image_settings_of_its_data_to_another(configure: Any, tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(to_yaml(configure(data="digits", scale="smoke")))
    assert configure(file, data="digits") == configure(file)
    refused = message(lambda: configure(file, data="cifar10"))
    assert re.search(r"images\.(flip|crop_padding) of the configuration file is for data 'digits'", refused)
    assert configure(file, data="cifar10", images={"flip": True, "crop_padding": 4}).images.flip
    file.write_text("data: digits\nseed: 7\n")
    assert configure(file, data="cifar10").images.flip


def test_a_data_set_outweighs_the_recipe_of_the_cells() -> None:
    for data, flips in (("digits", False), ("cifar10", True)):
        assert train_config(data=data, genotype="random:nasbench201:0").images.flip == flips


def test_split_by_index_only_for_cifar_at_the_paper_scale() -> None:
    for scale in SCALES:
        for data in ("digits", "cifar10", "cifar100", "folder:x"):
            expected = "index" if scale == "paper" and data.startswith("cifar") else "stratified"
            assert search_config(scale=scale, data=data).images.split == expected


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("data", ["digits", "cifar100"])
def test_every_scale_works_with_every_method(scale: str, data: str) -> None:
    for method in METHODS:
        config = search_config(scale=scale, data=data, method=method)
        assert config.supernet.channels % config.edge.k == 0
        assert config.search.warmup_epochs < config.search.epochs
    assert train_config(scale=scale, data=data).scale == scale


def test_scales_are_those_in_the_folder_and_merging_leaves_them_alone() -> None:
    folder = Path(load_scale.__code__.co_filename).parent / "scales"
    assert {path.stem for path in folder.glob("*.yaml")} == set(SCALES)
    scale = load_scale("smoke")
    before = scale.model_copy(deep=True)
    merge(dict(scale.layer("search", "cifar10")), {"search": {"epochs": 99}})
    assert scale == before


def in_nasbench201(method: str, scale: str) -> SearchConfig:
    return search_config(method=method, scale=scale, space="nasbench201")


def test_a_method_has_values_of_its_own_in_a_space_or_names_the_protocol_of_the_benchmark() -> None:
    adarts, pc = (in_nasbench201(method, "paper") for method in ("adarts", "pc-darts"))
    assert (adarts.weights.learning_rate, adarts.weights.nesterov, adarts.search.batch_size) == (0.025, True, 64)
    assert (adarts.alphas.learning_rate, adarts.search.epochs, adarts.search.warmup_epochs) == (3e-4, 80, 15)
    assert pc.weights == search_config(method="pc-darts", scale="paper").weights
    assert (pc.weights.learning_rate, pc.search.batch_size) == (0.1, 256), "a rate comes with its batch"
    for method in METHODS:
        network = in_nasbench201(method, "paper").supernet
        assert (network.channels, network.cells) == (16, 15), "the network is the space's"


@pytest.mark.parametrize("method", [info.name for info in list_methods() if info.family == "gradient"])
def test_a_budget_outweighs_the_methods_in_every_space(method: str) -> None:
    config, published = in_nasbench201(method, "cpu"), in_nasbench201(method, "paper")
    assert (config.weights.learning_rate, config.search.batch_size, config.supernet.cells) == (0.025, 64, 3)
    assert config.alphas.learning_rate == 0.003
    assert config.weights.nesterov == published.weights.nesterov and config.alphas.beta1 == published.alphas.beta1


def test_what_is_for_one_space_is_not_for_another() -> None:
    for space in SPACES.known:
        nesterov = search_config(method="adarts", space=space, scale="smoke").weights.nesterov
        assert nesterov == (space == "nasbench201"), space


def test_sections_may_be_settings_objects() -> None:
    design = EdgeDesign(selector="first", k=2, attention=False)
    assert search_config(edge=design).edge == design


@given(
    seed=st.integers(0, 2**63),
    data=st.sampled_from(["digits", "cifar10", "folder:a b: c#"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    epochs=st.integers(51, 10**6),
    learning_rate=st.floats(1e-300, 1e300),
    device=st.sampled_from(["cpu", "90", "1:30", "no", "null", "1e3", "~"]),
    size=st.none() | st.integers(1, 512),
    flip=st.booleans(),
    method=st.sampled_from(METHODS),
    scale=st.sampled_from(SCALES),
)
def test_written_configuration_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    data: str,
    epochs: int,
    learning_rate: float,
    device: str,
    size: int | None,
    flip: bool,
    method: str,
    scale: str,
) -> None:
    config = search_config(
        seed=seed,
        data=data,
        method=method,
        scale=scale,
        search={"epochs": epochs},
        weights={"learning_rate": learning_rate},
        run={"device": device, "run_dir": data or None},
        images={"size": size, "flip": flip},
    )
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    file.write_text(to_yaml(config), encoding="utf-8")
    assert search_config(file) == config


def message(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("edge: !!python/object/apply:os.system [echo]", "line 1: could not determine a constructor for the tag"),
        ("edge: {k: 2", "line 1: expected ',' or '}'"),
        ("- 1", "expected settings by name, found list"),
        ("[" * 5000, "not readable as YAML"),
        ("seed: 1\nseed: 2", "line 2: seed is given twice"),
        ("search: {epochs: 1}\nedge: {k: 2}\nsearch:\n  epochs: 2", "line 3: search is given twice"),
        ("edge:\n  k: 2\n  k: 2", "line 3: k is given twice"),
        ("search.epohcs: 3", "search.epohcs: unknown setting; did you mean 'search.epochs'?"),
        ("serch: {epochs: 3}", "serch: unknown setting"),
        ("search: {epohcs: 3}", "search.epohcs: unknown setting; did you mean 'search.epochs'?"),
        ("search: 3", "search must be a section of settings, not 3"),
        ("search: {epochs: ten}", "search.epochs must be a valid integer, not 'ten'"),
        ("search: {epochs: 0}", "search.epochs must be greater than 0, not 0"),
        ("edge: {selector: atention}", "did you mean 'attention'?"),
        ("scale: huge", "unknown scale 'huge'"),
        ("method: adart", "unknown method 'adart'; did you mean 'adarts'?"),
        ("seed: 1\n" + "#" * (1 << 17), "larger than 128 KiB"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nedge: [*b, *b]", "line 2: aliases are not allowed"),
        ("edge: &e {k: 2}\nsupernet: {<<: *e}", "line 2: aliases are not allowed"),
        (f"seed: 0x{'f' * 9999}", "line 1: a number of more than 64 bits"),
        (f"seed: {'x' * 9999}", "seed must be a valid integer, not 'xxx"),
        (f"seed: {[['x' * 99] * 30] * 30}", "seed must be a valid integer, not [['xxx"),
        (f"search: {'x' * 9999}", "search must be a section of settings, not 'xxx"),
        (
            f"edge: {{selector: {'x' * 9999}}}",
            "edge.selector must be 'all', 'first', 'random' or 'attention', not 'xxx",
        ),
        (f"? {'x' * 9999}\n: 1", "xxx...: unknown setting"),
        (f"scale: {'x' * 9999}", "unknown scale 'xxx"),
        (f"edge: !{'x' * 9999} 1", "line 1: could not determine a constructor for the tag"),
    ],
    ids=lambda text: text[:30],
)
def test_files_that_are_refused(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(text)
    said = message(lambda: search_config(file))
    assert expected in said
    assert len(said) < len(str(file)) + 1200  # the longest lists all settings that there are
    assert said.startswith((f"{file}: ", "unknown "))


def test_a_file_may_say_what_the_command_line_may(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("search.epochs: 7\nsearch: {batch_size: 8}\nimages.size: none\nalphas: {clip: None}\nedge.k: 2\n")
    config = search_config(file, method="adarts", scale="smoke", images={"size": "none"})
    assert (config.search.epochs, config.search.batch_size, config.edge.k) == (7, 8, 2)
    assert config.images.size is None and config.alphas.clip is None


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "not a UTF-8 text file" in message(lambda: read_yaml(file))
    assert "Is a directory" in message(lambda: read_yaml(tmp_path))
    assert "No such file" in message(lambda: read_yaml(tmp_path / "nothing"))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("# nothing\n")
    assert search_config(file) == search_config()


def test_naming_another_scale_than_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(to_yaml(search_config(scale="smoke")))
    assert "scale 'cpu' contradicts" in message(lambda: search_config(file, scale="cpu"))
    assert "method 'darts' contradicts" in message(lambda: search_config(file, method="darts"))
    assert search_config(file, scale="smoke").scale == "smoke"


def test_the_default_genotype_is_the_latest_search_of_the_runs() -> None:
    assert train_config(run={"runs": "here"}).genotype == "here/search/latest"
    assert train_config(run={"runs": "here"}, genotype="random:1").genotype == "random:1"


def test_a_file_need_not_say_its_format_but_may_not_have_another(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    for line in ("", "format: 1\n"):
        file.write_text(f"{line}seed: 3\n")
        assert search_config(file).seed == 3
    file.write_text("format: 2\nseed: 3\n")
    assert "written by another version of adarts (format 2, this one reads 1)" in message(lambda: search_config(file))


def test_of_a_settings_object_the_fields_that_were_set_count() -> None:
    config = search_config(method="pc-darts", scale="smoke", edge=EdgeDesign(k=2), search=LoopSettings(epochs=20))
    assert (config.edge.k, config.edge.selector) == (2, "first")
    assert (config.search.epochs, config.search.batch_size) == (20, 16)


def test_rules_between_settings_are_checked_once_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("edge: {selector: all}\n")
    assert search_config(file, method="adarts", edge={"k": 1}).edge.selector == "all"
    assert message(lambda: search_config(file, method="adarts")).startswith("edge: selector 'all'")
    assert message(lambda: validated(SearchConfig, {"seed": -1})).startswith("seed: must be")
