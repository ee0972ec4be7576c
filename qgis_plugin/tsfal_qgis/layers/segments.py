"""The segments that the engine found in a round, of which a click takes the one below it."""

from __future__ import annotations

from array import array
from pathlib import Path

from osgeo import gdal

from ..store.workspace import Scene

CELL = 4
"""Side in pixels of the cells that segments consist of."""

_REACH = 64 * CELL  # pixels on each side of a click that are read

Pixel = tuple[int, int]  # (column, row)


class SegmentRaster:
    """The segments of one scene and round.

    Read through GDAL, since QGIS resamples the pixels of a rotated raster.

    Args:
        path: ``segments.tif``; where it does not exist, a click takes its cell.
        scene: the scene.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, scene: Scene) -> None:
        self.path = path
        self._scene = scene
        self._dataset = gdal.Open(str(path)) if path.is_file() else None

    def find(self, pixel: Pixel, steps: int) -> set[Pixel]:
        """Find the segment of a pixel, with its neighbours.

        Segments of different kinds of ground never touch, so that growing stays on one kind.

        Args:
            pixel: as (column, row).
            steps: how many times the segments that touch are added; below 0 for the pixel's cell alone.

        Returns:
            The pixels, as (column, row); those of the pixel's cell outside segments.
        """
        start = pixel[0] // CELL, pixel[1] // CELL
        cells = {start}
        if self._dataset is not None and steps >= 0:
            left, top = max(0, (start[0] * CELL) - _REACH), max(0, (start[1] * CELL) - _REACH)
            width = min(self._scene.width - left, 2 * _REACH)
            height = min(self._scene.height - top, 2 * _REACH)
            window = _Window(left // CELL, top // CELL, width, self._read(left, top, width, height))
            cells = window.grow(start, steps) or cells
        return {
            (column, row)
            for x, y in cells
            for column in range(x * CELL, min((x + 1) * CELL, self._scene.width))
            for row in range(y * CELL, min((y + 1) * CELL, self._scene.height))
        }

    def _read(self, left: int, top: int, width: int, height: int) -> array[int]:
        numbers = array("I")
        numbers.frombytes(self._dataset.ReadRaster(left, top, width, height, buf_type=gdal.GDT_UInt32))
        return numbers


class _Window:
    """The numbers of segments around a click, by cells."""

    def __init__(self, left: int, top: int, width: int, numbers: array[int]) -> None:
        self._left, self._top, self._width = left, top, width
        self._columns, self._rows = -(-width // CELL), -(-len(numbers) // width // CELL)
        self._numbers = numbers

    def grow(self, start: Pixel, steps: int) -> set[Pixel]:
        """Flood the segment of a cell, and step by step those that touch it."""
        if not self._number(start):
            return set()
        found: set[Pixel] = set()
        edge = {start}
        for _ in range(steps + 1):
            inner, edge = edge, set()
            while inner:
                cell = inner.pop()
                if cell in found:
                    continue
                found.add(cell)
                edge.discard(cell)
                for near in _around(cell):
                    number = self._number(near)
                    if number and near not in found:
                        (inner if number == self._number(cell) else edge).add(near)
            edge -= found
        return found

    def _number(self, cell: Pixel) -> int:
        column, row = cell[0] - self._left, cell[1] - self._top
        if not (0 <= column < self._columns and 0 <= row < self._rows):
            return 0
        return self._numbers[row * CELL * self._width + column * CELL]


def _around(cell: Pixel) -> tuple[Pixel, ...]:
    x, y = cell
    return (x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)
