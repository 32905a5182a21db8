"""Runs in MLflow, through its client alone: no global state of the library is touched."""

from __future__ import annotations

import os
import re
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
    import mlflow
    from mlflow.entities import Metric, Param, RunTag
except ImportError:
    mlflow = None  # type: ignore[assignment]  # asked for when a tracker is made

PARAMETERS_AT_ONCE, METRICS_AT_ONCE = 100, 1000
"""Limits of the server for one request."""


class MLflow:
    """A run for each cell: parameters, loss per phase, then metrics, costs and tags."""

    def __init__(self, uri: str, experiment: str) -> None:
        if mlflow is None:
            raise HarnessError("MLflow is not installed: pip install 'noisy-hashing-harness[mlflow]'.")
        uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "") or "results/mlflow"
        if "://" not in uri and uri != "databricks":
            uri = Path(uri).resolve().as_uri()
        if uri.startswith("file:"):  # MLflow wants to be told that a folder is meant
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(experiment)
        self.experiment = found.experiment_id if found else self.client.create_experiment(experiment)
        self.run: str | None = None

    def run_started(self, cell: RunInfo) -> None:
        """A new run, named by the cell's title and tagged with its hash."""
        self.close()
        tags = {"hash": cell.hash, "command": cell.command}
        self.run = self.client.create_run(self.experiment, tags=tags, run_name=cell.title).info.run_id
        params = [Param(_name(name), str(value)[:6000]) for name, value in parameters(cell.facts).items()]
        for at in range(0, len(params), PARAMETERS_AT_ONCE):
            self.client.log_batch(self.run, params=params[at : at + PARAMETERS_AT_ONCE])

    def epoch_reported(self, progress: Progress) -> None:
        """``loss/PHASE`` over the steps of the phase."""
        if self.run is not None and progress.loss is not None:
            self.client.log_metric(self.run, _name(f"loss/{progress.phase}"), progress.loss, step=progress.epoch)

    def run_finished(self, record: RunRecord, folder: Path) -> None:
        """Final numbers and texts; the run ends as FINISHED or FAILED."""
        if self.run is None:
            return
        now = int(time.time() * 1000)
        metrics = [Metric(_name(name), value, now, 0) for name, value in scalars(record).items()]
        for at in range(0, len(metrics), METRICS_AT_ONCE):
            self.client.log_batch(self.run, metrics=metrics[at : at + METRICS_AT_ONCE])
        tags = [RunTag(name, value[:5000]) for name, value in texts(record, folder).items()]
        self.client.log_batch(self.run, tags=tags)
        self.client.set_terminated(self.run, "FINISHED" if record.status == "ok" else "FAILED")
        self.run = None

    def close(self) -> None:
        """A run that was cut off ends as KILLED."""
        if self.run is not None:
            self.client.set_terminated(self.run, "KILLED")
            self.run = None


def _name(name: str) -> str:
    """MLflow allows letters, digits, and some signs that '@' is not one of: ``map@20`` becomes ``map_at_20``."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))
