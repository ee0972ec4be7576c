"""A level's features at chosen cells: class means, scatter and squared distances, exactly and without waste.

F2 lives on the grid of cells; F1 is defined there as the bilinear enlargement of a coarser map. Enlarging is
linear, x = U·f, so sums, scatters and norms of the enlarged cells follow from the coarse ones and from the
few products of neighbouring weights: the same numbers for a sixteenth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import torch
from torch import Tensor

from tsfal_geo.models.head import enlarge

_Index = tuple[slice, slice]
_STRIP = 64
# Half of the 3 × 3 neighbourhood, the middle counted half: the rest is its mirror image.
_STEPS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))


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

    def moments(self, labels: Tensor, means: Tensor, per_class: bool) -> Moments:
        """Moments of the residuals from ``means`` (C, D), which must be those of these very cells."""

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
        # Any point among them will do; the mean of a few hundred costs next to nothing.
        some = values[:: max(len(values) // 256, 1)]
        origin = some.mean(0) if len(values) else values.new_zeros(values.shape[1])
        return cls(values.sub_(origin), origin)

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        members = _one_hot(labels, classes, self.values)
        counts = members.sum(1, keepdim=True)
        return (members @ self.values) / counts.clamp_min(1) + self.origin * (counts > 0)

    def moments(self, labels: Tensor, means: Tensor, per_class: bool) -> Moments:
        """See ``Level``."""
        members = _one_hot(labels, len(means), self.values)
        own = self.squared_distances(means).gather(1, labels[:, None])[:, 0].square()
        counts, centred = members.sum(1), means - self.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            return Moments(counts.sum()[None], (_gram(self.values) - between)[None], own.sum()[None])
        parts = [self.values[labels == c] - mean for c, mean in enumerate(centred)]
        return Moments(counts, torch.stack([_gram(part) for part in parts]), members @ own)

    def mapped(self, matrix: Tensor) -> DenseLevel:
        """See ``Level``."""
        return DenseLevel(self.values @ matrix.T, matrix @ self.origin)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.origin
        norms = torch.linalg.vector_norm(self.values, dim=1).square()
        squares = norms[:, None] + centred.square().sum(1)
        return torch.addmm(squares, self.values, centred.T, alpha=-2).clamp_min_(0)


@dataclass(frozen=True)
class Axis:
    """Bilinear enlargement along one axis.

    Attributes:
        weights: (fine, coarse).
        pairs: products of the weights of a coarse cell and of a neighbour of it, (5, fine, coarse): one for
            each of ``_STEPS``.
    """

    weights: Tensor
    pairs: Tensor


class EnlargedMap:
    """Features on a coarse grid, enlarged bilinearly; nothing is enlarged but scalars.

    Attributes:
        coarse: coarse cells minus ``origin``, (h₀·w₀, D).
        origin: (D,).
        rows: enlargement from h₀ to h.
        cols: enlargement from w₀ to w.
    """

    def __init__(self, coarse: Tensor, origin: Tensor, rows: Axis, cols: Axis) -> None:
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
        rows, cols = (
            _axis(*pair, factor, along, features.device, features.dtype)
            for along, pair in zip("yx", pairs, strict=True)
        )
        return cls((flat - origin).contiguous(), origin, rows, cols)

    def at(self, cells: Tensor) -> EnlargedLevel:
        """See ``LevelMap``."""
        return EnlargedLevel(self, cells)

    def mapped(self, matrix: Tensor) -> EnlargedMap:
        """The map whose features are ``matrix @ x``."""
        return EnlargedMap(self.coarse @ matrix.T, matrix @ self.origin, self.rows, self.cols)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the fine grid."""
        return len(self.rows.weights), len(self.cols.weights)

    def enlarge(self, scalars: Tensor) -> Tensor:
        """Enlarge K scalars a coarse cell, (h₀·w₀, K), to (K, h·w)."""
        planes = scalars.T.unflatten(1, self._shape)
        return (self.rows.weights @ planes @ self.cols.weights.T).flatten(1)

    def gather(self, planes: Tensor) -> Tensor:
        """Weight of each coarse cell in sums over fine cells: Uᵀ s for planes (K, h, w), (K, h₀·w₀)."""
        return (self.rows.weights.T @ planes @ self.cols.weights).flatten(1)

    def scatter(self, plane: Tensor) -> Tensor:
        """Σ_j s_j x_j x_jᵀ = fᵀ (Uᵀ S U) f: the matrix in the middle couples neighbours only."""
        field = self.coarse.unflatten(0, self._shape)
        mixed = torch.zeros_like(field)
        couplings = self.rows.pairs.mT @ plane @ self.cols.pairs
        for (half, here, there), coupling in zip(_neighbours(), couplings, strict=True):
            mixed[here].addcmul_(coupling[here][..., None], field[there], value=half)
        one_way = self.coarse.T @ mixed.flatten(0, 1)
        return one_way + one_way.T

    @cached_property
    def norms(self) -> Tensor:
        """‖x_j‖² of all centred enlarged cells, (h·w,), from products of neighbouring coarse cells."""
        field = self.coarse.unflatten(0, self._shape)
        products = field.new_zeros(len(_STEPS), *self._shape)
        for (half, here, there), product in zip(_neighbours(), products, strict=True):
            product[here] = torch.linalg.vecdot(field[here], field[there]) * (2 * half)
        # The sum over the pairs is the inner sum of one product of matrices.
        left, right = (self.rows.pairs @ products).movedim(0, 1), self.cols.pairs.movedim(2, 1)
        return (left.flatten(1) @ right.flatten(0, 1)).flatten()

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.weights.shape[1], self.cols.weights.shape[1]


