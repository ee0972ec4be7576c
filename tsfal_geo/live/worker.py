"""A thread that fits while a person answers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """A job that has ended.

    Attributes:
        name: of the job.
        owner: who gave it.
        result: what it returned; None after an error.
        error: what ended it, if anything did.
    """

    name: str
    owner: object
    result: Any
    error: BaseException | None = None


class Worker:
    """Runs jobs one after another in a thread, or at once where there is none.

    A job of a name that waits already takes the other's place: only its latest state matters.

    Args:
        background: False: each job runs when it is given.
    """

    def __init__(self, *, background: bool) -> None:
        self._wake = threading.Condition()
        self._jobs: dict[str, tuple[object, Callable[[], Any]]] = {}
        self._running: str | None = None
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self.stopped = False
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True) if background else None
        if self._thread is not None:
            self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the job wait at its next step: what somebody waits for comes first."""
        # Without a thread the job is what somebody waits for.
        if self._thread is not None:
            self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def stopping(self) -> bool:
        """Wait while paused, and return whether to end; jobs call this before each step."""
        self._free.wait()
        return self.stopped

    def give(self, name: str, owner: object, job: Callable[[], Any]) -> None:
        """Give a job.

        Args:
            name: of the job.
            owner: who gives it; its result tells whose it is, however late it comes.
            job: called without arguments; its result comes back by `take`.
        """
        if self._thread is None:
            self._done.put(Done(name, owner, job()))
            return
        with self._wake:
            self._jobs[name] = (owner, job)
            self._wake.notify()

    def busy(self, name: str) -> bool:
        """Return whether a job of a name waits or runs.

        Args:
            name: of the job.
        """
        with self._wake:
            return name in self._jobs or self._running == name

    def take(self) -> Done | None:
        """Return a job that has ended, once; None if there is none."""
        try:
            return self._done.get_nowait()
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Begin no further job, and wait for the one that runs, which looks at `stopping`."""
        with self._wake:
            self.stopped = True
            self._jobs.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._jobs or self.stopped)
                if self.stopped:
                    return
                name = next(iter(self._jobs))
                owner, job = self._jobs.pop(name)
                self._running = name
            try:
                done = Done(name, owner, job())
            except Exception as error:  # raised again, or told, by whoever takes the result
                done = Done(name, owner, None, error)
            with self._wake:
                self._running = None
            if not self.stopped:
                self._done.put(done)
