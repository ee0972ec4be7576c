"""Runs of the engine beside QGIS, with their progress and log on the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QObject

from ..compat import tr
from ..engine.engine import EngineError
from ..engine.job import EngineJob
from ..engine.protocol import DONE, NOT_STARTED, STOPPED
from .dock import TsfalDock
from .message_line import Owner


class EngineRuns(QObject):
    """One long run at a time, such as a training, and short commands beside it.

    Args:
        dock: the panel that shows the long run.
    """

    def __init__(self, dock: TsfalDock) -> None:
        super().__init__()
        self._dock = dock
        self._long: EngineJob | None = None
        self._short: list[EngineJob] = []
        self._problems: list[str] = []

    @property
    def running(self) -> bool:
        """True while a long run is in progress."""
        return self._long is not None

    def start(
        self,
        arguments: list[str],
        done: Callable[[dict[str, Any]], None],
        cwd: str | None = None,
        stopped: Callable[[int], None] = lambda _code: None,
    ) -> bool:
        """Start a long run.

        Args:
            arguments: the command and its options.
            done: called with the result if the run ends well.
            cwd: folder to run in.
            stopped: called with the exit code if the run does not end well.

        Returns:
            True if it was started; otherwise the panel shows the problem.
        """
        if self._long is not None:
            self._dock.show_problem(tr("A run is in progress; wait for it, or stop it."), Owner.RUN)
            return False
        job = EngineJob(self)
        page = self._dock.train
        self._problems = []
        job.progressed.connect(page.show_progress)
        job.estimated.connect(page.show_time_left)
        job.logged.connect(page.log.appendPlainText)
        job.warned.connect(lambda text: page.log.appendPlainText(f"! {text}"))
        job.failed.connect(self._problems.append)
        job.ended.connect(lambda code, result: self._ended(code, result, done, stopped))
        self._long = job
        self._dock.messages.end(Owner.RUN)
        page.clear()
        page.show_running(True)
        page.stage.setText(tr("starting …"))
        try:
            job.start(arguments, cwd)
        except EngineError as problem:
            self._problems.append(str(problem))
            self._ended(NOT_STARTED, {}, done, stopped)
            return False
        return True

    def run_beside(
        self, arguments: list[str], done: Callable[[dict[str, Any]], None], failed: Callable[[str], None]
    ) -> None:
        """Run a short command beside the long run.

        Args:
            arguments: the command and its options.
            done: called with the result if the command ends well.
            failed: called with the problem if it does not.
        """
        job = EngineJob(self)
        problems: list[str] = []

        def ended(code: int, result: dict[str, Any]) -> None:
            self._short.remove(job)
            job.deleteLater()
            if code == DONE:
                done(result)
            else:
                failed(
                    problems[-1] if problems else tr("tsfal-geo ended with code {code}.").format(code=code)
                )

        job.failed.connect(problems.append)
        job.ended.connect(ended)
        self._short.append(job)
        try:
            job.start(arguments)
        except EngineError as problem:
            problems.append(str(problem))
            ended(NOT_STARTED, {})

    def cancel(self) -> None:
        """Ask the long run to stop and keep everything finished."""
        if self._long is not None:
            self._dock.train.stage.setText(tr("stopping …"))
            self._long.cancel()

    def shut_down(self) -> None:
        """Stop all runs, because the plugin is unloaded."""
        for job in (*self._short, self._long):
            if job is not None:
                job.blockSignals(True)
                job.shut_down()

    def _ended(
        self,
        code: int,
        result: dict[str, Any],
        done: Callable[[dict[str, Any]], None],
        stopped: Callable[[int], None],
    ) -> None:
        if self._long is not None:
            self._long.deleteLater()
        self._long = None
        page = self._dock.train
        page.show_running(False)
        page.show_time_left(None)
        self._dock.messages.end(Owner.RUN)
        if code == DONE:
            page.show_progress(1, tr("done"))
            done(result)
            return
        if code == STOPPED:
            page.stage.setText(tr("stopped; everything finished is kept"))
            text = tr("Stopped; everything finished is kept. Train again to resume.")
            self._dock.show_message(text, Owner.RUN)
        else:
            page.stage.setText(tr("failed"))
            text = self._problems[-1] if self._problems else tr("The run failed; see the log.")
            self._dock.show_problem(text, Owner.RUN)
        stopped(code)
