"""How much each feature level counts in PLAR's distances, learned per image (method, section 4.5)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.models.head import FEATURES

_HIDDEN = 64


class DistanceWeights(nn.Module):
    """(GAP(F1), GAP(F2)) → 512 → 64 → (λ1, λ2) in 0..1, with the temperatures of the episodic training.

    λ1 weighs level 1 against level 2 in the Euclidean, λ2 in the Mahalanobis distance. The last layer starts
    at zero, so that every image begins with the initial λ.
    """

    def __init__(self, initial: float = 0.3) -> None:
        """Build the module.

        Args:
            initial: λ1 and λ2 before training, in (0, 1).
        """
        super().__init__()
        last = nn.Linear(_HIDDEN, 2)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, math.log(initial / (1 - initial)))
        self.layers = nn.Sequential(nn.Linear(2 * FEATURES, _HIDDEN), nn.ReLU(), last)
        # softplus⁻¹(1): both temperatures begin at 1.
        self.raw_temperatures = nn.Parameter(torch.full((2,), math.log(math.e - 1)))

    def forward(self, pooled1: Tensor, pooled2: Tensor) -> Tensor:
        """λ per image, (N, 2) float32: column 0 is λ1 (Euclidean), column 1 is λ2 (Mahalanobis).

        Args:
            pooled1: mean of F1 over its cells, (N, 256). F1's own grid serves: enlarging by a whole factor
                leaves the mean as it is.
            pooled2: mean of F2 over its cells, (N, 256).
        """
        with torch.autocast(pooled1.device.type, enabled=False):
            pooled = torch.cat([pooled1, pooled2], dim=1).detach().float()
            return torch.sigmoid(self.layers(pooled))

    @property
    def temperatures(self) -> Tensor:
        """(τ_E, τ_M), positive."""
        return F.softplus(self.raw_temperatures)
