"""The order in which parallel trainings of a table start, and their common end after a failure or a stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from tsfal_geo.errors import Cancelled
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.request import Request

Task = ExperimentJob | Request
"""A job, or the request of a first training that jobs share."""

_POLL_SECONDS = 0.5


def run_together(
    jobs: Sequence[ExperimentJob],
    workers: int,
    start: Callable[[Task], Future[None]],
    halt: Callable[[], None],
    reporter: Reporter,
    ended: Callable[[ExperimentJob], None],
) -> None:
    """Run jobs in parallel, each after the first training that it shares; a failure or a stop ends all jobs.

    Args:
        jobs: the jobs that are not done, by priority.
        workers: the number of tasks that run at a time.
        start: starts a task.
        halt: asks all running tasks to stop.
        reporter: receives progress and failures; its ``stop`` event ends all jobs.
        ended: called with each job that reaches its end, also while other jobs stop.

    Raises:
        Cancelled: the reporter was asked to stop.
        UserError: the error of the first task that failed, after all tasks have ended.
    """
    waiting = list(jobs)
    begun: set[Path] = set()
    ready: set[Path] = set()
    running: dict[Future[None], Task] = {}
    failure: BaseException | None = None
    try:
        while True:
            if failure is None and (waiting or running) and reporter.stop.is_set():
                failure = Cancelled()
            if failure is not None:
                halt()
            while failure is None and len(running) < workers and (task := _next(waiting, begun, ready)):
                if isinstance(task, ExperimentJob):
                    waiting.remove(task)
                else:
                    begun.add(task.root)
                running[start(task)] = task
            if not running:
                break
            for future in wait(running, _POLL_SECONDS, FIRST_COMPLETED).done:
                task = running.pop(future)
                error = future.exception()
                if error is not None:
                    if not isinstance(error, Cancelled):
                        reporter.warning(f"{_name(task)} failed: {error}")
                    failure = failure or error
                    continue
                reporter.say(f"done: {_name(task)}")
                if isinstance(task, ExperimentJob):
                    ended(task)
                else:
                    ready.add(task.root)
    finally:
        halt()
    if failure is not None:
        raise failure


def _next(waiting: Sequence[ExperimentJob], begun: set[Path], ready: set[Path]) -> Task | None:
    for job in waiting:
        if job.first is None or job.first.root in ready:
            return job
        if job.first.root not in begun:
            return job.first
    return None


def _name(task: Task) -> str:
    return task.name if isinstance(task, ExperimentJob) else task.root.name
