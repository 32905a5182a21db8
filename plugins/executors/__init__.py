"""Executors: thin adapters over engines that exist."""

from __future__ import annotations

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterEngine


@hookimpl
def register_executors(register: RegisterEngine) -> None:
    """Register the executors."""
    register(
        "serial",
        "harness_plugins.executors.serial:SerialExecutor",
        summary="one cell after the other, in this process",
        parameters=(),
    )
    register(
        "local",
        "harness_plugins.executors.local:LocalExecutor",
        summary="worker processes on this machine, which survive a dead one; time-outs, memory limits, GPUs dealt out",
        paper="https://pypi.org/project/pebble/",
        parameters=(),
    )
    register(
        "slurm",
        "harness_plugins.executors.slurm:SlurmExecutor",
        summary="job arrays of a Slurm cluster, through submitit; pre-empted jobs go on where they were",
        paper="https://github.com/facebookincubator/submitit",
        parameters=[
            Parameter("partition", "", "Partition of the jobs; empty: the cluster's default."),
            Parameter("account", "", "Account that pays for them."),
            Parameter("qos", "", "Quality of service."),
            Parameter("constraint", "", "Features that nodes must have."),
            Parameter("gpus", 0, "GPUs of each job; with --device cuda at least 1.", minimum=0),
            Parameter("memory", 0.0, "GB of each job; 0: from --memory-limit, without it the default.", minimum=0),
            Parameter("minutes", 0, "Longest time of each job; 0: from --timeout, without it 60.", minimum=0),
            Parameter("cells_per_job", 0, "Cells that a job runs one after the other; 0: about 200 jobs.", minimum=0),
            Parameter(
                "array_size", 1000, "Most jobs of an array (MaxArraySize of the cluster is above it).", minimum=1
            ),
            Parameter("requeues", 20, "How often a job that ran out of time may be queued again.", minimum=0),
            Parameter("setup", "", "Shell commands before the cells, such as 'module load cuda'."),
            Parameter("slurm_additional", "", "Further options of sbatch, such as 'reservation=paper exclude=n[1-2]'."),
            Parameter(
                "cluster", "slurm", "local: processes of this machine, to try it without Slurm.", ("slurm", "local")
            ),
        ],
    )
    register(
        "ray",
        "harness_plugins.executors.ray_cluster:RayExecutor",
        summary="remote tasks of a Ray cluster, with shares of GPUs; cells of a lost node run elsewhere",
        paper="https://docs.ray.io/",
        parameters=[
            Parameter(
                "address", "", "Address of the cluster or auto; empty: RAY_ADDRESS, without it one is started here."
            ),
            Parameter("num_cpus", 0, "Cores of a cluster that is started here; 0: those of the machine.", minimum=0),
            Parameter("retries", 2, "How often a cell runs again whose worker or node was lost.", minimum=0),
        ],
    )
