"""MLflow: a run in a database of the run folder, or where MLflow's own environment variables say."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from adarts.config.loading import to_yaml
from adarts.tracking.base import Epochs, Scalars, TrackedRun, flat

_FOLDER = "mlflow"
_TAG = "adarts_run"
_MOST_METRICS, _MOST_PARAMS = 1000, 100  # that MLflow takes at once
_LONGEST = 6000  # characters of a parameter
_USUAL = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that does not answer must not hold the run up for the minutes that MLflow would wait.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MLflow:
    """A run of MLflow, found again by its tag. MLflow never forgets a number, so a number that it has is not sent again."""

    def __init__(self, run: TrackedRun, epochs: Epochs) -> None:
        for name, value in _USUAL.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells how it makes a database
        folder = (run.folder / _FOLDER).absolute()
        elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
        address = elsewhere or _database(folder)
        self.where = (
            f"mlflow ui --backend-store-uri {address}" if address.startswith("sqlite:") else f"MLflow at {address}"
        )
        self._client = MlflowClient(address)
        self._id = self._run(run, None if elsewhere else (folder / "artifacts").as_uri())
        known = self._client.get_run(self._id).data
        self._sent = {(name, old.step) for name in known.metrics for old in self._history(name)}
        params = {name: str(value)[:_LONGEST] for name, value in flat(run.config.model_dump(mode="json")).items()}
        self._send_params({name: value for name, value in params.items() if name not in known.params})
        self._client.log_text(self._id, to_yaml(run.config), "config.yaml")
        self._client.update_run(self._id, status="RUNNING")
        self._step = max(0, len(epochs) - 1)
        self._send((step, values) for step, values in enumerate(epochs))

    def record(self, step: int, values: Scalars) -> None:
        """Send the scalars of an epoch."""
        self._step = step
        self._send([(step, values)])

    def finish(self, results: Scalars, pictures: Mapping[str, bytes]) -> None:
        """Send results and pictures."""
        from PIL import Image

        self._send([(self._step, results)])
        for name, png in pictures.items():
            self._client.log_image(self._id, Image.open(BytesIO(png)), f"{name}.png")
        self._client.set_terminated(self._id, "FINISHED")

    def close(self) -> None:
        """Mark a run that is not finished as stopped."""
        if self._client.get_run(self._id).info.status == "RUNNING":
            self._client.set_terminated(self._id, "KILLED")

    def _run(self, run: TrackedRun, artifacts: str | None) -> str:
        """The id of the run, which is made unless it is there; None for MLflow's usual place of artifacts.

        The database in a copied run folder has an experiment whose artifacts are in the original folder. A run of the copy gets
        another experiment.
        """
        name, tag = os.environ.get("MLFLOW_EXPERIMENT_NAME", "adarts"), run.id()
        names = (name, f"{name} {tag}")
        known = [there for one in names if (there := self._client.get_experiment_by_name(one)) is not None]
        found = (
            self._client.search_runs([one.experiment_id for one in known], f"tags.{_TAG} = '{tag}'") if known else ()
        )
        if found:
            return str(found[0].info.run_id)
        fitting = (one.experiment_id for one in known if artifacts in (None, one.artifact_location))
        number = next(fitting, None) or self._client.create_experiment(names[len(known)], artifacts)
        return str(self._client.create_run(number, tags={_TAG: tag}, run_name=run.folder.name).info.run_id)

    def _history(self, name: str) -> Any:
        return self._client.get_metric_history(self._id, name)

    def _send(self, epochs: Iterable[tuple[int, Scalars]]) -> None:
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        new = [(name, value, step) for step, values in epochs for name, value in values.items()]
        new = [(name, value, step) for name, value, step in new if (name, step) not in self._sent]
        for begin in range(0, len(new), _MOST_METRICS):
            metrics = [Metric(name, value, now, step) for name, value, step in new[begin : begin + _MOST_METRICS]]
            self._client.log_batch(self._id, metrics=metrics)
        self._sent |= {(name, step) for name, _, step in new}

    def _send_params(self, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        new = [Param(name, value) for name, value in params.items()]
        for begin in range(0, len(new), _MOST_PARAMS):
            self._client.log_batch(self._id, params=new[begin : begin + _MOST_PARAMS])


def _database(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"
