"""Layers that do the work of PyTorch's own at a lower cost on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 256


class ByteDropout(nn.Dropout):
    """``nn.Dropout`` that draws one random byte an element on a CPU; its probability is rounded to 1/256.

    PyTorch draws a full random number for each element, one after another. That takes an eighth of a training
    step of a small network. Here one 64-bit draw serves eight elements: its bytes are independent and uniform
    on 0 to 255, so that an element is dropped where its byte is below 256 · p. On other devices the layer is
    ``nn.Dropout``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements in train mode and scale the others by 1 / (1 − p).

        Args:
            x: (N, channels, H, W).

        Returns:
            As ``x``.
        """
        dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
        if not self.training or x.device.type != "cpu" or not dense:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        dropped = round(self.p * _LEVELS)
        kept = (draws.view(torch.uint8) >= dropped).as_strided(x.shape, x.stride())
        return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class BFloat16Conv2d(nn.Conv2d):
    """A convolution for inference with bfloat16 weights and a float32 bias.

    oneDNN accumulates in float32, adds the bias there and rounds the sum once. Under autocast the bias itself
    is rounded to 8 bits first. That error is the same in all cells of a channel, so
    that it shifts the channel as a whole, where the rounding of sums averages out.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve.

        Args:
            x: (N, channels, H, W) of any floating-point type.

        Returns:
            (N, outputs, H', W') bfloat16.
        """
        assert not isinstance(self.padding, str)
        convolved: Tensor = torch.mkldnn_convolution(
            x.to(self.weight.dtype),
            self.weight,
            self.bias,
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
        )
        return convolved


def to_bfloat16(convolution: nn.Conv2d) -> None:
    """Turn a convolution into a ``BFloat16Conv2d``, in place.

    The object stays the same, because phased runs and hooks hold references to it.

    Args:
        convolution: one that ``can_be_bfloat16``.
    """
    convolution.weight = nn.Parameter(convolution.weight.detach().to(torch.bfloat16), requires_grad=False)
    convolution.__class__ = BFloat16Conv2d


def can_be_bfloat16(convolution: nn.Conv2d) -> bool:
    """Return True if ``to_bfloat16`` applies: the padding is zeros and its width is given in numbers.

    Args:
        convolution: any.
    """
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
