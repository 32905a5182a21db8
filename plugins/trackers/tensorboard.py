"""Event files for TensorBoard, written by TensorBoard's own writer (no torch, no TensorFlow)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness_plugins.trackers.facts import parameters, scalars, texts

from harness import HarnessError

if TYPE_CHECKING:
    from harness.execution.trackers.interface import RunInfo
    from harness.records.schema import RunRecord
    from harness.runtime.context import Progress

try:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.plugins.hparams import summary_v2 as hparams
    from tensorboard.plugins.text.metadata import create_summary_metadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError:
    EventFileWriter = None


class TensorBoard:
    """One folder with one event file for each run: loss per phase, then metrics, costs and the facts of the cell."""

    def __init__(self, folder: str) -> None:
        if EventFileWriter is None:
            raise HarnessError("TensorBoard is not installed: pip install 'noisy-hashing-harness[tensorboard]'.")
        self.folder = Path(folder)
        self.writer: EventFileWriter | None = None

    def run_started(self, cell: RunInfo) -> None:
        """A new event file in FOLDER/HASH, so that a cell that runs again continues its own curves."""
        self.close()
        self.writer = EventFileWriter(str(self.folder / cell.hash))
        facts = parameters(cell.facts)
        self._write(hparams.hparams_pb(facts, trial_id=cell.hash))
        self._write(_text("cell", f"{cell.title}\n\n```\n{json.dumps(facts, indent=1)}\n```"))

    def epoch_reported(self, progress: Progress) -> None:
        """``loss/PHASE`` over the steps of the phase."""
        if self.writer is not None and progress.loss is not None:
            self._write(_scalar(f"loss/{progress.phase}", progress.loss), progress.epoch)

    def run_finished(self, record: RunRecord, folder: Path) -> None:
        """Final numbers at step 0, then the file is closed."""
        if self.writer is None:
            return
        for name, value in scalars(record).items():
            self._write(_scalar(name, value))
        for name, text in texts(record, folder).items():
            self._write(_text(name, text))
        self.close()

    def close(self) -> None:
        """Flush and close."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _write(self, summary: Summary, step: int = 0) -> None:
        assert self.writer is not None  # a run has started
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _scalar(tag: str, value: float) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def _text(tag: str, text: str) -> Summary:
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()])
    return Summary(value=[Summary.Value(tag=tag, metadata=create_summary_metadata(tag, ""), tensor=tensor)])
