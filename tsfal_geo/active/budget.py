"""The budget, counted in unique valid pixels.

Nothing is ever added up over time: ``spent`` is counted anew from the labels that are there, each pixel once,
by the one chip that owns it. So a round that is interrupted and run again cannot be charged twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.raster.chips import Chip


@dataclass(frozen=True)
class Ledger:
    """Pixels of the training scenes, each counted once.

    Attributes:
        valid: all valid pixels.
        spent: labelled ones among them.
    """

    valid: int = 0
    spent: int = 0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(self.valid + other.valid, self.spent + other.spent)

    @property
    def share(self) -> float:
        """Labelled share of the valid pixels."""
        return self.spent / self.valid if self.valid else 0.0

    def remaining(self, budget: float) -> int:
        """Pixels that may still be labelled until the share ``budget``, never below 0."""
        return max(int(np.floor(budget * self.valid + 1e-9)) - self.spent, 0)

    def allowance(self, budget: float, rounds_left: int) -> int:
        """This round's pixels when the rest is spread over ``rounds_left`` rounds, this one included."""
        return self.remaining(budget) // max(rounds_left, 1)


def owned_part(chip: Chip, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a chip's own array that no earlier chip of its scene holds.

    Chips of the last row and column are shifted back over their neighbours. Giving every pixel to the first
    chip that holds it makes the chips a partition of the scene: no pixel is asked or counted twice.
    """
    top, left = chip.row * chip.size - chip.y, chip.col * chip.size - chip.x
    bottom, right = min(chip.size, height - chip.y), min(chip.size, width - chip.x)
    return slice(top, bottom), slice(left, right)


def count_chip(valid: NDArray[np.bool_], labels: NDArray[np.uint8], part: tuple[slice, slice]) -> Ledger:
    """Count one chip's own pixels; sum the result over all chips, labelled or not.

    Args:
        valid: (H, W) pixels that count: no nodata, no void.
        labels: (H, W) all labels there are, 255 where there is none.
        part: the chip's ``owned_part``.
    """
    own = valid[part]
    return Ledger(int(np.count_nonzero(own)), int(np.count_nonzero(own & (labels[part] != IGNORE))))


def askable_pixels(
    valid: NDArray[np.bool_], labels: NDArray[np.uint8], part: tuple[slice, slice]
) -> NDArray[np.bool_]:
    """Pixels of a chip that may be asked: valid, unlabelled and its own, (H, W)."""
    askable = np.zeros_like(valid)
    askable[part] = valid[part] & (labels[part] == IGNORE)
    return askable


def take(pixels: NDArray[np.int64], allowance: int) -> NDArray[np.int64]:
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
