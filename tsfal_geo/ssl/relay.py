"""Events out of, and the stop signal into, the processes that a training on several devices spawns."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Any, Self

import torch.multiprocessing

from tsfal_geo.ssl.callbacks import Emit

_POLL_SECONDS = 0.2


class Relay:
    """A context whose ``emit`` and ``stopped`` work in spawned processes as well.

    Attributes:
        emit: passes an event to ``on_event`` in the parent process.
        stopped: whether the parent's ``stop`` is set.
    """

    def __init__(self, on_event: Emit, stop: threading.Event) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._on_event = on_event
        self._stop = stop
        self._queue = context.Queue()
        self._flag = context.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.emit: Emit = self._queue.put
        self.stopped = self._flag.is_set

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._queue.close()

    def _run(self) -> None:
        while True:
            if self._stop.is_set():
                self._flag.set()
            event: dict[str, Any]
            try:
                event = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self._over.is_set():
                    return
                continue
            self._on_event(event)
