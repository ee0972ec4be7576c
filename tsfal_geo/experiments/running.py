"""Trainings of a table, in sequence in this process or in parallel in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tsfal_geo.errors import Cancelled
from tsfal_geo.experiments.ablation import begin, branch_off
from tsfal_geo.experiments.cost import measured
from tsfal_geo.experiments.folder import held
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.experiments.schedule import Task, run_together
from tsfal_geo.reporting import Reporter, SilentReporter, stop_on_signals
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request

_stop = threading.Event()
"""Set in a worker process when the parent process asks all workers to stop."""


def run_jobs(
    jobs: Sequence[ExperimentJob], workers: int, reporter: Reporter, ended: Callable[[ExperimentJob], None]
) -> None:
    """Run the jobs that are not done.

    Args:
        jobs: the jobs of a table.
        workers: the number of processes, which share the GPUs evenly; 1: this process.
        reporter: receives progress.
        ended: called with each job that reaches its end.

    Raises:
        UserError: the errors of `tsfal_geo.rounds.loop.train`; the other jobs stop first.
        Cancelled: the reporter was asked to stop; the next call resumes the trainings.
    """
    waiting = [job for job in jobs if not job.done]
    if workers == 1:
        for job in waiting:
            reporter.say(f"— {job.name} —")
            execute(job, reporter)
            ended(job)
        return
    context = multiprocessing.get_context("spawn")
    gpu_names, stop = context.Queue(), context.Event()
    devices = _devices()
    for number in range(workers):
        gpu_names.put(devices[number % len(devices)] if devices else None)
    with (
        stop_on_signals(reporter.stop),
        ProcessPoolExecutor(workers, context, prepare_worker, (gpu_names, stop)) as pool,
    ):
        run_together(waiting, workers, lambda task: pool.submit(work, task), stop.set, reporter, ended)


def execute(job: ExperimentJob, reporter: Reporter) -> None:
    """Run a job to its end and record its cost.

    Args:
        job: the job; a job that an earlier call began resumes.
        reporter: receives progress.

    Raises:
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
        Cancelled: the reporter was asked to stop.
    """
    from_start = not job.begun
    if job.first is not None and from_start:
        _begin(job.first, reporter)
        branch_off(job.request, job.first, reporter)
    measured(job.request.root, lambda: train(job.request, reporter), from_start=from_start)


def _begin(first: Request, reporter: Reporter) -> None:
    """Run a first training, or wait for the process that runs it: rows on other machines share it too."""
    with held(first.root.parent / f".{first.root.name}.lock", reporter):
        begin(first, reporter)


def work(task: Task) -> None:
    """Run a task in a worker process.

    Args:
        task: the job, or the request of a first training.

    Raises:
        Cancelled: the parent process asked all workers to stop.
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
    """
    if _stop.is_set():
        raise Cancelled
    if isinstance(task, ExperimentJob):
        execute(task, SilentReporter(_stop))
    else:
        _begin(task, SilentReporter(_stop))


def _devices() -> list[str]:
    """List the visible GPUs, by their names in CUDA_VISIBLE_DEVICES."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def prepare_worker(gpu_names: Any, stop: Any) -> None:
    """Assign a GPU to this worker process before CUDA starts, and tie its stop and end to its parent's.

    Without the tie, a worker whose parent was killed would go on training, or wait for ever.

    Args:
        gpu_names: queue with an item for each worker: the name of its GPU, or None for no GPU.
        stop: the parent's event that asks all workers to stop.
    """
    device = gpu_names.get()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if hasattr(os, "setpgid"):
        # In the parent's group, the worker would get Ctrl-C from the terminal and a stop from the parent.
        # A second request to stop ends a training at once.
        os.setpgid(0, 0)
    threading.Thread(target=_pass_on, args=(stop,), daemon=True).start()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _pass_on(stop: Any) -> None:
    stop.wait()
    _stop.set()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
