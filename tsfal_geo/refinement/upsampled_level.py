"""A level that is the bilinear enlargement of a coarser map; nothing is enlarged but scalars.

Enlarging is linear, x = U·f, so sums, scatters and norms of the enlarged cells follow from the coarse ones
and from the few products of neighbouring weights: the same numbers for a sixteenth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import torch
from torch import Tensor

from tsfal_geo.models.head import upsample
from tsfal_geo.refinement.levels import ClassCells, DenseLevel, Level, Moments

_Index = tuple[slice, slice]


# Half of the 3 × 3 neighbourhood, the middle counted half: the rest is its mirror image.
_STEPS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))


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


class UpsampledLevel:
    """Features on a coarse grid, enlarged bilinearly.

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
    def build(cls, features: Tensor, size: tuple[int, int]) -> UpsampledLevel:
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

    def means(self, members: ClassCells) -> Tensor:
        """See ``Level``."""
        return self._means(self._planes(members), members.counts)

    def moments(self, members: ClassCells, per_class: bool) -> Moments:
        """See ``Level``."""
        planes, counts = self._planes(members), members.counts.to(self.coarse.dtype)
        means = self._means(planes, counts)
        fourth = self.squared_distances(means).square_().mul_(planes.flatten(1)).sum(1)
        centred = means - self.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            total = self.scatter(planes.sum(0)) - between
            return Moments(means, counts.sum()[None], total[None], fourth.sum()[None])
        scatter = torch.stack(
            [
                self.scatter(plane) - count * torch.outer(mean, mean)
                for plane, count, mean in zip(planes, counts, centred, strict=True)
            ]
        )
        return Moments(means, counts, scatter, fourth)

    def at(self, cells: Tensor) -> UpsampledCellFeatures:
        """See ``Level``."""
        return UpsampledCellFeatures(self, cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """‖x_j − p_k‖² of all cells, (K, h·w) for ``points`` (K, D)."""
        centred = points - self.origin
        products = self.enlarge(self.coarse @ centred.T)
        return products.mul_(-2).add_(self.norms).add_(centred.square().sum(1)[:, None]).clamp_min_(0)

    def mapped(self, matrix: Tensor) -> UpsampledLevel:
        """The map whose features are ``matrix @ x``."""
        return UpsampledLevel(self.coarse @ matrix.T, matrix @ self.origin, self.rows, self.cols)

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

    def _means(self, planes: Tensor, counts: Tensor) -> Tensor:
        total = self.gather(planes) @ self.coarse
        return total / counts.clamp_min(1)[:, None] + self.origin * (counts > 0)[:, None]

    def _planes(self, members: ClassCells) -> Tensor:
        """1 where a cell of a class is, (C, h, w)."""
        return members.planes.to(self.coarse.dtype).unflatten(1, self.size)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.weights.shape[1], self.cols.weights.shape[1]


@dataclass(frozen=True)
class UpsampledCellFeatures:
    """An enlarged map at some cells."""

    map: UpsampledLevel
    cells: Tensor

    def mapped(self, matrix: Tensor) -> UpsampledCellFeatures:
        """See ``CellFeatures``."""
        return UpsampledCellFeatures(self.map.mapped(matrix), self.cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``CellFeatures``."""
        return self.map.squared_distances(points)[:, self.cells].T


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
        weights = upsample(columns, factor, (fine, 1))[:, 0, :, 0].T.contiguous()
        steps = [step["yx".index(along)] for step in _STEPS]
        return Axis(weights, torch.stack([weights * _shifted(weights, step) for step in steps]))


def feature_level(features: Tensor, size: tuple[int, int]) -> Level:
    """Prepare one image's feature map for looks at cells of the grid of ``size``.

    Args:
        features: (D, h, w) float32; coarser than ``size`` by a whole factor, or of that size. The latter is
            fastest in the memory format channels_last.
        size: height and width of the grid of cells.
    """
    if tuple(features.shape[1:]) == size:
        return DenseLevel(features.permute(1, 2, 0).flatten(0, 1).contiguous())
    return UpsampledLevel.build(features, size)
