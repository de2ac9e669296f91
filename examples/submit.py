"""Run a sweep as jobs: train each network, measure in shares, write the tables.

    python examples/submit.py --shares 14 --gpus 1 -- examples/cls_sweep.py --out DIR
    python examples/submit.py --cluster local --shares 2 -- examples/seg_sweep.py --out DIR

What follows ``--`` is the sweep's own command line. On SLURM the jobs depend on each other and this
command returns at once; locally it waits for them. Submit it again to go on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import submitit


def main() -> None:
    """Submit, and say what was submitted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cluster", choices=("slurm", "local"), default="slurm")
    add("--shares", type=int, default=14, metavar="N", help="jobs that measure")
    add("--arch", nargs="+", metavar="NAME", help="networks, one training job each")
    add("--partition", help="of SLURM")
    add("--gpus", type=int, default=0, help="per job")
    add("--cpus", type=int, default=4, help="per job")
    add("--memory", type=int, default=32, metavar="GB", help="per job")
    add("--hours", type=int, default=24, help="time limit of a job")
    add("--logs", type=Path, default=Path("runs") / "jobs")
    add("sweep", nargs="+", help="a sweep script and its options, after --")
    chosen = parser.parse_args()
    if chosen.shares < 1:
        parser.error(f"--shares must be at least 1, got {chosen.shares}")
    networks = chosen.arch or []
    sweep = [sys.executable, *chosen.sweep]
    trainings = [[*sweep, "--arch", name, "--train-only"] for name in networks]
    whole = [*sweep, *(["--arch", *networks] if networks else [])]
    stages = [
        trainings or [[*whole, "--train-only"]],
        [[*whole, "--share", f"{share}/{chosen.shares}"] for share in range(chosen.shares)],
        [whole],
    ]
    executor = submitit.AutoExecutor(folder=chosen.logs, cluster=chosen.cluster)
    executor.update_parameters(
        timeout_min=60 * chosen.hours, cpus_per_task=chosen.cpus, mem_gb=chosen.memory
    )
    if chosen.gpus:
        executor.update_parameters(gpus_per_node=chosen.gpus)
    if chosen.partition:
        executor.update_parameters(slurm_partition=chosen.partition)
    before: list[submitit.Job] = []
    for commands in stages:
        if before and chosen.cluster == "slurm":
            after = ":".join(job.job_id for job in before)
            more = {"dependency": f"afterok:{after}", "kill_on_invalid_dep": "yes"}
            executor.update_parameters(slurm_additional_parameters=more)
        with executor.batch():
            jobs = [
                executor.submit(submitit.helpers.CommandFunction(command)) for command in commands
            ]
        for job, command in zip(jobs, commands, strict=True):
            print(f"job {job.job_id}: {' '.join(command[1:])}", flush=True)
        if chosen.cluster == "local":
            # the output of the last stage is the sweep's own
            try:
                outputs = [job.result() for job in jobs]
            except submitit.core.utils.FailedJobError as error:
                sys.exit(f"error: a job failed, see {chosen.logs}: {str(error).splitlines()[0]}")
        before = jobs
    if chosen.cluster == "local":
        print(outputs[-1])
    print(f"Logs are in {chosen.logs}")


if __name__ == "__main__":
    main()
