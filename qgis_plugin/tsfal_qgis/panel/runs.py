"""Runs of the engine beside QGIS, and what the panel shows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QObject

from ..compat import tr
from ..engine.engine import EngineError, EngineJob
from .dock import TsfalDock

STOPPED = 4


class Runs(QObject):
    """One long run at a time, such as a training; short questions beside it."""

    def __init__(self, dock: TsfalDock) -> None:
        super().__init__()
        self._dock = dock
        self._long: EngineJob | None = None
        self._short: list[EngineJob] = []
        self._problems: list[str] = []

    @property
    def running(self) -> bool:
        """Whether a long run is going on."""
        return self._long is not None

    def start(
        self, arguments: list[str], done: Callable[[dict[str, Any]], None], cwd: str | None = None
    ) -> bool:
        """Start a long run; ``done`` is called with its result if it ends well.

        Returns:
            Whether it was started; what was wrong is shown.
        """
        if self._long is not None:
            self._dock.warn(tr("A run is going on; wait for it, or stop it."))
            return False
        job = EngineJob(self)
        page = self._dock.train
        self._problems = []
        job.progressed.connect(page.show_progress)
        job.logged.connect(page.log.appendPlainText)
        job.warned.connect(lambda text: page.log.appendPlainText(f"! {text}"))
        job.failed.connect(self._problems.append)
        job.ended.connect(lambda code, result: self._ended(code, result, done))
        self._long = job
        page.start_over()
        page.show_running(True)
        page.stage.setText(tr("starting …"))
        try:
            job.start(arguments, cwd)
        except EngineError as problem:
            self._problems.append(str(problem))
            self._ended(-1, {}, done)
            return False
        return True

    def ask(
        self, arguments: list[str], done: Callable[[dict[str, Any]], None], failed: Callable[[str], None]
    ) -> None:
        """Run a short command beside the long one."""
        job = EngineJob(self)
        problems: list[str] = []

        def ended(code: int, result: dict[str, Any]) -> None:
            self._short.remove(job)
            job.deleteLater()
            if code == 0:
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
            ended(-1, {})

    def cancel(self) -> None:
        """Ask the long run to stop; everything finished is kept."""
        if self._long is not None:
            self._dock.train.stage.setText(tr("stopping …"))
            self._long.cancel()

    def shut_down(self) -> None:
        """Stop everything: the plugin goes."""
        for job in (*self._short, self._long):
            if job is not None:
                job.blockSignals(True)
                job.shut_down()

    def _ended(self, code: int, result: dict[str, Any], done: Callable[[dict[str, Any]], None]) -> None:
        if self._long is not None:
            self._long.deleteLater()
        self._long = None
        page = self._dock.train
        page.show_running(False)
        if code == 0:
            page.show_progress(1, tr("done"))
            done(result)
        elif code == STOPPED:
            page.stage.setText(tr("stopped; everything finished is kept"))
            self._dock.say(tr("Stopped; everything finished is kept. Train again to go on."))
        else:
            page.stage.setText(tr("failed"))
            self._dock.warn(self._problems[-1] if self._problems else tr("The run failed; see the log."))
