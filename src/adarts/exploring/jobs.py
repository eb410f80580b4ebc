"""Explore with trainings: every proposal is a job of an executor, in this machine's slots or on a cluster.

    runs/explore/NAME/
        trials.jsonl        what is explored, then one record a told trial; those of a run are in order
        trials/TRIAL/       run folder of a training
        configs/TRIAL.yaml  configuration of its process
        logs/TRIAL.txt      output of its process
        jobs/               what belongs to a cluster, if the trainings run on one
        explore.json        the settings, the table, and the curves
        report.html

There is no other state. The searchers are at their start whenever the exploration continues. They are told again what is known,
and so ask for the same cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt

from adarts.config.cluster import Engine
from adarts.data import load_images
from adarts.engine import Metrics, StopSignals, environment, parse_time_limit, write_atomically
from adarts.engine.files import refuse
from adarts.engine.lock import Lock
from adarts.engine.progress import plain_console
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import AdartsError, CheckpointError, NotFiniteError, Stopped, refusing
from adarts.exploring.page import write_results
from adarts.exploring.runs import kept, prepare
from adarts.exploring.setup import Outcome
from adarts.exploring.trained import TrainedExploration, Training, training_of
from adarts.methods import create
from adarts.methods.scored import size_of
from adarts.searchers import Score, Searcher, Trial
from adarts.searching import SearchTask
from adarts.spaces import Genotype
from adarts.sweeping.executors import Ended
from adarts.sweeping.executors.choice import JOBS, executor
from adarts.sweeping.runner import Runner

_PARTS = ("trials", "configs", "logs")
_FILES = ("trials.jsonl", "explore.json", "report.html", JOBS, *_PARTS)


def explore_by_training(
    setup: TrainedExploration, engine: Engine | None = None, run_dir: Path | None = None
) -> Outcome:
    """Train what the searchers propose, as far as it is not trained yet, and write the results.

    Args:
        setup: what to explore.
        engine: where the trainings run; by default one after the other on this machine.
        run_dir: folder of the results; trials in it are kept, and trainings continued. None makes a new one in ``runs/explore``.

    Raises:
        ConfigError: settings do not fit together, or the cluster refuses its options; nothing was started.
        DataError: images are unusable; nothing was started.
        CheckpointError: a folder is damaged, in use, or belongs to another exploration.
        Stopped: a signal or the time limit ended it; all trainings are at a checkpoint.
        AdartsError: trainings failed; everything that does not depend on them is finished.
    """
    with StopSignals(parse_time_limit(setup.run_settings.time_limit)) as signals:
        return _Driver(setup, engine or Engine(), run_dir).carry_out(signals)


class _Told(BaseModel):
    """A record of ``trials.jsonl``; its score is 0, and the error says why, if the loss was not finite."""

    model_config = ConfigDict(strict=True)

    searcher: str
    run: NonNegativeInt
    number: NonNegativeInt
    genotype: dict[str, Any]
    accuracy: FiniteFloat
    parameters: NonNegativeInt
    error: str | None

    @property
    def place(self) -> tuple[str, int, int]:
        return self.searcher, self.run, self.number


@dataclass(eq=False)
class _Run:
    """A run of a searcher: what was told, and what is asked and not told yet, in order."""

    searcher_name: str
    number: int
    searcher: Searcher
    trials: list[Trial] = field(default_factory=list)
    asked: list[Genotype] = field(default_factory=list)

    def ask(self, batch: int, most: int) -> None:
        """Ask for the next block: proposals that do not depend on each other's scores, or else a batch."""
        begin = len(self.trials)
        size = min(self.searcher.block(begin) or batch, most - begin)
        self.asked = [self.searcher.ask(number) for number in range(begin, begin + size)]

    def tell(self, score: Score) -> Trial:
        """Tell the score of the first proposal that was asked and not told."""
        trial = Trial(len(self.trials), self.asked.pop(0), score)
        self.searcher.tell(trial)
        self.trials.append(trial)
        return trial


