"""The reporter of commands: JSON lines on stdout for programs, lines and a progress bar for people."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click

from tsfal_geo.atomic import unsaved_work
from tsfal_geo.errors import Cancelled
from tsfal_geo.versions import __version__

PROTOCOL = 1
_ALONE_SECONDS = 0.5
_SAVE_SECONDS = 30


class CommandReporter:
    """Tells what a command does: JSON lines (protocol v1) for programs, a progress bar and lines for people.

    Every event is also appended to ``<run>/events.jsonl`` once ``log_to`` was called.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.stop = threading.Event()
        self._log: IO[str] | None = None
        self._bar: Any = None
        self._told = ("", -1)
        self._task: Any = None
        if as_json:
            self._watch_stdin()
            self._event({"event": "hello", "protocol": PROTOCOL, "engine": __version__})

    def log_to(self, runs: Path) -> None:
        """Append events to ``runs/<time>-<pid>/events.jsonl`` from now on."""
        folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "events.jsonl").open("a", encoding="utf-8")

    def event(self, event: dict[str, Any]) -> None:
        """Pass on an engine's event, such as ``{'event': 'progress', 'fraction': …, 'stage': …}``."""
        if event.get("event") == "progress" and not self.as_json:
            self._show(float(event["fraction"]), str(event.get("stage", "")), event)
        self._event(event)

    def progress(self, fraction: float, stage: str) -> None:
        """How far the command is, 0 to 1, in a stage named in a word or two.

        Raises:
            Cancelled: asked to stop. A training stops by itself, between two steps: it tells by ``event``.
        """
        if self.stop.is_set():
            raise Cancelled
        self.event({"event": "progress", "fraction": round(fraction, 4), "stage": stage})

    def say(self, text: str) -> None:
        """A line for people; in JSON mode a ``log`` event."""
        self._line(text)
        self._event({"event": "log", "message": text})

    def warning(self, text: str) -> None:
        """Something that a person should look at, though the command goes on."""
        self._line(f"Warning: {text}")
        self._event({"event": "warning", "message": text})

    def artefact(self, kind: str, path: Path) -> None:
        """A file that was written and is whole."""
        self._line(f"{kind}: {path}", out=True)
        self._event({"event": "artefact", "kind": kind, "path": str(path)})

    def result(self, values: dict[str, Any]) -> None:
        """The command's outcome; the last event."""
        self.finish()
        self._event({"event": "result", **values})

    def finish(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, fraction: float, stage: str, event: dict[str, Any]) -> None:
        if not sys.stderr.isatty():
            self._tell_tenths(fraction, stage, str(event.get("note", "")))
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
        self._bar.update(self._task, completed=fraction, description=stage, note=str(event.get("note", "")))

    def _tell_tenths(self, fraction: float, stage: str, note: str) -> None:
        """In a log file a line every tenth is enough."""
        now = (stage, int(fraction * 10))
        if now != self._told:
            self._told = now
            click.echo(f"{stage}: {fraction:.0%} {note}".rstrip(), err=True)

    def _line(self, text: str, out: bool = False) -> None:
        if self.as_json:
            return
        if self._bar is not None:
            from rich.markup import escape

            self._bar.console.print(escape(text), highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=not out)

    def _event(self, event: dict[str, Any]) -> None:
        line = json.dumps(
            {**event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}, ensure_ascii=False
        )
        if self._log is not None:
            self._log.write(line + "\n")
            self._log.flush()
        if self.as_json:
            try:
                click.echo(line)
                sys.stdout.flush()
            except BrokenPipeError:
                self._nobody_listens()

    def _watch_stdin(self) -> None:
        # Only a pipe or socket has somebody at the other end; /dev/null is always at its end.
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (OSError, ValueError, AttributeError):
            return
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return

        parent = os.getppid()

        def watch() -> None:
            while os.read(0, 4096):
                pass
            self.stop.set()
            # An import or a window may last long, and nobody waits for it once the starting program is dead.
            time.sleep(_ALONE_SECONDS)
            if os.getppid() != parent:
                self._nobody_listens()
                unsaved_work.acquire(timeout=_SAVE_SECONDS)
                os._exit(Cancelled.exit_code)

        threading.Thread(target=watch, name="stdin", daemon=True).start()

    def _nobody_listens(self) -> None:
        self.stop.set()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
