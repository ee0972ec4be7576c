"""Global class statistics over labelled images.

The paper takes means and covariances from the same image (arXiv 2501.19227, equations 6 to 9). An image in
which the teacher is unsure throughout has neither labels nor reliable pseudo-labels to take them from; our
reading is that running statistics of labelled images stand in for them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsfal_geo.refinement.covariance import Whitening, factorise, ledoit_wolf
from tsfal_geo.refinement.levels import ClassCells
from tsfal_geo.refinement.upsampled_level import feature_level


class ClassBank(nn.Module):
    """Running class means and pooled covariances of F1 and F2 over labelled images; buffers, no parameters.

    Attributes:
        seen: classes that have a mean, (C,) bool.
    """

    seen: Tensor

    def __init__(self, classes: int, channels: tuple[int, int], momentum: float = 0.99) -> None:
        """Start empty.

        Args:
            classes: C.
            channels: D₁ and D₂.
            momentum: share of the old value at each update. A class's first value is taken as it is.
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
        """Add the statistics of one labelled image.

        Args:
            f1: (D₁, h₁, w₁) float32.
            f2: (D₂, h, w) float32.
            labels: (h, w) uint8 from ``label_cells``; 255 where unlabelled.
        """
        cells = ClassCells(labels.flatten(), len(self.seen))
        if not len(cells.positions):
            return
        present = cells.counts > 0
        first_ever = not bool(self.seen.any())
        for number, features in enumerate((f1, f2), start=1):
            level = feature_level(features.float(), (f2.shape[1], f2.shape[2]))
            moments = level.moments(cells, per_class=False)
            means, covariance = moments.means, ledoit_wolf(moments)[0][0]
            old = self.get_buffer(f"mean{number}")
            blended = torch.where(self.seen[:, None], torch.lerp(means, old, self.momentum), means)
            old.copy_(torch.where(present[:, None], blended, old))
            kept = self.get_buffer(f"covariance{number}")
            kept.copy_(covariance if first_ever else torch.lerp(covariance, kept, self.momentum))
        self.seen |= present

    def whitenings(self) -> tuple[Whitening, Whitening]:
        """Factorise the pooled covariance of both levels.

        Raises:
            ConfigError: a covariance is not finite.
        """
        return (
            factorise(self.get_buffer("covariance1")[None]),
            factorise(self.get_buffer("covariance2")[None]),
        )
