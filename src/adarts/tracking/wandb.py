"""Weights & Biases: a run in a folder inside the run folder, to be uploaded later; or at once with ``WANDB_MODE=online``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from adarts.tracking.base import Epochs, Scalars, TrackedRun

_LONGEST_END = 60.0  # seconds for the uploads at the end of a run; by default wandb (from 0.27 on) waits without an end


class WandB:
    """A run of wandb, which cannot continue one that is not uploaded, and whose server replaces a run by one of the same name.

    So a continued run begins it again under the same name, with all epochs so far.
    """

    def __init__(self, run: TrackedRun, epochs: Epochs) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb, name = wandb, run.id()
        for old in (run.folder / "wandb").glob(f"offline-run-*-{name}"):
            shutil.rmtree(old)
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            dir=run.folder,
            id=name,
            name=run.folder.name,
            project=os.environ.get("WANDB_PROJECT", "adarts"),
            mode=mode,
            config=run.config.model_dump(mode="json"),
            reinit="create_new",  # leave a run of the calling program alone
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                save_code=False,
                finish_timeout=_LONGEST_END,
                finish_timeout_raises=True,
            ),
        )
        self.where = f"wandb sync {Path(self._run.dir).parent}" if mode == "offline" else str(self._run.url)
        self._step, self._finished = -1, False
        for step, values in enumerate(epochs):
            self.record(step, values)

    def record(self, step: int, values: Scalars) -> None:
        """Send the scalars of an epoch."""
        self._step = step
        self._run.log(dict(values), step=step, commit=True)

    def finish(self, results: Scalars, pictures: Mapping[str, bytes]) -> None:
        """Send the results as the summary, and the pictures."""
        from PIL import Image

        if drawn := {name: self._wandb.Image(Image.open(BytesIO(png))) for name, png in pictures.items()}:
            self._run.log(drawn, step=self._step + 1, commit=True)
        self._run.summary.update(dict(results))
        self._finished = True

    def close(self) -> None:
        """Write what is left; a run that is not finished is marked as failed until it is continued."""
        self._run.finish(exit_code=0 if self._finished else 1)
