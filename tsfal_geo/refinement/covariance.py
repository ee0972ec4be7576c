"""Covariances of class features, repaired so that they can be inverted, as whitening matrices.

Whitening. The Mahalanobis distance √((x−μ)ᵀ Σ⁻¹ (x−μ)) (arXiv 2501.19227, equation 8) is ‖W x − W μ‖ for
any W with WᵀW = Σ⁻¹. With the Cholesky factor Σ = L Lᵀ, W = L⁻¹ is such a matrix. One factorisation serves
all cells, and no inverse is ever formed.

Repairs. Equation 8 inverts a class's own D × D covariance, D = 256. Its rank is below the number of the
class's cells, and neighbouring cells are correlated, so Σ is singular for rare classes. A pseudo-inverse
drops the null space, and distances along it count as zero: the class with the fewest cells looks nearest
to everything and wins. The options repair this in different ways:

- ``per_class_lw``, ``per_class_oas``: shrink each class's covariance towards its mean variance,
  (1 − s) Σ + s (tr Σ / D) I, with the intensity s of Ledoit and Wolf or of Chen et al. This is equation 8
  with the least repair. A class of large spread still wins, since its distances are short;
  ``distances.mahalanobis`` can add log|Σ|, which makes the rule a Gaussian classifier.
- ``pooled_lw``: one covariance of the residuals of all classes, shrunk likewise. It has far more cells, no
  class is at an advantage, and log|Σ| cancels. Its distance costs one factorisation a level.
- ``rda``: half of each, after Friedman.
- ``diag``: variances of the channels alone, pooled.
- ``pinv``: equation 8 as it stands, with the pseudo-inverse, for comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tsfal_geo.errors import ConfigError
from tsfal_geo.refinement.levels import Moments

Option = Literal["pinv", "per_class_lw", "per_class_oas", "rda", "pooled_lw", "diag"]
JITTER = 1e-6
RDA_POOLING = 0.5
RDA_SHRINKAGE = 0.1
_PER_CLASS = frozenset({"pinv", "per_class_lw", "per_class_oas", "rda"})


@dataclass(frozen=True)
class Whitening:
    """Matrices W with WᵀW = Σ⁻¹, for G groups of cells.

    Attributes:
        matrix: (G, D, D); G is 1 for a covariance that all classes share.
        logdet: log|Σ|, (G,); of the non-zero part for ``pinv``.
    """

    matrix: Tensor
    logdet: Tensor


def is_per_class(option: Option) -> bool:
    """Tell whether each class has a covariance of its own.

    Args:
        option: the estimate.
    """
    return option in _PER_CLASS


def whitening(option: Option, moments: Moments) -> Whitening:
    """Estimate covariances and factorise them.

    Args:
        option: the estimate.
        moments: pooled (G = 1) for ``pooled_lw`` and ``diag``, of each class (G = C) otherwise.

    Returns:
        The whitening of each group.

    Raises:
        ConfigError: the features are not finite.
    """
    if option == "pinv":
        return pseudo_inverse(empirical(moments))
    if option == "diag":
        covariance = empirical(moments)
        return factorise(torch.diag_embed(covariance.diagonal(dim1=1, dim2=2)))
    if option == "rda":
        return factorise(regularised(moments, RDA_POOLING, RDA_SHRINKAGE))
    if option == "pooled_lw":
        return factorise(ledoit_wolf(moments)[0])
    estimate = ledoit_wolf if option == "per_class_lw" else oas
    return factorise(estimate(_lend_spread(moments))[0])


def empirical(moments: Moments) -> Tensor:
    """Compute maximum-likelihood covariances Σ r rᵀ / n.

    Args:
        moments: of G groups.

    Returns:
        (G, D, D).
    """
    return moments.scatter / moments.counts.clamp_min(1)[:, None, None]


def ledoit_wolf(moments: Moments) -> tuple[Tensor, Tensor]:
    """Shrink towards the mean variance by the Ledoit–Wolf intensity.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004. With S
    the empirical covariance and m its mean variance, the intensity is the estimated error of S over its
    distance to m I: (Σ ‖r‖⁴ / n − ‖S‖²) / n, over ‖S‖² − D m². Both need the moments alone.

    Args:
        moments: of G groups.

    Returns:
        Covariances (G, D, D) and shrinkage intensities (G,) in [0, 1].
    """
    covariance = empirical(moments)
    size = covariance.shape[-1]
    counts = moments.counts.clamp_min(1)
    mean = _mean_variance(covariance)
    squares = covariance.square().sum((1, 2))
    noise = (moments.fourth / counts - squares) / (size * counts)
    distance = (squares - size * mean.square()) / size
    noise = torch.minimum(noise.clamp_min(0), distance)
    shrinkage = torch.where(distance > 0, noise / distance.clamp_min(1e-38), torch.zeros_like(noise))
    return shrink(covariance, shrinkage), shrinkage


def oas(moments: Moments) -> tuple[Tensor, Tensor]:
    """Shrink towards the mean variance by the oracle-approximating intensity.

    Chen, Wiesel, Eldar, Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010.

    Args:
        moments: of G groups.

    Returns:
        Covariances (G, D, D) and shrinkage intensities (G,) in [0, 1].
    """
    covariance = empirical(moments)
    size = covariance.shape[-1]
    mean_square = _mean_variance(covariance).square()
    alpha = covariance.square().mean((1, 2))
    spread = (moments.counts + 1) * (alpha - mean_square / size)
    ratio = (alpha + mean_square) / spread.clamp_min(1e-38)
    shrinkage = torch.where(spread > 0, ratio.clamp_max(1), torch.ones_like(ratio))
    return shrink(covariance, shrinkage), shrinkage


def regularised(moments: Moments, pooling: float, shrinkage: float) -> Tensor:
    """Blend each class's covariance with the pooled one, then shrink it towards the mean variance.

    Friedman, "Regularized discriminant analysis", 1989.

    Args:
        moments: of each class.
        pooling: share of the pooled scatter, in [0, 1].
        shrinkage: intensity, in [0, 1].

    Returns:
        Covariances, (C, D, D).
    """
    scatter = (1 - pooling) * moments.scatter + pooling * moments.scatter.sum(0)
    counts = (1 - pooling) * moments.counts + pooling * moments.counts.sum()
    covariance = scatter / counts.clamp_min(1)[:, None, None]
    return shrink(covariance, torch.full_like(counts, shrinkage))


def shrink(covariance: Tensor, shrinkage: Tensor) -> Tensor:
    """Return (1 − s) Σ + s (tr Σ / D) I.

    Args:
        covariance: Σ, (G, D, D).
        shrinkage: intensities s, (G,).

    Returns:
        (G, D, D).
    """
    mean = _mean_variance(covariance)
    result = covariance * (1 - shrinkage)[:, None, None]
    result.diagonal(dim1=1, dim2=2).add_((shrinkage * mean)[:, None])
    return result


def factorise(covariance: Tensor, jitter: float = JITTER) -> Whitening:
    """Whiten by the inverse Cholesky factor, W = L⁻¹.

    Then log|Σ| = 2 Σ_i log L_ii. A matrix of zeros (no spread at all) counts as the identity.

    Args:
        covariance: (G, D, D), symmetric, positive semi-definite.
        jitter: share of the mean variance that is added to the diagonal. Where rounding has left a matrix
            indefinite, it grows tenfold until the factorisation succeeds.

    Raises:
        ConfigError: the covariance holds NaN or infinity, which no jitter repairs: the network has diverged.
    """
    mean = _mean_variance(covariance)
    flat = mean <= torch.finfo(covariance.dtype).tiny
    unit = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    factor, info = torch.linalg.cholesky_ex(_lifted(covariance, jitter * mean + flat))
    while bool(info.any()):
        if not bool(torch.isfinite(covariance).all()):
            raise ConfigError(
                "train.lr: the network's features are no longer finite numbers, the training has diverged; "
                "lower train.lr (and train.head_lr_mult) and start over with --fresh"
            )
        jitter = 10 * max(jitter, JITTER)
        factor, info = torch.linalg.cholesky_ex(_lifted(covariance, jitter * mean + flat))
    matrix = torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False)
    return Whitening(matrix, 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1))


def pseudo_inverse(covariance: Tensor) -> Whitening:
    """Whiten the range of each covariance and drop its null space (equation 8 as it stands).

    With the eigenvalues λ and eigenvectors V of Σ, W = diag(λ^−½) Vᵀ, where λ^−½ is 0 for λ below the
    rounding error of the largest. The module's text says why this option is for comparison only.

    Args:
        covariance: (G, D, D), symmetric, positive semi-definite.
    """
    values, vectors = torch.linalg.eigh(covariance)
    cut = values.amax(1, keepdim=True) * covariance.shape[-1] * torch.finfo(covariance.dtype).eps
    kept = (values > cut) & (values > 0)
    safe = torch.where(kept, values, torch.ones_like(values))
    scale = torch.where(kept, safe.rsqrt(), torch.zeros_like(values))
    return Whitening(scale[:, :, None] * vectors.mT, safe.log().sum(1))


def _lifted(covariance: Tensor, by: Tensor) -> Tensor:
    result = covariance.clone()
    result.diagonal(dim1=1, dim2=2).add_(by[:, None])
    return result


def _mean_variance(covariance: Tensor) -> Tensor:
    return covariance.diagonal(dim1=1, dim2=2).mean(1)


def _lend_spread(moments: Moments) -> Moments:
    """Give a class of one cell, which has no spread of its own, the moments of all classes together."""
    poor = moments.counts < 2
    return Moments(
        moments.means,
        torch.where(poor, moments.counts.sum(), moments.counts),
        torch.where(poor[:, None, None], moments.scatter.sum(0), moments.scatter),
        torch.where(poor, moments.fourth.sum(), moments.fourth),
    )
