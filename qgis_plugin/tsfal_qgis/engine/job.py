"""Runs of the engine: beside QGIS with signals, or waited for by an algorithm of Processing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from ..compat import tr
from .engine import EngineError, EngineStopped, engine_for
from .process import START_MS, new_process, read_output, start_failure, start_process
from .protocol import DIED, NOT_STARTED, STOPPED, Listener, RunOutput

_GRACE_MS = 30_000


class EngineJob(QObject):
    """One run of the engine beside QGIS.

    Args:
        parent: its parent in Qt.
        command: the engine; None for that of `EngineConfig`.
    """

    progressed = pyqtSignal(float, str)
    estimated = pyqtSignal(object)
    logged = pyqtSignal(str)
    artefact_written = pyqtSignal(str, str)
    warned = pyqtSignal(str)
    failed = pyqtSignal(str)
    ended = pyqtSignal(int, dict)

    def __init__(self, parent: QObject | None = None, command: Sequence[str] | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._process: QProcess | None = None
        self._output: RunOutput | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        """True while the engine runs."""
        return self._process is not None

    def start(self, arguments: list[str], cwd: str | None = None) -> None:
        """Start the engine; ``--json`` is added.

        Args:
            arguments: the command and its options, such as ``["train", "--workspace", folder]``.
            cwd: folder to run in.

        Raises:
            EngineError: there is no engine, or this job is running already.
        """
        if self.running:
            raise EngineError(tr("The engine is running already; wait for it, or stop it."))
        command = engine_for([cwd or "", *arguments], self._command)
        self._stopping = False
        self._output = RunOutput(
            Listener(
                self.progressed.emit,
                self.logged.emit,
                self.artefact_written.emit,
                self.warned.emit,
                self.estimated.emit,
            )
        )
        self._process = new_process(self)
        if cwd:
            self._process.setWorkingDirectory(cwd)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._error)
        start_process(self._process, [*command, *arguments, "--json"])

    def cancel(self, grace_ms: int = _GRACE_MS) -> None:
        """Ask the engine to stop and keep everything finished.

        Args:
            grace_ms: milliseconds after which it is killed.
        """
        process = self._process
        if process is None or self._stopping:
            return
        self._stopping = True
        process.closeWriteChannel()
        QTimer.singleShot(grace_ms, lambda: self._kill(process))

    def shut_down(self, grace_ms: int = 5_000) -> None:
        """Stop the engine and wait for its end; called before the plugin is unloaded.

        Args:
            grace_ms: milliseconds after which it is killed.
        """
        process = self._process
        if process is None:
            return
        self.cancel(grace_ms)
        if not process.waitForFinished(grace_ms):
            self._kill(process)

    def _kill(self, process: QProcess) -> None:
        if process is self._process:
            process.kill()
            process.waitForFinished(START_MS)

    def _read(self) -> None:
        if self._process is not None and self._output is not None:
            self._output.feed(*read_output(self._process))

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if status == QProcess.ExitStatus.NormalExit:
            self._end(code)
        else:
            self._end(STOPPED if self._stopping else DIED)

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(NOT_STARTED)

    def _end(self, code: int) -> None:
        process, output = self._process, self._output
        if process is None or output is None:
            return
        output.feed(*read_output(process), last=True)
        self._process = None
        problem = start_failure(process) if code == NOT_STARTED else output.failure(code)
        process.deleteLater()
        if problem:
            self.failed.emit(problem)
        self.ended.emit(code, output.result)


def run_engine(
    arguments: Sequence[str], feedback: Any, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Run the engine and wait, without an event loop: for Processing's threads and ``qgis_process``.

    Args:
        arguments: the command and its options; ``--json`` is added.
        feedback: a QgsProcessingFeedback, which shows the progress and can cancel the run.
        command: the engine; None for that of `EngineConfig`.

    Returns:
        The values of the engine's ``result``, with ``artefacts``: [(kind, path), …].

    Raises:
        EngineError: it was not found, did not start or failed; the text is for the user.
        EngineStopped: it was stopped because ``feedback`` was cancelled.
    """
    engine = engine_for(arguments, command)
    artefacts: list[tuple[str, str]] = []

    def progressed(fraction: float, stage: str) -> None:
        feedback.setProgress(100 * fraction)
        feedback.setProgressText(stage)

    def written(kind: str, path: str) -> None:
        artefacts.append((kind, path))
        feedback.pushInfo(f"{kind}: {path}")

    output = RunOutput(Listener(progressed, feedback.pushInfo, written, feedback.pushWarning))
    process = new_process()
    start_process(process, [*engine, *arguments, "--json"])
    if not process.waitForStarted(START_MS):
        raise EngineError(start_failure(process))
    _wait(process, output, feedback)
    crashed = process.exitStatus() != QProcess.ExitStatus.NormalExit
    code = DIED if crashed else process.exitCode()
    if code == STOPPED or (crashed and feedback.isCanceled()):
        raise EngineStopped(tr("Stopped; everything finished is kept."))
    problem = output.failure(code)
    if problem:
        raise EngineError(problem)
    return {**output.result, "artefacts": artefacts}


def _wait(process: QProcess, output: RunOutput, feedback: Any) -> None:
    """Read the output until the process ends; if cancelled, close its stdin, and kill it after the grace."""
    cancelled_at = 0.0
    while process.state() != QProcess.ProcessState.NotRunning:
        # Once stdout is closed, the first wait returns at once.
        if not process.waitForReadyRead(200):
            process.waitForFinished(50)
        output.feed(*read_output(process))
        if feedback.isCanceled():
            process.closeWriteChannel()
            cancelled_at = cancelled_at or time.monotonic()
            if time.monotonic() - cancelled_at > _GRACE_MS / 1000:
                process.kill()
    output.feed(*read_output(process), last=True)
