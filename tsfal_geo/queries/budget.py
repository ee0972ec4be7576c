"""Budget of a round, in unique valid pixels: every pixel belongs to one chip, and queries never overlap.

No running total is kept: each round counts the spent pixels from the labels on disk. A round that is
interrupted and run again is therefore charged once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE


@dataclass(frozen=True)
class Budget:
    """Pixels that a round may query.

    Attributes:
        total: valid pixels of the training scenes.
        spent: labelled pixels among them, each counted once.
        goal: labelled share after the last round, in 0..1.
        remaining: pixels that this round's queries may have together.
        last: True where no later round selects queries.
    """

    total: int
    spent: int
    goal: float
    remaining: int
    last: bool


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


def affordable(pixels: NDArray[np.int64], allowance: int) -> NDArray[np.int64]:
    """Choose queries greedily, best first, within an allowance.

    A query that no longer fits is passed over and the next one tried, so that little is left unspent. Queries
    without pixels are never chosen.

    Args:
        pixels: (n,) int64, size of each query, best first.
        allowance: pixels that the chosen queries may have together.

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
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
