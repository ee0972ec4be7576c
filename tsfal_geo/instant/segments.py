"""Pure segments of cells, the questions of the instant model, and their choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans

from tsfal_geo.queries.ranking import farthest_points
from tsfal_geo.queries.regions import connected_regions
from tsfal_geo.refinement.support import CELL

CLUSTERS = 64
_SAMPLE = 20_000
_POOL = 4
_LARGEST = 64

Cells = NDArray[np.floating]


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
    """

    piece: int
    numbers: NDArray[np.int64]
    pixels: NDArray[np.int64]
    means: NDArray[np.float32]
    predicted: NDArray[np.int64]
    worth: NDArray[np.float32]


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
    most: int = 1000,
    draw: np.random.Generator | None = None,
) -> Segments:
    """Describe the segments of a piece of a scene, the best ones only.

    The worth of an answer is the doubt that it ends, one minus the mean margin of the two best classes, times
    the logarithm of the segment's size: a second of the annotator buys more cells in a large one, but they
    resemble each other.

    Args:
        piece: its position.
        numbers: (h, w) int32 segments.
        cells: (h, w, K).
        probabilities: (h, w, C) of the model; None without one: the worth is the size alone.
        askable: (h, w) integer, pixels of each cell that a query may contain.
        most: segments that are kept.
        draw: draws the worth, for questions at random; None: the worth is as above.
    """
    inside = numbers > 0
    index = numbers[inside].astype(np.int64) - 1
    count = np.bincount(index)
    values = np.asarray(cells[inside], np.float32)
    order = np.argsort(index, kind="stable")
    starts = np.r_[0, np.cumsum(count)[:-1]]
    means = np.add.reduceat(values[order], starts, axis=0) / count[:, None] if len(count) else values[:0]
    worth = np.log1p(count)
    predicted = np.full(len(count), -1, np.int64)
    if probabilities is not None and len(count):
        own = np.asarray(probabilities[inside], np.float32)[order]
        mean = np.add.reduceat(own, starts, axis=0) / count[:, None]
        best = np.sort(own, axis=1)
        margin = np.add.reduceat(best[:, -1] - best[:, -2], starts) / count
        predicted, worth = mean.argmax(1), worth * (1 - margin)
    if draw is not None:
        worth = draw.random(len(count))
    kept = np.sort(np.argsort(-worth, kind="stable")[:most])
    pixels = np.bincount(index, askable[inside]).astype(np.int64)
    return Segments(
        piece,
        kept + 1,
        pixels[kept],
        means[kept].astype(np.float32),
        predicted[kept],
        worth[kept].astype(np.float32),
    )


def choose(
    segments: list[Segments], count: int, seed: int, *, by_worth: bool = False
) -> list[tuple[int, int]]:
    """Choose questions over all scenes.

    With a model they are balanced over the predicted classes: of each class the most worthy segments, four
    times as many as wanted, and among these those that lie farthest from each other in the features. Without
    one they are the segments next to the centres of as many clusters of all segments (k-means), so that they
    represent what the scenes show (a cold start; arXiv 2401.14555 has centroids ahead of farthest points).

    Args:
        segments: of each piece.
        count: of questions, at most.
        seed: of the clusters.
        by_worth: take the most worthy segments alone, as for questions at random.

    Returns:
        Position in ``segments`` and in its arrays of each question, best first.
    """
    if not segments:
        return []
    owner = np.concatenate([np.full(len(s.numbers), i) for i, s in enumerate(segments)])
    place = np.concatenate([np.arange(len(s.numbers)) for s in segments])
    means = np.concatenate([s.means for s in segments])
    worth = np.concatenate([s.worth for s in segments])
    predicted = np.concatenate([s.predicted for s in segments])
    if not len(owner):
        return []
    if by_worth:
        chosen = np.argsort(-worth, kind="stable")[:count].tolist()
    elif (predicted < 0).all():
        chosen = _central(means, worth, min(count, len(owner)), seed)
    else:
        chosen = _balanced(means, worth, predicted, count)
    return [(int(owner[i]), int(place[i])) for i in chosen]


def _central(means: NDArray[np.float32], weights: NDArray[np.float32], count: int, seed: int) -> list[int]:
    if len(means) > _SAMPLE:
        drawn = np.sort(np.random.default_rng(seed).choice(len(means), _SAMPLE, replace=False))
        return [int(drawn[i]) for i in _central(means[drawn], weights[drawn], count, seed)]
    if count >= len(means):
        return [int(i) for i in np.argsort(-weights, kind="stable")]
    found = KMeans(count, random_state=seed, n_init=1).fit(means, sample_weight=weights)
    distance = ((means - found.cluster_centers_[found.labels_]) ** 2).sum(1)
    sizes = np.bincount(found.labels_, weights, count)
    order = np.argsort(-sizes, kind="stable")
    return [
        int(members[distance[members].argmin()])
        for cluster in order
        if len(members := np.flatnonzero(found.labels_ == cluster))
    ]


def _balanced(
    means: NDArray[np.float32], worth: NDArray[np.float32], predicted: NDArray[np.int64], count: int
) -> list[int]:
    left = {c: np.flatnonzero(predicted == c) for c in np.unique(predicted).tolist()}
    chosen: list[list[int]] = []
    wanted = count
    # Classes with few segments leave their share to the others.
    for done, (_, members) in enumerate(sorted(left.items(), key=lambda item: len(item[1]))):
        quota = min(-(-wanted // (len(left) - done)), len(members))
        pool = members[np.argsort(-worth[members], kind="stable")[: _POOL * quota]]
        spread = pool[farthest_points(torch.from_numpy(means[pool]))][:quota] if quota else pool[:0]
        chosen.append(spread.tolist())
        wanted -= quota
    rounds = max((len(some) for some in chosen), default=0)
    return [some[i] for i in range(rounds) for some in chosen if i < len(some)][:count]
