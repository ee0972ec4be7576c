"""The engine's output: protocol v1, one JSON object a line on stdout (docs/protocol.md). Imports no QGIS.

A command begins with ``hello`` and ends with ``result`` or ``error``. The reader is more tolerant: it takes
events in any order, skips kinds of events that it does not know, and treats other lines as lines of the log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable

PROTOCOL = 1

DONE, BUG, MISTAKE, DAMAGED, STOPPED = range(5)  # exit codes of the engine
NOT_STARTED, DIED = -2, -1  # the plugin's own codes, for a process without exit code

LIVE_KINDS = ("changed", "queue", "score", "state")
KINDS = ("hello", "progress", "log", "artefact", "query", "warning", *LIVE_KINDS, "result", "error")
_ENVELOPE = ("event", "time")


@dataclass(frozen=True)
class Event:
    """One line of the engine's output.

    Attributes:
        kind: one of ``KINDS``, or a kind that a newer engine added to the protocol.
        values: the other keys of the JSON object.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The text of a ``log``, ``warning`` or ``error``; empty for other kinds."""
        return str(self.values.get("message", ""))

    @property
    def fraction(self) -> float:
        """The share of the work that is done, from 0 to 1; 0 if the line has no such number."""
        try:
            value = float(self.values.get("fraction", 0.0))
        except (TypeError, ValueError):
            return 0.0
        return min(max(value, 0.0), 1.0) if value == value else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the training ends, by the engine's estimate; None if the line has no such number."""
        value = self.values.get("eta_s")
        known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
        return float(value) if known else None

    @property
    def stage(self) -> str:
        """The stage of a ``progress`` event, with its note (step, loss) if there is one."""
        parts = [str(self.values.get(key) or "") for key in ("stage", "note")]
        return ": ".join(part for part in parts if part)


def parse_event(line: str) -> Event:
    """Read a line as an event.

    Args:
        line: a line of the engine's stdout.

    Returns:
        The event; a ``log`` with the line as its message if it is no event, such as the output of a library.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not isinstance(values.get("event"), str):
        return Event("log", {"message": line})
    return Event(values["event"], {key: value for key, value in values.items() if key not in _ENVELOPE})


class LineReader:
    """Splits a stream of bytes, which arrives in pieces of any size, into lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Add bytes.

        Args:
            data: the next piece of the stream.

        Returns:
            The lines that are complete now, without empty ones.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        return _decode(lines)

    def close(self) -> list[str]:
        """Return the last line, if it does not end with a line break."""
        lines, self._rest = [self._rest], b""
        return _decode(lines)


def _decode(lines: list[bytes]) -> list[str]:
    texts = (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    return [text for text in texts if text.strip()]


@dataclass(frozen=True)
class Listener:
    """The functions that are called for the events of a run.

    Attributes:
        progressed: called with the fraction, 0 to 1, and the stage in words.
        logged: called with a line for the log.
        artefact_written: called with kind and path of a complete file.
        warned: called with a text that the user should read.
        estimated: called with the seconds that are left, None where they are not known; after ``progressed``.
    """

    progressed: Callable[[float, str], None]
    logged: Callable[[str], None]
    artefact_written: Callable[[str, str], None]
    warned: Callable[[str], None]
    estimated: Callable[[float | None], None] = lambda _seconds: None


class RunOutput:
    """Passes the output of one run to a listener, and keeps the result.

    Args:
        listener: the functions to call.

    Attributes:
        result: values of the ``result`` event; empty until it arrives.
        error: message of the ``error`` event; empty if none arrived.
    """

    def __init__(self, listener: Listener) -> None:
        self.result: dict[str, Any] = {}
        self.error = ""
        self._listener = listener
        self._out, self._err = LineReader(), LineReader()
        self._last_err = ""

    def feed(self, out: bytes = b"", err: bytes = b"", last: bool = False) -> None:
        """Add output.

        Args:
            out: the next bytes of stdout.
            err: the next bytes of stderr.
            last: True if no more output follows.
        """
        for line in self._out.feed(out) + (self._out.close() if last else []):
            self._dispatch(parse_event(line))
        for line in self._err.feed(err) + (self._err.close() if last else []):
            self._last_err = line.strip()
            self._listener.logged(line)

    def failure(self, exit_code: int) -> str:
        """Explain a failure to the user.

        Args:
            exit_code: of the engine, or ``NOT_STARTED`` or ``DIED``.

        Returns:
            The reason; empty if the run ended well or was stopped on request.
        """
        if exit_code in (DONE, STOPPED):
            return ""
        if self.error:
            return self.error
        if exit_code == MISTAKE and self._last_err:
            return self._last_err
        end = "was killed or crashed" if exit_code == DIED else f"ended with code {exit_code}"
        detail = f": {self._last_err}" if self._last_err else ""
        return f"The engine {end}{detail}. The log holds its full output; everything finished is kept."

    def _dispatch(self, event: Event) -> None:
        listener, values = self._listener, event.values
        if event.kind == "progress":
            listener.progressed(event.fraction, event.stage)
            listener.estimated(event.seconds_left)
        elif event.kind == "artefact":
            listener.artefact_written(str(values.get("kind", "")), str(values.get("path", "")))
        elif event.kind == "warning":
            listener.warned(event.message)
        elif event.kind == "result":
            self.result = values
        elif event.kind == "error":
            self.error = event.message
        elif event.kind == "hello" and values.get("protocol") != PROTOCOL:
            listener.warned(
                f"tsfal-geo {values.get('engine')} speaks protocol {values.get('protocol')}, this plugin "
                f"{PROTOCOL}; bring both to the same version"
            )
        elif event.kind == "log":
            listener.logged(event.message)
