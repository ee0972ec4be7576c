"""A level's features at chosen cells: class means, scatter and squared distances, exactly and without waste.

F2 lives on the grid of cells; F1 is defined there as the bilinear enlargement of a coarser map. Enlarging is
linear, x = U·f, so sums, scatters and norms of the enlarged cells follow from the coarse ones and from the
few products of neighbouring weights: the same numbers for a sixteenth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from tsfal_geo.models.head import enlarge


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


class Level(Protocol):
    """Features of one level at n cells of one image."""

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """Mean of each class (C, D); zero for a class without cells. ``labels`` (n,) int64."""

    def moments(self, labels: Tensor, classes: int, per_class: bool) -> Moments:
        """Moments of the residuals from the class means of these very cells."""

    def mapped(self, matrix: Tensor) -> Level:
        """The level whose features are ``matrix @ x``; ``matrix`` (D', D)."""

    def squared_distances(self, points: Tensor) -> Tensor:
        """‖x_j − p_k‖², (n, K) for ``points`` (K, D)."""


def cell_major(features: Tensor) -> Tensor:
    """(D, h, w) with each cell's channels side by side in memory: free for channels_last, else one copy."""
    return features.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def level_at(features: Tensor, size: tuple[int, int], cells: Tensor) -> Level:
    """Look at the cells ``cells`` of one image's feature map on the grid of ``size``.

    Args:
        features: (D, h, w) float32; coarser than ``size`` by a whole factor, or of that size.
        size: height and width of the grid of cells.
        cells: (n,) int64, distinct positions on that grid, row by row.
    """
    if tuple(features.shape[1:]) == size:
        return DenseLevel(features.flatten(1).T.index_select(0, cells))
    return EnlargedLevel.build(features, size, cells)


@dataclass(frozen=True)
class DenseLevel:
    """Features given cell by cell, (n, D)."""

    values: Tensor

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        members = _one_hot(labels, classes, self.values)
        return (members @ self.values) / members.sum(1, keepdim=True).clamp_min(1)

    def moments(self, labels: Tensor, classes: int, per_class: bool) -> Moments:
        """See ``Level``."""
        members = _one_hot(labels, classes, self.values)
        residuals = torch.addmm(self.values, members.T, self.means(labels, classes), alpha=-1)
        norms = torch.linalg.vector_norm(residuals, dim=1).pow(4)
        if not per_class:
            count = norms.new_tensor([float(len(norms))])
            return Moments(count, (residuals.T @ residuals)[None], norms.sum()[None])
        parts = [labels == c for c in range(classes)]
        scatter = torch.stack([(part := residuals[own]).T @ part for own in parts])
        return Moments(members.sum(1), scatter, members @ norms)

    def mapped(self, matrix: Tensor) -> DenseLevel:
        """See ``Level``."""
        return DenseLevel(self.values @ matrix.T)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        origin = points.mean(0)
        return _expand(self.values - origin, points - origin)


@dataclass(frozen=True)
class EnlargedLevel:
    """Features given on a coarse grid and enlarged bilinearly; nothing is enlarged but scalars.

    Attributes:
        coarse: coarse cells minus ``origin``, (h₀·w₀, D): large common offsets would cost digits.
        origin: (D,).
        rows: bilinear weights (h, h₀).
        cols: bilinear weights (w, w₀).
        cells: (n,) positions on the fine grid.
    """

    coarse: Tensor
    origin: Tensor
    rows: Tensor
    cols: Tensor
    cells: Tensor

    @classmethod
    def build(cls, features: Tensor, size: tuple[int, int], cells: Tensor) -> EnlargedLevel:
        """Centre a coarse map (D, h₀, w₀) and prepare its enlargement to ``size``."""
        flat = features.flatten(1).T
        origin = flat.mean(0)
        pairs = list(zip(features.shape[1:], size, strict=True))
        factor = 1
        while any(coarse * factor < fine for coarse, fine in pairs):
            factor *= 2
        rows, cols = (_weights(*pair, factor, features.device, features.dtype) for pair in pairs)
        return cls(flat - origin, origin, rows, cols, cells)

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        members = self._planes(_one_hot(labels, classes, self.coarse))
        shares = (self.rows.T @ members @ self.cols).flatten(1)
        counts = members.flatten(1).sum(1, keepdim=True)
        return (shares @ self.coarse) / counts.clamp_min(1) + self.origin * (counts > 0)

    def moments(self, labels: Tensor, classes: int, per_class: bool) -> Moments:
        """See ``Level``."""
        means = self.means(labels, classes)
        members = _one_hot(labels, classes, self.coarse)
        own = self.squared_distances(means).gather(1, labels[:, None])[:, 0].square()
        counts, centred = members.sum(1), means - self.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            total = self._scatter(torch.ones_like(own)) - between
            return Moments(counts.sum()[None], total[None], own.sum()[None])
        scatter = torch.stack(
            [
                self._scatter(member) - count * torch.outer(mean, mean)
                for member, count, mean in zip(members, counts, centred, strict=True)
            ]
        )
        return Moments(counts, scatter, members @ own)

    def mapped(self, matrix: Tensor) -> EnlargedLevel:
        """See ``Level``."""
        return EnlargedLevel(self.coarse @ matrix.T, matrix @ self.origin, self.rows, self.cols, self.cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.origin
        products = (self.coarse @ centred.T).T.unflatten(1, self._shape)
        products = (self.rows @ products @ self.cols.T).flatten(1)[:, self.cells].T
        squares = self._norms()[:, None] - 2 * products + centred.square().sum(1)
        return squares.clamp_min_(0)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.shape[1], self.cols.shape[1]

    def _planes(self, weights: Tensor) -> Tensor:
        grid = weights.new_zeros(len(weights), len(self.rows) * len(self.cols))
        grid[:, self.cells] = weights
        return grid.unflatten(1, (len(self.rows), len(self.cols)))

    def _scatter(self, weights: Tensor) -> Tensor:
        """Σ_j s_j x_j x_jᵀ = fᵀ (Uᵀ S U) f: the matrix in the middle couples neighbours only."""
        plane = self._planes(weights[None])[0]
        field = self.coarse.unflatten(0, self._shape)
        mixed = torch.zeros_like(field)
        for dy, dx, rows, cols in self._neighbours():
            coupling = rows.T @ plane @ cols
            here, there = _overlap(dy, dx)
            mixed[here] += coupling[here][..., None] * field[there]
        return self.coarse.T @ mixed.flatten(0, 1)

    def _norms(self) -> Tensor:
        """‖x_j‖² of the centred enlarged cells, from products of neighbouring coarse cells."""
        field = self.coarse.unflatten(0, self._shape)
        total = self.coarse.new_zeros(len(self.rows), len(self.cols))
        for dy, dx, rows, cols in self._neighbours():
            product = field.new_zeros(self._shape)
            here, there = _overlap(dy, dx)
            product[here] = (field[here] * field[there]).sum(-1)
            total += rows @ product @ cols.T
        return total.flatten()[self.cells]

    def _neighbours(self) -> list[tuple[int, int, Tensor, Tensor]]:
        rows = {step: self.rows * _shifted(self.rows, step) for step in (-1, 0, 1)}
        cols = {step: self.cols * _shifted(self.cols, step) for step in (-1, 0, 1)}
        return [(dy, dx, rows[dy], cols[dx]) for dy in rows for dx in cols]


def _one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    return (labels == torch.arange(classes, device=labels.device)[:, None]).to(like.dtype)


def _expand(values: Tensor, points: Tensor) -> Tensor:
    squares = values.square().sum(1, keepdim=True) + points.square().sum(1)
    return torch.addmm(squares, values, points.T, alpha=-2).clamp_min_(0)


def _shifted(weights: Tensor, step: int) -> Tensor:
    """Column i holds column i + step; zeros come in at the edge."""
    result = torch.zeros_like(weights)
    here, there = _overlap_1d(step)
    result[:, here] = weights[:, there]
    return result


def _overlap(dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    (y, y2), (x, x2) = _overlap_1d(dy), _overlap_1d(dx)
    return (y, x), (y2, x2)


def _overlap_1d(step: int) -> tuple[slice, slice]:
    if step > 0:
        return slice(None, -step), slice(step, None)
    return (slice(-step, None), slice(None, step)) if step else (slice(None), slice(None))


@lru_cache(maxsize=32)
def _weights(coarse: int, fine: int, factor: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Matrix (fine, coarse) of the bilinear enlargement along one axis."""
    with torch.inference_mode(False):
        unit = torch.eye(coarse, dtype=dtype, device=device)
        columns = unit[:, None, :, None].expand(-1, -1, -1, 2)
        return enlarge(columns, factor, (fine, 1))[:, 0, :, 0].T.contiguous()