class _Driver:
    def __init__(self, setup: TrainedExploration, engine: Engine, run_dir: Path | None) -> None:
        self.setup, self.engine, self.named = setup, engine, run_dir is not None
        self.folder = run_dir or Path("runs", "explore", f"{datetime.now():%Y%m%d-%H%M%S}")
        self.executor = executor(engine, self.folder, setup.run_settings.threads)
        self.console = plain_console()
        self.runner = Runner(engine, self.executor, self.folder, self.console)
        self.most = int(setup.budget.amount)
        self.runs = [
            _Run(name, run, setup.searcher(name, setup.seed_of(run)))
            for run in range(setup.runs)
            for name in setup.searchers
        ]
        self.trainings: dict[str, Training] = {}  # by name
        self.runs_of: dict[str, list[_Run]] = {}  # that wait for a training, by its name
        self.submitted = set[str]()
        self.not_finite: dict[str, str] = {}  # name of a training -> what became of its loss

    def carry_out(self, signals: StopSignals) -> Outcome:
        config = self.setup.config(0, 0)
        images = load_images(config.data, config.images, config.seed)
        SearchTask(config, images, create(config), torch.device("cpu"))  # completes all checks
        prepare(self.folder, _FILES)
        lock = Lock(self.folder)
        try:
            self._make_folders()
            self.file = Metrics(self.folder / "trials.jsonl")
            self.known = self._read(images.fingerprint)
            with signals.deferred(), closing(self.executor):
                self.console.print(f"exploration folder: {self.folder}")
                waiting = self._unfinished()
                self.console.print(f"{self._progress()}; running {self.executor.places} at once")
                facts = environment(self.runner.device, config.run.precision)
                asked = self.runner.run(waiting, signals, lambda: None, self._then)
                self._judge(asked, facts["command"])
            return self._finish(facts)
        finally:
            lock.release()

    def _make_folders(self) -> None:
        try:
            for part in _PARTS:
                (self.folder / part).mkdir(exist_ok=True)
        except OSError as error:
            refuse(self.folder, error, 0)

    def _read(self, fingerprint: str) -> dict[tuple[str, int, int], _Told]:
        """The trials that were told before."""
        records = kept(self.file, {**self.setup.settings(), "images": fingerprint})
        with refusing(f"{self.file.path} is damaged", CheckpointError):
            told = [_Told.model_validate(record) for record in records]
            by_place = {one.place: one for one in told}
            if len(by_place) < len(told):
                raise ValueError("a trial is in it twice")
        return by_place

    def _unfinished(self) -> list[Training]:
        """Advance all runs as far as possible; the trainings for which they wait."""
        while True:
            waiting = self._new(self.runs)
            left = self.runner.unfinished(waiting)
            if len(left) == len(waiting):  # else jobs of an earlier process have finished meanwhile
                return waiting
            self.submitted.clear()

    def _advance(self, run: _Run) -> list[Training]:
        """Tell what is known, and ask again, until trainings are missing; those."""
        while len(run.trials) < self.most:
            if not run.asked:
                run.ask(self.setup.batch, self.most)
            while run.asked and (told := self._score(run)) is not None:
                score, error = told
                self._note(run, run.tell(score), error)
            if run.asked:
                return list(self._missing(run))
        return []

    def _missing(self, run: _Run) -> Iterator[Training]:
        """The trainings of what was asked that are not finished."""
        for number, genotype in enumerate(run.asked, len(run.trials)):
            training = self._training(run, number, genotype)
            if not (training.folder / SUMMARY).exists():
                yield training

    def _score(self, run: _Run) -> tuple[Score, str | None] | None:
        """The score of the first proposal that was asked, and why it is 0; None if it is not known yet."""
        number, genotype = len(run.trials), run.asked[0]
        told = self.known.get((run.searcher_name, run.number, number))
        if told is not None:
            if Genotype.from_dict(told.genotype) != genotype:
                raise CheckpointError(
                    f"{self.file.path}: proposal {number} of {run.searcher_name}, run {run.number}, has other cells than the "
                    "searcher proposes now; use the version of adarts that began this exploration"
                )
            return Score(told.accuracy, size=told.parameters), told.error
        training = self._training(run, number, genotype)
        if (error := self.not_finite.get(training.point.name)) is not None:
            return Score(0.0, size=size_of(genotype, training.point.config.supernet)), error
        return (training.score(), None) if (training.folder / SUMMARY).exists() else None

    def _note(self, run: _Run, trial: Trial, error: str | None) -> None:
        """Keep a trial that was told."""
        told = _Told(
            searcher=run.searcher_name,
            run=run.number,
            number=trial.number,
            genotype=trial.genotype.to_dict(),
            accuracy=trial.score.value,
            parameters=trial.score.size,
            error=error,
        )
        if told.place in self.known:
            return
        self.known[told.place] = told
        self.file.append(told.model_dump())
        best = max(trial.score.value for trial in run.trials)
        self.console.print(
            f"{run.searcher_name}, run {run.number}: {len(run.trials)}/{self.most}, best so far {best:.2f} %"
        )

    def _training(self, run: _Run, number: int, genotype: Genotype) -> Training:
        name = self.setup.name(run.number, number, genotype)
        if name not in self.trainings:
            self.trainings[name] = training_of(self.setup, run.number, number, genotype, self.folder / "trials")
            self.runs_of[name] = []
        if run not in self.runs_of[name]:
            self.runs_of[name].append(run)
        return self.trainings[name]

    def _then(self, ended: Ended) -> Sequence[Training]:
        """What follows from the end of a training: the next trainings of the runs that waited for it."""
        if ended.code == NotFiniteError.exit_code:
            self.not_finite[ended.name] = ended.words
        return self._new(self.runs_of[ended.name])

    def _new(self, runs: Iterable[_Run]) -> list[Training]:
        """Advance these runs; the trainings for which they wait and that are not jobs yet, each once."""
        waiting = {training.point.name: training for run in runs for training in self._advance(run)}
        new = [training for name, training in waiting.items() if name not in self.submitted]
        self.submitted |= waiting.keys()
        return new

    def _progress(self) -> str:
        """The number of trials, and of those whose training is finished, whether they were told or not."""
        known = sum(len(run.trials) + len(run.asked) - len(list(self._missing(run))) for run in self.runs)
        return f"{known} of {self.most * len(self.runs)} trials finished"

    def _judge(self, asked: Stopped | None, command: str) -> None:
        """Raise an error if it was stopped, or if trainings failed."""
        again = f"{command}{'' if self.named else f' --run-dir {self.folder}'}" if command else "the same call"
        done = self._progress()
        if asked is not None:
            raise Stopped(f"{asked}, {done}, in {self.folder}; continue with: {again}", asked.exit_code)
        if failed := [
            name for name, one in self.trainings.items() if one.state == "failed" and name not in self.not_finite
        ]:
            raise AdartsError(
                f"{done}; trainings failed, and their searchers wait for them: {', '.join(failed)} (logs in "
                f"{self.folder / 'logs'}); try them again with: {again}"
            )

    def _finish(self, facts: dict[str, Any]) -> Outcome:
        """Write the results; the trials are sorted, so that they do not say which job ended first."""
        settings, *lines = self.file.path.read_bytes().splitlines(keepends=True)
        places = [one.place for one in self.known.values()]
        ordered = (line for _, line in sorted(zip(places, lines, strict=True)))
        write_atomically(self.file.path, settings, *ordered)
        records = {
            name: [self.setup.record(name, run.number, run.trials) for run in self.runs if run.searcher_name == name]
            for name in self.setup.searchers
        }
        outcome = Outcome(self.folder, self.setup, records, None)
        write_results(outcome, facts, self._next_steps(outcome))
        return outcome

    def _next_steps(self, outcome: Outcome) -> list[tuple[str, str]]:
        best = max((run for runs in outcome.records.values() for run in runs), key=lambda run: run["accuracy"])
        cells = self.folder / "trials" / best["found"]
        return [("Train the best cell and test it", f"adarts train --genotype {cells} --data {self.setup.data}")]
