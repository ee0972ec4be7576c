"""A level whose features are given cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.active.members import Members, Moments

_STRIP = 64
# So many cells of 256 channels stay in a core's cache while they are centred, measured and multiplied.
_PART = 1024


@dataclass(frozen=True)
class DenseMap:
    """Features of every cell, (h·w, D)."""

    rows: Tensor

    def means(self, members: Members) -> Tensor:
        """See ``LevelMap``."""
        one_hot = members.one_hot(members.labels, self.rows)
        sums = self.rows.new_zeros(members.classes, self.rows.shape[1])
        for part in self._parts(members.cells):
            sums.addmm_(one_hot[:, part], self.rows.index_select(0, members.cells[part]))
        return sums / members.counts.clamp_min(1)[:, None]

    def moments(self, members: Members, means: Tensor, per_class: bool) -> Moments:
        """See ``LevelMap``."""
        groups = [members.of_class(c) for c in range(members.classes)] if per_class else [members]
        scatters, fourths = zip(*(self._residuals(group, means) for group in groups), strict=True)
        counts = members.counts if per_class else members.counts.sum()[None]
        return Moments(counts.to(means.dtype), torch.stack(scatters), torch.stack(fourths))

    def at(self, cells: Tensor) -> DenseLevel:
        """See ``LevelMap``."""
        return DenseLevel.centred(self.rows.index_select(0, cells))

    def _residuals(self, members: Members, means: Tensor) -> tuple[Tensor, Tensor]:
        """Σ r rᵀ and Σ ‖r‖⁴ of the cells' residuals r from their classes' means."""
        cells, labels = members.cells, members.labels
        scatter = self.rows.new_zeros(self.rows.shape[1], self.rows.shape[1])
        norms = self.rows.new_zeros(len(cells))
        for part in self._parts(cells):
            residuals = self.rows.index_select(0, cells[part]).sub_(means.index_select(0, labels[part]))
            norms[part] = torch.linalg.vector_norm(residuals, dim=1)
            _add_gram(scatter, residuals)
        return _mirrored(scatter), norms.square().square().sum()

    def _parts(self, cells: Tensor) -> Iterator[slice]:
        step = len(cells) if cells.is_cuda else _PART
        return (slice(start, start + step) for start in range(0, len(cells), max(step, 1)))


@dataclass(frozen=True)
class DenseLevel:
    """Features given cell by cell.

    Attributes:
        values: features minus ``origin``, (n, D): large common offsets would cost digits.
        origin: (D,).
    """

    values: Tensor
    origin: Tensor

    @classmethod
    def centred(cls, values: Tensor) -> DenseLevel:
        """Take (n, D) features over; they are centred in place."""
        # Any point among them will do; the mean of a few hundred costs next to nothing.
        some = values[:: max(len(values) // 256, 1)]
        origin = some.mean(0) if len(values) else values.new_zeros(values.shape[1])
        return cls(values.sub_(origin), origin)

    def mapped(self, matrix: Tensor) -> DenseLevel:
        """See ``Level``."""
        return DenseLevel(self.values @ matrix.T, matrix @ self.origin)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.origin
        norms = torch.linalg.vector_norm(self.values, dim=1).square()
        squares = norms[:, None] + centred.square().sum(1)
        return torch.addmm(squares, self.values, centred.T, alpha=-2).clamp_min_(0)


def _add_gram(upper: Tensor, values: Tensor) -> None:
    """Add VᵀV of (n, D), by strips of its upper triangle: not all of it twice."""
    for start in range(0, len(upper), _STRIP):
        strip = slice(start, start + _STRIP)
        upper[strip, start:].addmm_(values[:, strip].T, values[:, start:])


def _mirrored(upper: Tensor) -> Tensor:
    for start in range(_STRIP, len(upper), _STRIP):
        strip = slice(start, start + _STRIP)
        upper[strip, :start] = upper[:start, strip].T
    return upper
