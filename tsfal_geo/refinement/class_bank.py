"""Global class statistics: what PLAR falls back on in an image that offers no support at all (reading R4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsfal_geo.refinement.covariance import Whitening, factorise, ledoit_wolf
from tsfal_geo.refinement.levels import ClassCells
from tsfal_geo.refinement.upsampled_level import feature_level


class ClassBank(nn.Module):
    """Running class means and pooled covariances of F1 and F2 over labelled images; buffers, no parameters.

    Attributes:
        seen: classes met so far, (C,) bool.
    """

    seen: Tensor

    def __init__(self, classes: int, channels: tuple[int, int], momentum: float = 0.99) -> None:
        """Start empty.

        Args:
            classes: C.
            channels: D₁ and D₂.
            momentum: share of the old value at each update; the first value of a class is taken whole.
        """
        super().__init__()
        self.momentum = momentum
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool))
        for level, size in enumerate(channels, start=1):
            self.register_buffer(f"mean{level}", torch.zeros(classes, size))
            self.register_buffer(f"covariance{level}", torch.zeros(size, size))

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Class means (C, D) of both levels."""
        return self.get_buffer("mean1"), self.get_buffer("mean2")

    @torch.no_grad()
    def update(self, f1: Tensor, f2: Tensor, labels: Tensor) -> None:
        """Take in one labelled image.

        Args:
            f1: (D₁, h₁, w₁) float32.
            f2: (D₂, h, w) float32.
            labels: (h, w) uint8 from ``label_cells``; 255 where unlabelled.
        """
        members = ClassCells(labels.flatten(), len(self.seen))
        if not len(members.cells):
            return
        present = members.counts > 0
        first_ever = not bool(self.seen.any())
        for level, features in enumerate((f1, f2), start=1):
            whole = feature_level(features.float(), (f2.shape[1], f2.shape[2]))
            moments = whole.moments(members, per_class=False)
            means, covariance = moments.means, ledoit_wolf(moments)[0][0]
            old = self.get_buffer(f"mean{level}")
            blended = torch.where(self.seen[:, None], torch.lerp(means, old, self.momentum), means)
            old.copy_(torch.where(present[:, None], blended, old))
            kept = self.get_buffer(f"covariance{level}")
            kept.copy_(covariance if first_ever else torch.lerp(covariance, kept, self.momentum))
        self.seen |= present

    def whitenings(self) -> tuple[Whitening, Whitening]:
        """Whitening of the pooled covariance of both levels."""
        return (
            factorise(self.get_buffer("covariance1")[None]),
            factorise(self.get_buffer("covariance2")[None]),
        )
