"""Making, finding, locking and continuing run folders."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_task import Plan, output, run_tiny, settings, start, wait, wait_for

from adarts import kernels
from adarts.config.loading import to_yaml
from adarts.config.settings import (
    AlphaOptimizer,
    EdgeDesign,
    ImageSettings,
    LoopSettings,
    RunSettings,
    SearchConfig,
    TrainConfig,
)
from adarts.engine import RunFolder, environment, images_again, prepare_device, read_config
from adarts.engine.lock import Lock
from adarts.errors import CheckpointError, ConfigError


def config(runs: Path, seed: int = 0, **run: Any) -> SearchConfig:
    return SearchConfig(seed=seed, run=RunSettings(runs=runs, device="cpu", **run))


def test_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunFolder.open("search", "folder:/my images", config(tmp_path)) as run:
        assert re.fullmatch(r"\d{8}-\d{6}-folder-my-images", run.path.name)
        run.log("hello [bold]you[/bold]")
    assert (tmp_path / "search" / "latest").resolve() == run.path
    assert capsys.readouterr().out == f"run folder: {run.path}\nhello [bold]you[/bold]\n"
    assert "hello [bold]you" in (run.path / "log.txt").read_text()
    assert json.loads((run.path / "environment.json").read_text())["torch"] == torch.__version__


def test_names_do_not_collide(tmp_path: Path) -> None:
    paths = set()
    for _ in range(5):
        with RunFolder.open("search", "same", config(tmp_path)) as run:
            paths.add(run.path)
    assert len(paths) == 5
    assert (tmp_path / "search" / "latest").resolve() == run.path


def test_a_run_may_go_on_by_way_of_latest(tmp_path: Path) -> None:
    with RunFolder.open("search", "same", config(tmp_path)) as run:
        path = run.path
    latest = tmp_path / "search" / "latest"
    with RunFolder.open("search", "same", config(tmp_path, run_dir=latest)):
        assert latest.resolve() == path


@pytest.mark.parametrize(
    "whole",
    [
        SearchConfig(alphas=AlphaOptimizer(learning_rate=1e-07), edge=EdgeDesign(selector="all", k=1)),
        TrainConfig(data="folder:/tmp/ümlaut: 'quoted'", images=ImageSettings(per_class=3), run=RunSettings(threads=2)),
    ],
)
def test_the_configuration_reads_back_exactly(tmp_path: Path, whole: SearchConfig | TrainConfig) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(whole), encoding="utf-8")
    assert read_config(tmp_path, type(whole)) == whole


@pytest.mark.parametrize(
    "text",
    [
        *("!!python/object/apply:os.mkdir [HARM]", "seed: !!python/name:os.system"),
        *("a: [", "- 1", "seed: -1\nedge: {q: 1}", "", "\x00"),
    ],
)
def test_hostile_and_broken_configurations_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text and "format: 1\n" + text.replace("HARM", str(tmp_path / "harm")))
    with pytest.raises(CheckpointError) as caught:
        read_config(tmp_path, SearchConfig)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    RunFolder.open("search", "x", SearchConfig(run=settings(run_dir))).close()
    other = SearchConfig(seed=1, edge=EdgeDesign(k=2), run=settings(run_dir, time_limit="9m"))
    with pytest.raises(CheckpointError, match=r"another configuration: seed, edge\.k differ; choose another folder"):
        RunFolder.open("search", "x", other)
    with pytest.raises(CheckpointError, match="not a TrainConfig"):
        RunFolder.open("train", "x", TrainConfig(run=settings(run_dir)))
    longer = SearchConfig(search=LoopSettings(epochs=81), run=settings(run_dir))
    with pytest.raises(CheckpointError, match=r"search\.epochs differ; the learning rate schedule .*: start a new one"):
        RunFolder.open("search", "x", longer)
    RunFolder.open("search", "x", SearchConfig(run=settings(run_dir, time_limit="9m"))).close()


@pytest.mark.parametrize(("line", "found"), [("", "0"), ("format: 2\n", "2"), ("format: '1'\n", "'1'")])
def test_a_folder_of_another_version_is_refused(tmp_path: Path, line: str, found: str) -> None:
    run_dir = tmp_path / "run"
    RunFolder.open("search", "x", SearchConfig(run=settings(run_dir))).close()
    file = run_dir / "config.yaml"
    file.write_text(file.read_text().replace("format: 1\n", line))
    said = f"{file}: written by another version of adarts (format {found}, this one reads 1): start a new run"
    with pytest.raises(CheckpointError) as caught:
        RunFolder.open("search", "x", SearchConfig(run=settings(run_dir)))
    assert str(caught.value) == said


def test_resume_takes_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run of this configuration"):
        RunFolder.open("search", "x", config(tmp_path, resume=True))
    assert not list(tmp_path.iterdir())
    runs = []
    for seed in (0, 0, 0, 1):
        with RunFolder.open("search", "x", config(tmp_path, seed)) as run:
            runs.append(run.path)
    for path in (runs[2], runs[1], runs[0]):
        with RunFolder.open("search", "x", config(tmp_path, resume=True)) as run:
            assert run.path == path
            assert not run.finished
            run.finish({})
    with RunFolder.open("search", "x", config(tmp_path, resume=True)) as run:
        assert run.path == runs[2]
        assert run.finished


def test_find(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no run at latest, nor under .*; there are no runs yet$"):
        RunFolder.find("latest", "search", tmp_path)
    with RunFolder.open("search", "x", config(tmp_path)) as run:
        path = run.path
    for reference in ("latest", path.name, path, str(path)):
        assert RunFolder.find(reference, "search", tmp_path) == path
    with pytest.raises(CheckpointError, match="did you mean 'latest'"):
        RunFolder.find("lastest", "search", tmp_path)


def test_what_a_run_delivered_is_found_in_its_folder_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "delivered"
    for place in (tmp_path, folder / "network-2", folder / "measured"):
        place.mkdir(exist_ok=True, parents=True)
        (place / "config.yaml").touch()
    (folder / "plan.yaml").touch()
    with pytest.raises(
        CheckpointError, match=r"no network has been delivered yet; continue with: adarts run --run-dir"
    ):
        RunFolder.find(folder, "train", tmp_path)

    def delivered(run: object) -> Path:
        (folder / "summary.json").write_text(json.dumps({"delivered": {"run": run}}))
        return RunFolder.find(folder, "train", tmp_path)

    assert delivered("network-2") == folder / "network-2"
    for name in ("..", "../..", str(tmp_path), "", "measured", "network-2/..", "network-2\0", 2, None, ["network-2"]):
        with pytest.raises(CheckpointError, match=r"delivered: its summary\.json is damaged: "):
            delivered(name)
    with pytest.raises(CheckpointError, match="the folder of the delivered network is missing: network-3"):
        delivered("network-3")


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    child = start(run_dir, Plan(sleep=60))
    try:
        wait_for(run_dir, "run folder:")
        for attempt in (run_tiny, lambda path: RunFolder.check("search", SearchConfig(run=settings(path)))):
            with pytest.raises(CheckpointError, match=rf"in use by process {child.pid} on \S+, started \d{{4}}-"):
                attempt(run_dir)
    finally:
        child.kill()
        wait(child)
    run_tiny(run_dir)  # a killed process holds nothing


def test_one_process_may_not_open_a_folder_twice_either(tmp_path: Path) -> None:
    with (
        RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path / "run"))),
        pytest.raises(CheckpointError, match=f"process {os.getpid()}"),
    ):
        RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path / "run")))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_does_not_matter_to_the_lock(tmp_path: Path) -> None:
    with full_disk():
        lock = Lock(tmp_path)
        with pytest.raises(CheckpointError, match="in use by another process"):
            Lock(tmp_path)
        lock.release()
    Lock(tmp_path).release()


def test_a_full_disk_on_resume_is_one_line_and_leaves_the_folder_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SearchConfig(run=settings(tmp_path / "run"))
    RunFolder.open("search", "x", config).close()
    before = (tmp_path / "run" / "environment.json").read_bytes()
    with full_disk(), pytest.raises(CheckpointError, match=r"cannot write .*environment\.json: File too large \("):
        RunFolder.open("search", "x", config)
    assert (tmp_path / "run" / "environment.json").read_bytes() == before
    RunFolder.open("search", "x", config).close()


def test_a_drive_without_locks_is_refused_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)  # no such drive can be had in a test
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(CheckpointError, match=r"cannot lock .*\.lock: No locks available; choose"):
        Lock(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture(params=[0o555, 0o000], ids=["read-only", "closed"])
def read_only(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with a run in it that this process may not write, or not even enter; root becomes nobody for that."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path: nobody may not even enter that
        folder = Path(name)
        RunFolder.open("search", "x", SearchConfig(run=settings(folder / "run"))).close()
        for path in (folder / "run" / "checkpoints", folder / "run", folder):
            path.chmod(request.param)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        for path in (folder, folder / "run", folder / "run" / "checkpoints"):
            path.chmod(0o755)


def test_a_read_only_folder_is_refused_before_work(read_only: Path) -> None:
    for run in (
        settings(read_only / "run"),
        settings(read_only / "new"),
        RunSettings(runs=read_only, device="cpu"),
    ):
        with pytest.raises(CheckpointError, match=r"cannot write .*: Permission denied"):
            RunFolder.open("search", "x", SearchConfig(run=run))
        with pytest.raises(CheckpointError, match=r"cannot write .*: Permission denied"):
            RunFolder.check("search", SearchConfig(run=run))


def test_a_folder_of_images_may_move_if_the_images_are_the_same(tmp_path: Path) -> None:
    def opened(data: str, fingerprint: str, place: str = "a", resume: bool = False) -> RunFolder:
        run = {"runs": tmp_path, "resume": True} if resume else {"run_dir": tmp_path / place / "run"}
        config = SearchConfig(data=data, run=RunSettings(device="cpu", **run))
        return RunFolder.open("search", "x", config, images={"fingerprint": fingerprint})

    before, after = (f"folder:{tmp_path}/{place}/photos" for place in "ab")
    (tmp_path / "a/photos").mkdir(parents=True)
    opened(before, "1234").close()
    assert images_again(before, tmp_path / "a/run") == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert images_again(before, tmp_path / "b/run") == after
    for data in (before, after, f"folder:{tmp_path}/elsewhere"):
        with pytest.raises(CheckpointError, match="the images have changed since the run began"):
            opened(data, "5678", "b")
    assert read_config(tmp_path / "b/run", SearchConfig).data == before
    opened(after, "1234", "b").close()
    assert read_config(tmp_path / "b/run", SearchConfig).data == after
    with pytest.raises(CheckpointError, match="another configuration: data differ"):
        opened("digits", "1234", "b")
    (tmp_path / "b/run").rename(tmp_path / "search")
    (tmp_path / "search/data.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"data\.json is missing or damaged"):
        images_again("folder:gone", tmp_path / "search")


def test_resume_takes_a_run_of_the_same_folder(tmp_path: Path) -> None:
    def opened(data: str, **run: Any) -> RunFolder:
        return RunFolder.open(
            "search", "x", SearchConfig(data=data, run=RunSettings(runs=tmp_path, device="cpu", **run))
        )

    with opened("folder:a") as first, opened("folder:b"):
        pass
    with opened("folder:a", resume=True) as again:
        assert again.path == first.path


def test_the_check_makes_nothing_and_gives_the_device(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    for good in (config(tmp_path / "a" / "b"), SearchConfig(run=settings(run_dir))):
        assert RunFolder.check("search", good) == torch.device("cpu")
    assert not list(tmp_path.iterdir())
    RunFolder.open("search", "x", SearchConfig(run=settings(run_dir))).close()
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert RunFolder.check("search", SearchConfig(run=settings(run_dir))) == torch.device("cpu")
    with pytest.raises(CheckpointError, match=r"another configuration: seed differ"):
        RunFolder.check("search", SearchConfig(seed=1, run=settings(run_dir)))
    with pytest.raises(CheckpointError, match="no run of this configuration"):
        RunFolder.check("search", config(tmp_path, resume=True))
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot write .*file: Not a directory"):
        RunFolder.check("search", SearchConfig(run=settings(tmp_path / "file")))
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="neither empty nor a run folder"):
        RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_changed_environment_is_named(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(signal_at=(0, 1, 15)))) == 143
    saved = json.loads((run_dir / "environment.json").read_text())
    (run_dir / "environment.json").write_text(json.dumps({**saved, "torch": "1.0", "kernels_build": "g++ 1.0, 0123"}))
    assert wait(start(run_dir, Plan(signal_at=(1, 1, 15)), threads=2)) == 143
    build = saved["kernels_build"]
    changed = f"torch 1.0 -> {torch.__version__}, threads 1 -> 2, kernels_build g++ 1.0, 0123 -> {build}"
    assert f"{changed}; the last bits of the result may differ" in output(run_dir)
    assert wait(start(run_dir, threads=2)) == 0
    assert output(run_dir).count("warning:") == 1
    assert len(json.loads((run_dir / "environment.json").read_text())["continued"]) == 2


def test_a_wrong_time_limit_or_device_makes_no_folder(tmp_path: Path) -> None:
    for changes in ({"time_limit": "soon"}, {"device": "gpu"}, {"device": "cpu:1"}, {"device": "cuda:99"}):
        with pytest.raises(ConfigError, match=r"^--(time-limit|device) '.*' (\(run\.device\) )?(is|does not exist)"):
            RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path / "run", **changes)))
    with pytest.raises(ConfigError, match=r"one process uses one device; .*adarts sweep --device"):
        RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path / "run", device="cuda:0,cuda:1")))
    with pytest.raises(ConfigError, match=r"run.processes is 2, but there are 1"):
        RunFolder.open("search", "x", SearchConfig(run=settings(tmp_path / "run", processes=2)))
    assert not list(tmp_path.iterdir())


def test_the_kernels_that_run_and_their_build_are_written_down() -> None:
    cpu, build = torch.device("cpu"), kernels.status().build
    for precision in ("float32", "bfloat16"):
        now = environment(cpu, precision)
        assert now["kernels"] == ("native" if build and precision == "float32" else "torch")
        assert now["kernels_build"] == build  # what measures a run in bfloat16 is in float32
    with kernels.using("torch"):
        assert (environment(cpu)["kernels"], environment(cpu)["kernels_build"]) == ("torch", None)


def test_the_device(tmp_path: Path) -> None:
    assert prepare_device(RunSettings(device="cpu", threads=1)) == torch.device("cpu")
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("device", ["", "gpu", "cpu:0", "auto:0", "cuda:", "cuda:²", "cuda:-1", "cuda:" + "9" * 400])
def test_what_is_no_device(device: str) -> None:
    with pytest.raises(ConfigError, match=r"^--device '.*' \(run\.device\) is unknown; "):
        prepare_device(RunSettings(device=device))


def test_a_gpu_is_called_cuda() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'cuda'\?"):
        prepare_device(RunSettings(device="GPU"))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["/opt/bin/adarts", "search", "--run.seed", "a b"], "adarts search --run.seed 'a b'"),
        (["/lib/python3/adarts/__main__.py", "demo"], "adarts demo"),
        (["/home/somebody/study.py", "--password", "x"], None),
        (["/home/somebody/__main__.py"], None),
        ([""], None),
        ([], None),
    ],
)
def test_only_the_command_line_is_written_down(
    monkeypatch: pytest.MonkeyPatch, words: list[str], command: str | None
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    assert environment(torch.device("cpu"))["command"] == command


def test_an_error_goes_to_the_log_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunFolder.open("search", "x", config(tmp_path)) as run:
        run.log(str(1 // 0))
    assert "Traceback" in (run.path / "log.txt").read_text()
