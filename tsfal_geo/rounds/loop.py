"""The loop: train, mask, refine, query, take the answers in, train again."""

from __future__ import annotations

import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.context import Context, Request
from tsfal_geo.rounds.open_workspace import archive, check_inputs, in_progress, open_context
from tsfal_geo.rounds.oracle import answer_open_queries
from tsfal_geo.rounds.round import run_round
from tsfal_geo.workspace.lock import engine_lock
from tsfal_geo.workspace.workspace import Workspace


def train(request: Request, reporter: Reporter) -> None:
    """Go on with a workspace until a person is needed or the budget is spent.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
        Cancelled: asked to stop; what was done is kept and the next call goes on from there.
    """
    check_inputs(request)
    made = not request.root.exists()
    request.root.mkdir(parents=True, exist_ok=True)
    try:
        with _at_work(request, reporter) as note:
            if note:
                reporter.warning(note)
            if request.fresh:
                archive(request.root, reporter)
            context = open_context(request, reporter)
            reporter.log_to(context.workspace.runs)
            _run(context)
    finally:
        if made and not Workspace.exists(request.root):
            shutil.rmtree(request.root, ignore_errors=True)


def query(request: Request, reporter: Reporter) -> None:
    """Write a round of queries from the last round's model, without training.

    Raises:
        UserError: no model yet, a training is half done, or what ``train`` raises.
    """
    with _at_work(request, reporter) as note:
        if note:
            reporter.warning(note)
        context = open_context(request, reporter)
        reporter.log_to(context.workspace.runs)
        context.workspace.current_model()
        number = context.workspace.current_round + 1
        if in_progress(context.workspace, number):
            raise WorkspaceError(
                f"{request.root}: round {number} is half trained; finish it first with "
                f"`tsfal-geo train --workspace {request.root}`"
            )
        try:
            run_round(context, number, training=False)
        finally:
            if context.workspace.current_round < number:
                # Nothing of it is worth going on with, and a round begun would be taken for a training.
                shutil.rmtree(context.workspace.round_dir(number), ignore_errors=True)
        _tell_waiting(context)


def _run(context: Context) -> None:
    workspace, config = context.workspace, context.config
    while True:
        if workspace.state.status == "waiting" and config.active.oracle:
            answer_open_queries(context.store, context.inputs, workspace.current_round)
        number = workspace.current_round + 1
        if workspace.current_round >= 0 and not in_progress(workspace, number) and not context.news():
            _tell_waiting(context)
            return
        run_round(context, number)
        if workspace.state.status == "done" or not config.active.oracle:
            _tell_waiting(context)
            return


def _tell_waiting(context: Context) -> None:
    workspace, reporter = context.workspace, context.reporter
    root = workspace.root
    folder = workspace.round_dir(workspace.current_round)
    progress = workspace.state.progress
    if workspace.state.status == "waiting" and not context.store.read_queries(workspace.current_round):
        reporter.say(
            f"Round {workspace.current_round} is complete and asked nothing. "
            f"Go on with: tsfal-geo train --workspace {root}"
        )
    elif workspace.state.status == "waiting":
        count = len(context.store.open_queries(workspace.current_round))
        reporter.say(
            f"Round {workspace.current_round} is complete; {count} queries wait for labels in "
            f"{folder / 'queries.gpkg'}. Label them, then run: tsfal-geo train --workspace {root}"
        )
    else:
        more = f"; or ask for more with: tsfal-geo query --workspace {root} --budget SHARE"
        if progress["labelled_share"] >= 1:
            more = ""
        reporter.say(
            f"Round {workspace.current_round} is complete and nothing is left to ask: "
            f"{progress['labelled_share']:.2%} labelled of {progress['budget']:.2%}. "
            f"Write the map with: tsfal-geo export --workspace {root}" + more
        )
    reporter.result(
        {
            "round": workspace.current_round,
            "status": workspace.state.status,
            "workspace": str(root),
            **progress,
        }
    )


@contextmanager
def _at_work(request: Request, reporter: Reporter) -> Iterator[str | None]:
    """Hold the workspace's lock, stop when signalled, pass our own warnings on, each once."""
    told: set[str] = set()
    ours = str(Path(__file__).parents[1])

    def tell(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        if str(message) not in told and (category is RasterWarning or filename.startswith(ours)):
            told.add(str(message))
            reporter.warning(str(message))

    with stop_on_signals(reporter.stop), engine_lock(request.root) as note, warnings.catch_warnings():
        warnings.simplefilter("always", RasterWarning)
        warnings.showwarning = tell
        yield note


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ask to stop on the first SIGINT or SIGTERM; the second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
