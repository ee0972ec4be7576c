"""Cells and their classes, and what is summed over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Members:
    """Cells of one image's grid that have a class; n of them.

    Attributes:
        grid: class of every cell, row by row, (h·w,) uint8; 255 where a cell has none.
        classes: C.
    """

    grid: Tensor
    classes: int

    @cached_property
    def cells(self) -> Tensor:
        """Positions on the grid, those of one class after those of the class before, (n,) int64."""
        return self.planes.nonzero()[:, 1]

    @cached_property
    def planes(self) -> Tensor:
        """Where a cell of a class is, (C, h·w) bool."""
        return (
            self.grid == torch.arange(self.classes, dtype=self.grid.dtype, device=self.grid.device)[:, None]
        )

    @cached_property
    def counts(self) -> Tensor:
        """Cells of each class, (C,) int64."""
        return self.planes.sum(1)


@dataclass(frozen=True)
class Moments:
    """First, second and fourth moments of cells; G, the groups of them, is 1 (all classes pooled) or C.

    Attributes:
        means: of each class, (C, D); zero for a class without cells.
        counts: cells of each group, (G,) float.
        scatter: Σ r rᵀ of the residuals r from the class means, (G, D, D).
        fourth: Σ ‖r‖⁴, (G,): with ``scatter`` all that Ledoit–Wolf needs.
    """

    means: Tensor
    counts: Tensor
    scatter: Tensor
    fourth: Tensor
