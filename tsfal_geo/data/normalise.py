"""Normalisation of batches: from the rasters' data types to the network's input."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tsfal_geo.raster.stats import Normalisation


class Normaliser(nn.Module):
    """Clip, shift and scale each channel by the training scenes' statistics, on the batch's device.

    Pixels that are not valid (nodata, padding) become 0, the mean of the training scenes.

    Args:
        statistics: of the training scenes; one value for each channel.

    Attributes:
        low: (C, 1, 1) float32, smallest value of each channel.
        high: (C, 1, 1) float32, largest value.
        mean: (C, 1, 1) float32, mean.
        std: (C, 1, 1) float32, standard deviation.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, statistics: Normalisation) -> None:
        super().__init__()
        for name in ("low", "high", "mean", "std"):
            values = torch.tensor(getattr(statistics, name), dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1), persistent=False)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Normalise ``image`` and, if the batch has it, ``height``.

        Args:
            batch: ``image`` (B, bands, H, W) of any dtype, ``valid`` (B, H, W) bool, and ``height``
                (B, 1, H, W) float32 if the statistics have a channel for it.

        Returns:
            (B, C, H, W) float32.
        """
        image = batch["image"].float()
        if "height" in batch:
            image = torch.cat((image, batch["height"]), dim=1)
        image = image.clamp(self.low, self.high).sub_(self.mean).div_(self.std)
        return image.masked_fill_(~batch["valid"].unsqueeze(1), 0.0)
