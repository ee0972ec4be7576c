"""The reporter of commands: JSON lines on stdout for programs, lines and a progress bar for people."""

from __future__ import annotations

import os
import queue
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import click

from tsfal_geo.cli.process.environment import environment_fault
from tsfal_geo.cli.process.starter import stop_with_starter
from tsfal_geo.errors import Cancelled, UserError
from tsfal_geo.figures import json_text
from tsfal_geo.versions import __version__

PROTOCOL = 1
_MOST_MESSAGES = 10_000
_WIDTH_OF_FILES = 1000  # columns: without a terminal rich assumes 80, and would fold names and figures


class Failure(NamedTuple):
    """The end of a command by an error.

    Attributes:
        code: kind of the error in the protocol.
        exit_code: exit status of the command.
        message: one line for people.
    """

    code: str
    exit_code: int
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Classify an error.

        Args:
            error: the exception that ended the command.
        """
        if isinstance(error, UserError):
            return cls(error.code, error.exit_code, str(error))
        if isinstance(error, click.ClickException):
            return cls("usage", error.exit_code, error.format_message())
        if isinstance(error, (Cancelled, click.Abort, KeyboardInterrupt)):
            return cls(Cancelled.code, Cancelled.exit_code, "stopped; everything done so far is kept")
        if (line := environment_fault(error)) is not None:
            return cls("environment", UserError.exit_code, line)
        return cls("bug", 1, f"{type(error).__name__}: {error}")


class CommandReporter:
    """The events of one command: JSON lines (protocol v1) for programs, a progress bar and lines for people.

    It is a `tsfal_geo.reporting.Reporter` and a context manager. As a context manager it turns the exception
    that ends a command into the ``error`` event, and removes the progress bar. `log_to` keeps all further
    events in a file, too.

    Args:
        as_json: print events; otherwise print for people.

    Attributes:
        as_json: whether events are printed.
        stop: set when the command is to stop; also when stdin closes in JSON mode.
        messages: lines that the starting program wrote to stdin, in JSON mode; most commands read none.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.stop = threading.Event()
        self.messages: queue.Queue[str] = queue.Queue(_MOST_MESSAGES)
        self._log: IO[str] | None = None
        self._bar: Any = None
        self._task: Any = None
        self._last_tenth = ("", -1)
        self._ended = False
        if as_json:
            stop_with_starter(self.stop, self._go_silent, self._take)
            self._emit({"event": "hello", "protocol": PROTOCOL, "engine": __version__})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        if error is not None and not isinstance(error, click.exceptions.Exit):
            self.error(Failure.of(error))
        if self._log is not None:
            self._log.close()
            self._log = None

    def log_to(self, runs: Path) -> None:
        """Append events to ``runs/<time>-<pid>/events.jsonl`` from now on.

        Args:
            runs: the folder of all runs.
        """
        folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        if self._log is not None:
            self._log.close()
        self._log = (folder / "events.jsonl").open("a", encoding="utf-8")

    def event(self, event: dict[str, Any]) -> None:
        """Report an event of the engine.

        Args:
            event: such as ``{"event": "progress", "fraction": 0.5, "stage": "training"}``.
        """
        if event.get("event") == "progress" and not self.as_json:
            self._show(float(event["fraction"]), str(event.get("stage", "")), str(event.get("note", "")))
        self._emit(event)

    def progress(self, fraction: float, stage: str) -> None:
        """Report the done share of a stage.

        Args:
            fraction: 0 to 1.
            stage: the stage in a word or two.

        Raises:
            Cancelled: the command is to stop. A training stops between two steps instead: it uses `event`.
        """
        if self.stop.is_set():
            raise Cancelled
        self.event({"event": "progress", "fraction": round(fraction, 4), "stage": stage})

    def say(self, text: str) -> None:
        """Report a line: on stderr for people, as a ``log`` event for programs.

        Args:
            text: the line.
        """
        self._print(text)
        self._emit({"event": "log", "message": text})

    def warning(self, text: str) -> None:
        """Report a line that a person should read, though the command goes on.

        Args:
            text: the line.
        """
        self._print(f"Warning: {text}")
        self._emit({"event": "warning", "message": text})

    def artefact(self, kind: str, path: Path) -> None:
        """Report a file that is complete.

        Args:
            kind: kind of the file, such as ``map``.
            path: the file.
        """
        self._print(f"{kind}: {path}", out=True)
        self._emit({"event": "artefact", "kind": kind, "path": str(path)})

    def output(self, *items: Any) -> None:
        """Print the command's answer for people on stdout; programs read it in the result.

        Args:
            items: lines of text, and tables of rich.
        """
        if self.as_json:
            return
        self.finish()
        for item in items:
            if isinstance(item, str):
                click.echo(item)
            else:
                from rich.console import Console

                width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
                Console(highlight=False, width=width).print(item)

    def result(self, values: dict[str, Any]) -> None:
        """Report the outcome of the command; no event follows it.

        Args:
            values: the fields of the event, as JSON values.
        """
        self.finish()
        self._emit({"event": "result", **values})
        self._ended = True

    def error(self, failure: Failure) -> None:
        """Report the error that ends the command, unless it has a result already.

        Args:
            failure: the error.
        """
        if not self._ended:
            self._emit({"event": "error", **failure._asdict()})
            self._ended = True

    def finish(self) -> None:
        """Remove the progress bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, fraction: float, stage: str, note: str) -> None:
        if not sys.stderr.isatty():
            self._print_tenths(fraction, stage, note)
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(stage, total=1.0, note="")
        self._bar.update(self._task, completed=fraction, description=stage, note=note)

    def _print_tenths(self, fraction: float, stage: str, note: str) -> None:
        # A log file would grow by a line a step.
        tenth = (stage, int(fraction * 10))
        if tenth != self._last_tenth:
            self._last_tenth = tenth
            click.echo(f"{stage}: {fraction:.0%} {note}".rstrip(), err=True)

    def _print(self, text: str, out: bool = False) -> None:
        if self.as_json:
            return
        if self._bar is not None:
            from rich.markup import escape

            self._bar.console.print(escape(text), highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=not out)

    def _emit(self, event: dict[str, Any]) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json_text({**event, "time": time})
        if self._log is not None:
            self._log.write(line + "\n")
            self._log.flush()
        if self.as_json:
            try:
                click.echo(line)
                sys.stdout.flush()
            except BrokenPipeError:
                self._go_silent()

    def _take(self, line: str) -> None:
        # A command that reads no messages must not grow by them.
        with suppress(queue.Full):
            self.messages.put_nowait(line)

    def _go_silent(self) -> None:
        """Stop, and let later output vanish: its reader is gone."""
        self.stop.set()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
