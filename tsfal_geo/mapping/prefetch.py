"""Work of an iterator done ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True)
class _Failure:
    error: BaseException


_END = object()


def prefetch[T](items: Iterable[T], depth: int = 2) -> Generator[T]:
    """Iterate over ``items`` in a thread, at most ``depth`` of them ahead.

    What the thread raises is raised here. When the consumer stops early (``close``), the thread ends too.
    """
    ahead: queue.Queue[object] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                ahead.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(_Failure(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := ahead.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield cast(T, item)
    finally:
        stop.set()
        thread.join()
