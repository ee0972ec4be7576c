"""The budget is counted in unique valid pixels: every pixel belongs to one chip, and queries never overlap.

Nothing is ever added up over time: what is spent is counted anew from the labels that are there. So a round
that is interrupted and run again cannot be charged twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE


def askable_pixels(
    valid: NDArray[np.bool_],
    labels: NDArray[np.uint8],
    aside: NDArray[np.uint8],
    part: tuple[slice, slice],
) -> NDArray[np.bool_]:
    """Pixels of a chip that may be asked: valid, unlabelled, not put aside and its own, (H, W)."""
    askable = np.zeros_like(valid)
    askable[part] = valid[part] & (labels[part] == IGNORE) & (aside[part] == IGNORE)
    return askable


def affordable(pixels: NDArray[np.int64], allowance: int) -> NDArray[np.int64]:
    """Positions, in order, of the queries that the allowance pays for.

    The first that no longer fits is passed over and the next one tried, so that little is left unspent; the
    sum never exceeds the allowance. Queries without pixels are never taken.

    Args:
        pixels: of each query, best first.
        allowance: pixels.
    """
    waiting = np.flatnonzero((pixels > 0) & (pixels <= allowance))
    taken = []
    while len(waiting):
        total = np.cumsum(pixels[waiting])
        count = int(np.searchsorted(total, allowance, side="right"))
        taken.append(waiting[:count])
        allowance -= int(total[count - 1])
        rest = waiting[count:]
        waiting = rest[pixels[rest] <= allowance]
    return np.concatenate(taken) if taken else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Budget:
    """How much may be asked in a round.

    Attributes:
        total: valid pixels of the training scenes.
        spent: labelled ones among them, each counted once.
        goal: labelled share at the end.
        remaining: pixels that this round's queries may have.
        last: whether no later round will ask for more.
    """

    total: int
    spent: int
    goal: float
    remaining: int
    last: bool
