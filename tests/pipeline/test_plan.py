"""The file of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adarts.errors import ConfigError
from adarts.pipeline import Plan, read_plan
from adarts.pipeline.plan import LimitSettings, NetworkPlan, SearchPlan, TrainingPlan, written

PLAN = Plan(
    data="folder:photos of birds: 2026 # new",
    size=32,
    limits=LimitSettings(max_params=50_000, max_latency=2.5),
    search=SearchPlan(trials=40, size=16),
    network=NetworkPlan(cells=5, channels=12),
    training=TrainingPlan(epochs=30, batch_size=32, learning_rate=0.04, class_weights="balanced"),
    rivals=("random:darts:0", "timm:mobilenetv3_small_050"),
)


def test_a_plan_reads_back_exactly_and_has_its_reasons_as_comments(tmp_path: Path) -> None:
    text = written(PLAN, {"size": "the images have 64 pixels;\n32 is faster", "training.epochs": "what fits"})
    (tmp_path / "plan.yaml").write_text(text)
    assert read_plan(tmp_path / "plan.yaml") == PLAN
    lines = text.splitlines()
    assert lines[lines.index("size: 32") - 1] == "# the images have 64 pixels; 32 is faster"
    assert lines[lines.index("  epochs: 30") - 1] == "  # what fits"


@given(data=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
@example("\xa0")  # blank to Python, not to YAML
@settings(max_examples=30, deadline=None)
def test_any_name_of_images_survives_the_file(data: str) -> None:
    text = written(PLAN.model_copy(update={"data": data}), {})
    assert yaml.safe_load(text)["data"] == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("format: 1", "format: 2"), "not a plan of this version"),
        (("size: 32", "size: 0"), "size must be greater than 0"),
        (("channels: 12", "channels: 5"), "channels must be a multiple of 2"),
        (("trials: 40", "trails: 40"), "trails"),
        (("data: ", "data_: "), "data"),
    ],
)
def test_what_is_no_plan(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(written(PLAN, {}).replace(*change, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        read_plan(file)
    assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)
