"""The verdict on a search: what chance, drift, masks and short searches come to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import adarts
from adarts.methods import get_method, list_methods
from adarts.searching.verdict import Verdict, judge
from adarts.spaces import DARTS, NASBENCH201, Space, derive
from adarts.spaces.derivation import Rule, strongest_edges, strongest_pairs

GUESSING = math.log(10)


def records_of(
    space: Space,
    alpha_tkeo: np.ndarray,
    loss: float = 1.0,
    edge_tke: np.ndarray | None = None,
    rule: Rule = strongest_edges,
) -> list[dict[str, Any]]:
    """Records of the epochs after which alphas (epochs, kinds, edges, operations) were these; -inf is not active."""
    records = []
    for epoch, alpha_keo in enumerate(torch.from_numpy(alpha_tkeo)):
        weights = dict(zip(space.cell_kinds, alpha_keo.softmax(-1), strict=True))
        edges = (
            None if edge_tke is None else dict(zip(space.cell_kinds, torch.from_numpy(edge_tke[epoch]), strict=True))
        )
        record = {
            "train_loss": 0.1,
            "alphas_loss": loss,
            "operation_weights": {kind: weights_eo.tolist() for kind, weights_eo in weights.items()},
            "genotype": derive(space, weights, edges, rule).to_dict(),
        }
        if edges is not None:
            record["edge_weights"] = {kind: weights_e.tolist() for kind, weights_e in edges.items()}
        records.append(record)
    return records


def shape(space: Space) -> tuple[int, int, int]:
    return len(space.cell_kinds), len(space.edges), len(space.operations)


def walk(space: Space, epochs: int, seed: int, step: float = 0.03) -> np.ndarray:
    """Alphas that prefer nothing, from before their first update on."""
    steps = np.random.default_rng(seed).standard_normal((epochs, *shape(space)))
    return step * np.concatenate([np.zeros((1, *shape(space))), steps.cumsum(0)])


def drift(space: Space, epochs: int, by: float = 0.03) -> np.ndarray:
    """The speed of an operation rises with its number and with that of its edge, but by little."""
    _, edges, operations = shape(space)
    speed_eo = by * np.arange(operations) * (1 + np.arange(edges)[:, None] / edges)
    return np.arange(epochs + 1)[:, None, None, None] * np.broadcast_to(speed_eo, shape(space))


def verdict(space: Space, alpha_tkeo: np.ndarray, none_competes: bool | None = None, **more: Any) -> Verdict:
    competes = space.kept_edges is None if none_competes is None else none_competes
    return judge(records_of(space, alpha_tkeo, **more), space, GUESSING, competes)


@pytest.mark.parametrize(("space", "choices"), [(DARTS, 2 * (8 + 3)), (NASBENCH201, 6)])
def test_random_walks_are_undecided(space: Space, choices: int) -> None:
    found = [verdict(space, walk(space, 12, seed)) for seed in range(60)]
    assert {one.word for one in found} == {"undecided"} and {one.choices for one in found} == {choices}
    assert sum(one.settled for one in found) <= 0.01 * choices * len(found)


@pytest.mark.parametrize("epochs", [5, 20])
def test_one_rival_alone_stands_clear_of_chance_once_in_twenty(epochs: int) -> None:
    found = []
    for seed in range(250):
        alpha_tkeo = walk(NASBENCH201, epochs, seed)
        alpha_tkeo[..., 2:] = -np.inf
        found.append(verdict(NASBENCH201, alpha_tkeo))
    rate = sum(one.settled for one in found) / sum(one.choices for one in found)
    assert 0.02 < rate < 0.065  # of 1,500 choices; at 5 % the standard error is 0.6 %
    assert sum(one.word != "undecided" for one in found) <= 3


@pytest.mark.parametrize("space", [DARTS, NASBENCH201])
def test_a_steady_drift_decides(space: Space) -> None:
    found = verdict(space, drift(space, 12) + 0.1 * walk(space, 12, 0))
    assert found.word == "decided" and found.settled == found.choices
    assert found.stable_epochs >= 10 and found.entropy < 0.9 * found.entropy_max


def test_a_drift_that_slows_down_is_as_clear() -> None:
    alpha_tkeo = drift(NASBENCH201, 12)
    slowing = alpha_tkeo * (1 - alpha_tkeo / alpha_tkeo.max() / 2)
    found = verdict(NASBENCH201, slowing + 0.01 * walk(NASBENCH201, 12, 0))
    assert found.settled == 6


def test_steady_but_small_only_leans() -> None:
    found = verdict(NASBENCH201, drift(NASBENCH201, 12, by=0.001))
    assert found.word == "leaning" and found.settled == found.choices


def test_where_one_edge_of_two_drifts_the_search_leans() -> None:
    alpha_tkeo = walk(NASBENCH201, 12, 3)
    alpha_tkeo[:, :, :3] = drift(NASBENCH201, 12)[:, :, :3]
    found = verdict(NASBENCH201, alpha_tkeo)
    assert (found.word, found.settled, found.choices) == ("leaning", 3, 6)


def test_a_late_change_of_the_cell_is_not_decided() -> None:
    alpha_tkeo = drift(NASBENCH201, 12)
    alpha_tkeo[-1, 0, 0, 0] += 100
    found = verdict(NASBENCH201, alpha_tkeo)
    assert (found.word, found.settled, found.stable_epochs) == ("leaning", 5, 1)


def test_alphas_without_knowledge_of_the_images_decide_nothing() -> None:
    found = verdict(NASBENCH201, drift(NASBENCH201, 12), loss=GUESSING + 0.1)
    assert found.word == "undecided" and found.settled == 6 and "hardly better than guessing (2.30)" in str(found)
    single_level = records_of(NASBENCH201, drift(NASBENCH201, 12))
    for record in single_level:
        record["alphas_loss"] = None
    assert judge(single_level, NASBENCH201, GUESSING, True).word == "decided"


@settings(deadline=None, max_examples=30)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 1000), epochs=st.integers(1, 15), share=st.floats(0, 0.1))
def test_what_is_settled_does_not_depend_on_the_unit_of_the_alphas(
    factor: float, seed: int, epochs: int, share: float
) -> None:
    alpha_tkeo = walk(NASBENCH201, epochs, seed) + share * drift(NASBENCH201, epochs, 0.3)
    # Without the softmax's rounding the choices are the same; with it, they are unless a weight becomes 0.
    one, other = (verdict(NASBENCH201, scale * alpha_tkeo) for scale in (1, factor))
    assert (one.settled, one.stable_epochs) == (other.settled, other.stable_epochs)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), epochs=st.integers(0, 15), frozen=st.integers(0, 5))
def test_the_warm_up_does_not_count(seed: int, epochs: int, frozen: int) -> None:
    alpha_tkeo = walk(NASBENCH201, epochs, seed)
    found = verdict(NASBENCH201, np.concatenate([alpha_tkeo[:1]] * frozen + [alpha_tkeo]))
    assert found == verdict(NASBENCH201, alpha_tkeo)
    assert found.epochs == (epochs or 0) and 0 <= found.settled <= found.choices
    assert 0 <= found.stable_epochs <= found.epochs and found.entropy <= found.entropy_max + 1e-9


def test_nothing_and_one_epoch_and_two_updates_are_undecided() -> None:
    for epochs in (0, 1, 2, 3):
        found = verdict(NASBENCH201, drift(NASBENCH201, epochs))
        assert found.word == "undecided" and found.settled == 0, epochs
    assert judge([], NASBENCH201, GUESSING, True).word == "undecided"


def test_only_the_last_phase_counts() -> None:
    before, now = (records_of(NASBENCH201, drift(NASBENCH201, 9)), records_of(NASBENCH201, walk(NASBENCH201, 9, 1)))
    records = [{**record, "phase": phase} for phase, those in enumerate((before, now)) for record in those]
    assert judge(records, NASBENCH201, GUESSING, True) == judge(now, NASBENCH201, GUESSING, True)


def test_what_is_not_active_is_no_rival() -> None:
    alpha_tkeo = walk(NASBENCH201, 12, 0)
    alpha_tkeo[..., 2:] = drift(NASBENCH201, 12)[..., 2:]
    alpha_tkeo[..., :2] = -np.inf
    found = verdict(NASBENCH201, alpha_tkeo)
    assert found.word == "decided" and found.entropy_max == pytest.approx(math.log(3))
    alpha_tkeo[:, :, 0, :4] = -np.inf  # one operation is left: nothing to choose on this edge
    found = verdict(NASBENCH201, alpha_tkeo)
    assert found.choices == 5 and found.entropy_max == pytest.approx(math.log(3))
    alpha_tkeo[..., :4] = -np.inf
    alpha_tkeo[..., 4] = walk(NASBENCH201, 12, 0)[..., 4]
    assert verdict(NASBENCH201, alpha_tkeo).word == "undecided"  # the weights are 1 throughout, so they did not move


def test_none_is_a_rival_where_it_can_be_chosen() -> None:
    alpha_tkeo = 0.3 * drift(DARTS, 12)
    none = DARTS.operations.index("none")
    alpha_tkeo[..., none] = alpha_tkeo[..., -1]  # as strong as the best: whoever may not choose it does not care
    assert verdict(DARTS, alpha_tkeo).settled == 22
    every_edge = verdict(DARTS, alpha_tkeo, none_competes=True)
    assert (every_edge.settled, every_edge.choices) == (0, 28)


def test_edge_weights_decide_between_edges() -> None:
    alpha_tkeo = np.repeat(drift(DARTS, 12)[:, :, :1], len(DARTS.edges), axis=2)  # all edges alike
    assert (verdict(DARTS, alpha_tkeo).settled, verdict(DARTS, alpha_tkeo).choices) == (16, 22)
    beta_tke = np.zeros((13, 2, len(DARTS.edges)))
    for target in DARTS.targets:
        edges = list(DARTS.incoming(target))
        slopes = 0.1 * np.arange(len(edges)) * np.arange(13)[:, None]
        beta_tke[:, :, edges] = torch.from_numpy(slopes).softmax(-1).numpy()[:, None]
    assert verdict(DARTS, alpha_tkeo, edge_tke=beta_tke).settled == 22


def test_two_operations_kept_on_one_edge_are_no_rivals() -> None:
    alpha_tkeo = 0.1 * drift(DARTS, 12)
    for target in DARTS.targets:
        alpha_tkeo[:, :, DARTS.incoming(target)[0], -2:] = 0.3 * np.arange(13)[:, None, None]
    found = verdict(DARTS, alpha_tkeo, rule=strongest_pairs)
    assert found.settled == found.choices == 2 * (4 + 4)  # one edge of each node, against its other edges


def test_the_sentence_and_the_mapping_say_the_same() -> None:
    found = verdict(NASBENCH201, drift(NASBENCH201, 12))
    assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert str(found).startswith("decided: 6 of 6 choices are settled, entropy ")
    assert str(found).endswith(f" of 1.61, cell unchanged for the last {found.stable_epochs} of 12 epochs")


@pytest.mark.parametrize("name", sorted(info.name for info in list_methods()))
def test_every_method_says_whether_its_weights_choose(name: str) -> None:
    by_other_means = {"adarts-trials", "darts-pt", "eoi-nas", "fair-darts"}
    method = get_method(name)
    expected = name in by_other_means or method.info.family != "gradient"
    assert (method(method.Options()).chosen_by() is not None) == expected


def test_a_search_says_whether_it_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = adarts.search(
        data="digits",
        method="adarts",
        scale="smoke",
        space="nasbench201",
        images={"size": 16},
        run={"run_dir": tmp_path / "run", "threads": 1},
    )
    said = capsys.readouterr().out
    assert "updates    3 of the alphas" in said and "warning: 3 updates of the alphas cannot decide" in said
    assert found.verdict.word == "undecided" and f"verdict: {found.verdict}\nfinished: " in said
    assert f"verdict: {found.verdict}" in (found.run_dir / "log.txt").read_text()
    stored = found.summary["verdict"]
    assert stored["alpha_updates"] == 3 and Verdict.from_dict(stored) == found.verdict
    records = [json.loads(line) for line in (found.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert judge(records, NASBENCH201, stored["guessing"], none_competes=True) == found.verdict
    assert stored["guessing"] == pytest.approx(math.log(10), abs=0.05)
    page = (found.run_dir / "report.html").read_text()
    assert "<b>undecided</b>" in page and str(found.verdict).partition(": ")[2] in page


def test_a_search_whose_weights_do_not_choose_is_not_judged(tmp_path: Path) -> None:
    found = adarts.search(
        data="digits",
        scale="smoke",
        space="nasbench201",
        method="fair-darts",
        images={"size": 16},
        run={"run_dir": tmp_path / "run", "threads": 1},
    )
    assert found.summary["verdict"]["word"] == "not judged"
    assert str(found.verdict) == (
        "not judged: FairDARTS chooses by a threshold for each weight, and its weights do not compete"
    )
    assert "<b>not judged</b>" in (found.run_dir / "report.html").read_text()
