"""Weighted sums of overlapping windows, of which only the rows that still change are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tsfal_geo.mapping.windows import window_weights


class Blender:
    """The weighted mean of a strip's windows, row by row, at the raster's resolution.

    Windows come at the raster's resolution or at a stride of 2 or 4, one stride for all layers. They are
    blended at their own stride, and the blend is upsampled bilinearly (``align_corners=False``). Weights and
    upsampling both are linear, so that where one window covers a place the result is that window, upsampled;
    at stride 4 there is 16 times less to blend.
    """

    def __init__(self, layers: Mapping[str, int], window: int, x: int, width: int, height: int) -> None:
        """Start without windows.

        Args:
            layers: name and number of channels of each layer.
            window: pixels along a window.
            x: first pixel column of the blended area, a multiple of the stride.
            width: width of the area in pixels, a multiple of the stride.
            height: pixel rows that all windows together cover, a multiple of the stride.
        """
        self.layers = dict(layers)
        self.window, self.x, self.width, self.height = window, x, width, height
        self.stride = 1
        self._first = 0
        self._top = 0
        self._sums: dict[str, Tensor] = {}
        self._total = torch.zeros(1, 0, 0)
        self._weights = torch.zeros(1, 0, 0)

    def add(self, outputs: Mapping[str, Tensor], starts: Sequence[tuple[int, int]]) -> None:
        """Add windows.

        Args:
            outputs: per layer (N, channels, window / stride, window / stride), of any float dtype and device.
            starts: (y, x) first pixel of each of the N windows, multiples of the stride.

        Raises:
            ValueError: other layers or shapes than expected.
        """
        self._check(outputs, len(starts))
        if not self._sums:
            self._allocate(outputs)
        cells = self.window // self.stride
        self._reserve(max(y for y, _ in starts) // self.stride + cells - self._top)
        places = [self._place(y, x, cells) for y, x in starts]
        for name, values in outputs.items():
            total = self._sums[name]
            for window, (rows, columns) in zip(values.float(), places, strict=True):
                total[:, rows, columns].addcmul_(window, self._weights)
        for rows, columns in places:
            self._total[:, rows, columns] += self._weights

    def ready(self, done: int) -> int:
        """Count the rows from the top that no later window changes.

        Upsampling a pixel row reads the cells half a stride above and below it.

        Args:
            done: first pixel row of the windows that are yet to come.
        """
        return self.height if done >= self.height else max(0, done - self.stride // 2)

    def rows(self, y0: int, y1: int, x0: int, x1: int) -> dict[str, Tensor]:
        """Compute finished rows at the raster's resolution.

        Args:
            y0: first pixel row.
            y1: end of the pixel rows (exclusive), at most `ready`.
            x0: first pixel column.
            x1: end of the pixel columns (exclusive).

        Returns:
            Per layer (channels, y1 - y0, x1 - x0) float32; zero where no window lies. No layers before the
            first window was added.
        """
        rows = self._cells(y0, y1, self.height)
        columns = self._cells(x0 - self.x, x1 - self.x, self.width)
        self._reserve(rows.stop - self._top)
        held = slice(rows.start - self._top, rows.stop - self._top)
        # Cells without a window have no weight and stay 0.
        weights = self._total[:, held, columns].clamp_min(torch.finfo(torch.float32).tiny)
        top, left = y0 - rows.start * self.stride, x0 - self.x - columns.start * self.stride
        result = {}
        for name, sums in self._sums.items():
            blended = sums[:, held, columns] / weights
            if self.stride > 1:
                blended = interpolate(
                    blended[None], scale_factor=self.stride, mode="bilinear", align_corners=False
                )[0]
            result[name] = blended[:, top : top + y1 - y0, left : left + x1 - x0]
        return result

    def discard_above(self, y: int) -> None:
        """Discard the cells that no pixel row from ``y`` on reads.

        Args:
            y: first pixel row that is still to be computed.
        """
        self._first = y
        if not self._sums or y >= self.height:
            return
        first = self._cells(y, y + 1, self.height).start
        gone = first - self._top
        if gone <= 0:
            return
        for tensor in (*self._sums.values(), self._total):
            remaining = tensor[:, gone:].clone()
            tensor[:, : remaining.shape[1]] = remaining
            tensor[:, remaining.shape[1] :] = 0
        self._top = first

    def _cells(self, start: int, stop: int, limit: int) -> slice:
        # The cells that bilinear upsampling reads for these pixels; at the rim it repeats the outermost.
        if self.stride == 1:
            return slice(start, stop)
        half = self.stride // 2
        first = max(0, (start - half) // self.stride)
        return slice(first, min(limit // self.stride, (stop - 1 - half) // self.stride + 2))

    def _place(self, y: int, x: int, cells: int) -> tuple[slice, slice]:
        row, column = y // self.stride - self._top, (x - self.x) // self.stride
        return slice(row, row + cells), slice(column, column + cells)

    def _allocate(self, outputs: Mapping[str, Tensor]) -> None:
        first = next(iter(outputs.values()))
        self.stride = self.window // first.shape[-1]
        cells, width = self.window // self.stride, self.width // self.stride
        self._weights = torch.from_numpy(window_weights(cells)).to(first.device)[None]
        self._total = torch.zeros(1, cells, width, device=first.device)
        self._sums = {
            name: torch.zeros(channels, cells, width, device=first.device)
            for name, channels in self.layers.items()
        }
        # Rows without any window were emitted as zeros before; no window lies above them.
        self._top = self._cells(self._first, self._first + 1, self.height).start

    def _reserve(self, rows: int) -> None:
        missing = rows - self._total.shape[1]
        if missing > 0:
            pad = (0, 0, 0, missing)
            self._total = torch.nn.functional.pad(self._total, pad)
            self._sums = {name: torch.nn.functional.pad(t, pad) for name, t in self._sums.items()}

    def _check(self, outputs: Mapping[str, Tensor], count: int) -> None:
        sides = {tensor.shape[-1] for tensor in outputs.values()}
        expected = {name: (count, channels) for name, channels in self.layers.items()}
        found = {name: tuple(tensor.shape[:2]) for name, tensor in outputs.items()}
        if found != expected:
            raise ValueError(f"layers are {found}, expected {expected} (windows, channels)")
        side = sides.pop()
        if sides or self.window // side not in (1, 2, 4) or self.window % side:
            raise ValueError(f"windows of {side} cells for {self.window} pixels: expected stride 1, 2 or 4")
