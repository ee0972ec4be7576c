"""The layers of a network on an image that comes row by row, each holding only the rows it needs again.

Every layer takes the next rows of what it reads and gives the rows that it can finish; put together, what it
gives is what it gives for the whole image at once. Nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Rows = Tensor | None
"""(1, channels, rows, columns); None: no rows yet."""


class RowLayer(Protocol):
    """A layer that works on rows as they come.

    Attributes:
        below: rows of its input below an output row that it waits for.
        ended: whether it has given its last rows. Until then it is asked again, without new rows.
    """

    below: int
    ended: bool

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """Take the next rows of each input, the last ones if ``last``; give those that are finished."""

    def shift(self, left: int, right: int, width: int) -> None:
        """Widen (or, below 0, cut) held rows by pixels on either side of ``width``; zeros come in."""


class Pointwise:
    """A function of single rows. Inputs that come later than others are waited for."""

    below = 0

    def __init__(self, function: Callable[..., Tensor], inputs: int = 1) -> None:
        self.ended = False
        self._function = function
        self._held: list[Rows] = [None] * inputs

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer`."""
        self.ended = last
        if len(new) == 1:
            return None if new[0] is None else self._function(new[0])
        rows = [join_rows(held, fresh) for held, fresh in zip(self._held, new, strict=True)]
        count = min(row_count(r) for r in rows)
        self._held = [rows_from(r, count) for r in rows]
        return self._function(*(r[:, :, :count] for r in rows if r is not None)) if count else None

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer`."""
        self._held = [shift_rows(held, left, right, width) for held in self._held]


class Sliding:
    """A convolution or pooling with a window of several rows, padded by constant rows.

    The rows that waited for those below leave at an image's end no faster than rows came before.

    Args:
        function: works on rows that are already padded above and below, and pads columns itself.
        extent: rows that a window spans.
        stride: rows from one window to the next.
        padding: rows above the first and below the last one.
        fill: their value.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], extent: int, stride: int, padding: int, fill: float = 0
    ) -> None:
        self.below = extent - 1 - padding
        self.ended = False
        self._function, self._extent, self._stride = function, extent, stride
        self._padding, self._fill = padding, fill
        self._held: Rows = None
        self._started = self._closed = False
        self._skip = self._most = 0

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer`."""
        rows = new[0]
        self._most = max(self._most, row_count(rows), self._stride)
        if rows is not None and not self._started:
            rows, self._started = _padded(rows, self._padding, 0, self._fill), True
        rows = join_rows(self._held, rows)
        if rows is not None and last and not self._closed:
            rows, self._closed = _padded(rows, 0, self._padding, self._fill), True
        if rows is not None and self._skip:
            rows, self._skip = rows[:, :, self._skip :], max(0, self._skip - rows.shape[2])
        windows = max(0, (row_count(rows) - self._extent) // self._stride + 1)
        most = self._most // self._stride if last else windows
        self.ended = last and windows <= most
        windows = min(windows, most)
        self._held = rows_from(rows, windows * self._stride)
        self._skip += max(0, windows * self._stride - row_count(rows))
        if rows is None or not windows:
            return None
        return self._function(rows[:, :, : (windows - 1) * self._stride + self._extent])

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer`."""
        self._held = shift_rows(self._held, left, right, width)


class Upsample:
    """Bilinear enlargement (``align_corners=False``) by a whole, even factor or 1."""

    def __init__(self, factor: int) -> None:
        self.below = 1 if factor > 1 else 0
        self.ended = False
        self._factor = factor
        self._above: Rows = None

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer`."""
        self.ended = last
        factor, half = self._factor, self._factor // 2
        if factor == 1:
            return new[0]
        rows = join_rows(self._above, new[0])
        if rows is None or (new[0] is None and not last):
            return None
        # The upper half of the row above went out when it came.
        first = 0 if self._above is None else factor - half
        end = rows.shape[2] * factor - (0 if last else half)
        self._above = rows_from(rows, rows.shape[2] - 1)
        return F.interpolate(rows, scale_factor=factor, mode="bilinear", align_corners=False)[:, :, first:end]

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer`."""
        self._above = shift_rows(self._above, left, right, width)


class LocalAverage:
    """``LocalMean``: the mean over the ``cells`` × ``cells`` around each cell that are in the image."""

    def __init__(self, cells: int) -> None:
        self.below = cells // 2
        self.ended = False
        self._cells = cells
        self._dtype = torch.float32
        self._sums = Sliding(self._sum, cells, 1, cells // 2)
        self._counts = Sliding(self._sum, cells, 1, cells // 2)

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer`."""
        rows, ones = new[0], None
        if rows is not None:
            self._dtype = rows.dtype
            padding = (0, self._cells // 2)
            rows = F.avg_pool2d(rows.float(), (1, self._cells), 1, padding, count_include_pad=False)
            ones = torch.ones(1, 1, rows.shape[2], 1, device=rows.device)
        sums, counts = self._sums.push([rows], last), self._counts.push([ones], last)
        self.ended = self._sums.ended
        if sums is None or counts is None:
            return None
        return (sums / counts).to(self._dtype)

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer`."""
        self._sums.shift(left, right, width)

    def _sum(self, rows: Tensor) -> Tensor:
        return F.avg_pool2d(rows, (self._cells, 1), 1, divisor_override=1)


def row_count(rows: Rows) -> int:
    """Rows that there are."""
    return 0 if rows is None else rows.shape[2]


def join_rows(above: Rows, below: Rows) -> Rows:
    """One above the other."""
    if above is None or below is None:
        return below if above is None else above
    return torch.cat([above, below], 2)


def rows_from(rows: Rows, first: int) -> Rows:
    """The rows from ``first`` on, as a copy."""
    # A copy: a view would keep all rows in memory.
    if rows is None or rows.shape[2] <= first:
        return None
    return rows[:, :, first:].clone()


def _padded(rows: Tensor, above: int, below: int, fill: float) -> Tensor:
    return F.pad(rows, (0, 0, above, below), value=fill) if above or below else rows


def shift_rows(rows: Rows, left: int, right: int, width: int) -> Rows:
    """See `RowLayer.shift`."""
    if rows is None:
        return None
    stride = width // rows.shape[3]
    return F.pad(rows, (left // stride, right // stride))
