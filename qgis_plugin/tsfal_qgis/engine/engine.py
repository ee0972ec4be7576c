"""The engine as a process of its own: finding it, checking it, running it.

QGIS's Python never imports the engine: two copies of GDAL, PROJ and SQLite in one process lose data.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import (
    QIODevice,
    QObject,
    QProcess,
    QProcessEnvironment,
    QTimer,
    pyqtSignal,
)

from ..compat import tr
from . import find_engine as places
from .protocol import DIED, NOT_STARTED, STOPPED, Conversation, Listener

SETTING = "tsfal/engine"
INSTALL = "uv tool install --python 3.12 tsfal-geo"

_START_MS = 30_000
_CHECK_MS = 20_000
_GRACE_MS = 30_000
# QGIS sets these for its own libraries; another Python with its own GDAL and PROJ must not see them.
_QGIS_ONLY = [
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "PROJ_LIB",
    "PROJ_DATA",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GEOTIFF_CSV",
    "QT_PLUGIN_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
]


class EngineError(Exception):
    """The engine failed; the text is for the user."""


class EngineStopped(EngineError):
    """The engine was stopped as asked; everything finished is kept."""


@dataclass(frozen=True)
class Handshake:
    """What an engine answered.

    Attributes:
        version: of the engine, such as ``0.1.0``; None if it did not answer as one.
        problem: what is wrong and what mends it; empty if nothing is.
    """

    version: str | None
    problem: str = ""


class EngineConfig:
    """Which engine to use: the user's choice, else the one found in the usual places."""

    def __init__(self, near: Iterable[str] = ()) -> None:
        """Know of folders of data, whose ``.venv`` is offered where no engine is found."""
        self._near = tuple(near)

    @property
    def chosen(self) -> str:
        """What the user entered: a command, a program's path or an environment's folder; empty: nothing."""
        return str(QgsSettings().value(SETTING, "") or "").strip()

    @chosen.setter
    def chosen(self, text: str) -> None:
        QgsSettings().setValue(SETTING, text.strip())

    def command(self) -> list[str]:
        """The engine's program and first arguments; empty if none was chosen and none was found."""
        return split_command(self.chosen) if self.chosen else self.found()

    def found(self) -> list[str]:
        """The first installed engine that answers, whatever the user chose; empty if none is there."""
        found = [[str(path)] for path in self.installed()]
        if len(found) > 1:
            working = (command for command in found if not self.check(command).problem)
            return next(working, found[0])
        return found[0] if found else []

    def installed(self) -> list[Path]:
        """The engines in the usual places, best first."""
        return places.installed(os.environ, Path.home())

    def offers(self) -> list[Path]:
        """Engines beside the data. They are shown to the user, and never run unasked."""
        return places.beside(self._near)

    def check(self, command: Sequence[str]) -> Handshake:
        """Ask an engine for its version; waits for the answer."""
        if not command:
            return Handshake(None, f"{tr('tsfal-geo was not found.')} {self._remedy()}")
        process = _process()
        _start(process, [*command, "--version"])
        shown = " ".join(command)
        if not process.waitForStarted(_START_MS):
            text = tr("{command} does not start ({reason}).")
            text = text.format(command=shown, reason=process.errorString())
            return Handshake(None, f"{text} {self._remedy()}")
        process.closeWriteChannel()
        if not process.waitForFinished(_CHECK_MS):
            process.kill()
            process.waitForFinished(_START_MS)
            return Handshake(None, tr("{command} did not answer within 20 seconds.").format(command=shown))
        words = bytes(process.readAllStandardOutput()).decode("utf-8", "replace").split()
        if process.exitCode() == 0 and words[:2] == ["tsfal-geo,", "version"] and len(words) == 3:
            return Handshake(words[2])
        said = bytes(process.readAllStandardError()).decode("utf-8", "replace").strip().splitlines()
        text = tr("{command} did not answer as tsfal-geo does ({reason}).")
        reason = said[-1].strip() if said else f"code {process.exitCode()}"
        return Handshake(None, f"{text.format(command=shown, reason=reason)} {self._remedy()}")

    def _remedy(self) -> str:
        text = tr("Install it with: {install} – or choose it under Settings ▸ Options ▸ TSFAL.")
        text = text.format(install=INSTALL)
        offers = self.offers()
        if offers:
            beside = tr("There is one beside the data; choose it there if you trust it: {path}")
            text += " " + beside.format(path=offers[0])
        return text


def split_command(text: str) -> list[str]:
    """A command as the user wrote it: a program, an environment's folder, or words with quotes."""
    path = Path(text).expanduser()
    if path.is_dir():
        return [str(places.executable_in(path))]
    if path.is_file():
        return [str(path)]
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError:
        return [text]
    return [word.strip('"') for word in words]


def clean_environment() -> QProcessEnvironment:
    """The environment of this process, without what concerns QGIS's own libraries."""
    environment = QProcessEnvironment.systemEnvironment()
    for name in _QGIS_ONLY:
        environment.remove(name)
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONUTF8", "1")
    return environment


