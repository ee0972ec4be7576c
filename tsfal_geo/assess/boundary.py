"""Boundary F1: the agreement of a map's class outlines with those of the truth (Csurka et al. 2013)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from tsfal_geo.classes import IGNORE

_ROWS = 512

WindowReader = Callable[[int, int], NDArray[np.uint8]]
"""A function from first row and number of rows to class indices (rows, width) uint8, 255 where unknown.

Rows beyond the raster, above or below it, are unknown.
"""


@dataclass(frozen=True)
class BoundaryScore:
    """The score of one class; None where a share has no pixel to be of.

    Attributes:
        precision: share of the map's boundary pixels near one of the truth.
        recall: share of the truth's boundary pixels near one of the map.
        f1: their harmonic mean.
    """

    precision: float | None
    recall: float | None
    f1: float | None


class Boundaries:
    """Counts of boundary pixels, which grow band by band.

    One of a boundary pixel's four neighbours is of another class. Pixels without truth or prediction are left
    out and make no boundary.

    Attributes:
        tolerance: pixels that outlines may be apart.
        counts: (4, C) int64: boundary pixels of the map and of the truth, then those of each that lie within
            ``tolerance`` of the other's.
    """

    def __init__(self, classes: int, tolerance: int) -> None:
        """Start with no pixel.

        Args:
            classes: number of classes C.
            tolerance: pixels that outlines may be apart.
        """
        self.tolerance = tolerance
        self.counts = np.zeros((4, classes), np.int64)
        ramp = np.arange(-tolerance, tolerance + 1)
        self._disc = ramp[:, None] ** 2 + ramp**2 <= tolerance**2

    def add(self, height: int, truth: WindowReader, predicted: WindowReader) -> None:
        """Count a scene.

        Args:
            height: rows of the scene.
            truth: reads the truth, also of rows beyond the scene.
            predicted: reads the map, also of rows beyond the scene.
        """
        # A pixel on a band's rim needs the outlines within the tolerance, and these their neighbours.
        halo = self.tolerance + 1
        for y in range(0, height, _ROWS):
            rows = min(_ROWS, height - y)
            pair = np.stack([predicted(y - halo, rows + 2 * halo), truth(y - halo, rows + 2 * halo)])
            pair[:, (pair == IGNORE).any(0)] = IGNORE
            self._count(pair, slice(halo, halo + rows))

    def scores(self) -> tuple[BoundaryScore, ...]:
        """Compute the scores, by class index."""
        return tuple(_score(*(int(v) for v in column)) for column in self.counts.T)

    def _count(self, pair: NDArray[np.uint8], inside: slice) -> None:
        edges = _edges(pair)
        for index in np.unique(pair[edges]):
            both = edges & (pair == index)
            for side in (0, 1):
                own = both[side, inside]
                near = binary_dilation(both[1 - side], self._disc)[inside]
                self.counts[side, index] += own.sum()
                self.counts[2 + side, index] += (own & near).sum()


def _edges(pair: NDArray[np.uint8]) -> NDArray[np.bool_]:
    edges = np.zeros(pair.shape, bool)
    for axis in (1, 2):
        first = np.moveaxis(pair, axis, 0)
        found = np.moveaxis(edges, axis, 0)
        differ = (first[1:] != first[:-1]) & (first[1:] != IGNORE) & (first[:-1] != IGNORE)
        found[1:] |= differ
        found[:-1] |= differ
    return edges


def _score(mapped: int, real: int, mapped_near: int, real_near: int) -> BoundaryScore:
    precision = mapped_near / mapped if mapped else None
    recall = real_near / real if real else None
    if precision is None and recall is None:
        return BoundaryScore(None, None, None)
    total = (precision or 0.0) + (recall or 0.0)
    return BoundaryScore(
        precision, recall, 2 * (precision or 0.0) * (recall or 0.0) / total if total else 0.0
    )
