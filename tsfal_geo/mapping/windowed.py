"""Wall-to-wall prediction of a scene in one pass of overlapping windows; rows are emitted once finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.inference.compute import limit_arenas
from tsfal_geo.inference.outputs import PredictFn
from tsfal_geo.mapping.blend import Blender
from tsfal_geo.mapping.pipeline import prefetch
from tsfal_geo.mapping.windows import Strip, strips, touching, window_starts
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import Patch, PatchReader
from tsfal_geo.raster.write import BLOCK

_WIDEST = 12288  # pixels of a strip, at most
ROWS_AT_ONCE = 64
"""Rows that are emitted at a time, at most."""


@dataclass(frozen=True)
class LayerRows:
    """Finished rows of a scene's output layers.

    Attributes:
        y: first pixel row.
        x: first pixel column.
        layers: per layer (channels, h, w) float32 at the raster's resolution, on the network's device; no
            layers where no pixel is valid.
        valid: (h, w) bool; the layers' values are undefined elsewhere.
    """

    y: int
    x: int
    layers: dict[str, Tensor]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """A rectangle of a scene's pixels.

    Attributes:
        y0: first row.
        x0: first column.
        y1: end of the rows (exclusive).
        x1: end of the columns (exclusive).
    """

    y0: int
    x0: int
    y1: int
    x1: int


RowSink = Callable[[LayerRows], None]
"""A function that takes finished rows: strip by strip from the left, each from the top, without gaps."""


def predict_scene(
    reader: PatchReader,
    scene_index: int,
    predict_fn: PredictFn,
    *,
    window: int,
    overlap: float,
    batch: int,
    channels: Mapping[str, int],
    on_rows: RowSink,
    block: Block | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Predict every pixel of a scene by windows, and pass each, blended, to ``on_rows`` exactly once.

    Windows overlap and are weighted by a raised cosine. The last ones are shifted back to the raster's edge,
    beyond which they extend by up to 3 pixels, or by more where the scene is smaller than a window. Windows
    without a valid pixel are skipped. Memory holds a band of rows as high as a window, not the raster. Scenes
    wider than 12288 pixels are predicted in strips, which have the same windows.

    Args:
        reader: reads the scenes; used by one thread at a time.
        scene_index: position among the reader's scenes.
        predict_fn: the network; called with 1 to ``batch`` windows at a time.
        window: pixels a side, a multiple of 4.
        overlap: share of a window that its neighbour covers too.
        batch: windows at a time.
        channels: name and number of channels of each layer that ``predict_fn`` returns.
        on_rows: takes the finished rows.
        block: predict these pixels alone; they have the values that they have in the full scene.
        progress: takes the share of the scene that is done.

    Raises:
        RasterError: the scene cannot be read.
    """
    limit_arenas()
    scene = reader.scenes[scene_index]
    width = scene.width
    starts = window_starts(scene.height, window, overlap)
    y0, y1 = 0, scene.height
    columns = list(strips(width, window, overlap, _WIDEST, BLOCK))
    if block is not None:
        y0, y1 = block.y0, block.y1
        starts = touching(starts, window, y0, y1)
        lefts = touching(window_starts(width, window, overlap), window, block.x0, block.x1)
        columns = [Strip(block.x0, block.x1, lefts)]
    for strip in columns:
        left = strip.starts[0]
        blended_width = strip.starts[-1] + window - left
        blender = Blender(channels, window, left, blended_width, starts[-1] + window)
        blender.discard_above(starts[0])
        finished = _FinishedRows(blender, strip, y0, y1, on_rows)
        with closing(
            prefetch(_read_strip(reader, scene_index, strip, starts, y0, y1, window, batch))
        ) as steps:
            for step in steps:
                if step.starts:
                    blender.add(predict_fn(step.tensors), step.starts)
                finished.emit(step.valid, step.done)
                if progress is not None:
                    share = min(step.done, y1) / y1
                    progress((strip.x0 + share * (strip.x1 - strip.x0)) / width)


@dataclass(frozen=True)
class _Step:
    """A piece of work.

    Attributes:
        starts: (y, x) of the windows to predict; empty for none.
        tensors: their batch.
        valid: the strip's next rows of valid pixels, bool; None for none.
        done: first row of the windows that are yet to come.
    """

    starts: list[tuple[int, int]]
    tensors: dict[str, Tensor]
    valid: NDArray[np.bool_] | None
    done: int


