"""Runs in Weights & Biases, online or offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness_plugins.trackers.facts import parameters, scalars, texts

from harness import HarnessError

if TYPE_CHECKING:
    from harness.execution.trackers.interface import RunInfo
    from harness.records.schema import RunRecord
    from harness.runtime.context import Progress

try:
    import wandb
except ImportError:
    wandb = None  # type: ignore[assignment]  # asked for when a tracker is made


class WeightsAndBiases:
    """A run for each cell: configuration, loss per phase, then metrics and costs in the summary."""

    def __init__(self, project: str, entity: str, folder: str, mode: str) -> None:
        if wandb is None:
            raise HarnessError("Weights & Biases is not installed: pip install 'noisy-hashing-harness[wandb]'.")
        self.project, self.entity, self.folder = project, entity or None, Path(folder)
        self.mode = None if mode == "default" else mode
        self.run: wandb.Run | None = None

    def run_started(self, cell: RunInfo) -> None:
        """A new run, named by the cell's title."""
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=self.project,
            entity=self.entity,
            dir=str(self.folder),
            mode=self.mode,  # type: ignore[arg-type]  # one of the choices of the parameter
            name=cell.title,
            config={**parameters(cell.facts), "hash": cell.hash, "command": cell.command},
            save_code=False,
            # No git, no code, no console: the record holds what matters.
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )

    def epoch_reported(self, progress: Progress) -> None:
        """``loss/PHASE`` with its epoch."""
        if self.run is not None and progress.loss is not None:
            self.run.log({f"loss/{progress.phase}": progress.loss, f"epoch/{progress.phase}": progress.epoch})

    def run_finished(self, record: RunRecord, folder: Path) -> None:
        """Final numbers and texts in the run's summary."""
        if self.run is not None:
            self.run.summary.update({**scalars(record), **texts(record, folder)})
            self.run.finish(exit_code=0 if record.status == "ok" else 1)
            self.run = None

    def close(self) -> None:
        """A run that was cut off ends as failed."""
        if self.run is not None:
            self.run.finish(exit_code=1)
            self.run = None
