"""A level's features at chosen cells: class means, scatter and squared distances, exactly and without waste.

F2 lives on the grid of cells; F1 is defined there as the bilinear enlargement of a coarser map. Enlarging is
linear, x = U·f, so sums, scatters and norms of the enlarged cells follow from the coarse ones and from the
few products of neighbouring weights: the same numbers for a sixteenth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import torch
from torch import Tensor

from tsfal_geo.models.head import enlarge

_Index = tuple[slice, slice]


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


class LevelMap(Protocol):
    """Features of one level all over one image."""

    def at(self, cells: Tensor) -> Level:
        """Look at distinct cells, (n,) int64 positions on the grid, row by row."""


def level_map(features: Tensor, size: tuple[int, int]) -> LevelMap:
    """Prepare one image's feature map for looks at cells of the grid of ``size``.

    Args:
        features: (D, h, w) float32; coarser than ``size`` by a whole factor, or of that size. The latter is
            fastest in the memory format channels_last.
        size: height and width of the grid of cells.
    """
    if tuple(features.shape[1:]) == size:
        return DenseMap(features.permute(1, 2, 0).flatten(0, 1).contiguous())
    return EnlargedMap.build(features, size)


@dataclass(frozen=True)
class DenseMap:
    """Features of every cell, (h·w, D)."""

    rows: Tensor

    def at(self, cells: Tensor) -> DenseLevel:
        """See ``LevelMap``."""
        return DenseLevel.centred(self.rows.index_select(0, cells))


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
        origin = values.mean(0) if len(values) else values.new_zeros(values.shape[1])
        return cls(values.sub_(origin), origin)

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        members = _one_hot(labels, classes, self.values)
        counts = members.sum(1, keepdim=True)
        return (members @ self.values) / counts.clamp_min(1) + self.origin * (counts > 0)

    def moments(self, labels: Tensor, classes: int, per_class: bool) -> Moments:
        """See ``Level``."""
        means = self.means(labels, classes)
        members = _one_hot(labels, classes, self.values)
        own = self.squared_distances(means).gather(1, labels[:, None])[:, 0].square()
        counts, centred = members.sum(1), means - self.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            total = self.values.T @ self.values - between
            return Moments(counts.sum()[None], total[None], own.sum()[None])
        parts = [self.values[labels == c] - centred[c] for c in range(classes)]
        return Moments(counts, torch.stack([part.T @ part for part in parts]), members @ own)

    def mapped(self, matrix: Tensor) -> DenseLevel:
        """See ``Level``."""
        return DenseLevel(self.values @ matrix.T, matrix @ self.origin)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.origin
        norms = torch.linalg.vector_norm(self.values, dim=1).square()
        squares = norms[:, None] + centred.square().sum(1)
        return torch.addmm(squares, self.values, centred.T, alpha=-2).clamp_min_(0)


class EnlargedMap:
    """Features on a coarse grid, enlarged bilinearly; nothing is enlarged but scalars.

    Attributes:
        coarse: coarse cells minus ``origin``, (h₀·w₀, D).
        origin: (D,).
        rows: bilinear weights (h, h₀).
        cols: bilinear weights (w, w₀).
    """

    def __init__(self, coarse: Tensor, origin: Tensor, rows: Tensor, cols: Tensor) -> None:
        self.coarse = coarse
        self.origin = origin
        self.rows = rows
        self.cols = cols

    @classmethod
    def build(cls, features: Tensor, size: tuple[int, int]) -> EnlargedMap:
        """Centre a coarse map (D, h₀, w₀) and prepare its enlargement to ``size``."""
        flat = features.flatten(1).T
        origin = flat.mean(0)
        pairs = list(zip(features.shape[1:], size, strict=True))
        factor = 1
        while any(coarse * factor < fine for coarse, fine in pairs):
            factor *= 2
        rows, cols = (_weights(*pair, factor, features.device, features.dtype) for pair in pairs)
        return cls((flat - origin).contiguous(), origin, rows, cols)

    def at(self, cells: Tensor) -> EnlargedLevel:
        """See ``LevelMap``."""
        return EnlargedLevel(self, cells)

    def mapped(self, matrix: Tensor) -> EnlargedMap:
        """The map whose features are ``matrix @ x``."""
        return EnlargedMap(self.coarse @ matrix.T, matrix @ self.origin, self.rows, self.cols)

    def enlarge(self, scalars: Tensor) -> Tensor:
        """Enlarge K scalars a coarse cell, (h₀·w₀, K), to (K, h·w)."""
        planes = scalars.T.unflatten(1, self._shape)
        return (self.rows @ planes @ self.cols.T).flatten(1)

    def gather(self, planes: Tensor) -> Tensor:
        """Weight of each coarse cell in sums over fine cells: Uᵀ s for planes (K, h, w), (K, h₀·w₀)."""
        return (self.rows.T @ planes @ self.cols).flatten(1)

    def scatter(self, plane: Tensor) -> Tensor:
        """Σ_j s_j x_j x_jᵀ = fᵀ (Uᵀ S U) f: the matrix in the middle couples neighbours only."""
        field = self.coarse.unflatten(0, self._shape)
        mixed = torch.zeros_like(field)
        for half, here, there, rows, cols in self._neighbours:
            coupling = rows.T @ plane @ cols
            mixed[here].addcmul_(coupling[here][..., None], field[there], value=half)
        one_way = self.coarse.T @ mixed.flatten(0, 1)
        return one_way + one_way.T

    @cached_property
    def norms(self) -> Tensor:
        """‖x_j‖² of all centred enlarged cells, (h·w,), from products of neighbouring coarse cells."""
        field = self.coarse.unflatten(0, self._shape)
        total = self.coarse.new_zeros(len(self.rows), len(self.cols))
        for half, here, there, rows, cols in self._neighbours:
            product = field.new_zeros(self._shape)
            product[here] = torch.linalg.vecdot(field[here], field[there])
            total += (2 * half) * (rows @ product @ cols.T)
        return total.flatten()

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.shape[1], self.cols.shape[1]

    @cached_property
    def _neighbours(self) -> list[tuple[float, _Index, _Index, Tensor, Tensor]]:
        """Half of the 3 × 3 neighbourhood, the middle counted half: the rest is its mirror image.

        Each with the index of coarse cells, the index of their neighbours, and how two neighbours' weights
        multiply along rows and columns.
        """
        found = []
        for dy, dx in ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1)):
            (y, y2), (x, x2) = _overlap(dy), _overlap(dx)
            rows, cols = self.rows * _shifted(self.rows, dy), self.cols * _shifted(self.cols, dx)
            found.append((1.0 if dy or dx else 0.5, (y, x), (y2, x2), rows, cols))
        return found


@dataclass(frozen=True)
class EnlargedLevel:
    """An enlarged map at some cells."""

    map: EnlargedMap
    cells: Tensor

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        members = _one_hot(labels, classes, self.map.coarse)
        counts = members.sum(1, keepdim=True)
        total = self.map.gather(self._planes(members)) @ self.map.coarse
        return total / counts.clamp_min(1) + self.map.origin * (counts > 0)

    def moments(self, labels: Tensor, classes: int, per_class: bool) -> Moments:
        """See ``Level``."""
        means = self.means(labels, classes)
        members = _one_hot(labels, classes, self.map.coarse)
        own = self.squared_distances(means).gather(1, labels[:, None])[:, 0].square()
        counts, centred = members.sum(1), means - self.map.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            total = self.map.scatter(self._planes(torch.ones_like(own)[None])[0]) - between
            return Moments(counts.sum()[None], total[None], own.sum()[None])
        scatter = torch.stack(
            [
                self.map.scatter(plane) - count * torch.outer(mean, mean)
                for plane, count, mean in zip(self._planes(members), counts, centred, strict=True)
            ]
        )
        return Moments(counts, scatter, members @ own)

    def mapped(self, matrix: Tensor) -> EnlargedLevel:
        """See ``Level``."""
        return EnlargedLevel(self.map.mapped(matrix), self.cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.map.origin
        products = self.map.enlarge(self.map.coarse @ centred.T)[:, self.cells].T
        squares = self.map.norms[self.cells, None] - 2 * products + centred.square().sum(1)
        return squares.clamp_min_(0)

    def _planes(self, weights: Tensor) -> Tensor:
        rows, cols = len(self.map.rows), len(self.map.cols)
        grid = weights.new_zeros(len(weights), rows * cols)
        grid[:, self.cells] = weights
        return grid.unflatten(1, (rows, cols))


def _one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    return (labels == torch.arange(classes, device=labels.device)[:, None]).to(like.dtype)


def _shifted(weights: Tensor, step: int) -> Tensor:
    """Column i holds column i + step; zeros come in at the edge."""
    result = torch.zeros_like(weights)
    here, there = _overlap(step)
    result[:, here] = weights[:, there]
    return result


def _overlap(step: int) -> tuple[slice, slice]:
    """Positions along one axis that have a neighbour ``step`` further on, and these neighbours."""
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
