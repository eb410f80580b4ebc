"""Trackers have what metrics.jsonl has, once, however a run was interrupted; and none of them can stop a run."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_task import Plan, TinyTask, output, result, run_tiny, settings, start, wait, wait_for

import adarts
from adarts.config.settings import RunSettings, SearchConfig
from adarts.engine import Metrics, RunFolder, carry_out
from adarts.errors import ConfigError
from adarts.report import cell_pngs
from adarts.spaces import DARTS, random_genotype
from adarts.tracking import trackers
from adarts.tracking.base import Epochs, Scalars, TrackedRun, scalars
from adarts.tracking.mlflow import MLflow

History = Mapping[str, list[tuple[int, float]]]
"""Every number of a tracker by name, as (step, value), in the order of the steps; twice if the tracker has it twice."""


def in_tensorboard(run_dir: Path) -> History:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((run_dir / "tensorboard").iterdir()):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    found.setdefault(value.tag, []).append((event.step, make_ndarray(value.tensor).item()))
    return {name: sorted(values) for name, values in found.items()}


def in_mlflow(run_dir: Path) -> History:
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    (experiment,) = (one for one in client.search_experiments() if one.name == "adarts")
    runs = [one for one in client.search_runs([experiment.experiment_id]) if one.info.run_name == run_dir.name]
    (run,) = runs
    names = run.data.metrics
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    return {name: sorted((old.step, old.value) for old in history) for name, history in histories.items()}


def records_of_leveldb(data: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB writes it, after wandb's own 7 bytes: blocks of 32 KiB, with parts of records."""
    at, parts = 7, bytearray()
    while at + 7 <= len(data):
        if (rest := -at % 32768) and rest < 7:  # a part never begins in the last bytes of a block
            at += rest
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield bytes(parts)
            parts.clear()


def in_wandb(run_dir: Path) -> History:
    from wandb.proto import wandb_internal_pb2

    (file,) = run_dir.glob("wandb/offline-run-*/*.wandb")
    found: dict[str, list[tuple[int, float]]] = {}
    for data in records_of_leveldb(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for name, text in items.items():
            value = json.loads(text)
            if not name.startswith("_") and isinstance(value, int | float):
                found.setdefault(name, []).append((int(items["_step"]), float(value)))
    return {name: sorted(values) for name, values in found.items()}


READ: dict[str, Callable[[Path], History]] = {"tensorboard": in_tensorboard, "mlflow": in_mlflow, "wandb": in_wandb}


def expected(run_dir: Path, name: str) -> History:
    """What metrics.jsonl says; TensorBoard's numbers have 32 bits."""
    found: dict[str, list[tuple[int, float]]] = {}
    for step, record in enumerate(Metrics(run_dir / "metrics.jsonl").read()):
        for key, value in scalars(record).items():
            found.setdefault(key, []).append((step, float(np.float32(value)) if name == "tensorboard" else value))
    return found


def of_epochs(history: History) -> History:
    """Without what a finished run adds: its results, and the sizes of pictures in wandb."""
    return {name: values for name, values in history.items() if not name.startswith(("result/", "cell_"))}


def tracker(name: str) -> Any:
    missing = pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is missing: pip install 'adarts[{name}]'")
    return pytest.param(name, marks=[missing, *([] if name == "tensorboard" else [pytest.mark.full])])


every_tracker = pytest.mark.parametrize("name", [tracker(name) for name in READ])


@pytest.fixture(autouse=True)
def one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow sets up a database for seconds, so the runs of a test share one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)  # where MLflow puts the artifacts of such a database


def test_the_numbers_of_a_record() -> None:
    record = {
        "epoch": 3,
        "train_loss": 0.5,
        "alphas_loss": None,
        "skips": {"normal": 2, "reduction": 0},
        "operation_weights": {"normal": [[0.1, 0.9]]},
        "genotype": {"version": 1},
        "method": {"a:b": {"c": True}},
    }
    assert scalars(record) == {"train_loss": 0.5, "skips/normal": 2, "skips/reduction": 0, "method/a_b/c": 1}


def test_the_name_of_a_run_stays_and_a_text_that_is_none_is_replaced(tmp_path: Path) -> None:
    run, file = TrackedRun(tmp_path, SearchConfig()), tmp_path / "tracking.id"
    name = run.id()
    assert run.id() == name and file.read_text() == f"{name} in {tmp_path}\n"
    file.write_text("x/../..")  # wandb's folders of a name are removed
    assert run.id() not in (name, "x/../..") and file.read_text().startswith(f"{run.id()} in ")


