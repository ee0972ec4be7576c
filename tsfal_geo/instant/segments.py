"""Pure segments of cells, the questions of the instant model, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.queries.regions import connected_regions
from tsfal_geo.refinement.support import CELL

CLUSTERS = 64
_LARGEST = 64
LEADING = 16
"""Components whose variance tells a mixed segment from a pure one."""

Cells = NDArray[np.floating]
Array = NDArray[Any]


@dataclass(frozen=True)
class Traits:
    """Properties of R segments that are known before they are asked.

    Attributes:
        cells: (R,) int64, number of cells.
        spread: (R,) float64, variance of the leading components among the cells; 0 of a single cell.
        margin: (R,) float64, mean lead of the best class over the next, 0 to 1; ½ without a model.
        entropy: (R,) float64, mean entropy of the class probabilities in nats; 0 without a model.
    """

    cells: NDArray[np.int64]
    spread: NDArray[np.float64]
    margin: NDArray[np.float64]
    entropy: NDArray[np.float64]

    def columns(self) -> NDArray[np.float64]:
        """Return (R, 3) logarithm of the cells, logarithm of the spread, and margin."""
        return np.stack([np.log(self.cells), np.log(self.spread + 1e-3), self.margin], 1)

    @classmethod
    def predicted(
        cls, cells: NDArray[np.int64], spread: NDArray[np.float64], probabilities: NDArray[np.floating]
    ) -> Traits:
        """Return the traits of segments under a new model.

        Args:
            cells: (R,) number of cells.
            spread: (R,) variance of the leading components.
            probabilities: (R, C) of the mean components.
        """
        own = np.asarray(probabilities, np.float64)
        best = np.partition(own, -2, axis=1) if own.shape[1] > 1 else np.pad(own, ((0, 0), (1, 0)))
        entropy = -(own * np.log(own.clip(1e-12))).sum(1)
        return cls(cells, spread, best[:, -1] - best[:, -2], entropy)

    def take(self, rows: NDArray[np.int64]) -> Traits:
        """Return the traits of some segments."""
        return Traits(self.cells[rows], self.spread[rows], self.margin[rows], self.entropy[rows])


Value = Callable[[Traits], NDArray[np.float64]]
"""The worth of an answer to each of R segments, (R,), larger is better."""


@dataclass(frozen=True)
class Segments:
    """Segments of one piece of a scene that may be asked.

    Attributes:
        piece: position of the piece.
        numbers: (R,) int64, their numbers in the piece's segmentation, from 1.
        pixels: (R,) int64, pixels that the annotator labels.
        means: (R, K) float32, mean components.
        predicted: (R,) int64 class predicted for most cells; −1 without a model.
        worth: (R,) float32, expected gain of an answer, larger is better.
        traits: of the segments.
    """

    piece: int
    numbers: NDArray[np.int64]
    pixels: NDArray[np.int64]
    means: NDArray[np.float32]
    predicted: NDArray[np.int64]
    worth: NDArray[np.float32]
    traits: Traits


class Segmentation:
    """Over-segmentation of scenes by clusters of features, which edges of the ground separate.

    A segment is a connected set of cells of one cluster, without the cells that touch another cluster: these
    hold the borders of objects, where a segment would not be pure. With a model, segments end where the
    predicted class changes as well.

    Args:
        sample: (n, K) cells of all scenes.
        seed: of the clusters.
    """

    def __init__(self, sample: Cells, seed: int) -> None:
        # scikit-learn takes seconds to import.
        from sklearn.cluster import MiniBatchKMeans

        count = min(CLUSTERS, len(np.unique(sample, axis=0)))
        self._clusters = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=4096)
        self._clusters.fit(np.asarray(sample, np.float32))

    def segment(
        self, cells: Cells, predicted: NDArray[np.uint8] | None, askable: NDArray[np.integer]
    ) -> NDArray[np.int32]:
        """Segment a scene, or a piece of one.

        Args:
            cells: (h, w, K), NaN where there is no data.
            predicted: (h, w) uint8 class indices; None without a model.
            askable: (h, w) integer, pixels of each cell that a query may contain.

        Returns:
            (h, w) int32, numbered from 1; 0 outside segments.
        """
        known = np.isfinite(cells[..., 0])
        kind = np.zeros(known.shape, np.int64)
        kind[known] = 1 + self._clusters.predict(np.asarray(cells[known], np.float32))
        if predicted is not None:
            kind = np.where(known, kind + (CLUSTERS + 1) * predicted.astype(np.int64), 0)
        inside = known & (askable == CELL * CELL)
        for axis in (0, 1):
            same = np.diff(kind, axis=axis) == 0
            before = np.pad(same, [(1, 0) if a == axis else (0, 0) for a in (0, 1)], constant_values=True)
            after = np.pad(same, [(0, 1) if a == axis else (0, 0) for a in (0, 1)], constant_values=True)
            inside &= before & after
        # Neighbouring cores differ in kind only where a border lies between them, so that a number a
        # cluster is enough.
        cluster = ((kind - 1) % (CLUSTERS + 1)).clip(0).astype(np.uint8)
        return connected_regions(inside, cluster, askable, CELL * CELL, _LARGEST)


def describe(
    piece: int,
    numbers: NDArray[np.int32],
    cells: Cells,
    probabilities: NDArray[np.float32] | None,
    askable: NDArray[np.integer],
    value: Value,
    most: int = 1000,
) -> Segments:
    """Describe the segments of a piece of a scene, the most worthy ones only.

    Args:
        piece: its position.
        numbers: (h, w) int32 segments.
        cells: (h, w, K).
        probabilities: (h, w, C) of the model; None without one.
        askable: (h, w) integer, pixels of each cell that a query may contain.
        value: of an answer.
        most: segments that are kept.
    """
    inside = numbers > 0
    index = numbers[inside].astype(np.int64) - 1
    count = np.bincount(index)
    order = np.argsort(index, kind="stable")
    starts = np.r_[0, np.cumsum(count)[:-1]]

    def mean(values: Array) -> Array:
        divisor = count if values.ndim == 1 else count[:, None]
        return np.add.reduceat(values[order], starts, axis=0) / divisor if len(count) else values[:0]

    values = np.asarray(cells[inside], np.float32)
    means = mean(values)
    leading = values[:, :LEADING].astype(np.float64)
    spread = (mean(leading**2) - mean(leading) ** 2).sum(1).clip(0)
    predicted: Array = np.full(len(count), -1, np.int64)
    margin: Array = np.full(len(count), 0.5)
    entropy: Array = np.zeros(len(count))
    if probabilities is not None and len(count):
        own = np.asarray(probabilities[inside], np.float64)
        best = np.partition(own, -2, axis=1) if own.shape[1] > 1 else np.pad(own, ((0, 0), (1, 0)))
        margin = mean(best[:, -1] - best[:, -2])
        entropy = mean(-(own * np.log(own.clip(1e-12))).sum(1))
        predicted = mean(own).argmax(1)
    traits = Traits(count, spread, margin, entropy)
    worth = value(traits)
    kept = np.sort(np.argsort(-worth, kind="stable")[:most])
    pixels = np.bincount(index, askable[inside]).astype(np.int64)
    return Segments(
        piece,
        kept + 1,
        pixels[kept],
        means[kept].astype(np.float32),
        predicted[kept],
        worth[kept].astype(np.float32),
        traits.take(kept),
    )


def single_cells(askable: NDArray[np.integer]) -> NDArray[np.int32]:
    """Make a segment of each cell, for questions that are points.

    Args:
        askable: (h, w) integer, pixels of each cell that a query may contain.

    Returns:
        (h, w) int32, numbered from 1; 0 where a part of a cell may not be asked.
    """
    whole = askable == CELL * CELL
    return np.where(whole, whole.cumsum().reshape(whole.shape), 0).astype(np.int32)
