"""The threads around the network: one reads ahead, another writes finished tiles."""

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

_WRITES_AHEAD = 2


class TileRows:
    """A writer that gathers the rows of a strip to rows of tiles, and writes these in a thread of its own.

    The thread compresses and writes, at most two blocks behind. Leaving the context waits for it; after an
    error the blocks that wait are dropped.
    """

    def __init__(self, write: Callable[[int, int, NDArray[np.uint8]], None], height: int, tile: int) -> None:
        """Start the thread.

        Args:
            write: takes first row, first column and a block (…, h, w) that starts and ends at tile edges, or
                at the raster's; called from one thread.
            height: rows of the raster.
            tile: rows of a tile.
        """
        self._write, self._height, self._tile = write, height, tile
        self._buffer: NDArray[np.uint8] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._waiting: deque[Future[None]] = deque()

    def add(self, y: int, x: int, rows: NDArray[np.uint8]) -> None:
        """Take the next rows of a strip, without gaps.

        Args:
            y: first row.
            x: first column of the strip.
            rows: (…, h, w) uint8.
        """
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
        while len(self._waiting) >= _WRITES_AHEAD:
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
    """An error of the thread, on its way to the consumer."""

    error: BaseException


_END = object()


def prefetch[T](items: Iterable[T], depth: int = 2) -> Generator[T]:
    """Iterate in a thread, ahead of the consumer.

    An error of the thread is raised in the consumer. The thread also ends when the consumer stops early and
    closes the generator.

    Args:
        items: produced in the thread.
        depth: items that the thread is ahead, at most.

    Yields:
        The items, in order.
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
