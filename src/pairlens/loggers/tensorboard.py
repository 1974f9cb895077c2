"""TensorBoard: one event file a run, written with the tensorboard package alone; TensorFlow is not needed.

It lies in RUN/tensorboard, so that `tensorboard --logdir runs` shows all runs, or in FOLDER/RUN where one is given.
Scalars are 32-bit floats there, as in our tables; `train/seconds` loses what it has beyond.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer

from pairlens.data.files import printable
from pairlens.errors import InputError
from pairlens.loggers.logger import State, Target
from pairlens.loggers.rows import began, config_of, moment, text_of
from pairlens.record.disk import writing
from pairlens.record.run import Run

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


class TensorBoard:
    """An event file. Records are counted when they are whole: what a kill leaves behind them is cut off later.

    Raises:
        InputError: the file is gone that the run was logged to, or cannot be written.
    """

    def __init__(self, run: Run, target: Target, state: State) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = run.folder / "tensorboard" if target.folder is None else target.folder / run.name
        self.path = folder / f"events.out.tfevents.{began(run):.0f}.pairlens"
        self.size = state.get("bytes", 0)
        if self.size and (not self.path.exists() or self.path.stat().st_size < self.size):
            raise InputError(
                f"{self.path}, which the run was logged to, is gone or cut short; log it once more from its beginning "
                f"with `pairlens log {run.folder} --to tensorboard --anew`"
            )
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "ab")  # noqa: SIM115 - held open until close()
            self.file.truncate(self.size)
        self.writer = RecordWriter(self.file)
        self.where = f"tensorboard --logdir {target.folder or run.folder.parent}"
        if not self.size:
            self._begin(run)

    def scalars(self, step: int, time: float, values: Mapping[str, float]) -> None:
        """One event a step."""
        summary = _summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=value)
        self._write(step=step, wall_time=time, summary=summary)

    def histograms(
        self, step: int, time: float, counts: Mapping[str, Integer[np.ndarray, "bins"]], edges: Float[np.ndarray, "e"]
    ) -> None:
        """TensorBoard's own histograms; their sums take each score for the middle of its bin."""
        summary, middle = _summary(), (edges[:-1] + edges[1:]) / 2
        for tag, count in counts.items():
            histogram = summary.value.add(tag=tag).histo
            histogram.min, histogram.max, histogram.num = edges[0], edges[-1], count.sum()
            histogram.sum, histogram.sum_squares = count @ middle, count @ middle**2
            histogram.bucket_limit.extend(edges[1:])
            histogram.bucket.extend(count)
        self._write(step=step, wall_time=time, summary=summary)

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        """Text, by kind; its step is the event's number."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        text = f"{event.get('time', '')}: {event.get('text', '')}"
        summary = text_pb(f"events/{event.get('kind', 'event')}", _plain(text))
        self._write(step=number, wall_time=moment(event.get("time")), summary=summary)

    def flush(self) -> State:
        """Let the file hold what was taken."""
        with writing(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())
        return {"bytes": self.size}

    def close(self) -> None:
        """Close the file."""
        with writing(self.path):
            self.file.close()

    def _begin(self, run: Run) -> None:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.text.summary_v2 import text_pb

        time, config = began(run), config_of(run)
        self._write(wall_time=time, file_version="brain.Event:2")
        hparams = {name: _hparam(value) for name, value in config.items() if value is not None}
        group = str(run.folder.resolve())
        self._write(wall_time=time, summary=hparams_pb(hparams, trial_id=group, start_time_secs=time))
        self._write(wall_time=time, summary=text_pb("config", text_of(config)))

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        record = Event(**fields).SerializeToString()
        with writing(self.path):
            self.writer.write(record)
        self.size += 16 + len(record)  # length, its checksum, the record and its checksum


def _summary() -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary()


def _hparam(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float) else printable(str(value))


def _plain(text: str) -> str:
    """Text as it is, where Markdown is read."""
    return "    " + printable(text).replace("\n", "\n    ")