class EngineJob(QObject):
    """One run of the engine beside QGIS, which goes on meanwhile."""

    progressed = pyqtSignal(float, str)
    logged = pyqtSignal(str)
    artefact_written = pyqtSignal(str, str)
    warned = pyqtSignal(str)
    failed = pyqtSignal(str)
    ended = pyqtSignal(int, dict)

    def __init__(self, parent: QObject | None = None, command: Sequence[str] | None = None) -> None:
        """Prepare a run of ``command``; None: the one of `EngineConfig`."""
        super().__init__(parent)
        self._command = command
        self._process: QProcess | None = None
        self._conversation: Conversation | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether the engine is at work."""
        return self._process is not None

    def start(self, arguments: list[str], cwd: str | None = None) -> None:
        """Start the engine; ``--json`` is added.

        Args:
            arguments: the command and its options, such as ``["train", "--workspace", folder]``.
            cwd: folder to run in.

        Raises:
            EngineError: there is no engine, or this job is at work already.
        """
        if self.running:
            raise EngineError(tr("The engine is at work already; wait for it, or stop it."))
        config = EngineConfig(_paths([cwd or "", *arguments]))
        command = list(self._command) if self._command is not None else config.command()
        if not command:
            raise EngineError(config.check(command).problem)
        self._stopping = False
        self._conversation = Conversation(
            Listener(self.progressed.emit, self.logged.emit, self.artefact_written.emit, self.warned.emit)
        )
        self._process = _process(self)
        if cwd:
            self._process.setWorkingDirectory(cwd)
        self._process.readyReadStandardOutput.connect(self._hear)
        self._process.readyReadStandardError.connect(self._hear)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._error)
        _start(self._process, [*command, *arguments, "--json"])

    def cancel(self, grace_ms: int = _GRACE_MS) -> None:
        """Ask the engine to stop and keep everything; kill it if it has not within ``grace_ms``."""
        process = self._process
        if process is None or self._stopping:
            return
        self._stopping = True
        process.closeWriteChannel()
        QTimer.singleShot(grace_ms, lambda: self._kill(process))

    def shut_down(self, grace_ms: int = 5_000) -> None:
        """Stop the engine and wait for it: for the moment before the plugin goes."""
        process = self._process
        if process is None:
            return
        self.cancel(grace_ms)
        if not process.waitForFinished(grace_ms):
            self._kill(process)

    def _kill(self, process: QProcess) -> None:
        if process is self._process:
            process.kill()
            process.waitForFinished(_START_MS)

    def _hear(self) -> None:
        if self._process is not None and self._conversation is not None:
            self._conversation.hear(*_read(self._process))

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if status == QProcess.ExitStatus.NormalExit:
            self._end(code)
        else:
            self._end(STOPPED if self._stopping else DIED)

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(NOT_STARTED)

    def _end(self, code: int) -> None:
        process, conversation = self._process, self._conversation
        if process is None or conversation is None:
            return
        conversation.hear(*_read(process), last=True)
        self._process = None
        problem = _not_started(process) if code == NOT_STARTED else conversation.failure(code)
        process.deleteLater()
        if problem:
            self.failed.emit(problem)
        self.ended.emit(code, conversation.result)


def run_engine(
    arguments: Sequence[str], feedback: Any, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Run the engine and wait, without an event loop: for Processing's threads and ``qgis_process``.

    Args:
        arguments: the command and its options; ``--json`` is added.
        feedback: a QgsProcessingFeedback; told of progress, asked whether to stop.
        command: the engine; None: the one of `EngineConfig`.

    Returns:
        The values of the engine's ``result``, with ``artefacts``: [(kind, path), …].

    Raises:
        EngineError: it was not found, did not start or failed; the text is for the user.
        EngineStopped: it was stopped because ``feedback`` was cancelled.
    """
    config = EngineConfig(_paths(arguments))
    words = list(command) if command is not None else config.command()
    if not words:
        raise EngineError(config.check(words).problem)
    artefacts: list[tuple[str, str]] = []

    def progressed(fraction: float, stage: str) -> None:
        feedback.setProgress(100 * fraction)
        feedback.setProgressText(stage)

    def written(kind: str, path: str) -> None:
        artefacts.append((kind, path))
        feedback.pushInfo(f"{kind}: {path}")

    conversation = Conversation(Listener(progressed, feedback.pushInfo, written, feedback.pushWarning))
    process = _process()
    _start(process, [*words, *arguments, "--json"])
    if not process.waitForStarted(_START_MS):
        raise EngineError(_not_started(process))
    _attend(process, conversation, feedback)
    crashed = process.exitStatus() != QProcess.ExitStatus.NormalExit
    code = DIED if crashed else process.exitCode()
    if code == STOPPED or (crashed and feedback.isCanceled()):
        raise EngineStopped(tr("Stopped; everything finished is kept."))
    problem = conversation.failure(code)
    if problem:
        raise EngineError(problem)
    return {**conversation.result, "artefacts": artefacts}


def _attend(process: QProcess, conversation: Conversation, feedback: Any) -> None:
    asked = 0.0
    while process.state() != QProcess.ProcessState.NotRunning:
        # Once stdout is closed the first wait returns at once.
        if not process.waitForReadyRead(200):
            process.waitForFinished(50)
        conversation.hear(*_read(process))
        if feedback.isCanceled():
            process.closeWriteChannel()
            asked = asked or time.monotonic()
            if time.monotonic() - asked > _GRACE_MS / 1000:
                process.kill()
    conversation.hear(*_read(process), last=True)


def _paths(arguments: Iterable[str]) -> list[str]:
    values = (argument.split("=", 1)[-1] for argument in arguments)
    return [value for value in values if Path(value).is_absolute()]


def _process(parent: QObject | None = None) -> QProcess:
    process = QProcess(parent)
    process.setProcessEnvironment(clean_environment())
    return process


def _start(process: QProcess, words: Sequence[str]) -> None:
    process.setProgram(words[0])
    process.setArguments(list(words[1:]))
    process.start(QIODevice.OpenModeFlag.ReadWrite)


def _read(process: QProcess) -> tuple[bytes, bytes]:
    return bytes(process.readAllStandardOutput()), bytes(process.readAllStandardError())


def _not_started(process: QProcess) -> str:
    text = tr("{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.")
    return text.format(program=process.program(), reason=process.errorString())
