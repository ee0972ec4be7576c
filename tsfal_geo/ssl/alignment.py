"""Distribution alignment: pseudo-labels as frequent, class by class, as labels are.

Networks that learn from each other's labels drift to the classes that are frequent anyway. Source: Berthelot
et al. 2020 (ReMixMatch, section 3.1), with the shares of the labelled pixels as the known distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsfal_geo.models.segmenter import Segmenter

MOMENTUM = 0.99
# A class that a network hardly sees yet gets at most this much more, or less.
MOST = 10.0


class Alignment(nn.Module):
    """Shifts logits by log(share among the labels / running share among the predictions).

    Attributes:
        prior: (C,) float32 shares of the classes among the labelled pixels.
        seen: (networks, C) float32 running mean probabilities of each network on unlabelled images.
    """

    prior: Tensor
    seen: Tensor

    def __init__(self, counts: Sequence[int], networks: int) -> None:
        """Begin with predictions that are taken to be as frequent as labels.

        Args:
            counts: (C,) labelled pixels of each class.
            networks: whose predictions are aligned.
        """
        super().__init__()
        pixels = torch.tensor(counts, dtype=torch.float64) + 1
        prior = (pixels / pixels.sum()).float()
        self.register_buffer("prior", prior)
        self.register_buffer("seen", prior.repeat(networks, 1))

    @torch.no_grad()
    def forward(self, network: int, logits: Tensor, valid: Tensor) -> Tensor:
        """Note what a network predicts, and align it.

        Args:
            network: which, from 0.
            logits: (N, C, h4, w4), any precision.
            valid: (N, H, W) bool.

        Returns:
            (N, C, h4, w4) float32.
        """
        logits = logits.float()
        stride = Segmenter.LOGIT_STRIDE
        inside = valid[:, None, stride // 2 :: stride, stride // 2 :: stride].to(logits.dtype)
        sums = (logits.softmax(dim=1) * inside).sum((0, 2, 3))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        whole = sums.sum()
        # No branch on the sum: it would wait for the device in every step.
        weight = (1 - MOMENTUM) * (whole > 0).to(sums.dtype)
        self.seen[network].lerp_(sums / whole.clamp_min(1), weight)
        shift = (self.prior / self.seen[network]).log().clamp(-math.log(MOST), math.log(MOST))
        return logits + shift[:, None, None]
