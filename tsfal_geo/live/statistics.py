"""Means and scatter of the labelled cells of each class, changed by the cells that come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]


@dataclass(frozen=True)
class ClassDistances:
    """Mahalanobis distances to class means under one covariance that all classes share.

    Attributes:
        whitening: (K, K) float64 W with WᵀW = Σ⁻¹.
        means: (C, K) float64, W μ of each class; infinite for a class without a cell.
        counts: (C,) int64 cells of each class.
        sums: (C, K) float64 sums of the cells' components.
    """

    whitening: NDArray[np.float64]
    means: NDArray[np.float64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]

    def nearest(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the class with the nearest mean of each of n cells, (n,) int64.

        Args:
            features: (n, K) components.
        """
        return self._squared(features).argmin(1)

    def nearest_without(
        self, features: Features, classes: NDArray[np.int64], answers: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the nearest class of each labelled cell, with its own answer taken out of its class's mean.

        Args:
            features: (n, K) components of labelled cells.
            classes: (n,) class indices.
            answers: (n,) number of the answer that each belongs to.

        Returns:
            (n,) int64 class indices.
        """
        squared = self._squared(features)
        numbers, own = np.unique(answers, return_inverse=True)
        sums = np.zeros((len(numbers), features.shape[1]))
        np.add.at(sums, own, features.astype(np.float64))
        counts = np.bincount(own)
        left = self.counts[classes] - counts[own]
        with np.errstate(divide="ignore", invalid="ignore"):
            means = (self.sums[classes] - sums[own]) / left[:, None]
            apart = ((features - means) @ self.whitening.T) ** 2
        squared[np.arange(len(classes)), classes] = np.where(left > 0, apart.sum(1), np.inf)
        return squared.argmin(1)

    def _squared(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        white = np.asarray(features, np.float64) @ self.whitening.T
        known = self.counts > 0
        squared = np.full((len(white), len(known)), np.inf)
        means = self.means[known]
        squared[:, known] = (white**2).sum(1)[:, None] - 2 * white @ means.T + (means**2).sum(1)
        return squared


class ClassStatistics:
    """Sums and products of the labelled cells; adding n cells costs n products of K × K.

    Args:
        classes: C.
        components: K.
    """

    def __init__(self, classes: int, components: int) -> None:
        self.counts = np.zeros(classes, np.int64)
        self.sums = np.zeros((classes, components))
        self.products = np.zeros((components, components))

    def add(self, features: Features, classes: NDArray[np.int64], sign: int = 1) -> None:
        """Take cells in, or out again.

        Args:
            features: (n, K) components.
            classes: (n,) class indices.
            sign: 1, or −1 for cells that go.
        """
        values = features.astype(np.float64)
        self.counts += sign * np.bincount(classes, minlength=len(self.counts))
        np.add.at(self.sums, classes, sign * values)
        self.products += sign * values.T @ values

    def distances(self) -> ClassDistances | None:
        """Factorise the pooled covariance; None without two classes, or without a cell more than classes.

        The covariance of the residuals Σ = (Σ x xᵀ − Σ_c n_c μ_c μ_cᵀ) / n is shrunk towards its mean
        variance by the oracle approximating intensity of Chen et al. 2010, "Shrinkage Algorithms for MMSE
        Covariance Estimation", equation 23: it needs no moment beyond the second.
        """
        known = self.counts > 0
        total, size = int(self.counts.sum()), len(self.products)
        if known.sum() < 2 or total <= known.sum():
            return None
        means = np.zeros_like(self.sums)
        means[known] = self.sums[known] / self.counts[known, None]
        covariance = (self.products - means.T @ self.sums) / total
        covariance = (covariance + covariance.T) / 2
        variance = np.trace(covariance) / size
        alpha = (covariance**2).mean()
        apart = (total + 1) * (alpha - variance**2 / size)
        shrinkage = 1.0 if apart <= 0 else min(1.0, (alpha + variance**2) / apart)
        shrunk = (1 - shrinkage) * covariance
        # Sums that were added and taken away again leave rounding errors, which must not be negative.
        shrunk[np.diag_indices(size)] += shrinkage * variance + 1e-9 * max(variance, 1e-12)
        factor = np.linalg.cholesky(shrunk)
        whitening = np.linalg.solve(factor, np.eye(size))
        return ClassDistances(whitening, means @ whitening.T, self.counts.copy(), self.sums.copy())
