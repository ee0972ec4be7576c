"""Dropout that draws one random byte an element."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 256


class ByteDropout(nn.Dropout):
    """``nn.Dropout`` with its probability rounded to 1/256 on a CPU.

    PyTorch draws a full random number for each element, one after another: an eighth of a training step of a
    small network. Eight elements share one draw here. On other devices it is ``nn.Dropout``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of (N, channels, H, W) in train mode and scale the others up."""
        dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
        if not self.training or x.device.type != "cpu" or not dense:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        dropped = round(self.p * _LEVELS)
        kept = (draws.view(torch.uint8) >= dropped).as_strided(x.shape, x.stride())
        return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class HalfConv2d(nn.Conv2d):
    """A convolution for inference: its weight is bfloat16, its bias float32.

    oneDNN adds a float32 bias before it rounds. Autocast would round the bias, which shifts whole channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, channels, H, W) of any floating type; the result is bfloat16."""
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


def halve(convolution: nn.Conv2d) -> None:
    """Make a convolution a ``HalfConv2d``, in place: others that hold it (phases, hooks) keep their hold."""
    convolution.weight = nn.Parameter(convolution.weight.detach().to(torch.bfloat16), requires_grad=False)
    convolution.__class__ = HalfConv2d


def can_halve(convolution: nn.Conv2d) -> bool:
    """Whether its padding is given as numbers, of zeros."""
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
