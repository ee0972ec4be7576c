"""Convolutions in bfloat16 on a CPU whose bias stays float32, so that batch norms can be folded into them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