@dataclass(frozen=True)
class EnlargedLevel:
    """An enlarged map at some cells."""

    map: EnlargedMap
    cells: Tensor

    def means(self, labels: Tensor, classes: int) -> Tensor:
        """See ``Level``."""
        planes = self._planes(labels, classes)
        counts = planes.sum((1, 2))[:, None]
        total = self.map.gather(planes) @ self.map.coarse
        return total / counts.clamp_min(1) + self.map.origin * (counts > 0)

    def moments(self, labels: Tensor, means: Tensor, per_class: bool) -> Moments:
        """See ``Level``."""
        own = self.squared_distances(means).gather(1, labels[:, None])[:, 0].square()
        planes = self._planes(labels, len(means))
        counts, centred = planes.sum((1, 2)), means - self.map.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            total = self.map.scatter(planes.sum(0)) - between
            return Moments(counts.sum()[None], total[None], own.sum()[None])
        scatter = torch.stack(
            [
                self.map.scatter(plane) - count * torch.outer(mean, mean)
                for plane, count, mean in zip(planes, counts, centred, strict=True)
            ]
        )
        return Moments(counts, scatter, _one_hot(labels, len(means), own) @ own)

    def mapped(self, matrix: Tensor) -> EnlargedLevel:
        """See ``Level``."""
        return EnlargedLevel(self.map.mapped(matrix), self.cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``Level``."""
        centred = points - self.map.origin
        products = self.map.enlarge(self.map.coarse @ centred.T)[:, self.cells].T
        squares = self.map.norms[self.cells, None] - 2 * products + centred.square().sum(1)
        return squares.clamp_min_(0)

    def _planes(self, labels: Tensor, classes: int) -> Tensor:
        """1 where a cell of a class is, (C, h, w)."""
        height, width = self.map.size
        grid = labels.new_full((height * width,), -1)
        grid[self.cells] = labels
        return _one_hot(grid, classes, self.map.coarse).unflatten(1, (height, width))


def _one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    return (labels == torch.arange(classes, device=labels.device)[:, None]).to(like.dtype)


def _gram(values: Tensor) -> Tensor:
    """VᵀV of (n, D), by strips of its upper triangle: not all of it twice."""
    width = values.shape[1]
    upper = values.new_empty(width, width)
    for start in range(0, width, _STRIP):
        upper[start : start + _STRIP, start:] = values[:, start : start + _STRIP].T @ values[:, start:]
    return upper.triu() + upper.triu(1).T


def _neighbours() -> list[tuple[float, _Index, _Index]]:
    """For each of ``_STEPS`` how far it counts, the coarse cells that have this neighbour, the neighbours."""
    found = []
    for dy, dx in _STEPS:
        (y, y2), (x, x2) = _overlap(dy), _overlap(dx)
        found.append((1.0 if dy or dx else 0.5, (y, x), (y2, x2)))
    return found


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
def _axis(
    coarse: int, fine: int, factor: int, along: Literal["y", "x"], device: torch.device, dtype: torch.dtype
) -> Axis:
    with torch.inference_mode(False):
        unit = torch.eye(coarse, dtype=dtype, device=device)
        columns = unit[:, None, :, None].expand(-1, -1, -1, 2)
        weights = enlarge(columns, factor, (fine, 1))[:, 0, :, 0].T.contiguous()
        steps = [step["yx".index(along)] for step in _STEPS]
        return Axis(weights, torch.stack([weights * _shifted(weights, step) for step in steps]))