def test_a_copied_run_has_a_name_of_its_own_and_a_moved_one_keeps_it(tmp_path: Path) -> None:
    one, two, three = (TrackedRun(tmp_path / name, SearchConfig()) for name in ("one", "two", "three"))
    one.folder.mkdir()
    name = one.id()
    shutil.copytree(one.folder, two.folder)
    one.folder.rename(three.folder)
    (tmp_path / "one").symlink_to(three.folder)
    assert three.id() == name == one.id()
    shutil.rmtree(two.folder)
    shutil.copytree(three.folder, two.folder)
    assert two.id() == two.id() != name == three.id()


@pytest.mark.full
@pytest.mark.skipif(find_spec("mlflow") is None, reason="needs mlflow")
def test_a_copied_run_leaves_the_files_of_the_original_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    one, two = (TrackedRun(tmp_path / name, SearchConfig()) for name in ("one", "two"))
    one.folder.mkdir()
    MLflow(one, [{"loss": 1.0}]).close()
    shutil.copytree(one.folder, two.folder)
    before = {path: path.read_bytes() for path in one.folder.rglob("*") if path.is_file()}
    for epochs in (1, 2):
        MLflow(two, epochs * [{"loss": 1.0}]).finish({}, {})
    assert before == {path: path.read_bytes() for path in one.folder.rglob("*") if path.is_file()}
    client = MlflowClient(f"sqlite:///{tmp_path}/two/mlflow/mlflow.db")
    mine = [
        one.experiment_id
        for one in client.search_experiments()
        if one.artifact_location.startswith(f"file://{tmp_path}/two/")
    ]
    (run,) = client.search_runs(mine)
    assert run.info.status == "FINISHED"


@every_tracker
def test_a_tracker_has_every_epoch_and_changes_no_result(name: str, tmp_path: Path) -> None:
    run_tiny(tmp_path / "tracked", track=[name])
    run_tiny(tmp_path / "plain")
    assert of_epochs(READ[name](tmp_path / "tracked")) == expected(tmp_path / "tracked", name)
    assert result(tmp_path / "tracked") == result(tmp_path / "plain")


