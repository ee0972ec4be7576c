"""The basis that shortens the features of a cell to their principal components."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COMPONENTS = 64


@dataclass(frozen=True)
class Basis:
    """The affine map from a cell's features to their principal components.

    The features are standardised, which gives each channel the same weight, and projected. Components keep
    their variance, so that a regularised classifier trusts the strong ones first.

    Attributes:
        mean: (D,) float64, mean of each feature.
        deviation: (D,) float64, standard deviation.
        vectors: (D, K) float64, orthonormal columns, by falling variance.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    vectors: NDArray[np.float64]

    @classmethod
    def of(cls, cells: NDArray[np.float32], components: int = COMPONENTS) -> Basis:
        """Compute the principal components of cells.

        Args:
            cells: (n, D) features.
            components: K, at most.
        """
        values = cells.astype(np.float64)
        mean, deviation = values.mean(0), values.std(0)
        # A channel that does not vary says nothing; dividing by its deviation would blow up rounding errors.
        deviation[deviation < 1e-6] = np.inf
        standard = (values - mean) / deviation
        _, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
        return cls(mean, deviation, np.ascontiguousarray(vectors[:, ::-1][:, :components]))

    def digest(self) -> str:
        """Return a fingerprint of the basis."""
        parts = (self.mean, self.deviation, self.vectors)
        return hashlib.blake2b(b"".join(part.tobytes() for part in parts), digest_size=16).hexdigest()

    def project(self, features: Tensor) -> Tensor:
        """Project features to components.

        Args:
            features: (D, h, w) float.

        Returns:
            (h, w, K) float32.
        """
        matrix = torch.from_numpy(self.vectors / self.deviation[:, None]).to(features)
        shift = torch.from_numpy(self.mean).to(features)
        return (features.permute(1, 2, 0) - shift) @ matrix
