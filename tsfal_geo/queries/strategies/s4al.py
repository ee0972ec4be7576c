"""Queries of S4AL: the most uncertain squares of each chip (Rangnekar, Kanan, Hoffman 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register

GRID = 16


@register
class S4alRegions(Strategy):
    """Squares of the highest mean entropy, from a grid of 16 × 16 over the chip.

    A square has 43 pixels a side in chips of 688, as in the authors' code. The best four of each chip come
    before all other squares. The setting ``active.granularity`` has no effect.
    """

    name = "s4al"
    reason = "uncertain square"
    per_chip = 4

    def regions(self, askable: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the squares with askable pixels, (h, w) int32 numbered from 1."""
        return grid_squares(askable)

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by entropy, in 0..1; all askable cells are candidates."""
        return CellScores(entropy(outputs.probs), outputs.askable > 0)


def grid_squares(askable: NDArray[np.integer], grid: int = GRID) -> NDArray[np.int32]:
    """Divide the cells of a chip into the squares of a grid.

    Borders follow the cells: where the grid does not divide their number, sides of squares differ by a cell.

    Args:
        askable: (h, w) integer, pixels of each cell that a query may contain.
        grid: squares in each row and each column of the grid.

    Returns:
        (h, w) int32, numbered from 1 row by row without empty squares; 0 at cells without askable pixels.
    """
    rows, columns = (np.arange(length) * grid // length for length in askable.shape)
    squares = rows[:, None] * grid + columns
    chosen = askable > 0
    labels = np.zeros(askable.shape, np.int32)
    labels[chosen] = np.unique(squares[chosen], return_inverse=True)[1] + 1
    return labels
