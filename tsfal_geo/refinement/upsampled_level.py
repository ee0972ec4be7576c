"""A feature level that is the bilinear upsampling of a coarser map, without upsampling its features.

F1's grid is coarser than F2's by an integer factor, and the paper's distances are taken on one grid. Bilinear
upsampling is linear: the features of all cells are X = U f, with the coarse features f (h₀·w₀, D) and the
weights U = R ⊗ Q, where R (h, h₀) interpolates along rows and Q (w, w₀) along columns. So a sum over cells
is a sum over coarse cells: the same result up to rounding, for a sixteenth of the operations at a factor
of 4.

- Sums. With weights s of the cells, and S the plane (h, w) of s: Σ_j s_j x_j = (Uᵀ s)ᵀ f, where Uᵀ s = Rᵀ
  S Q. The memberships of a class, 0 or 1, give its mean.
- Scatters. Σ_j s_j x_j x_jᵀ = fᵀ A f, with A = Uᵀ diag(s) U. A cell interpolates between neighbouring coarse
  cells only, so A couples a coarse cell a with itself and its eight neighbours b:
  A_ab = Σ_yx (R_ya R_yb) S_yx (Q_xa Q_xb). For one offset from a to b all of these are one product Pᵀ S P',
  where the columns of P and P' are products of neighbouring weights (``Axis.pairs``). A is symmetric: five of
  the nine offsets suffice, the middle one halved, and the result is added to its transpose.
- Scatters around means. Σ r rᵀ = Σ x xᵀ − n μ μᵀ, on features centred at one origin, so that few digits
  cancel.
- Norms. ‖x_j‖² = Σ_ab U_ja U_jb f_a·f_b: products of neighbouring weights again, times the dot products of
  neighbouring coarse cells.
- Distances. ‖x_j − p‖² = ‖x_j‖² − 2 x_j·p + ‖p‖², where x_j·p is the upsampling of f_a·p: one scalar for a
  coarse cell and a point.
- Linear maps. W x_j = Σ_a U_ja W f_a: whitening acts on the coarse map.
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

# Offsets (rows, columns) of half of the 3 × 3 neighbourhood; the other half is its mirror image.
_OFFSETS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))


def feature_level(features: Tensor, size: tuple[int, int]) -> Level:
    """Prepare one image's feature map for statistics and distances of cells.

    Args:
        features: (D, h₀, w₀) float32; of the grid's size, or coarser by an integer factor (the grid may end
            before the last coarse cell does). Maps of the grid's size are fastest in the memory format
            channels_last.
        size: height and width of the grid of cells, (h, w).

    Returns:
        A ``DenseLevel`` for maps of the grid's size, an ``UpsampledLevel`` for coarser ones.
    """
    if tuple(features.shape[1:]) == size:
        return DenseLevel(features.permute(1, 2, 0).flatten(0, 1).contiguous())
    return UpsampledLevel.build(features, size)


@dataclass(frozen=True)
class Axis:
    """Bilinear upsampling along one axis.

    Attributes:
        weights: (fine, coarse).
        pairs: products of the weights of a coarse cell and of its neighbour, for each of the five
            ``_OFFSETS``, (5, fine, coarse).
    """

    weights: Tensor
    pairs: Tensor


class UpsampledLevel:
    """Features on a coarse grid, upsampled bilinearly to the grid of cells; a ``Level``.

    Attributes:
        coarse: features of coarse cells minus ``origin``, (h₀·w₀, D).
        origin: (D,).
        rows: upsampling from h₀ to h.
        cols: upsampling from w₀ to w.
    """

    def __init__(self, coarse: Tensor, origin: Tensor, rows: Axis, cols: Axis) -> None:
        """Keep the attributes; ``build`` makes them from a feature map."""
        self.coarse = coarse
        self.origin = origin
        self.rows = rows
        self.cols = cols

    @classmethod
    def build(cls, features: Tensor, size: tuple[int, int]) -> UpsampledLevel:
        """Centre a coarse map and prepare its upsampling.

        Args:
            features: (D, h₀, w₀).
            size: height and width of the grid of cells.
        """
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

    def means(self, cells: ClassCells) -> Tensor:
        """See ``Level``."""
        return self._means(self._planes(cells), cells.counts)

    def moments(self, cells: ClassCells, per_class: bool) -> Moments:
        """See ``Level``."""
        planes, counts = self._planes(cells), cells.counts.to(self.coarse.dtype)
        means = self._means(planes, counts)
        fourth = self.squared_distances(means).square_().mul_(planes.flatten(1)).sum(1)
        centred = means - self.origin
        if not per_class:
            between = (centred * counts[:, None]).T @ centred
            within = self.scatter(planes.sum(0)) - between
            return Moments(means, counts.sum()[None], within[None], fourth.sum()[None])
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
        """Compute ‖x_j − p_k‖² of all cells.

        Args:
            points: (K, D).

        Returns:
            (K, h·w).
        """
        centred = points - self.origin
        products = self.upsampled(self.coarse @ centred.T)
        return products.mul_(-2).add_(self.norms).add_(centred.square().sum(1)[:, None]).clamp_min_(0)

    def mapped(self, matrix: Tensor) -> UpsampledLevel:
        """Return the level of the features ``matrix @ x``.

        Args:
            matrix: (D', D).
        """
        return UpsampledLevel(self.coarse @ matrix.T, matrix @ self.origin, self.rows, self.cols)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid of cells."""
        return len(self.rows.weights), len(self.cols.weights)

    def upsampled(self, scalars: Tensor) -> Tensor:
        """Upsample K scalars of each coarse cell.

        Args:
            scalars: (h₀·w₀, K).

        Returns:
            (K, h·w).
        """
        planes = torch.unflatten(scalars.T, 1, self._shape)
        return (self.rows.weights @ planes @ self.cols.weights.T).flatten(1)

    def coarse_weights(self, planes: Tensor) -> Tensor:
        """Return Uᵀ s: the weight of each coarse cell in a weighted sum over cells.

        Args:
            planes: weights s of the cells, (K, h, w).

        Returns:
            (K, h₀·w₀).
        """
        return (self.rows.weights.T @ planes @ self.cols.weights).flatten(1)

    def scatter(self, plane: Tensor) -> Tensor:
        """Return Σ_j s_j x_j x_jᵀ = fᵀ (Uᵀ diag(s) U) f of the centred features.

        Args:
            plane: weights s of the cells, (h, w).

        Returns:
            (D, D).
        """
        field = torch.unflatten(self.coarse, 0, self._shape)
        mixed = torch.zeros_like(field)
        couplings = self.rows.pairs.mT @ plane @ self.cols.pairs
        for (half, here, there), coupling in zip(_neighbours(), couplings, strict=True):
            mixed[here].addcmul_(coupling[here][..., None], field[there], value=half)
        one_way = self.coarse.T @ mixed.flatten(0, 1)
        return one_way + one_way.T

    @cached_property
    def norms(self) -> Tensor:
        """‖x_j‖² of the centred features of all cells, (h·w,)."""
        field = torch.unflatten(self.coarse, 0, self._shape)
        products = field.new_zeros(len(_OFFSETS), *self._shape)
        for (half, here, there), product in zip(_neighbours(), products, strict=True):
            product[here] = torch.linalg.vecdot(field[here], field[there]) * (2 * half)
        # The sum over the offsets is the inner sum of one product of matrices.
        left, right = (self.rows.pairs @ products).movedim(0, 1), self.cols.pairs.movedim(2, 1)
        return (left.flatten(1) @ right.flatten(0, 1)).flatten()

    def _means(self, planes: Tensor, counts: Tensor) -> Tensor:
        sums = self.coarse_weights(planes) @ self.coarse
        return sums / counts.clamp_min(1)[:, None] + self.origin * (counts > 0)[:, None]

    def _planes(self, cells: ClassCells) -> Tensor:
        """Return each class's membership as a plane of 0 and 1, (C, h, w)."""
        return torch.unflatten(cells.planes.to(self.coarse.dtype), 1, self.size)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.weights.shape[1], self.cols.weights.shape[1]


@dataclass(frozen=True)
class UpsampledCellFeatures:
    """Features of some cells of an upsampled level; ``CellFeatures``.

    Attributes:
        level: all cells.
        cells: (n,) int64, positions on the grid.
    """

    level: UpsampledLevel
    cells: Tensor

    def mapped(self, matrix: Tensor) -> UpsampledCellFeatures:
        """See ``CellFeatures``."""
        return UpsampledCellFeatures(self.level.mapped(matrix), self.cells)

    def squared_distances(self, points: Tensor) -> Tensor:
        """See ``CellFeatures``."""
        return self.level.squared_distances(points)[:, self.cells].T


def _neighbours() -> list[tuple[float, _Index, _Index]]:
    """List for each offset its factor, the coarse cells with such a neighbour, and the neighbours."""
    found = []
    for dy, dx in _OFFSETS:
        (y, y2), (x, x2) = _overlap(dy), _overlap(dx)
        found.append((1.0 if dy or dx else 0.5, (y, x), (y2, x2)))
    return found


def _shifted(weights: Tensor, offset: int) -> Tensor:
    """Move column i + offset to column i; columns without a source are zero."""
    result = torch.zeros_like(weights)
    here, there = _overlap(offset)
    result[:, here] = weights[:, there]
    return result


def _overlap(offset: int) -> tuple[slice, slice]:
    """Return the positions along one axis that have a neighbour at this offset, and these neighbours."""
    if offset > 0:
        return slice(None, -offset), slice(offset, None)
    return (slice(-offset, None), slice(None, offset)) if offset else (slice(None), slice(None))


@lru_cache(maxsize=32)
def _axis(
    coarse: int, fine: int, factor: int, along: Literal["y", "x"], device: torch.device, dtype: torch.dtype
) -> Axis:
    """Return the weights of one axis: each coarse cell's unit vector, upsampled as the networks do it."""
    # The result outlives the caller, which may run in inference mode: it must serve autograd as well.
    with torch.inference_mode(False):
        unit = torch.eye(coarse, dtype=dtype, device=device)
        columns = unit[:, None, :, None].expand(-1, -1, -1, 2)
        weights = upsample(columns, factor, (fine, 1))[:, 0, :, 0].T.contiguous()
        offsets = [offset["yx".index(along)] for offset in _OFFSETS]
        return Axis(weights, torch.stack([weights * _shifted(weights, offset) for offset in offsets]))
