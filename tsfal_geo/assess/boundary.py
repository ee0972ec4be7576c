"""Boundary F1: how well class outlines of a map lie on those of the truth (Csurka et al. 2013)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from tsfal_geo.classes import IGNORE

_ROWS = 512

WindowReader = Callable[[int, int], NDArray[np.uint8]]
"""First row and number of rows to class indices (rows, width); 255 where unknown and beyond the raster."""


@dataclass(frozen=True)
class BoundaryScore:
    """One class; None where neither side has a boundary.

    Attributes:
        precision: share of the map's boundary pixels near one of the truth.
        recall: share of the truth's boundary pixels near one of the map.
        f1: their harmonic mean.
    """

    precision: float | None
    recall: float | None
    f1: float | None


class Boundaries:
    """Counts boundary pixels band by band.

    A boundary pixel has one of its four neighbours in another class; pixels without truth or prediction are
    left out and make no boundary.

    Args:
        classes: number of classes.
        tolerance: pixels that outlines may be apart.
    """

    def __init__(self, classes: int, tolerance: int) -> None:
        self.tolerance = tolerance
        # Boundary pixels of map and truth, and those of each near the other.
        self.counts = np.zeros((4, classes), np.int64)
        ramp = np.arange(-tolerance, tolerance + 1)
        self._disc = ramp[:, None] ** 2 + ramp**2 <= tolerance**2

    def add(self, height: int, truth: WindowReader, predicted: WindowReader) -> None:
        """Count a scene.

        Args:
            height: its rows.
            truth: reads class indices; may be asked beyond the scene.
            predicted: likewise.
        """
        halo = self.tolerance + 1
        for y in range(0, height, _ROWS):
            rows = min(_ROWS, height - y)
            pair = np.stack([predicted(y - halo, rows + 2 * halo), truth(y - halo, rows + 2 * halo)])
            pair[:, (pair == IGNORE).any(0)] = IGNORE
            self._count(pair, slice(halo, halo + rows))

    def scores(self) -> tuple[BoundaryScore, ...]:
        """By class index."""
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
