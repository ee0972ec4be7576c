"""The output layers of a trained model at the image's resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.head import upsample
from tsfal_geo.models.segmenter import Segmenter

PROBABILITIES = "probabilities"
ERROR = "error"
PredictFn = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
"""A batch as in training (``image`` (N, B, h, w) of the raster's dtype, ``valid`` bool (N, h, w), ``height``
float32 (N, 1, h, w) with a DSM) to named layers (N, channels, h / s, w / s), s one of 1, 2, 4."""


class OutputLayers(nn.Module):
    """Normalised images to probabilities (and errors) at the image's resolution."""

    def __init__(self, segmenter: Segmenter, decoder: ErrorMaskDecoder | None) -> None:
        super().__init__()
        self.encoder, self.head, self.decoder = segmenter.encoder, segmenter.head, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return probabilities (N, C, h, w) and, with a decoder, errors (N, 1, h, w)."""
        size = (x.shape[-2], x.shape[-1])
        logits, f1, f2 = self.head(self.encoder(x))
        layers = [logits.float().softmax(1)]
        if self.decoder is not None:
            layers.append(self.decoder(f1, f2, logits.softmax(1)).float().sigmoid())
        return tuple(upsample(layer, Segmenter.LOGIT_STRIDE, size) for layer in layers)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, without waiting for a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