class _FinishedRows:
    """The rows of a strip that are finished, with their valid pixels."""

    def __init__(self, blender: Blender, strip: Strip, y0: int, y1: int, on_rows: RowSink) -> None:
        self._blender, self._strip, self._end, self._on_rows = blender, strip, y1, on_rows
        self._valid = np.zeros((0, strip.x1 - strip.x0), np.bool_)
        self._y = y0

    def emit(self, valid: NDArray[np.bool_] | None, done: int) -> None:
        """Take the next rows of valid pixels, and emit those that no window from row ``done`` on changes."""
        if valid is not None:
            self._valid = np.concatenate([self._valid, valid])
        x0, x1 = self._strip.x0, self._strip.x1
        end = min(self._blender.ready(done), self._end)
        while self._y < end:
            y1 = min(self._y + ROWS_AT_ONCE, end)
            valid, self._valid = np.split(self._valid, [y1 - self._y])
            layers = self._blender.rows(self._y, y1, x0, x1) if valid.any() else {}
            self._on_rows(LayerRows(self._y, x0, layers, valid))
            self._y = y1
        # While no row of a block is finished, windows may follow that start above its first row.
        self._blender.discard_above(min(self._y, end))


def _read_strip(
    reader: PatchReader,
    scene: int,
    strip: Strip,
    tops: tuple[int, ...],
    y0: int,
    y1: int,
    window: int,
    batch: int,
) -> Iterator[_Step]:
    bands = _Bands(reader, scene, strip, window)
    pending: list[tuple[int, int, Patch]] = []
    # A narrow raster fills a batch from several rows of windows; a wide one need not hold two rows for it.
    fill_over_rows = len(strip.starts) < 4 * batch
    valid_end = y0
    for y, following in zip(tops, (*tops[1:], tops[-1] + window), strict=True):
        band = bands.read(y)
        rows = slice(valid_end - y, max(y1 - y, 0))
        new = band.valid[rows, strip.x0 - strip.starts[0] :][:, : strip.x1 - strip.x0]
        yield _Step([], {}, new, pending[0][0] if pending else y)
        valid_end = max(valid_end, min(y + window, y1))
        for x in strip.starts:
            patch = _crop(band, x - strip.starts[0], window)
            if patch.valid.any():
                pending.append((y, x, patch))
            if len(pending) == batch:
                yield _step(pending, y)
                pending = []
        if pending and (y == tops[-1] or not fill_over_rows):
            yield _step(pending, following)
            pending = []
        yield _Step([], {}, None, pending[0][0] if pending else following)


class _Bands:
    """Bands of a window's height, whose pixels are read once: rows shared with the band before are kept."""

    def __init__(self, reader: PatchReader, scene: int, strip: Strip, window: int) -> None:
        self._reader, self._scene, self._window = reader, scene, window
        self._x, self._width = strip.starts[0], strip.starts[-1] + window - strip.starts[0]
        self._last: tuple[int, Patch] | None = None

    def read(self, y: int) -> Patch:
        if self._last is None:
            band = self._reader.read(Window(self._scene, y, self._x, self._window, self._width))
        else:
            above, last = self._last
            kept, end = y - above, above + self._window
            new = self._reader.read(Window(self._scene, end, self._x, kept, self._width))
            band = Patch(
                np.concatenate([last.image[:, kept:], new.image], 1),
                np.concatenate([last.valid[kept:], new.valid]),
                None
                if last.height is None or new.height is None
                else np.concatenate([last.height[:, kept:], new.height], 1),
            )
        self._last = (y, band)
        return band


def _crop(band: Patch, x: int, window: int) -> Patch:
    columns = slice(x, x + window)
    height = None if band.height is None else band.height[:, :, columns]
    return Patch(band.image[:, :, columns], band.valid[:, columns], height)


def _step(pending: list[tuple[int, int, Patch]], done: int) -> _Step:
    patches = [patch for _, _, patch in pending]
    tensors = {
        "image": torch.from_numpy(np.stack([patch.image for patch in patches])),
        "valid": torch.from_numpy(np.stack([patch.valid for patch in patches])),
    }
    if patches[0].height is not None:
        tensors["height"] = torch.from_numpy(np.stack([p.height for p in patches if p.height is not None]))
    return _Step([(y, x) for y, x, _ in pending], tensors, None, done)
