"""The segments of all bands of all scenes: descriptions in memory, cells on disk, and queries of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.blocks import BLOCK
from tsfal_geo.instant.segments import Segmentation, Segments, Value, describe, single_cells
from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.rasters import Band

DOUBTFUL = "doubtful, unlike the others"
"""Reason of a query that the model of a round chose."""
_CANDIDATES, _LEAST = 100_000, 20
"""Segments over all bands that may become questions, and the least of one band."""


def most_of(scenes: Sequence[Scene]) -> int:
    """Return the number of segments of a band that may become questions.

    Args:
        scenes: all scenes.
    """
    bands = sum(-(-scene.height // BLOCK) for scene in scenes)
    return max(_LEAST, _CANDIDATES // bands)


class Pieces:
    """The segments of all bands: descriptions in memory, their cells on disk.

    Args:
        skipped: not 255 where people skipped a query or were unsure.
        spool: folder for the cells.
        segmentation: of the scenes; None: nothing is asked.
        value: of an answer.
        most: segments that are kept of a band.
        points: the segments are single cells.

    Attributes:
        found: the segments of each band.
        windows: the pixels of each band.
        centres: (R, 2) float64 row and column of each band's segments in the scene, in pixels.
    """

    def __init__(
        self,
        skipped: LabelReader,
        spool: Path,
        segmentation: Segmentation | None,
        value: Value,
        most: int,
        *,
        points: bool = False,
    ) -> None:
        self._segmentation, self._skipped, self._spool = segmentation, skipped, spool
        self._value, self._most, self._points = value, most, points
        self.found: list[Segments] = []
        self.windows: list[Window] = []
        self.centres: list[NDArray[np.float64]] = []

    def add(self, band: Band, open_pixels: NDArray[np.bool_]) -> None:
        """Segment a band.

        Args:
            band: the band.
            open_pixels: (H, W) bool, pixels with data and without a label.
        """
        if self._segmentation is None:
            return
        asked = open_pixels & (self._skipped.read(band.window) == IGNORE)
        padded = np.pad(asked, ((0, -asked.shape[0] % CELL), (0, -asked.shape[1] % CELL)))
        askable = padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL).sum((1, 3))
        if self._points:
            numbers = single_cells(np.where(np.isfinite(band.cells[..., 0]), askable, 0))
        else:
            predicted = None if band.probabilities is None else band.probabilities.argmax(-1).astype(np.uint8)
            numbers = self._segmentation.segment(band.cells, predicted, askable)
        np.save(self._spool / f"{len(self.found)}.npy", numbers)
        own = describe(
            len(self.found), numbers, band.cells, band.probabilities, askable, self._value, self._most
        )
        self.found.append(own)
        self.windows.append(band.window)
        self.centres.append(_centres(numbers)[own.numbers - 1] * CELL + (band.window.y, band.window.x))

    def numbers(self, piece: int) -> NDArray[np.int32]:
        """Read the segments of a band back, (h, w) int32 on cells."""
        numbers: NDArray[np.int32] = np.load(self._spool / f"{piece}.npy")
        return numbers

    def mask(self, piece: int, place: int) -> tuple[NDArray[np.bool_], int, int]:
        """Return a segment's pixels: mask (h, w) bool, row and column of its first pixel in the band.

        Args:
            piece: position of the band.
            place: of the segment in the band's.
        """
        inside = self.numbers(piece) == self.found[piece].numbers[place]
        rows, columns = np.nonzero(inside)
        top, left = int(rows.min()), int(columns.min())
        cut = inside[top : rows.max() + 1, left : columns.max() + 1]
        return cut.repeat(CELL, 0).repeat(CELL, 1), top * CELL, left * CELL


def piece_query(
    context: RoundContext,
    pieces: Pieces,
    segment: tuple[int, int],
    qid: str,
    number: int,
    rank: int,
    *,
    reason: str,
) -> Query:
    """Make a query of a segment.

    Args:
        context: the workspace.
        pieces: hold the segment.
        segment: positions of its band, and of itself in the band's segments.
        qid: of the query.
        number: of its round.
        rank: 1 for the query that is asked first.
        reason: that a person reads.
    """
    piece, place = segment
    mask, y, x = pieces.mask(piece, place)
    window, own = pieces.windows[piece], pieces.found[piece]
    scene, size = context.inputs.scenes[window.scene], context.config.data.chip_size
    predicted = int(own.predicted[place])
    return Query(
        qid=qid,
        round=number,
        scene=scene.name,
        chip=f"{(window.y + y) // size}-{x // size}",
        rank=rank,
        score=float(own.worth[place]),
        reason=reason,
        suggested=int(context.inputs.classes.ids[predicted]) if predicted >= 0 else None,
        pixels=int(np.count_nonzero(mask)),
        geometry=region_polygon(mask, scene.grid, window.y + y, x),
    )


def _centres(numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the mean row and column of each number from 1 on, (R, 2)."""
    rows, columns = np.nonzero(numbers)
    index = numbers[rows, columns] - 1
    count = np.bincount(index)
    return np.stack([np.bincount(index, rows) / count, np.bincount(index, columns) / count], 1)
