"""What the engine prints: protocol v1, one JSON object a line on stdout (docs/workspace.md). No QGIS."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable

PROTOCOL = 1

DONE, BUG, MISTAKE, DAMAGED, STOPPED = range(5)  # exit codes of the engine
NOT_STARTED, DIED = -2, -1  # ours, where there is none

_KINDS = ("hello", "progress", "log", "artefact", "warning", "result", "error")
_ENVELOPE = ("event", "time")


@dataclass(frozen=True)
class Event:
    """One line of the engine.

    Attributes:
        kind: ``hello``, ``progress``, ``log``, ``artefact``, ``warning``, ``result`` or ``error``.
        values: the other keys of the JSON object, as they are.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The text of a ``log``, ``warning`` or ``error``; else empty."""
        return str(self.values.get("message", ""))

    @property
    def fraction(self) -> float:
        """How far a ``progress`` is: 0 to 1, whatever the line says."""
        try:
            value = float(self.values.get("fraction", 0.0))
        except (TypeError, ValueError):
            return 0.0
        return min(max(value, 0.0), 1.0) if value == value else 0.0

    @property
    def stage(self) -> str:
        """What a ``progress`` is about, with its note (step, loss) if there is one."""
        parts = [str(self.values.get(key) or "") for key in ("stage", "note")]
        return ": ".join(part for part in parts if part)


def parse_event(line: str) -> Event:
    """A line as an event; what is no event of the protocol (a library's chatter) is a ``log``."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or values.get("event") not in _KINDS:
        return Event("log", {"message": line})
    return Event(values["event"], {key: value for key, value in values.items() if key not in _ENVELOPE})


class LineReader:
    """Cuts a stream of bytes, which arrives in pieces of any size, into lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole now, without empty ones."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return _texts(lines)

    def close(self) -> list[str]:
        """The last line, if it had no end."""
        lines, self._rest = [self._rest], b""
        return _texts(lines)


def _texts(lines: list[bytes]) -> list[str]:
    texts = (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    return [text for text in texts if text.strip()]


@dataclass(frozen=True)
class Listener:
    """Who is told of what.

    Attributes:
        progressed: fraction 0 to 1, and the stage in words.
        logged: a line for the log.
        artefact_written: kind and path of a file that is whole.
        warned: what a person should look at.
    """

    progressed: Callable[[float, str], None]
    logged: Callable[[str], None]
    artefact_written: Callable[[str, str], None]
    warned: Callable[[str], None]


class Conversation:
    """Passes one run's output on, and keeps what it came to.

    Attributes:
        result: values of the ``result`` event; empty until it came.
        error: the message of the ``error`` event; empty if none came.
    """

    def __init__(self, listener: Listener) -> None:
        self.result: dict[str, Any] = {}
        self.error = ""
        self._listener = listener
        self._out, self._err = LineReader(), LineReader()
        self._last_err = ""

    def hear(self, out: bytes = b"", err: bytes = b"", last: bool = False) -> None:
        """Take what came on stdout and stderr; ``last`` once nothing more will."""
        for line in self._out.feed(out) + (self._out.close() if last else []):
            self._take(parse_event(line))
        for line in self._err.feed(err) + (self._err.close() if last else []):
            self._last_err = line.strip()
            self._listener.logged(line)

    def failure(self, exit_code: int) -> str:
        """Why the run failed, for a person; empty if it did not (done, or stopped as asked)."""
        if exit_code in (DONE, STOPPED):
            return ""
        if self.error:
            return self.error
        if exit_code == MISTAKE and self._last_err:
            return self._last_err
        how = "was killed or crashed" if exit_code == DIED else f"ended with code {exit_code}"
        detail = f": {self._last_err}" if self._last_err else ""
        return f"The engine {how}{detail}. The log holds all that it said; what it had finished is kept."

    def _take(self, event: Event) -> None:
        told, values = self._listener, event.values
        if event.kind == "progress":
            told.progressed(event.fraction, event.stage)
        elif event.kind == "artefact":
            told.artefact_written(str(values.get("kind", "")), str(values.get("path", "")))
        elif event.kind == "warning":
            told.warned(event.message)
        elif event.kind == "result":
            self.result = values
        elif event.kind == "error":
            self.error = event.message
        elif event.kind == "hello" and values.get("protocol") != PROTOCOL:
            told.warned(
                f"tsfal-geo {values.get('engine')} speaks protocol {values.get('protocol')}, this plugin "
                f"{PROTOCOL}; bring both to the same version"
            )
        elif event.kind == "log":
            told.logged(event.message)
