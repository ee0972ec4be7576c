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
