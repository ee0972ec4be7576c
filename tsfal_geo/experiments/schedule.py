"""In which order the trainings of a table start where several run at a time, and how they end together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from tsfal_geo.errors import Cancelled
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.request import Request

Task = ExperimentJob | Request
"""A job, or a first training that jobs share."""

_POLL_SECONDS = 0.5


def run_together(
    jobs: Sequence[ExperimentJob],
    workers: int,
    start: Callable[[Task], Future[None]],
    halt: Callable[[], None],
    reporter: Reporter,
    ended: Callable[[ExperimentJob], None],
) -> None:
    """Run jobs, each after the first training that it shares; one failure, or a stop, ends all.

    Args:
        jobs: not done yet, the most wanted first.
        workers: how many run at a time.
        start: begins one.
        halt: asks those that run to stop.
        reporter: is told of progress, and says when to stop.
        ended: called with each job that came to its end, also while the others stop.

    Raises:
        Cancelled: asked to stop.
        UserError: what the first one that failed raised, after all have ended.
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
