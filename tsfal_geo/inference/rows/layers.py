"""The layers of a network on an image that comes row by row.

A layer takes the next rows of its input and returns the output rows that these complete. Put together, its
outputs are those for the image at once. A layer holds the input rows that outputs still to come read again,
and computes each output row once:

- `Pointwise`: an output row reads the input row of the same number. Nothing is held, unless the function has
  several inputs, of which some arrive earlier than others.
- `Sliding` with extent e, stride s and padding p: output row j reads the padded rows j·s to j·s + e − 1. Of n
  padded rows, w = ⌊(n − e) / s⌋ + 1 windows are complete, and the next one starts at row w·s. As w is the
  largest such number, n < w·s + e: at most e − 1 rows are held.
- `Upsample` by an even factor f, without aligned corners: output row i·f + k lies at input row
  i + (k + ½) / f − ½, thus between the rows i − 1 and i for k < f/2, between i and i + 1 from there on. With
  row i, the rows up to i·f + f/2 − 1 are complete: one row is held.
- `LocalAverage` over c × c cells: the mean over a rectangle is the mean over its rows of their means. Each
  row is averaged as it comes; then the mean over rows is a `Sliding` of extent c, which holds c − 1 rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Rows = Tensor | None
"""(1, channels, rows, columns) of any floating-point type; None for no rows."""


class RowLayer(Protocol):
    """A layer that works on rows as they come.

    Attributes:
        below: number of its input rows below an output row that this output row reads.
        ended: whether the layer has returned its last rows. Until then it is called again, without new rows.
    """

    below: int
    ended: bool

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """Take the next rows and return those that they complete.

        Args:
            new: the next rows of each input.
            last: whether they end the image.

        Returns:
            The next rows of the output; None if none is complete.
        """

    def shift(self, left: int, right: int, width: int) -> None:
        """Widen the held rows by zeros, or narrow them.

        Args:
            left: pixels of the image that are added on the left; removed below 0.
            right: likewise on the right.
            width: pixels of the image that there were.
        """


class Pointwise:
    """A function of single rows; an input that comes early waits for the others."""

    below = 0

    def __init__(self, function: Callable[..., Tensor], inputs: int = 1) -> None:
        """Take the function.

        Args:
            function: from one tensor of rows an input, all of the same rows, to the output's rows.
            inputs: their number.
        """
        self.ended = False
        self._function = function
        self._held: list[Rows] = [None] * inputs

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer.push`."""
        self.ended = last
        if len(new) == 1:
            return None if new[0] is None else self._function(new[0])
        rows = [join_rows(held, fresh) for held, fresh in zip(self._held, new, strict=True)]
        count = min(row_count(r) for r in rows)
        self._held = [rows_from(r, count) for r in rows]
        return self._function(*(r[:, :, :count] for r in rows if r is not None)) if count else None

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer.shift`."""
        self._held = [shift_rows(held, left, right, width) for held in self._held]


class Sliding:
    """A convolution or pooling whose window spans several rows, padded by constant rows.

    At an image's end the held rows leave over several calls, no faster than rows came before. Otherwise the
    layers above would have to process the rows of all layers below at once.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], extent: int, stride: int, padding: int, fill: float = 0
    ) -> None:
        """Take the function.

        Args:
            function: works on rows that are padded above and below already, and pads columns itself.
            extent: rows that a window spans.
            stride: rows from one window to the next.
            padding: rows above the first one, and below the last one.
            fill: their value.
        """
        self.below = extent - 1 - padding
        self.ended = False
        self._function, self._extent, self._stride = function, extent, stride
        self._padding, self._fill = padding, fill
        self._held: Rows = None
        self._started = self._closed = False
        self._skip = self._most = 0

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer.push`."""
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
        # A stride above the extent leaves rows out, of which some may be yet to come.
        self._skip += max(0, windows * self._stride - row_count(rows))
        if rows is None or not windows:
            return None
        return self._function(rows[:, :, : (windows - 1) * self._stride + self._extent])

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer.shift`."""
        self._held = shift_rows(self._held, left, right, width)


