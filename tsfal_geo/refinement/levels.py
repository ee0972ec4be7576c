"""A level whose features are given cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

_STRIP = 64


@dataclass(frozen=True)
class DenseLevel:
    """Features of every cell, (h·w, D)."""

    rows: Tensor

    def means(self, members: ClassCells) -> Tensor:
        """See ``Level``."""
        return self._residuals(members)[1]

    def moments(self, members: ClassCells, per_class: bool) -> Moments:
        """See ``Level``."""
        residuals, means = self._residuals(members)
        fourths = torch.linalg.vector_norm(residuals, dim=1).square().square()
        counts, groups = members.counts, [residuals]
        if per_class:
            groups = list(residuals.split(counts.tolist()))
        scatter = torch.stack([_gram(group) for group in groups])
        sums = torch.stack([part.sum() for part in fourths.split([len(group) for group in groups])])
        return Moments(means, (counts if per_class else counts.sum()[None]).to(means.dtype), scatter, sums)

    def at(self, cells: Tensor) -> DenseCellFeatures:
        """See ``Level``."""
        return DenseCellFeatures.centred(self.rows.index_select(0, cells))

    def _residuals(self, members: ClassCells) -> tuple[Tensor, Tensor]:
        """The members' features minus their class means, class by class, and these means."""
        values = self.rows.index_select(0, members.cells)
        means = self.rows.new_zeros(members.classes, self.rows.shape[1])
        for mean, part in zip(means, values.split(members.counts.tolist()), strict=True):
            if len(part):
                part.sub_(mean.copy_(part.mean(0)))
        return values, means


@dataclass(frozen=True)
class DenseCellFeatures:
    """Features given cell by cell.

    Attributes:
        values: features minus ``origin``, (n, D): large common offsets would cost digits.
        origin: (D,).
    """

    values: Tensor
    origin: Tensor

    @classmethod
    def centred(cls, values: Tensor) -> DenseCellFeatures:
        """Take (n, D) features over; they are centred in place."""
        # Any point among them will do; the mean of a few hundred costs next to nothing.
        some = values[:: max(len(values) // 256, 1)]
        origin = some.mean(0) if len(values) else values.new_zeros(values.shape[1])
        return cls(values.sub_(origin), origin)

    def mapped(self, matrix: Tensor) -> DenseCellFeatures:
        """See ``CellFeatures``."""
        return DenseCellFeatures(self.values @ matrix.T, matrix @ self.origin)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``CellFeatures``."""
        centred = points - self.origin
        norms = torch.linalg.vector_norm(self.values, dim=1).square()
        squares = norms[:, None] + centred.square().sum(1)
        return torch.addmm(squares, self.values, centred.T, alpha=-2).clamp_min_(0)


def _gram(values: Tensor) -> Tensor:
    """VᵀV of (n, D), by strips of its upper triangle: not all of it twice."""
    width = values.shape[1]
    gram = values.new_empty(width, width)
    for start in range(0, width, _STRIP):
        strip = slice(start, start + _STRIP)
        gram[strip, start:] = values[:, strip].T @ values[:, start:]
        gram[strip, :start] = gram[:start, strip].T
    return gram


class CellFeatures(Protocol):
    """Features of one level at n cells of one image."""

    def mapped(self, matrix: Tensor) -> CellFeatures:
        """The level whose features are ``matrix @ x``; ``matrix`` (D', D)."""

    def squared_distances(self, points: Tensor) -> Tensor:
        """‖x_j − p_k‖², (n, K) for ``points`` (K, D)."""


class Level(Protocol):
    """Features of one level all over one image."""

    def means(self, members: ClassCells) -> Tensor:
        """Mean of each class (C, D); zero for a class without cells."""

    def moments(self, members: ClassCells, per_class: bool) -> Moments:
        """Class means, and moments of the residuals from them: of each class, or of all cells together."""

    def at(self, cells: Tensor) -> CellFeatures:
        """Look at distinct cells, (n,) int64 positions on the grid."""


@dataclass(frozen=True)
class ClassCells:
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
