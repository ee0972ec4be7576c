"""Running a table's trainings, one after another here or several at a time in processes of their own."""

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
from tsfal_geo.reporting import Reporter, SilentReporter
from tsfal_geo.rounds.loop import stop_on_signals, train
from tsfal_geo.rounds.request import Request

_stop = threading.Event()
"""Set in a worker when all are to stop."""


def run_jobs(
    jobs: Sequence[ExperimentJob], workers: int, reporter: Reporter, ended: Callable[[ExperimentJob], None]
) -> None:
    """Run what is not done yet.

    Args:
        jobs: of one table.
        workers: processes; with several GPUs each has one of them to itself.
        reporter: is told of progress.
        ended: called with each job that comes to its end.

    Raises:
        UserError: as training raises; the others are stopped first.
        Cancelled: asked to stop; the next call goes on from there.
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
    """Run a job to its end and note what it cost."""
    from_start = not job.begun
    if job.first is not None and from_start:
        _begin(job.first, reporter)
        branch_off(job.request, job.first, reporter)
    measured(job.request.root, lambda: train(job.request, reporter), from_start=from_start)


def _begin(first: Request, reporter: Reporter) -> None:
    """Run a first training, or wait for who is at it: rows on other machines begin with the same one."""
    with held(first.root.parent / f".{first.root.name}.lock", reporter):
        begin(first, reporter)


def work(task: Task) -> None:
    """Run a task in a worker.

    Raises:
        Cancelled: all are to stop.
        UserError: as training raises.
    """
    if _stop.is_set():
        raise Cancelled
    if isinstance(task, ExperimentJob):
        execute(task, SilentReporter(_stop))
    else:
        _begin(task, SilentReporter(_stop))


def _devices() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def prepare_worker(gpu_names: Any, stop: Any) -> None:
    """Give this process its GPU before anything asks for one, and let it stop and end with its parent.

    A pool's worker whose parent was killed would go on training, or wait for ever.

    Args:
        gpu_names: queue of the GPUs' names, one a worker; None: no GPU.
        stop: event of the parent's that asks all workers to stop.
    """
    device = gpu_names.get()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if hasattr(os, "setpgid"):
        # Ctrl-C would come from the terminal and from the parent, and a second one means: at once.
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
