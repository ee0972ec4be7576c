"""Covariances of class features, repaired so that they can be inverted, as whitening matrices.

A distance √((x−μ)ᵀ Σ⁻¹ (x−μ)) is Euclidean after x ↦ W·x with WᵀW = Σ⁻¹; one factorisation serves all cells.
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
    """W with WᵀW = Σ⁻¹ of each group.

    Attributes:
        matrix: (G, D, D); G is 1 for a covariance that all classes share.
        logdet: log|Σ|, (G,); of the non-zero part for ``pinv``.
    """

    matrix: Tensor
    logdet: Tensor


def is_per_class(option: Option) -> bool:
    """Whether each class has a covariance of its own."""
    return option in _PER_CLASS


def whitening(option: Option, moments: Moments) -> Whitening:
    """Estimate the covariances and factorise them.

    Args:
        option: which estimate (method, section 4.3).
        moments: pooled (G = 1) for ``pooled_lw`` and ``diag``, of each class otherwise.
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
    """Maximum-likelihood covariances Σ r rᵀ / n, (G, D, D)."""
    return moments.scatter / moments.counts.clamp_min(1)[:, None, None]


def ledoit_wolf(moments: Moments) -> tuple[Tensor, Tensor]:
    """Shrink towards the mean variance by the Ledoit–Wolf intensity (Ledoit & Wolf 2004).

    Returns:
        covariances (G, D, D) and shrinkage intensities (G,).
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
    """Shrink towards the mean variance by the oracle-approximating intensity (Chen et al. 2010).

    Returns:
        covariances (G, D, D) and shrinkage intensities (G,).
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
    """Regularised discriminant analysis (Friedman 1989): towards the pooled one, then the mean variance.

    Returns:
        covariances (G, D, D).
    """
    scatter = (1 - pooling) * moments.scatter + pooling * moments.scatter.sum(0)
    counts = (1 - pooling) * moments.counts + pooling * moments.counts.sum()
    covariance = scatter / counts.clamp_min(1)[:, None, None]
    return shrink(covariance, torch.full_like(counts, shrinkage))


def shrink(covariance: Tensor, shrinkage: Tensor) -> Tensor:
    """(1 − s)·Σ + s·(tr Σ / d)·I for (G, D, D) and intensities (G,)."""
    mean = _mean_variance(covariance)
    result = covariance * (1 - shrinkage)[:, None, None]
    result.diagonal(dim1=1, dim2=2).add_((shrinkage * mean)[:, None])
    return result


def factorise(covariance: Tensor, jitter: float = JITTER) -> Whitening:
    """Whiten by the Cholesky factor: W = L⁻¹.

    Args:
        covariance: (G, D, D), symmetric, positive semi-definite.
        jitter: added to the diagonal in mean variances; ten times more, again and again, where rounding has
            left the matrix indefinite. A matrix of zeros (no spread at all) counts as the identity.

    Raises:
        ConfigError: NaN or infinity, which no jitter repairs: the network has diverged.
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
    """Whiten the range of each covariance and drop its null space (eq. 8 as it stands).

    Kept for comparison: a class with few cells has a large null space, looks near to everything and wins.
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
    """A class of one cell has no spread of its own: it takes that of all classes together."""
    poor = moments.counts < 2
    return Moments(
        moments.means,
        torch.where(poor, moments.counts.sum(), moments.counts),
        torch.where(poor[:, None, None], moments.scatter.sum(0), moments.scatter),
        torch.where(poor, moments.fourth.sum(), moments.fourth),
    )
