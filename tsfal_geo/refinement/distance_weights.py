"""The weight module: each image's weights λ₁ and λ₂ of the feature levels in PLAR's distances.

The paper mixes the levels by learned weights (arXiv 2501.19227, equations 6 to 9) without saying how they
learn: the vote takes an argmin, which passes no gradient. Our reading is a small network on the globally
averaged features, trained by ``episodes.episodic_loss``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.models.head import FEATURES

_HIDDEN = 64


class DistanceWeights(nn.Module):
    """Two linear layers from the averages of F1 and F2, 512 channels, to λ₁ and λ₂ in (0, 1).

    λ₁ weights level 1 against level 2 in the Euclidean distance, λ₂ in the Mahalanobis distance.
    The last layer's weights start at zero, so that every image begins with the initial λ. The
    module also holds the temperatures of the episodic training.
    """

    def __init__(self, initial: float = 0.3) -> None:
        """Build the module.

        Args:
            initial: λ₁ and λ₂ before training, in (0, 1).
        """
        super().__init__()
        last = nn.Linear(_HIDDEN, 2)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, math.log(initial / (1 - initial)))
        self.layers = nn.Sequential(nn.Linear(2 * FEATURES, _HIDDEN), nn.ReLU(), last)
        # softplus⁻¹(1): both temperatures begin at 1.
        self.raw_temperatures = nn.Parameter(torch.full((2,), math.log(math.e - 1)))

    def forward(self, pooled1: Tensor, pooled2: Tensor) -> Tensor:
        """Compute λ of each image. Gradients do not reach the features.

        Args:
            pooled1: mean of F1 over its cells, (N, 256). F1's own grid serves: upsampling by an integer
                factor does not change the mean.
            pooled2: mean of F2 over its cells, (N, 256).

        Returns:
            (N, 2) float32: λ₁ (Euclidean) and λ₂ (Mahalanobis).
        """
        with torch.autocast(pooled1.device.type, enabled=False):
            pooled = torch.cat([pooled1, pooled2], dim=1).detach().float()
            return torch.sigmoid(self.layers(pooled))

    @property
    def temperatures(self) -> Tensor:
        """Temperatures (τ_E, τ_M) of the episodic training, (2,), positive."""
        return F.softplus(self.raw_temperatures)
