"""Euclidean and Mahalanobis distances of cells to classes at two levels, and their mixture.

Ma, Karakus, Rosin, arXiv 2501.19227, equations 6 to 9. With the features f_l of a cell and the mean μ_lc
of class c at level l: E_lc = ‖f_l − μ_lc‖, M_lc = √((f_l − μ_lc)ᵀ Σ⁻¹ (f_l − μ_lc)), E_c = λ₁ E_1c + (1 −
λ₁) E_2c, and M_c likewise with λ₂. Our reading, ``scale_levels``: each level's distances are divided by their
median first. F1 and F2 differ in scale, and λ would mean nothing otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.class_bank import ClassBank
from tsfal_geo.refinement.covariance import Whitening, is_per_class, whitening
from tsfal_geo.refinement.levels import CellFeatures, ClassCells
from tsfal_geo.refinement.support import Support
from tsfal_geo.refinement.upsampled_level import feature_level


@dataclass(frozen=True)
class Distances:
    """Distances of n cells to the K available classes at L = 2 levels.

    Attributes:
        euclid: (L, n, K) float32.
        mahalanobis: (L, n, K) float32.
        classes: class of each of the K columns, (K,) int64.
    """

    euclid: Tensor
    mahalanobis: Tensor
    classes: Tensor

    def mixed(self, lambdas: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the levels.

        Args:
            lambdas: λ₁ and λ₂, (2,).

        Returns:
            E_c and M_c, (n, K) each.
        """
        first, second = lambdas
        return torch.lerp(self.euclid[1], self.euclid[0], first), torch.lerp(
            self.mahalanobis[1], self.mahalanobis[0], second
        )


def class_distances(
    features: tuple[Tensor, Tensor], support: Support, queries: Tensor, config: PlarConfig
) -> Distances:
    """Compute distances of query cells to the classes that have support in the same image.

    Args:
        features: F1 (D₁, h₁, w₁) and F2 (D₂, h, w) of one image, float32. F1 counts as upsampled
            bilinearly to F2's grid.
        support: of this image, with at least one available class.
        queries: (n,) int64, positions on F2's grid.
        config: the estimate of the covariance, ``logdet`` as for ``mahalanobis``, and ``scale_levels``.

    Raises:
        ConfigError: the features are not finite.
    """
    covariance = config.covariance
    size = (features[1].shape[1], features[1].shape[2])
    classes = support.available.nonzero()[:, 0]
    count = len(support.available)
    around = ClassCells(support.for_covariance, count)
    own_means = support.for_means is not support.for_covariance
    centre = ClassCells(support.for_means, count) if own_means else around
    pairs = []
    for values in features:
        level = feature_level(values, size)
        moments = level.moments(around, is_per_class(covariance))
        means = level.means(centre) if own_means else moments.means
        factor = whitening(covariance, moments)
        if is_per_class(covariance):
            factor = Whitening(factor.matrix[classes], factor.logdet[classes])
        pairs.append(_measure(level.at(queries), means[classes], factor, config.logdet))
    return _stack(pairs, classes, scaled=config.scale_levels is not False)


def bank_distances(features: tuple[Tensor, Tensor], bank: ClassBank, queries: Tensor) -> Distances:
    """Compute distances to the bank's class means, in the bank's pooled covariance.

    Args:
        features: as for ``class_distances``; of an image without support.
        bank: with at least one class.
        queries: as for ``class_distances``.

    Raises:
        ConfigError: the bank's covariance is not finite.
    """
    size = (features[1].shape[1], features[1].shape[2])
    classes = bank.seen.nonzero()[:, 0]
    pairs = []
    for values, means, factor in zip(features, bank.means, bank.whitenings(), strict=True):
        cells = feature_level(values, size).at(queries)
        pairs.append(_measure(cells, means[classes], factor, logdet=False))
    return _stack(pairs, classes, scaled=True)


def mahalanobis(cells: CellFeatures, means: Tensor, factor: Whitening, logdet: bool) -> Tensor:
    """Compute √((x − μ_c)ᵀ Σ_c⁻¹ (x − μ_c)) of each cell and class (equation 8).

    Args:
        cells: features of n cells.
        means: (K, D).
        factor: one whitening for all K classes, or one for each.
        logdet: add log|Σ_c| to the squares, less the smallest of them, so that the root stays real. Within
            one level, the order of the classes is then that of the Gaussian classifier.

    Returns:
        (n, K).
    """
    if len(factor.matrix) == 1:
        shared = factor.matrix[0]
        return cells.mapped(shared).squared_distances(means @ shared.T).sqrt()
    columns = [
        cells.mapped(matrix).squared_distances((matrix @ mean)[None])
        for matrix, mean in zip(factor.matrix, means, strict=True)
    ]
    squares = torch.cat(columns, dim=1)
    if logdet:
        squares = squares + (factor.logdet - factor.logdet.min())
    return squares.sqrt()


def _measure(cells: CellFeatures, means: Tensor, factor: Whitening, logdet: bool) -> tuple[Tensor, Tensor]:
    return cells.squared_distances(means).sqrt(), mahalanobis(cells, means, factor, logdet)


def _by_median(distances: Tensor) -> Tensor:
    return distances / distances.median().clamp_min(torch.finfo(distances.dtype).tiny)


def _stack(pairs: list[tuple[Tensor, Tensor]], classes: Tensor, *, scaled: bool) -> Distances:
    if scaled:
        pairs = [(_by_median(euclid), _by_median(whitened)) for euclid, whitened in pairs]
    euclid, whitened = zip(*pairs, strict=True)
    return Distances(torch.stack(euclid), torch.stack(whitened), classes)
