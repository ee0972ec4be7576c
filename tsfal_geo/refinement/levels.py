"""Feature levels of one image: class means, scatters and distances of its cells.

The paper takes features at two levels, F1 and F2 (Ma, Karakus, Rosin, arXiv 2501.19227, equations 6 to 9).
PLAR needs the same three things of both: the class means, the moments of the cells around them, and squared
distances of cells to points. ``DenseLevel`` computes them for features given cell by cell,
``upsampled_level.UpsampledLevel`` for a coarser map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

_STRIP = 64


class Level(Protocol):
    """Features of one level over all h·w cells of one image."""

    def means(self, cells: ClassCells) -> Tensor:
        """Average the features of each class.

        Args:
            cells: cells with a class.

        Returns:
            (C, D); zero for a class without cells.
        """

    def moments(self, cells: ClassCells, per_class: bool) -> Moments:
        """Compute class means, and moments of the residuals from them.

        Args:
            cells: cells with a class.
            per_class: one group of residuals for each class; otherwise one group of all cells.
        """

    def at(self, cells: Tensor) -> CellFeatures:
        """Select cells.

        Args:
            cells: (n,) int64, distinct positions on the grid, row by row.
        """


class CellFeatures(Protocol):
    """Features of one level at n cells of one image."""

    def mapped(self, matrix: Tensor) -> CellFeatures:
        """Return the features ``matrix @ x``.

        Args:
            matrix: (D', D).
        """

    def squared_distances(self, points: Tensor) -> Tensor:
        """Compute ‖x_j − p_k‖² of every cell and point.

        Args:
            points: (K, D).

        Returns:
            (n, K).
        """


@dataclass(frozen=True)
class ClassCells:
    """The n cells of one image's grid that have a class.

    Attributes:
        labels: class of every cell, row by row, (h·w,) uint8; 255 where a cell has none.
        classes: C.
    """

    labels: Tensor
    classes: int

    @cached_property
    def positions(self) -> Tensor:
        """Positions on the grid, class by class, (n,) int64."""
        return self.planes.nonzero()[:, 1]

    @cached_property
    def planes(self) -> Tensor:
        """Membership of every cell in every class, (C, h·w) bool."""
        classes = torch.arange(self.classes, dtype=self.labels.dtype, device=self.labels.device)
        return self.labels == classes[:, None]

    @cached_property
    def counts(self) -> Tensor:
        """Cells of each class, (C,) int64."""
        return self.planes.sum(1)


@dataclass(frozen=True)
class Moments:
    """Moments of cells around their class means, for G groups of cells.

    One group holds the cells of all classes (G = 1, pooled), or each class is a group (G = C).

    Attributes:
        means: class means, (C, D); zero for a class without cells.
        counts: cells of each group, (G,) float.
        scatter: Σ r rᵀ of the residuals r, (G, D, D).
        fourth: Σ ‖r‖⁴, (G,). With ``scatter`` it is all that the Ledoit–Wolf estimate needs.
    """

    means: Tensor
    counts: Tensor
    scatter: Tensor
    fourth: Tensor


@dataclass(frozen=True)
class DenseLevel:
    """Features of every cell of an image.

    Attributes:
        rows: one row of features a cell, (h·w, D).
    """

    rows: Tensor

    def means(self, cells: ClassCells) -> Tensor:
        """See ``Level``."""
        return self._residuals(cells)[1]

    def moments(self, cells: ClassCells, per_class: bool) -> Moments:
        """See ``Level``."""
        residuals, means = self._residuals(cells)
        fourths = torch.linalg.vector_norm(residuals, dim=1).square().square()
        counts, groups = cells.counts, [residuals]
        if per_class:
            groups = list(torch.split(residuals, counts.tolist()))
        scatter = torch.stack([_gram(group) for group in groups])
        sums = torch.stack([part.sum() for part in torch.split(fourths, [len(group) for group in groups])])
        return Moments(means, (counts if per_class else counts.sum()[None]).to(means.dtype), scatter, sums)

    def at(self, cells: Tensor) -> DenseCellFeatures:
        """See ``Level``."""
        return DenseCellFeatures.centred(self.rows.index_select(0, cells))

    def _residuals(self, cells: ClassCells) -> tuple[Tensor, Tensor]:
        """Return features minus class means (n, D), class by class, and the means (C, D)."""
        values = self.rows.index_select(0, cells.positions)
        means = self.rows.new_zeros(cells.classes, self.rows.shape[1])
        for mean, part in zip(means, torch.split(values, cells.counts.tolist()), strict=True):
            if len(part):
                part.sub_(mean.copy_(part.mean(0)))
        return values, means


@dataclass(frozen=True)
class DenseCellFeatures:
    """Features of some cells, each given.

    ``squared_distances`` expands ‖x − p‖² to ‖x‖² − 2 x·p + ‖p‖². The terms are as large as the features'
    common offset, the result is not, so the subtraction would lose digits; the features are centred first.

    Attributes:
        values: features minus ``origin``, (n, D).
        origin: (D,).
    """

    values: Tensor
    origin: Tensor

    @classmethod
    def centred(cls, values: Tensor) -> DenseCellFeatures:
        """Centre features in place and keep them.

        Args:
            values: (n, D); overwritten.
        """
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
    """Return VᵀV of (n, D).

    The product is symmetric: each strip of columns is multiplied with itself and the columns after it, and
    the part before it is the mirror image of earlier strips. That is half of the work.
    """
    width = values.shape[1]
    gram = values.new_empty(width, width)
    for start in range(0, width, _STRIP):
        strip = slice(start, start + _STRIP)
        gram[strip, start:] = values[:, strip].T @ values[:, start:]
        gram[strip, :start] = gram[:start, strip].T
    return gram
