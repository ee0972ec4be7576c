"""S4AL's regions: the most uncertain squares of each chip (Rangnekar et al. 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register

GRID = 16


@register
class S4alRegions(Strategy):
    """Squares of a 16 × 16 grid over the chip (43 pixels at 688, 32 at 512) of the highest mean entropy.

    Of each chip the best four come before any other square, whatever the granularity.
    """

    name = "s4al"
    reason = "uncertain square"
    per_chip = 4

    def regions(self, askable: NDArray[np.integer]) -> NDArray[np.int32]:
        """Squares with something to ask."""
        return grid_squares(askable)

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Entropy in 0..1."""
        return CellScores(entropy(outputs.probs), outputs.askable > 0)


def grid_squares(askable: NDArray[np.integer], grid: int = GRID) -> NDArray[np.int32]:
    """Squares of a grid over (h, w) cells, numbered from 1 row by row; 0 where nothing may be asked.

    Squares without anything to ask get no number. Borders follow the cells: where the grid does not divide
    them, squares differ by a cell a side.
    """
    rows, columns = (np.arange(length) * grid // length for length in askable.shape)
    squares = rows[:, None] * grid + columns
    chosen = askable > 0
    labels = np.zeros(askable.shape, np.int32)
    labels[chosen] = np.unique(squares[chosen], return_inverse=True)[1] + 1
    return labels
