"""Cells and their classes, and what is summed over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE


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
        """Positions on the grid, (n,) int64."""
        return (self.grid != IGNORE).nonzero()[:, 0]

    @cached_property
    def labels(self) -> Tensor:
        """Class of each of ``cells``, (n,) int64."""
        return self.grid[self.cells].long()

    @cached_property
    def counts(self) -> Tensor:
        """Cells of each class, (C,) int64."""
        return torch.bincount(self.labels, minlength=self.classes)

    def of_class(self, label: int) -> Members:
        """The cells of one class."""
        return Members(torch.where(self.grid == label, self.grid, IGNORE), self.classes)

    def one_hot(self, labels: Tensor, like: Tensor) -> Tensor:
        """1 where an element of ``labels`` (n,) is of a class, (C, n), dtype of ``like``."""
        names = torch.arange(self.classes, dtype=labels.dtype, device=labels.device)
        return (labels == names[:, None]).to(like.dtype)


@dataclass(frozen=True)
class Moments:
    """First, second and fourth moments of groups of cells; G is 1 (all classes pooled) or C.

    Attributes:
        counts: cells of each group, (G,) float.
        scatter: Σ r rᵀ of the residuals r from the class means, (G, D, D).
        fourth: Σ ‖r‖⁴, (G,): with ``scatter`` all that Ledoit–Wolf needs.
    """

    counts: Tensor
    scatter: Tensor
    fourth: Tensor
