"""The instant architecture: features of all stages at several scales, and a head of 1×1 convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.models.encoders import LOW_STRIDE, Encoder
from tsfal_geo.models.head import FEATURES, initialise, upsample
from tsfal_geo.models.layers import ByteDropout


class Levels(tuple[Tensor, ...]):
    """Feature maps of all stages, scale by scale, from the finest to the coarsest: (N, channels, h, w).

    It is made like the features of other encoders: ``Levels(first, second, …)``.
    """

    __slots__ = ()

    def __new__(cls, *levels: Tensor) -> Levels:
        """Put feature maps together."""
        return super().__new__(cls, levels)


class PyramidEncoder(Encoder):
    """A convolutional encoder that gives the features of all its stages, of the image at several scales.

    Enlarging an image lets an encoder that learnt from close pictures see objects of few pixels, and two
    scales together tell more than either.

    Attributes:
        scales: enlargements of the image; the first one gives F1.
        level_channels: channels of each level.
        level_strides: pixels of the image a side of a cell of each level; below 1 for enlarged images.
    """

    def __init__(
        self, name: str, in_channels: int, output_stride: int = 16, scales: tuple[int, ...] = (1, 2)
    ) -> None:
        """Build a randomly initialised encoder.

        Args:
            name: as for `Encoder`.
            in_channels: channels of the input.
            output_stride: 16 or 8.
            scales: enlargements of the image.

        Raises:
            ConfigError: the name is unknown, or the network has no stages of these strides.
        """
        super().__init__(name, in_channels, output_stride)
        self.scales = scales
        size = 2 * self.multiple
        self.eval()
        with torch.no_grad():
            levels = self.net(torch.zeros(1, in_channels, size, size))[1:]
        self.train()
        self.level_channels = tuple(level.shape[1] for _ in scales for level in levels)
        self.level_strides = tuple(size / level.shape[-1] / scale for scale in scales for level in levels)
        self.stride = round(self.level_strides[self.deepest])

    @property
    def deepest(self) -> int:
        """Position of the level that F1 is made of: the last stage at the first scale."""
        return len(self.level_channels) // len(self.scales) - 1

    def forward(self, x: Tensor) -> Levels:  # type: ignore[override]
        """Compute the features of all levels.

        Args:
            x: (N, in_channels, H, W) float, with H and W multiples of ``multiple``.
        """
        levels: list[Tensor] = []
        for scale in self.scales:
            levels += self.net(_enlarged(x, scale))[1:]
        return Levels(*levels)


class InstantHead(nn.Module):
    """A hidden layer on the features of all levels at stride 4, and a classifier.

    The hidden layer is ReLU(Σ_l U(W_l f_l) + b), with U the resampling of level l to stride 4, which commutes
    with a 1×1 convolution. F2 is this layer. F1 is the deepest level's part of it, ReLU(W_l f_l + b), on the
    level's own grid. `tsfal_geo.instant` fits the weights from labelled cells in seconds.

    Attributes:
        aux: None, as this head has no auxiliary head.
        levels: the convolutions W_l.
        bias: (256,) b.
        classifier: the last 1×1 convolution, whose input is F2.
    """

    aux = None

    def __init__(
        self, channels: tuple[int, ...], strides: tuple[float, ...], deepest: int, classes: int
    ) -> None:
        """Build the head with random weights.

        Args:
            channels: of each level.
            strides: pixels a side of a cell of each level.
            deepest: position of the level that F1 is made of.
            classes: channels C of the logits.
        """
        super().__init__()
        self._strides, self._deepest = strides, deepest
        self.levels = nn.ModuleList(nn.Conv2d(width, FEATURES, 1, bias=False) for width in channels)
        self.bias = nn.Parameter(torch.zeros(FEATURES))
        self.dropout = ByteDropout(0.3)
        self.classifier = nn.Conv2d(FEATURES, classes, 1)
        initialise(self, self.classifier)

    def forward(self, features: Levels) -> tuple[Tensor, Tensor, Tensor]:
        """Classify the encoder's features.

        Args:
            features: of N images.

        Returns:
            Logits (N, C, h4, w4), F1 (N, 256, h, w) on the deepest level's grid and F2 (N, 256, h4, w4).
        """
        bias = self.bias[:, None, None]
        hidden: Tensor | None = None
        f1: Tensor | None = None
        for i, (level, stride) in enumerate(zip(features, self._strides, strict=True)):
            if stride < LOW_STRIDE:
                part = self.levels[i](to_quarter(level, stride))
            else:
                own = self.levels[i](level)
                if i == self._deepest:
                    f1 = torch.relu(own + bias)
                part = to_quarter(own, stride)
            hidden = part if hidden is None else hidden + part
        assert hidden is not None
        assert f1 is not None
        f2 = torch.relu(hidden + bias)
        logits: Tensor = self.classifier(self.dropout(f2))
        return logits, f1, f2


def to_quarter(level: Tensor, stride: float) -> Tensor:
    """Resample a level to stride 4: finer ones by the mean over a cell, coarser ones bilinearly.

    Args:
        level: (N, channels, h, w).
        stride: pixels of the image a side of a cell.

    Returns:
        (N, channels, H/4, W/4).
    """
    if stride < LOW_STRIDE:
        return F.avg_pool2d(level, round(LOW_STRIDE / stride))
    factor = round(stride / LOW_STRIDE)
    return upsample(level, factor, (level.shape[-2] * factor, level.shape[-1] * factor))


def _enlarged(x: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return x
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
