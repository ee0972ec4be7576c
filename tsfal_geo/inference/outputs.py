"""The output layers of a trained model: their names, and the module that computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.head import upsample
from tsfal_geo.models.segmenter import Segmenter

PROBABILITIES = "probabilities"
"""Name of the layer of class probabilities, (N, C, …)."""
ERROR = "error"
"""Name of the layer of the error mask decoder's probabilities, (N, 1, …)."""

PredictFn = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
"""A function from a batch as in training to named layers (N, channels, h / s, w / s), with s 1, 2 or 4.

The batch holds ``image`` (N, B, h, w) of the raster's dtype, ``valid`` bool (N, h, w), and ``height`` float32
(N, 1, h, w) in metres if the model uses a DSM.
"""


class OutputLayers(nn.Module):
    """A segmenter with its error mask decoder, as one module from images to output layers.

    Batch norms are folded and rows are streamed through this module, because a single trace of it meets every
    layer that inference runs.
    """

    def __init__(self, segmenter: Segmenter, decoder: ErrorMaskDecoder | None) -> None:
        """Take the networks; their weights are shared, not copied.

        Args:
            segmenter: gives probabilities and the two taps of features.
            decoder: gives errors from these; None: no such layer.
        """
        super().__init__()
        self.encoder, self.head, self.decoder = segmenter.encoder, segmenter.head, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the layers.

        Args:
            x: (N, B, h, w) normalised images.

        Returns:
            Probabilities (N, C, h, w) and, with a decoder, errors (N, 1, h, w), upsampled from stride 4.
        """
        size = (x.shape[-2], x.shape[-1])
        logits, f1, f2 = self.head(self.encoder(x))
        layers = [logits.float().softmax(1)]
        if self.decoder is not None:
            layers.append(self.decoder(f1, f2, logits.softmax(1)).float().sigmoid())
        return tuple(upsample(layer, Segmenter.LOGIT_STRIDE, size) for layer in layers)


class StrideLayers(nn.Module):
    """The same layers at stride 4, as windows are blended; each network runs by its own forward pass."""

    def __init__(self, segmenter: Segmenter, decoder: ErrorMaskDecoder | None) -> None:
        """Take the networks; their weights are shared, not copied.

        Args:
            segmenter: gives probabilities and the two taps of features.
            decoder: gives errors from these; None: no such layer.
        """
        super().__init__()
        self.segmenter, self.decoder = segmenter, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the layers.

        Args:
            x: (N, B, h, w) normalised images.

        Returns:
            Probabilities (N, C, h / 4, w / 4) and, with a decoder, errors (N, 1, h / 4, w / 4), float32.
        """
        output = self.segmenter(x, features=self.decoder is not None)
        probabilities = output.logits.float().softmax(1)
        if self.decoder is None:
            return (probabilities,)
        logits = self.decoder(output.f1, output.f2, probabilities)
        return probabilities, logits.float().sigmoid()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, without waiting for a GPU.

    Args:
        tensor: in the memory of the CPU.
        device: CPU or GPU; for the CPU, the tensor itself is returned.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
