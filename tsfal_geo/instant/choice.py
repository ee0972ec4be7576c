"""The choice of questions among the segments of all scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.instant.segments import Cells, Segments
from tsfal_geo.queries.farthest import farthest_points, greedy_k_centre

_SAMPLE = 20_000
_POOL = 4

Rule = Literal["balanced", "covering", "worth"]


def choose(
    segments: Sequence[Segments],
    count: int,
    seed: int,
    rule: Rule = "balanced",
    labelled: Cells | None = None,
) -> list[tuple[int, int]]:
    """Choose questions over all scenes.

    Balanced: of each predicted class the most worthy segments, four times as many as wanted, and among these
    those that lie farthest from each other in the features. Without a model (a cold start) they are the
    segments next to the centres of as many clusters of all segments (k-means), so that they represent what
    the scenes show; arXiv 2401.14555 has centroids ahead of farthest points.

    Covering: each has the largest distance to the labelled cells and all questions before it (Core-set;
    Sener and Savarese 2018); at a cold start as the balanced ones.

    Args:
        segments: of each piece.
        count: of questions, at most.
        seed: of the clusters.
        rule: balanced or covering, as above; worth: the most worthy segments alone.
        labelled: (n, K) components of labelled cells, which a covering has already.

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
    if rule == "worth":
        chosen = np.argsort(-worth, kind="stable")[:count].tolist()
    elif (predicted < 0).all():
        chosen = _central(means, worth, min(count, len(owner)), seed)
    elif rule == "covering":
        chosen = greedy_k_centre(means, labelled, count).tolist()
    else:
        chosen = _balanced(means, worth, predicted, count)
    return [(int(owner[i]), int(place[i])) for i in chosen]


def _central(means: NDArray[np.float32], weights: NDArray[np.float32], count: int, seed: int) -> list[int]:
    if len(means) > _SAMPLE:
        drawn = np.sort(np.random.default_rng(seed).choice(len(means), _SAMPLE, replace=False))
        return [int(drawn[i]) for i in _central(means[drawn], weights[drawn], count, seed)]
    if count >= len(means):
        return [int(i) for i in np.argsort(-weights, kind="stable")]
    # scikit-learn takes seconds to import.
    from sklearn.cluster import KMeans

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
