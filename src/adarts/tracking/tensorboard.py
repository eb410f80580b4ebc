"""TensorBoard: an event file in the run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from adarts.config.loading import to_yaml
from adarts.tracking.base import Epochs, Scalars, TrackedRun

_FOLDER = "tensorboard"


class TensorBoard:
    """An event file. A continued run writes a new one with all epochs so far, which keep their times, and removes the old one.

    Numbers have 32 bits, which is TensorBoard's format.
    """

    def __init__(self, run: TrackedRun, epochs: Epochs) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / _FOLDER
        self.where = f"tensorboard --logdir {folder}"
        old = list(folder.glob("events.out.tfevents.*"))
        times = _times(old)
        # The step tells a TensorBoard that has read the old file to forget it.
        self._writer = SummaryWriter(folder, purge_step=0)
        self._writer.add_text("configuration", f"```\n{to_yaml(run.config)}```")
        self._step = 0
        for step, values in enumerate(epochs):
            self._add(step, values, times.get(step))
        self._writer.flush()
        for path in old:
            path.unlink()

    def record(self, step: int, values: Scalars) -> None:
        """Write the scalars of an epoch."""
        self._add(step, values)
        self._writer.flush()

    def finish(self, results: Scalars, pictures: Mapping[str, bytes]) -> None:
        """Write results and pictures at the last epoch."""
        import numpy as np
        from PIL import Image

        self._add(self._step, results)
        for name, png in pictures.items():
            pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB"))
            self._writer.add_image(name, pixels, self._step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add(self, step: int, values: Scalars, time: float | None = None) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, time)
        self._step = step


def _times(files: Iterable[Path]) -> dict[int, float]:
    """When the epochs in event files were written, in seconds."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events = (event for path in files for event in EventFileLoader(str(path)).Load())
    return {event.step: event.wall_time for event in events if event.HasField("summary")}
