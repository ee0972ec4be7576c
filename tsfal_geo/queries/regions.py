"""From candidate cells to queries: connected regions that one click can answer (method, section 4.7)."""

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
    """Regions of one chip, numbered from 1 in the order of their first cells.

    Attributes:
        labels: (h, w) int32 on the grid of cells; 0 where no region is.
        pixels: pixels that a person would be asked for, (R,) int64.
        predicted: class that most of those pixels are predicted as, (R,) uint8.
        score: mean score of those pixels, (R,) float32.
    """

    labels: IntArray
    pixels: NDArray[np.int64]
    predicted: NDArray[np.uint8]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)


def cell_regions(candidate: NDArray[np.bool_], askable: NDArray[np.integer]) -> IntArray:
    """Every candidate cell with something to ask is a region of its own (granularity ``pixels``)."""
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
    """Connected candidate cells, split along predicted classes, cut where large (granularity ``regions``).

    Regions below ``smallest`` pixels join the neighbour of their own class, else the one with the longest
    common border, unless that would pass ``largest``; those that find none are dropped.

    Args:
        candidate: (h, w) bool.
        predicted: (h, w) class.
        askable: pixels of each cell that may be asked, (h, w).
        smallest: pixels.
        largest: pixels, at least one cell's 16.
    """
    chosen = candidate & (askable > 0)
    labels = _split(chosen, predicted)
    labels = _cut(labels, askable, largest)
    labels = _merge(labels, predicted, askable, smallest, largest)
    return renumber(labels)


def regions_with_candidates(labels: IntArray, candidate: NDArray[np.bool_]) -> IntArray:
    """The regions that hold a candidate cell, numbered anew.

    Args:
        labels: (h, w), numbered from 1.
        candidate: (h, w) bool.
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
    """Count pixels, predicted class and mean score of regions numbered 1..R."""
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
    """Regions at full resolution, (H, W): cells enlarged by 4, kept only where a pixel may be asked."""
    large = labels.repeat(CELL, 0).repeat(CELL, 1)[: askable.shape[0], : askable.shape[1]]
    return np.where(askable, large, np.int32(0))


def renumber(labels: IntArray) -> IntArray:
    """Number regions 1..R in the order in which a scan row by row meets them; 0 stays."""
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.zeros(len(values), np.int32)
    met = np.argsort(np.where(values == 0, -1, first))
    rank[met] = np.arange(len(values)) + (0 if (values == 0).any() else 1)
    return rank[inverse].reshape(labels.shape)


def _split(chosen: NDArray[np.bool_], predicted: NDArray[np.uint8]) -> IntArray:
    """Connected cells (sharing a side) of one predicted class."""
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
    """Connected cells (sharing a side) of one value, numbered from 1; 0 stays where the value is 0."""
    inside = values > 0
    # Cells on a grid twice as fine, with a bridge between two neighbours of one value.
    fine = np.zeros([2 * length - 1 for length in values.shape], bool)
    fine[::2, ::2] = inside
    fine[1::2, ::2] = inside[1:] & (values[1:] == values[:-1])
    fine[::2, 1::2] = inside[:, 1:] & (values[:, 1:] == values[:, :-1])
    return ndimage.label(fine)[0][::2, ::2].astype(np.int32)


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
        # A region that others have joined in the meantime may have grown, or gone.
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
    """Length of the common border of every two neighbouring regions, both ways."""
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
