"""Regions of candidate cells: connected, of one class, of a size that an annotator answers with one click.

The paper (Ma, Karakus, Rosin 2025) queries single pixels; regions are our reading, for annotators at a map.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tsfal_geo.refinement.support import CELL

IntArray = NDArray[np.int32]


@dataclass(frozen=True)
class Regions:
    """The R regions of one chip, numbered from 1 in the order of their first cells.

    Attributes:
        labels: (h, w) int32, number of each cell's region; 0 outside regions.
        pixels: (R,) int64, pixels that the annotator would label.
        predicted: (R,) uint8, the class predicted for most of those pixels.
        score: (R,) float32, mean score of those pixels.
    """

    labels: IntArray
    pixels: NDArray[np.int64]
    predicted: NDArray[np.uint8]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)


def cell_regions(candidate: NDArray[np.bool_], askable: NDArray[np.integer]) -> IntArray:
    """Make every candidate cell a region of its own (granularity ``pixels``).

    Args:
        candidate: (h, w) bool.
        askable: (h, w) integer, pixels of each cell that a query may contain; cells without any are left out.

    Returns:
        (h, w) int32, numbered from 1 row by row; 0 outside regions.
    """
    labels = np.zeros(candidate.shape, np.int32)
    chosen = candidate & (askable > 0)
    labels[chosen] = np.arange(1, np.count_nonzero(chosen) + 1)
    return labels


def connected_regions(
    candidate: NDArray[np.bool_],
    predicted: NDArray[np.uint8],
    askable: NDArray[np.integer],
    smallest: int,
    largest: int,
) -> IntArray:
    """Connect candidate cells of one predicted class, and cut large regions (granularity ``regions``).

    Regions below ``smallest`` pixels join a neighbour of their own class, else the neighbour with the longest
    common border, if the sum does not exceed ``largest``. Small regions without such a neighbour are dropped.

    Args:
        candidate: (h, w) bool.
        predicted: (h, w) uint8 class indices.
        askable: (h, w) integer, pixels of each cell that a query may contain.
        smallest: least pixels of a region.
        largest: most pixels of a region, at least the 16 of one cell.

    Returns:
        (h, w) int32, numbered from 1 in the order of their first cells; 0 outside regions.
    """
    chosen = candidate & (askable > 0)
    labels = _split(chosen, predicted)
    labels = _cut(labels, askable, largest)
    labels = _merge(labels, predicted, askable, smallest, largest)
    return renumber(labels)


def regions_with_candidates(labels: IntArray, candidate: NDArray[np.bool_]) -> IntArray:
    """Keep the regions that contain a candidate cell, and renumber them.

    Args:
        labels: (h, w) int32, numbered from 1; 0 outside regions.
        candidate: (h, w) bool.

    Returns:
        (h, w) int32, likewise.
    """
    held = np.zeros(int(labels.max(initial=0)) + 1, bool)
    held[labels[candidate]] = True
    held[0] = False
    return renumber(np.where(held[labels], labels, 0).astype(np.int32))


def measure_regions(
    labels: IntArray,
    predicted: NDArray[np.uint8],
    askable: NDArray[np.integer],
    score: NDArray[np.float32],
) -> Regions:
    """Measure size, predicted class and mean score of regions; cells count by their askable pixels.

    Args:
        labels: (h, w) int32, numbered 1..R; 0 outside regions.
        predicted: (h, w) uint8 class indices.
        askable: (h, w) integer, pixels of each cell that a query may contain.
        score: (h, w) float32.

    Returns:
        The R regions.
    """
    count = int(labels.max(initial=0))
    chosen = labels > 0
    index, weight = labels[chosen] - 1, askable[chosen].astype(np.float64)
    pixels = np.bincount(index, weight, count)
    width = int(predicted[chosen].max(initial=0)) + 1
    votes = np.bincount(index * width + predicted[chosen], weight, count * width).reshape(count, width)
    total = np.bincount(index, weight * score[chosen], count)
    return Regions(
        labels=labels,
        pixels=pixels.astype(np.int64),
        predicted=votes.argmax(1).astype(np.uint8),
        score=(total / np.maximum(pixels, 1)).astype(np.float32),
    )


def region_pixels(labels: IntArray, askable: NDArray[np.bool_]) -> IntArray:
    """Upsample regions from cells to pixels.

    Args:
        labels: (h, w) int32 on the cells.
        askable: (H, W) bool, pixels that a query may contain.

    Returns:
        (H, W) int32 region numbers by nearest neighbour; 0 at pixels that are not askable.
    """
    large = labels.repeat(CELL, 0).repeat(CELL, 1)[: askable.shape[0], : askable.shape[1]]
    return np.where(askable, large, np.int32(0))


def renumber(labels: IntArray) -> IntArray:
    """Renumber regions 1..R in the order of their first cells, row by row.

    Args:
        labels: (h, w) integer; 0 outside regions.

    Returns:
        (h, w) int32; 0 stays.
    """
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.zeros(len(values), np.int32)
    met = np.argsort(np.where(values == 0, -1, first))
    rank[met] = np.arange(len(values)) + (0 if (values == 0).any() else 1)
    return rank[inverse].reshape(labels.shape)


def _split(chosen: NDArray[np.bool_], predicted: NDArray[np.uint8]) -> IntArray:
    """Number connected cells (sharing a side) of one predicted class."""
    return _components(np.where(chosen, predicted.astype(np.int64) + 1, 0))


def _cut(labels: IntArray, askable: NDArray[np.integer], largest: int) -> IntArray:
    """Cut regions above ``largest`` pixels by an even grid of their bounding box into connected parts."""
    sizes = np.bincount(labels.ravel(), askable.ravel().astype(np.float64))
    side = isqrt(largest // (CELL * CELL))
    boxes = ndimage.find_objects(labels)
    tiles = np.zeros(labels.shape, np.int64)
    for region in np.flatnonzero(sizes[1:] > largest) + 1:
        box = boxes[region - 1]
        own = labels[box] == region
        rows, cols = (np.arange(length) * -(-length // side) // length for length in own.shape)
        tiles[box] = np.where(own, rows[:, None] * (cols[-1] + 1) + cols, tiles[box])
    return _components(labels * (tiles.max(initial=0) + 1) + tiles)


def _components(values: NDArray[np.int64]) -> IntArray:
    """Number connected cells (sharing a side) of one value from 1; cells of value 0 stay 0."""
    inside = values > 0
    # One call labels all values: cells lie on a grid twice as fine, with a bridge between equal neighbours.
    fine = np.zeros([2 * length - 1 for length in values.shape], bool)
    fine[::2, ::2] = inside
    fine[1::2, ::2] = inside[1:] & (values[1:] == values[:-1])
    fine[::2, 1::2] = inside[:, 1:] & (values[:, 1:] == values[:, :-1])
    numbered: IntArray = ndimage.label(fine)[0][::2, ::2].astype(np.int32)
    return numbered


def _merge(
    labels: IntArray,
    predicted: NDArray[np.uint8],
    askable: NDArray[np.integer],
    smallest: int,
    largest: int,
) -> IntArray:
    sizes = np.bincount(labels.ravel(), askable.ravel().astype(np.float64)).astype(np.int64)
    sizes[0] = 0
    classes = np.zeros(len(sizes), np.int64)
    classes[labels.ravel()] = predicted.ravel()
    borders = _borders(labels)
    target = np.arange(len(sizes))
    tiny = np.flatnonzero((sizes > 0) & (sizes < smallest))
    for region in tiny[np.lexsort((tiny, sizes[tiny]))]:
        # Earlier joins may have merged this region into another one, or made it large enough.
        if target[region] != region or sizes[region] >= smallest:
            continue
        fitting = [n for n in borders[region] if sizes[n] + sizes[region] <= largest]
        if fitting:
            best = max(fitting, key=lambda n: (classes[n] == classes[region], borders[region][n], -n))
            _join(region, best, borders, sizes)
            target[region] = best
    while (target[target] != target).any():
        target = target[target]
    return np.where(sizes[target] >= smallest, target, 0)[labels].astype(np.int32)


def _join(region: int, into: int, borders: dict[int, Counter[int]], sizes: NDArray[np.int64]) -> None:
    sizes[into] += sizes[region]
    for neighbour, length in borders.pop(region).items():
        del borders[neighbour][region]
        if neighbour != into:
            borders[into][neighbour] += length
            borders[neighbour][into] += length


def _borders(labels: IntArray) -> dict[int, Counter[int]]:
    """Count the cell sides that every two neighbouring regions share, in both directions."""
    count = int(labels.max(initial=0)) + 1
    found: list[NDArray[np.int64]] = []
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        met = (one != other) & (one > 0) & (other > 0)
        first, second = one[met].astype(np.int64), other[met].astype(np.int64)
        found.append(np.minimum(first, second) * count + np.maximum(first, second))
    pairs, lengths = np.unique(np.concatenate(found), return_counts=True)
    borders: dict[int, Counter[int]] = defaultdict(Counter)
    for pair, length in zip(pairs.tolist(), lengths.tolist(), strict=True):
        a, b = divmod(pair, count)
        borders[a][b] += length
        borders[b][a] += length
    return borders
