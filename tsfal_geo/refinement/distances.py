"""Euclidean and Mahalanobis distances of cells to classes at two levels, and their mixture (eqs. 6 to 9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.class_bank import ClassBank
from tsfal_geo.refinement.covariance import Whitening, is_per_class, whitening
from tsfal_geo.refinement.levels import CellFeatures, ClassCells, Level
from tsfal_geo.refinement.support import Support
from tsfal_geo.refinement.upsampled_level import feature_level


@dataclass(frozen=True)
class Distances:
    """Distances of n cells to the available classes, each level divided by its median; L = 2 levels.

    Attributes:
        euclid: (L, n, K) float32.
        mahalanobis: (L, n, K) float32.
        classes: which class each of the K columns is, (K,) int64.
    """

    euclid: Tensor
    mahalanobis: Tensor
    classes: Tensor

    def mixed(self, lambdas: Tensor) -> tuple[Tensor, Tensor]:
        """E_c = λ₁E_1c + (1 − λ₁)E_2c and M_c likewise with λ₂; ``lambdas`` (2,)."""
        first, second = lambdas
        return torch.lerp(self.euclid[1], self.euclid[0], first), torch.lerp(
            self.mahalanobis[1], self.mahalanobis[0], second
        )


def class_distances(
    features: tuple[Tensor, Tensor], support: Support, queries: Tensor, config: PlarConfig
) -> Distances:
    """Distances of query cells to the classes that have support in the same image.

    Args:
        features: F1 (D₁, h₁, w₁) and F2 (D₂, h, w) of one image, float32; F1 is taken as enlarged
            bilinearly to F2's grid.
        support: of this image; at least one class available.
        queries: (n,) int64, positions on F2's grid.
        config: the covariance's choice.
    """
    size = (features[1].shape[1], features[1].shape[2])
    classes = support.available.nonzero()[:, 0]
    count = len(support.available)
    spread = ClassCells(support.for_covariance, count)
    centre = spread if support.for_means is support.for_covariance else ClassCells(support.for_means, count)
    pairs = [
        _level(feature_level(level, size), centre, spread, classes, queries, config) for level in features
    ]
    return _stack(pairs, classes)


def bank_distances(features: tuple[Tensor, Tensor], bank: ClassBank, queries: Tensor) -> Distances:
    """Distances to the bank's class means in the bank's pooled covariance: for images without support."""
    size = (features[1].shape[1], features[1].shape[2])
    classes = bank.seen.nonzero()[:, 0]
    pairs = []
    for features_l, means, factor in zip(features, bank.means, bank.whitenings(), strict=True):
        level = feature_level(features_l, size).at(queries)
        pairs.append(_measure(level, means[classes], factor, logdet=False))
    return _stack(pairs, classes)


def mahalanobis(level: CellFeatures, means: Tensor, factor: Whitening, logdet: bool) -> Tensor:
    """√((x − μ_c)ᵀ Σ_c⁻¹ (x − μ_c)) of each cell and class, (n, K).

    Args:
        level: features at n cells.
        means: (K, D).
        factor: one whitening for all K classes, or one each.
        logdet: add log|Σ_c|, lowered by the smallest of them so that the root stays real (eq. 8 with the
            Gaussian classifier's volume term; one level's order of classes is that of the classifier).
    """
    if len(factor.matrix) == 1:
        shared = factor.matrix[0]
        return level.mapped(shared).squared_distances(means @ shared.T).sqrt()
    columns = [
        level.mapped(matrix).squared_distances((matrix @ mean)[None])
        for matrix, mean in zip(factor.matrix, means, strict=True)
    ]
    squares = torch.cat(columns, dim=1)
    if logdet:
        squares = squares + (factor.logdet - factor.logdet.min())
    return squares.sqrt()


def _level(
    level: Level, centre: ClassCells, spread: ClassCells, classes: Tensor, queries: Tensor, config: PlarConfig
) -> tuple[Tensor, Tensor]:
    per_class = is_per_class(config.covariance)
    moments = level.moments(spread, per_class)
    means = moments.means if centre is spread else level.means(centre)
    factor = whitening(config.covariance, moments)
    if per_class:
        factor = Whitening(factor.matrix[classes], factor.logdet[classes])
    return _measure(level.at(queries), means[classes], factor, config.logdet)


def _measure(level: CellFeatures, means: Tensor, factor: Whitening, logdet: bool) -> tuple[Tensor, Tensor]:
    euclid = level.squared_distances(means).sqrt()
    return _by_median(euclid), _by_median(mahalanobis(level, means, factor, logdet))


def _by_median(distances: Tensor) -> Tensor:
    """F1 and F2 have different scales; without this λ would mean nothing."""
    return distances / distances.median().clamp_min(torch.finfo(distances.dtype).tiny)


def _stack(pairs: list[tuple[Tensor, Tensor]], classes: Tensor) -> Distances:
    euclid, whitened = zip(*pairs, strict=True)
    return Distances(torch.stack(euclid), torch.stack(whitened), classes)