class Saving(TinyTask):
    """Keeps the checkpoints as they are after two epochs."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self.run_dir = run_dir

    def step(self, epoch: int, step: int) -> Any:
        if (epoch, step) == (2, 3):
            shutil.copytree(self.run_dir / "checkpoints", self.run_dir / "kept")
        return super().step(epoch, step)


@every_tracker
def test_what_a_tracker_has_beyond_the_checkpoint_comes_once(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    config = SearchConfig(run=settings(run_dir, track=[name]))
    with RunFolder.open("search", "tiny", config) as run:
        carry_out(Saving(run_dir), run, config.run)
    shutil.rmtree(run_dir / "checkpoints")
    (run_dir / "kept").rename(run_dir / "checkpoints")
    assert len(READ[name](run_dir)["train_loss"]) == 4
    run_tiny(run_dir, track=[name])
    assert of_epochs(READ[name](run_dir)) == expected(run_dir, name)


@every_tracker
def test_a_tracker_that_comes_later_has_the_epochs_before(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(signal_at=(2, 1, 15)))) == 143
    run_tiny(run_dir, track=[name])
    assert of_epochs(READ[name](run_dir)) == expected(run_dir, name)


@pytest.mark.full
@pytest.mark.timeout(3000)
@every_tracker
def test_twenty_interrupted_runs_have_no_gap_and_no_double_step(name: str, tmp_path: Path) -> None:
    rng, interrupted, wrong = random.Random(name), 0, []
    for number in count():
        run_dir = tmp_path / f"run{number}"
        child = start(run_dir, Plan(sleep=0.01), track=[name])
        wait_for(run_dir, "tracking:")
        time.sleep(rng.uniform(0, 0.4))
        child.kill() if rng.random() < 0.5 else child.terminate()
        if wait(child) == 0:  # it was faster this time
            continue
        assert wait(start(run_dir, Plan(), track=[name])) == 0, output(run_dir)
        if of_epochs(READ[name](run_dir)) != expected(run_dir, name):
            wrong.append(number)
        if (interrupted := interrupted + 1) == 20:
            break
    assert not wrong


def test_the_times_of_epochs_stay(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from adarts.tracking.tensorboard import TensorBoard, _times

    run = TrackedRun(tmp_path, SearchConfig())
    first = TensorBoard(run, [])
    first.record(0, {"x": 1.0})
    first.close()
    folder = tmp_path / "tensorboard"
    before = _times(folder.iterdir())[0]
    TensorBoard(run, [{"x": 1.0}]).close()
    assert len(list(folder.iterdir())) == 1
    assert _times(folder.iterdir())[0] == before


@every_tracker
def test_configuration_results_and_pictures(name: str, tmp_path: Path) -> None:
    run_dir, genotype = tmp_path / "run", random_genotype(DARTS, 0)
    config = SearchConfig(seed=7, run=settings(run_dir, track=[name]))
    with RunFolder.open("search", "tiny", config) as run:
        carry_out(TinyTask(), run, config.run)
        run.finish({"test_accuracy": 0.5}, lambda: cell_pngs(genotype))
    last = 4 if name == "wandb" else 3
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(run_dir / "tensorboard")).Reload()
        assert in_tensorboard(run_dir)["result/test_accuracy"] == [(last, 0.5)]
        assert b"seed: 7" in events.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0]
        (image,) = events.Images("cell_reduction")
        assert image.step == last and image.encoded_image_string.startswith(b"\x89PNG")
    elif name == "mlflow":
        from mlflow import MlflowClient

        assert in_mlflow(run_dir)["result/test_accuracy"] == [(last, 0.5)]
        client = MlflowClient()
        (found,) = client.search_runs([client.get_experiment_by_name("adarts").experiment_id])
        assert (found.info.status, found.data.params["seed"], found.data.params["edge.k"]) == ("FINISHED", "7", "4")
        files = {file.path for file in client.list_artifacts(found.info.run_id)}
        assert files == {"config.yaml", "cell_normal.png", "cell_reduction.png"}
    else:
        assert len(list(run_dir.glob("wandb/offline-run-*/files/media/images/*.png"))) == 2


@pytest.mark.full
@every_tracker
def test_a_search_and_a_training(name: str, tmp_path: Path) -> None:
    small: dict[str, Any] = {"data": "digits", "scale": "smoke", "images": {"per_class": 4, "size": 16}}
    tracked = {"runs": tmp_path / "tracked", "track": [name], "threads": 1}
    found = adarts.search(**small, run=tracked)
    trained = adarts.train(found.genotype, **small, run=tracked)
    for run_dir in (found.run_dir, trained.run_dir):
        assert of_epochs(READ[name](run_dir)) == expected(run_dir, name)
    plain = adarts.search(**small, run={"runs": tmp_path / "plain", "threads": 1})
    for file in ("metrics.jsonl", "genotype.json"):
        assert (plain.run_dir / file).read_bytes() == (found.run_dir / file).read_bytes()


class Falling:
    """Falls over in the second epoch."""

    where = "nowhere"

    def __init__(self, run: TrackedRun, epochs: Epochs) -> None: ...

    def record(self, step: int, values: Scalars) -> None:
        if step == 1:
            raise ConnectionError("the server\nis gone")

    def finish(self, results: Scalars, pictures: Mapping[str, bytes]) -> None:
        raise AssertionError("it was left out")

    close = finish  # type: ignore[assignment]


def test_a_tracker_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trackers._TRACKERS, "wandb", Falling)
    monkeypatch.setattr(trackers, "find_spec", lambda name: find_spec("json"))
    run_tiny(tmp_path / "run", track=["wandb"])
    said = [line for line in (tmp_path / "run" / "log.txt").read_text().splitlines() if "warning" in line]
    text = "warning: tracking with wandb failed, and the run goes on without it: ConnectionError: the server is gone"
    assert [line.partition("  ")[2] for line in said] == [text]
    run_tiny(tmp_path / "plain")
    assert result(tmp_path / "run") == result(tmp_path / "plain")


@every_tracker
def test_a_tracker_that_cannot_start_is_left_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    RunFolder.open("search", "tiny", SearchConfig(run=settings(run_dir))).close()
    (run_dir / name).write_text("in the way")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run_tiny(run_dir, track=[name])
    said = capsys.readouterr().out
    assert said.count("warning") == 1 and f"warning: tracking with {name} failed, and the run goes on" in said
    assert (run_dir / "summary.json").exists()


def test_a_missing_package_is_named_before_the_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    run = RunSettings(run_dir=tmp_path / "run", track=("mlflow",))
    with pytest.raises(ConfigError, match=r"^--track mlflow needs .*: pip install 'adarts\[mlflow\]'$"):
        RunFolder.open("search", "tiny", SearchConfig(run=run))
    assert not list(tmp_path.iterdir())
