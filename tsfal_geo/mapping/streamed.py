"""Wall-to-wall prediction of a scene as one image, whose rows go through the network as they are read.

The network starts at the first row within its reach of a valid pixel and runs over the columns within its
reach of one. As these columns change from band to band, the rows that its layers hold are widened by zeros or
cut. No valid pixel depends on such a column, because the network runs over all that it reads for one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.inference.compute import is_out_of_memory, limit_arenas
from tsfal_geo.inference.rows.model import RowModel
from tsfal_geo.inference.rows.network import RowStream
from tsfal_geo.mapping.pipeline import prefetch
from tsfal_geo.mapping.windowed import ROWS_AT_ONCE, Block, LayerRows, RowSink
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import Patch, PatchReader
from tsfal_geo.raster.write import BLOCK

_WIDEST = 12288  # pixels of a strip, at most
_STEP = 256  # the network's columns start and end at multiples of it, so that they seldom change
_TALLEST = 512  # rows of a band, at most


def stream_scene(
    reader: PatchReader,
    scene_index: int,
    model: RowModel,
    *,
    channels: Mapping[str, int],
    on_rows: RowSink,
    block: Block | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Predict every pixel of a scene as one image, and pass each to ``on_rows`` exactly once.

    Only columns and rows within the network's reach of a valid pixel are computed. Scenes wider than 12288
    pixels are predicted in strips. Strips and blocks have a margin as wide as the network's reach. Where the
    device's memory does not suffice, the bands of rows are halved.

    Args:
        reader: reads the scenes; used by one thread at a time.
        scene_index: position among the reader's scenes.
        model: the network.
        channels: name and number of channels of each layer that the model gives.
        on_rows: takes the finished rows.
        block: predict these pixels alone.
        progress: takes the share of the scene that is done.

    Raises:
        RasterError: the scene cannot be read.
        ValueError: the model gives other layers.
    """
    limit_arenas()
    scene = reader.scenes[scene_index]
    for area in [block] if block is not None else _strips(scene.height, scene.width):
        sink = _Sink(area, on_rows, channels)
        step = _band_rows(model, area, scene.width)
        while True:
            try:
                _run(reader, scene_index, model, sink, step, _shared(progress, area, scene.width))
                break
            except RuntimeError as error:
                if step == model.network.multiple or not is_out_of_memory(error):
                    raise
            # Emitted rows stay emitted; the network starts again above the next one.
            step = max(model.network.multiple, step // 2 // model.network.multiple * model.network.multiple)
            torch.cuda.empty_cache()


def _strips(height: int, width: int) -> Iterator[Block]:
    count = -(-width // _WIDEST)
    pixels = -(-width // count // BLOCK) * BLOCK
    for x in range(0, width, pixels):
        yield Block(0, x, height, min(x + pixels, width))


def _band_rows(model: RowModel, area: Block, width: int) -> int:
    multiple = model.network.multiple
    columns = min(area.x1 - area.x0 + 2 * model.network.reach, width)
    return max(multiple, min(model.pixels // columns, _TALLEST) // multiple * multiple)


def _shared(progress: Callable[[float], None] | None, area: Block, width: int) -> Callable[[float], None]:
    if progress is None:
        return lambda share: None
    return lambda share: progress((area.x0 + share * (area.x1 - area.x0)) / width)


class _Sink:
    """The rows of an area, emitted in order with their valid pixels.

    Attributes:
        area: the pixels to emit.
        y: the next row to emit.
    """

    def __init__(self, area: Block, on_rows: RowSink, channels: Mapping[str, int]) -> None:
        self.area, self.y = area, area.y0
        self._on_rows, self._channels = on_rows, channels

    def emit(self, valid: NDArray[np.bool_], layers: Mapping[str, Tensor], left: int) -> None:
        """Emit the next rows.

        Args:
            valid: (h, columns of the area) bool.
            layers: per layer (1, channels, h, width) from column ``left`` on; none where nothing is valid.
            left: a column of the scene; the layers' columns may extend beyond the area, or not fill it.
        """
        area = self.area
        for top in range(0, len(valid), ROWS_AT_ONCE):
            rows = slice(top, top + ROWS_AT_ONCE)
            found = {}
            if layers and valid[rows].any():
                found = {name: self._columns(v[0, :, rows], left).float() for name, v in layers.items()}
                if {name: len(values) for name, values in found.items()} != dict(self._channels):
                    raise ValueError(f"layers are {list(found)}, expected {dict(self._channels)}")
            self._on_rows(LayerRows(self.y, area.x0, found, valid[rows]))
            self.y += len(valid[rows])

    def _columns(self, values: Tensor, left: int) -> Tensor:
        pad = left - self.area.x0, self.area.x1 - left - values.shape[2]
        # Padding by nothing would copy.
        return F.pad(values, pad) if any(pad) else values


def _run(
    reader: PatchReader,
    scene_index: int,
    model: RowModel,
    sink: _Sink,
    step: int,
    progress: Callable[[float], None],
) -> None:
    """Predict the rows that the sink has not emitted yet, in bands of ``step`` rows."""
    scene, area, network = reader.scenes[scene_index], sink.area, model.network
    multiple = network.multiple
    reach = -(-network.reach // multiple) * multiple
    end = -(-scene.height // multiple) * multiple
    top = max(0, (sink.y - reach) // multiple * multiple)
    bottom = min(end, -(-(area.y1 + reach) // multiple) * multiple)
    left = max(0, (area.x0 - reach) // multiple * multiple)
    right = min(-(-scene.width // multiple) * multiple, -(-(area.x1 + reach) // multiple) * multiple)

    def read() -> Iterator[Band]:
        for y in range(top, bottom, step):
            patch = reader.read(Window(scene_index, y, left, min(step, bottom - y), right - left))
            yield Band(y, patch)

    stream = _Stream(model, left, right, sink)
    with closing(prefetch(_spanned(read(), reach, right - left))) as bands:
        for band, span in bands:
            stream.push(band, span, band.y + step >= end)
            progress((sink.y - area.y0) / (area.y1 - area.y0))


@dataclass(frozen=True)
class Band:
    """Rows of a scene, as they were read.

    Attributes:
        y: first row.
        patch: their pixels.
    """

    y: int
    patch: Patch

    @property
    def bottom(self) -> int:
        """End of the rows (exclusive)."""
        return self.y + len(self.patch.valid)


Span = tuple[int, int] | None
"""First column and end of the columns (exclusive); None for no columns."""


def _spanned(bands: Iterator[Band], reach: int, width: int) -> Iterator[tuple[Band, Span]]:
    """Give each band with the columns within reach of a valid pixel, of this band or another.

    A band is given once all bands that reach up to it are read.
    """
    waiting: deque[tuple[Band, Span]] = deque()
    above: deque[tuple[int, Span]] = deque()

    def next_band() -> tuple[Band, Span]:
        band, own = waiting.popleft()
        above.append((band.bottom, own))
        while above[0][0] <= band.y - reach:
            above.popleft()
        found = [s for s in (*(s for _, s in above), *(s for _, s in waiting)) if s is not None]
        if not found:
            return band, None
        low = (min(s[0] for s in found) - reach) // _STEP * _STEP
        high = -(-(max(s[1] for s in found) + reach) // _STEP) * _STEP
        return band, (max(0, low), min(width, high))

    for band in bands:
        waiting.append((band, _valid_columns(band.patch.valid)))
        while waiting and waiting[0][0].bottom + reach <= band.bottom:
            yield next_band()
    while waiting:
        yield next_band()


def _valid_columns(valid: NDArray[np.bool_]) -> Span:
    columns = np.flatnonzero(valid.any(0))
    return (int(columns[0]), int(columns[-1]) + 1) if len(columns) else None


class _Stream:
    """The network's run over the bands of an area, over the columns that reach a valid pixel."""

    def __init__(self, model: RowModel, left: int, right: int, sink: _Sink) -> None:
        self._model, self._left, self._sink = model, left, sink
        self._x0, self._x1 = sink.area.x0 - left, sink.area.x1 - left
        self._stream: RowStream | None = None
        self._span = (0, 0)
        self._y = 0
        self._valid: deque[NDArray[np.bool_]] = deque()

    def push(self, band: Band, span: Span, last: bool) -> None:
        """Predict the next band over the columns of ``span``; without columns it is emitted as nodata."""
        sink = self._sink
        skipped = max(0, sink.y - band.y) if not self._valid else 0
        rows = band.patch.valid[skipped : max(0, sink.area.y1 - band.y), self._x0 : self._x1]
        if len(rows):
            self._valid.append(rows)
        if span is None:
            self._stream = None
            self._emit(band.bottom, {})
            return
        if self._stream is None:
            self._stream, self._span, self._y = self._model.network.start(), span, band.y
        elif span != self._span:
            if span[0] >= self._span[1] or span[1] <= self._span[0]:
                # A shift keeps rows only where old and new columns overlap, so those between are added.
                span = min(span[0], self._span[0]), max(span[1], self._span[1])
            width = self._span[1] - self._span[0]
            self._stream.shift(self._span[0] - span[0], span[1] - self._span[1], width)
            self._span = span
        for layers in self._stream.push(self._model.prepare(_batch(band.patch, *span)), last):
            y, self._y = self._y, self._y + next(iter(layers.values())).shape[2]
            layers = {name: values[:, :, max(0, sink.y - y) :] for name, values in layers.items()}
            self._emit(self._y, layers)

    def _emit(self, end: int, layers: Mapping[str, Tensor]) -> None:
        end = min(end, self._sink.area.y1)
        missing = end - self._sink.y
        while missing > 0:
            rows = self._valid.popleft()
            if len(rows) > missing:
                self._valid.appendleft(rows[missing:])
                rows = rows[:missing]
            self._sink.emit(
                rows, {n: v[:, :, : len(rows)] for n, v in layers.items()}, self._left + self._span[0]
            )
            layers = {name: values[:, :, len(rows) :] for name, values in layers.items()}
            missing -= len(rows)


def _batch(patch: Patch, first: int, end: int) -> dict[str, Tensor]:
    columns = slice(first, end)
    batch = {"image": patch.image[:, :, columns], "valid": patch.valid[:, columns]}
    if patch.height is not None:
        batch["height"] = patch.height[:, :, columns]
    return {name: torch.from_numpy(np.ascontiguousarray(values))[None] for name, values in batch.items()}
