"""A study in its folder. Any number of processes may work on it at the same time.

    runs/tune/NAME/
        study.json       what is tuned, and how it is judged
        journal.log      Optuna's journal: every trial with its values and its measurements
        trials/0007/     run folder of a search
        configs/0007.yaml  logs/0007.txt
        workers/         the processes that work on the study now
        tune.json  report.html

The journal is the truth about the trials; a run folder is that about its search. Who hands out a trial or takes one over holds
a lock, whose file also works on network drives without ``flock``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic_core import to_jsonable_python

from adarts.engine.config_file import differing_keys
from adarts.engine.files import refuse, to_json, write_atomically
from adarts.engine.lock import holder
from adarts.errors import CheckpointError
from adarts.tuning.parameters import Assignment, from_record
from adarts.tuning.plan import Plan
from adarts.tuning.sampler import ByNumber, pruner_of

State = Literal["running", "finished", "pruned", "diverged", "failed"]

PLAN, JOURNAL, TABLE, PAGE = "study.json", "journal.log", "tune.json", "report.html"
PARTS = ("trials", "configs", "logs", "workers")
_VERSION = 1
_NAME = "study"  # inside the journal
_WORKER, _ERROR, _DIVERGED, _PRUNED = "worker", "error", "diverged", "pruned"
_ENOUGH = 50  # finished trials for a word about importance, so that the best tenth has five; Optuna's advice


@dataclass(frozen=True)
class Row:
    """A trial of the table.

    Attributes:
        number: its number.
        state: its state.
        value: the objective in percent; that of the last epoch before the end for a pruned or running trial; None if unknown.
        parameters: the tuned settings.
        epochs: measured epochs.
        error: why it diverged or failed, in one line.
    """

    number: int
    state: State
    value: float | None
    parameters: Assignment
    epochs: int
    error: str | None


class Study:
    """A study that exists.

    Args:
        folder: its folder.
        writes: False only reads it, as in a folder of somebody else, and changes nothing.

    Attributes:
        folder: its folder.
        plan: content of ``study.json``.

    Raises:
        CheckpointError: the folder is not that of a study, or a file in it is damaged.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study
        self.folder, self.plan = folder, _read_plan(folder)
        settings = self.plan["settings"]
        self.parameters = [from_record(name, record) for name, record in settings["tune"].items()]
        self._lock = _lock_of(folder / _NAME)
        is_new = False
        if not writes and not (folder / JOURNAL).exists():
            raise CheckpointError(f"{folder}: the study has no trials yet")
        try:
            if writes:
                with _holding(_lock_of(folder / JOURNAL)):
                    is_new = _mend(folder / JOURNAL)
            study: dict[str, Any] = {
                "study_name": _NAME,
                "storage": JournalStorage(_journal(folder)),
                "sampler": ByNumber(self.parameters, self.plan["usual"], settings["config"]["seed"]),
                "pruner": pruner_of(settings["prune"], self.plan["epochs"], self.plan["warmup_epochs"]),
            }
            if is_new:
                optuna.create_study(direction="maximize", load_if_exists=True, **study)
            self._optuna = optuna.load_study(**study)
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{folder / JOURNAL} is damaged: {error}") from error
        except OSError as error:
            refuse(folder / JOURNAL, error, 0)

    @classmethod
    def begin(cls, folder: Path, plan: Plan, images: str) -> Study:
        """Open the study in a folder, or begin it.

        Args:
            folder: the folder; it and its parts exist.
            plan: the plan.
            images: fingerprint of the images.

        Raises:
            CheckpointError: the study in the folder has another plan; the message names the differences.
        """
        settings = json.loads(json.dumps(to_jsonable_python(plan.record(images))))
        with _holding(_lock_of(folder / _NAME)):
            if (folder / PLAN).exists():
                if keys := differing_keys(_read_plan(folder)["settings"], settings):
                    names = ", ".join(key.removeprefix("config.") for key in keys)
                    raise CheckpointError(f"{folder} is another study: {names} differ; choose another --study-dir")
            else:
                content = {
                    "format": "adarts-study",
                    "version": _VERSION,
                    "settings": settings,
                    "usual": plan.usual,
                    "epochs": max(point.epochs for point in plan.corners),
                    "warmup_epochs": max(point.config.search.warmup_epochs for point in plan.corners),
                    "given": to_jsonable_python(plan.given),
                    "config_file": None if plan.config_file is None else str(plan.config_file),
                }
                write_atomically(folder / PLAN, to_json(content))
        return cls(folder)

    # ------------------------------------------------------------------------------------------------- for those who start trials

    def hand_out(self, worker: str, most: int, is_gone: Callable[[str], bool]) -> tuple[int, Assignment] | None:
        """Give a worker a trial to run: one whose worker is gone, or else a new one.

        Args:
            worker: the name of the worker.
            most: number of trials that the study shall have.
            is_gone: whether a worker of a name has ended.

        Returns:
            Number and values of the trial; None if there is nothing to do now.
        """
        with self._held():
            trials = self._optuna.get_trials(deepcopy=False)
            for known in trials:
                last = known.user_attrs.get(_WORKER)  # None: killed while it asked for the trial
                if known.state is TrialState.RUNNING and (last is None or is_gone(last)):
                    if holder(self.run_dir(known.number)) is not None:
                        return None  # the search that lost its worker goes on to its next checkpoint
                    return self._give(Trial(self._optuna, known._trial_id), worker)
            if len(trials) >= most:
                return None
            return self._give(self._optuna.ask(), worker)

    def _give(self, trial: Trial, worker: str) -> tuple[int, Assignment]:
        for parameter in self.parameters:
            parameter.suggest(trial)
        trial.set_user_attr(_WORKER, worker)
        return trial.number, trial.params

    def run_dir(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.folder / "trials" / name_of(number)

    def rows(self) -> list[Row]:
        """All trials so far."""
        return [_row(trial) for trial in self._optuna.get_trials(deepcopy=False)]

    def curve(self, number: int) -> list[float]:
        """The objective of a trial after every epoch."""
        measured = self._trial(number).intermediate_values
        return [measured[epochs] for epochs in sorted(measured)]

    def is_done(self, most: int) -> bool:
        """Whether the study has so many trials, and all of them have ended."""
        trials = self._optuna.get_trials(deepcopy=False)
        return len(trials) >= most and all(trial.state.is_finished() for trial in trials)

    def importance(self) -> dict[str, float]:
        """The share of each parameter in what the best trials have in common (PED-ANOVA); empty for few trials.

        Optuna's default evaluator, which looks at the best tenth.
        """
        if sum(row.state == "finished" for row in self.rows()) < _ENOUGH:
            return {}
        return optuna.importance.get_param_importances(self._optuna)

    # ------------------------------------------------------------------------------------------------------- for the trial itself

    def is_open(self, number: int) -> bool:
        """Whether a trial has not ended."""
        return not self._trial(number).state.is_finished()

    def report(self, number: int, epochs: int, value: float, may_prune: bool) -> bool:
        """Note the objective after an epoch.

        Args:
            number: the trial.
            epochs: epochs that are over.
            value: the objective.
            may_prune: whether the trial may be ended now.

        Returns:
            Whether it shall end; once decided, this holds for an epoch that is repeated after an interruption, too.
        """
        known = self._trial(number)
        trial = Trial(self._optuna, known._trial_id)
        if epochs not in known.intermediate_values:
            trial.report(value, epochs)
        if may_prune and _PRUNED not in trial.user_attrs and trial.should_prune():
            trial.set_user_attr(_PRUNED, epochs)
        return trial.user_attrs.get(_PRUNED) == epochs

    def worker_of(self, number: int) -> str:
        """The worker that has a trial, or had it last."""
        return str(self._trial(number).user_attrs[_WORKER])

    def finish(self, number: int, value: float) -> None:
        """End a trial with its objective."""
        self._optuna.tell(number, value, skip_if_finished=True)

    def end_pruned(self, number: int) -> None:
        """End a trial that was stopped early."""
        self._optuna.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def end_diverged(self, number: int, error: str) -> None:
        """End a trial whose loss became infinite. Optuna counts it as pruned, so it looks elsewhere."""
        self._note(number, {_ERROR: error, _DIVERGED: True})
        self.end_pruned(number)

    def end_failed(self, number: int, error: str) -> None:
        """End a trial with an error that says nothing about its values."""
        self._note(number, {_ERROR: error})
        self._optuna.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _note(self, number: int, facts: Mapping[str, Any]) -> None:
        trial = Trial(self._optuna, self._trial(number)._trial_id)
        for name, fact in facts.items():
            trial.set_user_attr(name, fact)

    def _trial(self, number: int) -> FrozenTrial:
        return self._optuna.get_trials(deepcopy=False)[number]

    @contextmanager
    def _held(self) -> Iterator[None]:
        with _holding(self._lock):
            yield


def name_of(number: int) -> str:
    """The name of a trial's folder and files."""
    return f"{number:04}"


def best_of(rows: Sequence[Row]) -> Row | None:
    """The finished trial with the highest value; the earliest of equal ones."""
    finished = [row for row in rows if row.state == "finished"]
    return max(finished, key=lambda row: (row.value, -row.number)) if finished else None


def _row(trial: FrozenTrial) -> Row:
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "diverged" if _DIVERGED in trial.user_attrs else "pruned",
        TrialState.FAIL: "failed",
    }
    state = states.get(trial.state, "running")
    last = trial.last_step
    value = trial.value if state == "finished" else None if last is None else trial.intermediate_values[last]
    known = None if state in ("diverged", "failed") else value
    return Row(trial.number, state, known, trial.params, last or 0, trial.user_attrs.get(_ERROR))


def _journal(folder: Path) -> JournalFileBackend:
    return JournalFileBackend(str(folder / JOURNAL), _lock_of(folder / JOURNAL))


def _lock_of(path: Path) -> JournalFileOpenLock:
    """The lock of a file: another file, created exclusively, which works on NFS from version 3 on and without links."""
    return JournalFileOpenLock(str(path))


@contextmanager
def _holding(lock: JournalFileOpenLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # held for so long that somebody took it for forgotten
            lock.release()


def _mend(journal: Path) -> bool:
    """Remove an incomplete last line, left by a full disk or a power cut; Optuna could not read past it.

    Returns:
        Whether nothing is left.
    """
    content = journal.read_bytes() if journal.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with journal.open("rb+") as file:
            file.truncate(whole)
    return whole == 0


def _read_plan(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / PLAN).read_bytes())
        version = content["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} has no {PLAN} that can be read: it is not a study") from error
    if version != _VERSION:
        raise CheckpointError(f"{folder} is a study of another version of adarts; begin another one")
    return content
