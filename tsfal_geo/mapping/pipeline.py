"""Gathers rows to whole rows of tiles and writes them in a thread."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

_AHEAD = 2


class TileRows:
    """Rows of a strip in, blocks that start and end at tile edges (or the raster's) out.

    Compressing and writing run in a thread of their own, at most two blocks behind. Leaving the context
    waits for them; after an error the rest is dropped.

    Args:
        write: gets (y, x, block); called from one thread.
        height: rows of the raster.
        tile: rows of a tile.
    """

    def __init__(self, write: Callable[[int, int, NDArray[np.uint8]], None], height: int, tile: int) -> None:
        self._write, self._height, self._tile = write, height, tile
        self._buffer: NDArray[np.uint8] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._waiting: deque[Future[None]] = deque()

    def add(self, y: int, x: int, rows: NDArray[np.uint8]) -> None:
        """Take the rows (…, h, w) from ``y`` on of the strip that starts at column ``x``, without gaps."""
        while rows.shape[-2]:
            top = y - y % self._tile
            bottom = min(top + self._tile, self._height)
            if self._buffer is None:
                self._buffer = np.empty((*rows.shape[:-2], bottom - top, rows.shape[-1]), np.uint8)
            count = min(rows.shape[-2], bottom - y)
            self._buffer[..., y - top : y - top + count, :] = rows[..., :count, :]
            y, rows = y + count, rows[..., count:, :]
            if y == bottom:
                self._submit(top, x, self._buffer)
                self._buffer = None

    def _submit(self, y: int, x: int, block: NDArray[np.uint8]) -> None:
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._write, y, x, block))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for future in self._waiting:
                future.result()


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
