"""Orders of points in which each lies far from all before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def farthest_points(points: Tensor) -> NDArray[np.int64]:
    """Order points so that each has the largest Euclidean distance to all before it.

    Args:
        points: (n, D) float; the order begins with the first.

    Returns:
        (n,) int64 positions; ties go to the lower position.
    """
    # |a − b|² = |a|² + |b|² − 2ab needs no (n, n, D) differences; centring keeps the cancellation small.
    centred = points.float() - points.float().mean(0)
    squares = centred.square().sum(1)
    distances = np.asarray(squares[:, None] + squares - 2 * (centred @ centred.T))
    order = np.zeros(len(distances), np.int64)
    nearest = distances[0].copy()
    nearest[0] = -np.inf
    for i in range(1, len(order)):
        order[i] = nearest.argmax()
        np.minimum(nearest, distances[order[i]], out=nearest)
        nearest[order[i]] = -np.inf
    return order


def greedy_k_centre(
    points: NDArray[np.float32], centres: NDArray[np.float32] | None, count: int | None = None
) -> NDArray[np.int64]:
    """Order points so that each has the largest cosine distance to the centres and all points before it.

    Args:
        points: (n, D) float32, none of length 0.
        centres: (m, D) float32, covered already; None: the point nearest to the mean direction is the first.
        count: number of points to order; None: all.

    Returns:
        (min(count, n),) int64 positions; ties go to the lower position.
    """
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    if centres is None:
        nearest = np.full(len(unit), np.inf, np.float64)
        start = int((unit @ unit.mean(0)).argmax())
    else:
        covered = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        nearest = 1.0 - (unit @ covered.T).max(1).astype(np.float64)
        start = int(nearest.argmax())
    order: list[int] = []
    for _ in range(len(unit) if count is None else min(count, len(unit))):
        chosen = int(nearest.argmax()) if order else start
        order.append(chosen)
        nearest = np.minimum(nearest, 1.0 - (unit @ unit[chosen]).astype(np.float64))
        nearest[chosen] = -np.inf
    return np.array(order, np.int64)