class Upsample:
    """Bilinear upsampling (``align_corners=False``) by an even factor, or by 1."""

    def __init__(self, factor: int) -> None:
        """Take the factor.

        Args:
            factor: output rows and columns to one of the input.
        """
        self.below = 1 if factor > 1 else 0
        self.ended = False
        self._factor = factor
        self._above: Rows = None

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer.push`."""
        self.ended = last
        factor, half = self._factor, self._factor // 2
        if factor == 1:
            return new[0]
        rows = join_rows(self._above, new[0])
        if rows is None or (new[0] is None and not last):
            return None
        # The upper half of the row above was returned when that row came.
        first = 0 if self._above is None else factor - half
        end = rows.shape[2] * factor - (0 if last else half)
        self._above = rows_from(rows, rows.shape[2] - 1)
        return F.interpolate(rows, scale_factor=factor, mode="bilinear", align_corners=False)[:, :, first:end]

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer.shift`."""
        self._above = shift_rows(self._above, left, right, width)


class LocalAverage:
    """The mean over those of the c × c cells around each cell that are in the image, as `LocalMean`."""

    def __init__(self, cells: int) -> None:
        """Take the side.

        Args:
            cells: c, odd.
        """
        self.below = cells // 2
        self.ended = False
        self._cells = cells
        self._dtype = torch.float32
        self._sums = Sliding(self._sum, cells, 1, cells // 2)
        self._counts = Sliding(self._sum, cells, 1, cells // 2)

    def push(self, new: Sequence[Rows], last: bool) -> Rows:
        """See `RowLayer.push`."""
        rows, ones = new[0], None
        if rows is not None:
            self._dtype = rows.dtype
            padding = (0, self._cells // 2)
            rows = F.avg_pool2d(rows.float(), (1, self._cells), 1, padding, count_include_pad=False)
            # The padding above and below the image adds nothing to the sums, nor to the number of rows.
            ones = torch.ones(1, 1, rows.shape[2], 1, device=rows.device)
        sums, counts = self._sums.push([rows], last), self._counts.push([ones], last)
        self.ended = self._sums.ended
        if sums is None or counts is None:
            return None
        return (sums / counts).to(self._dtype)

    def shift(self, left: int, right: int, width: int) -> None:
        """See `RowLayer.shift`; the counts are one column, which holds for every width."""
        self._sums.shift(left, right, width)

    def _sum(self, rows: Tensor) -> Tensor:
        return F.avg_pool2d(rows, (self._cells, 1), 1, divisor_override=1)


def row_count(rows: Rows) -> int:
    """Count rows.

    Args:
        rows: of a layer; None counts 0.
    """
    return 0 if rows is None else rows.shape[2]


def join_rows(above: Rows, below: Rows) -> Rows:
    """Put rows one above the other.

    Args:
        above: the upper rows; None for none.
        below: the lower rows; None for none.
    """
    if above is None or below is None:
        return below if above is None else above
    return torch.cat([above, below], 2)


def rows_from(rows: Rows, first: int) -> Rows:
    """Copy the rows from one of them on; a view would keep all rows in memory.

    Args:
        rows: of a layer.
        first: number of the first row to keep; past the last row, the result is None.
    """
    if rows is None or rows.shape[2] <= first:
        return None
    return rows[:, :, first:].clone()


def shift_rows(rows: Rows, left: int, right: int, width: int) -> Rows:
    """Widen rows by zeros, or narrow them, at their own stride.

    Args:
        rows: of some layer.
        left: pixels of the image that are added on the left; removed below 0.
        right: likewise on the right.
        width: pixels of the image that there were.
    """
    if rows is None:
        return None
    stride = width // rows.shape[3]
    return F.pad(rows, (left // stride, right // stride))


def _padded(rows: Tensor, above: int, below: int, fill: float) -> Tensor:
    return F.pad(rows, (0, 0, above, below), value=fill) if above or below else rows
