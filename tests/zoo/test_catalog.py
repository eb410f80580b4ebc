"""The data of the zoo: complete, true to what others counted, and found by name."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn

from adarts import zoo
from adarts.errors import ConfigError, DataError
from adarts.models import OPERATIONS, Network, count_parameters
from adarts.spaces import DARTS, SPACES, Genotype
from adarts.training.model import resolve_genotype
from adarts.zoo.table1 import TABLE

from .golden import DESIGNED, MILLIONS, PARAMETERS, TABLE_1, TRIPLES

ROOT = Path(__file__).parents[2]
EXTRA = {
    "sep_conv_7x7",
    "max_pool_5x5",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "grouped_conv_3x1_1x3",
    "norm_max_pool_3x3",
}


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    """The parameters of every network; they are made without memory, so no initial weights are drawn for them either."""
    layers = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase)
    with ExitStack() as stack:
        stack.enter_context(torch.device("meta"))
        for layer in layers:
            stack.enter_context(mock.patch.object(layer, "reset_parameters", lambda self: None))
        return {entry.name: count_parameters(Network(entry.genotype, 10, 36, 20)) for entry in zoo.entries()}


def test_a_hundred_genotypes() -> None:
    assert len(zoo.names()) == len(set(zoo.names())) == 100
    assert len({entry.genotype for entry in zoo.entries()}) >= 95  # some published cells were published twice
    assert [zoo.get(name).source_name for name in MILLIONS] == list(
        MILLIONS
    )  # the golden names are those of the sources
    assert set(zoo.names()) == {zoo.get(name).name for name in MILLIONS} | {"GDAS_F1", "SETN"}


def test_recomputed_sizes_are_the_golden_ones(counted: dict[str, int]) -> None:
    assert {name: f"{counted[zoo.get(name).name] / 1e6:.3f}" for name in MILLIONS} == MILLIONS
    assert {name: counted[name] for name in PARAMETERS} == PARAMETERS


def test_recomputed_sizes_are_the_stored_ones(counted: dict[str, int]) -> None:
    assert {entry.name: entry.parameters for entry in zoo.entries()} == counted


def test_hand_designed_networks_are_listed_with_their_sizes() -> None:
    """That the networks have them is the business of test_baselines.py."""
    assert {record.name: record.parameters for record in zoo.records()[100:]} == DESIGNED


def test_the_two_that_were_completed() -> None:
    """GDAS with its fixed reduction cell is published with 2.5 M; both cells have operations that no list has."""
    assert f"{zoo.get('GDAS_F1').parameters / 1e6:.1f}" == "2.5"
    fixed, normal = zoo.get("GDAS_F1").genotype.cells["reduction"], zoo.get("SETN").genotype.cells["normal"]
    assert fixed.nodes == tuple(
        ((name, source),) for name in ("grouped_conv_3x1_1x3", "norm_max_pool_3x3") for source in (0, 1)
    )
    assert normal.nodes[-1] == (("max_pool_3x3", 1), ("conv_3x1_1x3", 4))


def test_other_forms_of_cells_are_there() -> None:
    def cells(name: str) -> Genotype:
        return zoo.get(name).genotype

    assert cells("SNAS_aggressive").num_operations("reduction", "none") == 6
    assert cells("IS_DARTS").cells["reduction"].nodes[1] == (("dil_conv_5x5", 2), ("sep_conv_5x5", 2))
    assert cells("NASNet").cells["reduction"].concat == (4, 5, 6) and len(cells("NASNet").cells["normal"].nodes) == 5
    assert cells("FairDARTS_a").cells["normal"].nodes[1] == () and cells("FairDARTS_a").cells["normal"].concat == (
        2,
        4,
        5,
    )


@pytest.mark.parametrize("name", TRIPLES)
def test_fair_darts_is_what_its_triples_say(name: str) -> None:
    assert zoo.get(name).genotype == Genotype.from_text(TRIPLES[name])


def test_additional_operations_are_in_no_space() -> None:
    searched = {name for space in SPACES.known.values() for name in space.operations}
    assert set(OPERATIONS) - searched == EXTRA
    used = {
        name for e in zoo.entries() for cell in e.genotype.cells.values() for node in cell.nodes for name, _ in node
    }
    assert used - set(DARTS.operations) == EXTRA


def test_every_entry_says_where_it_comes_from() -> None:
    for entry in zoo.entries():
        assert entry.source.startswith("github.com/") and entry.title and entry.method
        published = (entry.cifar10_error, entry.cifar100_error, entry.size)
        assert (entry.figures is not None) == any(figure is not None for figure in published), entry.name
        assert (entry.paper is None) <= (entry.year is None), entry.name
        for error, span in ((entry.cifar10_error, (2, 5)), (entry.cifar100_error, (15, 20))):
            assert error is None or span[0] < error < span[1]
        if entry.size is not None and abs(entry.size - entry.parameters / 1e6) > 0.06:
            assert entry.remarks, (
                f"{entry.name}: published {entry.size} M, counted {entry.parameters}, and no word of it"
            )


def test_names_are_found_whatever_their_case() -> None:
    assert zoo.get("adarts-v1") is zoo.get(" ADARTS_V1") is zoo.find("Adarts_v1")
    assert zoo.find("ADARTS_V3") is None
    with pytest.raises(ConfigError, match="unknown genotype 'ADARTS_V3'; did you mean 'ADARTS_V"):
        zoo.get("ADARTS_V3")
    with pytest.raises(ConfigError, match="'#'; `adarts zoo` lists what there is"):
        zoo.get("#")


@pytest.mark.parametrize(
    ("source_name", "name"),
    [
        ("c10_s5_random", "SDARTS_RS"),
        ("C10-S5-PGD", "SDARTS_ADV"),
        ("gnas_2", "EOINAS_2"),
        ("cifar100_s0_3", "DARTS_MINUS_C100_3"),
        ("blank_pt_s5_0", "DARTS_PT_BLANK_0"),
        ("Cri2_CIFAR_5", "SGAS_CRI2_5"),
        ("genotype", "BETA_DARTS_DEFAULT"),
        ("alphaADARTS_genotype1", "ALPHA_ADARTS"),
        ("PDARTS", "PDARTS"),
    ],
)
def test_names_of_the_sources_are_as_good(source_name: str, name: str) -> None:
    assert zoo.get(source_name) is zoo.find(name) is zoo.record(source_name) and zoo.get(name).name == name
    assert resolve_genotype(source_name) == zoo.get(name).genotype
    assert zoo.record(name) in zoo.select(source_name.replace("-", "_"))


def test_no_name_means_two_networks() -> None:
    said: dict[str, set[str]] = {}
    for record in zoo.records():
        for name in (record.name, record.source_name or record.name):
            said.setdefault(name.lower().replace("-", "_"), set()).add(record.name)
    assert {name: whose for name, whose in said.items() if len(whose) > 1} == {}


def test_a_name_that_is_nearly_one_of_a_source() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'c10_s5_pgd'\?$"):
        zoo.get("c10_s5_pdg")
    with pytest.raises(ConfigError, match="did you mean 'IS_DARTS' or 'SDARTS_RS'"):
        zoo.get("ISDART")


def test_training_takes_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_genotype("adarts_v1") == zoo.get("ADARTS_V1").genotype
    with pytest.raises(DataError, match="no genotype at ADARTS_V9; did you mean 'ADARTS_V2' or 'ADARTS_V1'"):
        resolve_genotype("ADARTS_V9")
    with pytest.raises(
        DataError, match="'ResNet110' is not a genotype; train a hand-designed network with --network resnet110"
    ):
        resolve_genotype("ResNet110")
    with pytest.raises(DataError, match="run `adarts search` first"):
        resolve_genotype("runs/search/latest")
    for empty in ("", " "):
        with pytest.raises(DataError, match=r"^the genotype is empty; give a search run's folder, a genotype file"):
            resolve_genotype(empty)
    (tmp_path / "ADARTS_V1").write_text(zoo.get("SETN").genotype.to_text())  # a file of one's own comes first
    assert resolve_genotype("ADARTS_V1") == zoo.get("SETN").genotype


def test_selections() -> None:
    assert {record.name for record in zoo.select("gdas")} == {"GDAS_V1", "GDAS_F1"}
    assert {record.name for record in zoo.select("ResNet-")} == {"resnet110", "resnet1202"}
    assert [r.parameters for r in zoo.select(order="size")] == sorted(r.parameters for r in zoo.records())
    errors = [record.cifar10_error for record in zoo.select(order="error")]
    known = [error for error in errors if error is not None]
    assert known == sorted(known) and errors[len(known) :] == [None] * (105 - len(known))
    assert zoo.select(order="year")[0].name == "vgg19_bn"
    assert zoo.record("VGG19-BN").parameters == 20_040_522
    with pytest.raises(ConfigError, match="did you mean 'resnet110'"):
        zoo.record("resnet111")


def test_table_1() -> None:
    assert len(TABLE) == 25 and len({row.system.removesuffix(" + cutout") for row in TABLE}) == 22
    kinds = [row.kind for row in TABLE]
    assert [kinds.count(kind) for kind in ("manual", "evolution", "RL", "gradient-based")] == [5, 4, 4, 12]
    assert tuple((row.size, row.gpu_days, row.cifar10_error, row.cifar100_error) for row in TABLE) == TABLE_1
    for row in TABLE:
        if (
            row.ours is not None
            and row.size is not None
            and f"{zoo.record(row.ours).parameters / 1e6:.1f}" != f"{row.size:.1f}"
        ):
            assert row.note, f"{row.system}: printed {row.size} M, counted {zoo.record(row.ours).parameters}"


def test_entries_quote_table_1_as_it_stands() -> None:
    rows = {(row.ours, row.cifar10_error, row.cifar100_error, row.size) for row in TABLE}
    for record in zoo.records():
        if record.figures == "Table I of the ADARTS paper":
            assert (record.name, record.cifar10_error, record.cifar100_error, record.size) in rows
    assert zoo.record("resnet1202").figures == "Table I of the ADARTS paper, the size by its own paper"


def test_records_are_read_without_torch() -> None:
    code = "import sys, adarts.zoo as z; z.select('gdas'); print(len(z.records()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["105", "False"]


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "zoo_page.py")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "zoo.md").read_text(), "run: python scripts/zoo_page.py > docs/zoo.md"


def test_text_to_json_to_text() -> None:
    texts = {entry.name: entry.genotype.to_text() for entry in zoo.entries() if entry.genotype.has_text}
    assert set(zoo.names()) - set(texts) == {"GDAS_F1", *TRIPLES} - {"FairDARTS_d"}
    for name, text in texts.items():
        assert Genotype.from_json(Genotype.from_text(text).to_json()).to_text() == text, name
        spaced = f"{name} = {text.replace('[2, 3, 4, 5]', 'range(2, 6)')}"
        assert Genotype.from_text(spaced).to_text() == text
    unread = {"FairDARTS_c": "('skip_connect', 5, 3), ", "FairDARTS_g": "('skip_connect', 4, 3), "}  # node 3 is empty
    for name, text in TRIPLES.items():
        again = Genotype.from_json(Genotype.from_text(text).to_json()).to_triples()
        assert again == text.replace(unread.get(name, "none"), "")
    fixed = zoo.get("GDAS_F1").genotype
    assert Genotype.from_text(fixed.to_triples()) == fixed


def test_the_file_is_plain_json() -> None:
    document = json.loads((ROOT / "src/adarts/zoo/genotypes.json").read_text())
    assert (document["format"], document["version"]) == ("adarts-zoo", 1)
    assert all(record["genotype"] == zoo.get(record["name"]).genotype.to_dict() for record in document["entries"])
