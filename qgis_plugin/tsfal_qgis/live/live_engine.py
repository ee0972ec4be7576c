"""The process of a live session: messages to it, events from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from ..compat import tr
from ..engine.engine import EngineError, engine_for
from ..engine.process import new_process, read_output, start_failure, start_process
from ..engine.protocol import DIED, NOT_STARTED, LineReader, parse_event

_END_MS = 3_000


class LiveEngine(QObject):
    """A session of the engine that follows the answers in a workspace.

    The annotator's answers are saved before the session hears of them: whatever becomes of it, none is lost.

    Args:
        parent: its parent in Qt.
    """

    told = pyqtSignal(str, dict)
    ended = pyqtSignal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._lines = LineReader()
        self._error = ""

    @property
    def running(self) -> bool:
        """True while the session runs."""
        return self._process is not None

    def start(self, root: Path) -> None:
        """Start a session; returns before it is ready.

        Args:
            root: folder of the workspace.
        """
        arguments = ["live", "--workspace", str(root)]
        try:
            command = engine_for(arguments)
        except EngineError as problem:
            self.ended.emit(str(problem))
            return
        self._lines, self._error = LineReader(), ""
        self._process = new_process(self)
        self._process.readyReadStandardOutput.connect(self._read)
        # Nobody reads the lines for people, but a full pipe would stop the session.
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._failed)
        start_process(self._process, [*command, *arguments, "--json"])

    def say(self, verb: str, **values: Any) -> None:
        """Send a message; without a session it is dropped.

        Args:
            verb: such as ``answer`` or ``look``.
            **values: the fields of the message.
        """
        if self._process is not None:
            self._process.write((json.dumps({"do": verb, **values}) + "\n").encode())

    def stop(self) -> None:
        """End the session and wait a little; one that does not end is killed, which loses nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.blockSignals(True)
        process.closeWriteChannel()
        if not process.waitForFinished(_END_MS):
            process.kill()
            process.waitForFinished(_END_MS)
        process.deleteLater()

    def _read(self) -> None:
        if self._process is None:
            return
        out, _ = read_output(self._process)
        for line in self._lines.feed(out):
            event = parse_event(line)
            if event.kind == "error":
                self._error = event.message
            elif event.kind != "log":
                self.told.emit(event.kind, event.values)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._end(code if status == QProcess.ExitStatus.NormalExit else DIED)

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(NOT_STARTED)

    def _end(self, code: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        text = self._error or tr("The live session has ended (code {code}); answers are saved as before.")
        self.ended.emit(start_failure(process) if code == NOT_STARTED else text.format(code=code))
        process.deleteLater()
