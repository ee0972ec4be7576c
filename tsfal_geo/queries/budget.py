"""Budget of a round, in unique valid pixels and in annotators' effort.

Every pixel belongs to one chip, and queries never overlap.

No running total is kept: each round counts what is spent from the labels on disk. A round that is interrupted
and run again is therefore charged once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Budget:
    """Pixels that a round may query, and effort that its answers may take.

    Attributes:
        total: valid pixels of the training scenes.
        spent: labelled pixels among them, each counted once.
        goal: labelled share after the last round, in 0..1.
        remaining: pixels that this round's queries may have together.
        last: True where no later round selects queries.
        answers: answers that this round's queries may take together; None: no limit.
        seconds: of annotators' time that they may take; None: no limit.
        query_answers: answers that a query takes, as far as is known.
        query_seconds: of annotators' time that a query takes, as far as is known.
    """

    total: int
    spent: int
    goal: float
    remaining: int
    last: bool
    answers: int | None = None
    seconds: float | None = None
    query_answers: float = 1.0
    query_seconds: float = 2.0

    @property
    def most_queries(self) -> int | None:
        """Most queries that the answers and seconds pay for, the last perhaps in part; None: no limit."""
        limits = []
        if self.answers is not None:
            limits.append(math.ceil(self.answers / self.query_answers - _TOLERANCE))
        if self.seconds is not None:
            limits.append(math.ceil(self.seconds / self.query_seconds - _TOLERANCE))
        return min(limits) if limits else None

    @property
    def open(self) -> bool:
        """True if this round may select a query."""
        return self.remaining > 0 and self.most_queries != 0


def askable_pixels(
    valid: NDArray[np.bool_],
    labels: NDArray[np.uint8],
    skipped: NDArray[np.uint8],
    part: tuple[slice, slice],
) -> NDArray[np.bool_]:
    """Find the pixels of a chip that a query may contain.

    Args:
        valid: (H, W) bool, pixels with image data.
        labels: (H, W) uint8 class indices, 255 without a label.
        skipped: (H, W) uint8, 255 except where an annotator skipped a query.
        part: rows and columns of the chip that no other chip owns.

    Returns:
        (H, W) bool: valid, unlabelled, not skipped and owned by the chip.
    """
    askable = np.zeros_like(valid)
    askable[part] = valid[part] & (labels[part] == IGNORE) & (skipped[part] == IGNORE)
    return askable


def affordable(pixels: NDArray[np.int64], allowance: int, most: int | None = None) -> NDArray[np.int64]:
    """Choose queries greedily, best first, within an allowance.

    A query that no longer fits is passed over and the next one tried, so that little is left unspent. Queries
    without pixels are never chosen.

    Args:
        pixels: (n,) int64, size of each query, best first.
        allowance: pixels that the chosen queries may have together.
        most: number of queries at most; None: no limit.

    Returns:
        (k,) int64 positions in ``pixels``, ascending; their sizes add up to ``allowance`` at most.
    """
    waiting = np.flatnonzero((pixels > 0) & (pixels <= allowance))
    chosen = []
    while len(waiting):
        total = np.cumsum(pixels[waiting])
        count = int(np.searchsorted(total, allowance, side="right"))
        chosen.append(waiting[:count])
        allowance -= int(total[count - 1])
        rest = waiting[count:]
        waiting = rest[pixels[rest] <= allowance]
    return np.concatenate(chosen)[:most] if chosen else np.zeros(0, np.int64)
