"""The choice of the engine: the user's, or the one that is installed; and the check that it answers.

QGIS's Python never imports the engine: two copies of GDAL, PROJ and SQLite in one process lose data.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsSettings

from ..compat import tr
from .find_engine import engines_beside, executable_in, installed_engines
from .process import START_MS, new_process, read_output, start_process

SETTING = "tsfal/engine"
INSTALL = "uv tool install --python 3.12 tsfal-geo"

_CHECK_MS = 20_000


class EngineError(Exception):
    """A failure of the engine, in a sentence for the user."""


class EngineStopped(EngineError):
    """The engine was stopped on request; everything finished is kept."""


@dataclass(frozen=True)
class Handshake:
    """The answer of an engine.

    Attributes:
        version: of the engine, such as ``0.1.0``; None if the program is no engine.
        problem: the fault and the remedy; empty if there is none.
    """

    version: str | None
    problem: str = ""


class EngineConfig:
    """The engine to use: the user's choice, else the one in the usual places.

    Args:
        data_folders: folders of data, whose ``.venv`` is offered to the user where no engine is found.
    """

    def __init__(self, data_folders: Iterable[str] = ()) -> None:
        self._data_folders = tuple(data_folders)

    @property
    def chosen(self) -> str:
        """The user's entry: a command, a program or the folder of an environment; empty for none."""
        return str(QgsSettings().value(SETTING, "") or "").strip()

    @chosen.setter
    def chosen(self, text: str) -> None:
        QgsSettings().setValue(SETTING, text.strip())

    def command(self) -> list[str]:
        """Return the engine's program and first arguments; empty if none was chosen and none was found."""
        return split_command(self.chosen) if self.chosen else self.found()

    def found(self) -> list[str]:
        """Return the first installed engine that answers, regardless of the user's choice.

        Returns:
            The command; if none answers, the first one, whose check gives the reason; empty if there is none.
        """
        found = [[str(path)] for path in self.installed()]
        if len(found) > 1:
            working = (command for command in found if not self.check(command).problem)
            return next(working, found[0])
        return found[0] if found else []

    def installed(self) -> list[Path]:
        """Return the engines in the usual places, best first."""
        return installed_engines(os.environ, Path.home())

    def offers(self) -> list[Path]:
        """Return the engines beside the data, which are shown to the user and run only if chosen."""
        return engines_beside(self._data_folders)

    def check(self, command: Sequence[str]) -> Handshake:
        """Ask an engine for its version, and wait for the answer.

        Args:
            command: its program and first arguments; empty if there is none.

        Returns:
            The version, or the problem with its remedy.
        """
        if not command:
            return Handshake(None, f"{tr('tsfal-geo was not found.')} {self._remedy()}")
        process = new_process()
        start_process(process, [*command, "--version"])
        shown = " ".join(command)
        if not process.waitForStarted(START_MS):
            text = tr("{command} does not start ({reason}).")
            text = text.format(command=shown, reason=process.errorString())
            return Handshake(None, f"{text} {self._remedy()}")
        process.closeWriteChannel()
        if not process.waitForFinished(_CHECK_MS):
            process.kill()
            process.waitForFinished(START_MS)
            return Handshake(None, tr("{command} did not answer within 20 seconds.").format(command=shown))
        out, err = (data.decode("utf-8", "replace") for data in read_output(process))
        words = out.split()
        if process.exitCode() == 0 and words[:2] == ["tsfal-geo,", "version"] and len(words) == 3:
            return Handshake(words[2])
        lines = err.strip().splitlines()
        text = tr("{command} did not answer as tsfal-geo does ({reason}).")
        reason = lines[-1].strip() if lines else f"code {process.exitCode()}"
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
    """Split a command as the user wrote it.

    Args:
        text: a program, the folder of an environment, or words with quotes.

    Returns:
        The program and its arguments.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return [str(executable_in(path))]
    if path.is_file():
        return [str(path)]
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError:
        return [text]
    return [word.strip('"') for word in words]


def engine_for(arguments: Iterable[str], command: Sequence[str] | None = None) -> list[str]:
    """Return the engine for a run.

    Args:
        arguments: arguments of the run; an engine beside a folder among them is offered to the user.
        command: the engine; None for that of `EngineConfig`.

    Returns:
        Its program and first arguments.

    Raises:
        EngineError: there is no engine.
    """
    values = (argument.split("=", 1)[-1] for argument in arguments)
    config = EngineConfig(value for value in values if Path(value).is_absolute())
    words = list(command) if command is not None else config.command()
    if not words:
        raise EngineError(config.check(words).problem)
    return words
