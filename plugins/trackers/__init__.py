"""TensorBoard, MLflow and Weights & Biases, each imported only when it is named with ``--tracker``."""

from __future__ import annotations

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterEngine


@hookimpl
def register_trackers(register: RegisterEngine) -> None:
    """Register the three."""
    register(
        "tensorboard",
        "harness_plugins.trackers.tensorboard:TensorBoard",
        summary="event files for TensorBoard, one folder for each cell",
        parameters=[Parameter("folder", "results/tensorboard", "Where the folders are made; give it to --logdir.")],
    )
    register(
        "mlflow",
        "harness_plugins.trackers.mlflow:MLflow",
        summary="runs in an MLflow tracking server or folder",
        parameters=[
            Parameter(
                "uri",
                "",
                "Address of the tracking server, or a folder; empty: MLFLOW_TRACKING_URI, without it results/mlflow.",
            ),
            Parameter("experiment", "noisy-hashing", "Name of the experiment; made where there is none."),
        ],
    )
    register(
        "wandb",
        "harness_plugins.trackers.wandb:WeightsAndBiases",
        summary="runs in Weights & Biases, online or in a folder to be synchronised later",
        parameters=[
            Parameter("project", "noisy-hashing", "Name of the project."),
            Parameter("entity", "", "User or team; empty: your default."),
            Parameter("folder", "results/wandb", "Where files are kept."),
            Parameter(
                "mode",
                "default",
                "offline keeps everything in the folder; default is what WANDB_MODE says, without it online.",
                ("default", "online", "offline"),
            ),
        ],
    )
