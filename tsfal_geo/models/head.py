"""The DeepLabv3+ head (ASPP, decoder, classifier) with the taps F1 and F2, and parts for other heads."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.layers import ByteDropout

if TYPE_CHECKING:
    from tsfal_geo.models.encoders import EncoderFeatures

FEATURES = 256
"""Channels of F1 and F2."""


class DeepLabHead(nn.Module):
    """ASPP on the high features, decoder on the low ones (Chen et al. 2018), classifier at stride 4.

    F1 is the ASPP's projection after its ReLU and before dropout. F2 is the classifier's input after its ReLU
    and before dropout. With C classes the error mask decoder's input [F1, F2, P] then has 512 + C channels,
    which are the 531 of Ma, Karakus, Rosin (2025) for 19 classes.

    Dropout follows public code of two kinds. A 1×1 projection has element dropout 0.5, and 0.5 and 0.2 in the
    decoder (DEAL's MobileNetV2). A 3×3 projection has channel dropout 0.1 throughout (AEL's ResNet-101).

    Attributes:
        aux: the auxiliary head on the middle features, or None.
        classifier: the last 1×1 convolution, whose input is F2.
    """

    def __init__(
        self, cfg: ModelConfig, channels: tuple[int, int, int], stride: int, low_stride: int, classes: int
    ) -> None:
        """Build the head with random weights.

        Args:
            cfg: rates, kernels and widths.
            channels: of the low, middle and high features.
            stride: pixels a side of a cell of the high features.
            low_stride: pixels a side of a cell of the low features and of the logits.
            classes: channels C of the logits.
        """
        super().__init__()
        low, middle, high = channels
        self.factor = stride // low_stride
        light = cfg.projection_kernel == 1
        self.aspp = Aspp(high, cfg.atrous_rates, cfg.separable)
        self.project = conv_norm_relu(5 * FEATURES, FEATURES, cfg.projection_kernel)
        self.project_dropout = ByteDropout(0.5) if light else nn.Dropout2d(0.1)
        self.low = conv_norm_relu(low, cfg.low_level_channels, 1)
        self.fuse = _decoder(FEATURES + cfg.low_level_channels, cfg.decoder_convs, cfg.separable, light)
        self.fuse_dropout = ByteDropout(0.2) if light else nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(FEATURES, classes, 1)
        self.aux = _auxiliary(middle, classes) if cfg.aux_head else None
        initialise(self, self.classifier)

    def forward(self, features: EncoderFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """Decode the encoder's features.

        Args:
            features: of N images.

        Returns:
            Logits (N, C, h4, w4), F1 (N, 256, h, w) on the high grid and F2 (N, 256, h4, w4).
        """
        low, _, high = features
        f1 = self.project(self.aspp(high))
        context = upsample(self.project_dropout(f1), self.factor, (low.shape[-2], low.shape[-1]))
        f2 = self.fuse(torch.cat([context, self.low(low)], dim=1))
        return self.classifier(self.fuse_dropout(f2)), f1, f2


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: one 1×1, three dilated 3×3 convolutions and image pooling.

    Attributes:
        mean: the image pooling's average, ``ImageMean`` or ``LocalMean``.
    """

    def __init__(self, channels: int, rates: tuple[int, ...], separable: bool) -> None:
        """Build the five branches of 256 channels each.

        Args:
            channels: of the input.
            rates: dilations of the 3×3 convolutions.
            separable: True for separable convolutions, False for dense ones.
        """
        super().__init__()
        self.point = conv_norm_relu(channels, FEATURES, 1)
        self.atrous = nn.ModuleList(
            conv_norm_relu(channels, FEATURES, 3, dilation=rate, separable=separable) for rate in rates
        )
        # No batch norm here. An image has one value a channel, and a batch of two images is normalised to ±1
        # whatever the values are.
        self.pool = nn.Sequential(nn.Conv2d(channels, FEATURES, 1), nn.ReLU())
        self.mean: nn.Module = ImageMean()

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the branches: (N, channels, h, w) to (N, 1280, h, w)."""
        pooled = spread(self.pool(self.mean(x)), x)
        return torch.cat([self.point(x), *(branch(x) for branch in self.atrous), pooled], dim=1)


class ImageMean(nn.Module):
    """The mean over an image."""

    def forward(self, x: Tensor) -> Tensor:
        """Average (N, channels, h, w) to (N, channels, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


class LocalMean(nn.Module):
    """The mean over a window of cells around each cell, as far as the window lies in the image.

    It replaces ``ImageMean`` where images are larger than in training. The variance of a mean falls with the
    number of its cells, and the image pooling of DeepLabv3 (Chen et al. 2017, section 3.3) learnt from means
    of the training's variance.
    """

    def __init__(self, cells: int) -> None:
        """Set the window.

        Args:
            cells: side of the window; odd.
        """
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        """Average (N, channels, h, w) to the same size, rows and columns one after the other."""
        for kernel in ((1, self.cells), (self.cells, 1)):
            padding = kernel[0] // 2, kernel[1] // 2
            x = F.avg_pool2d(x, kernel, 1, padding, count_include_pad=False)
        return x


def spread(x: Tensor, like: Tensor) -> Tensor:
    """Repeat an image's value over its cells.

    Args:
        x: (N, channels, 1, 1), or (N, channels, h, w), which stays unchanged.
        like: (N, any, h, w).

    Returns:
        (N, channels, h, w).
    """
    return x.expand(-1, -1, *like.shape[-2:])


def alike(x: Tensor, like: Tensor) -> Tensor:
    """Convert features to the type and memory layout of others, with which they are concatenated.

    Concatenating a channels-last with a contiguous tensor takes seven times as long as two of one layout.
    Under autocast one float32 part makes the result float32.

    Args:
        x: (N, channels, h, w).
        like: (N, any, h, w).

    Returns:
        As ``x``.
    """
    rows = like.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if rows else torch.contiguous_format
    return x.to(like.dtype).contiguous(memory_format=layout)


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int, dilation: int = 1, separable: bool = False
) -> nn.Sequential:
    """Build convolution, batch norm and ReLU, which keep the size of a map.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: side of the kernel; odd.
        dilation: of the kernel.
        separable: True for a depthwise and a 1×1 convolution instead of a dense one.
    """
    padding = dilation * (kernel // 2)
    if separable and kernel > 1:
        convs = [
            nn.Conv2d(inputs, inputs, kernel, padding=padding, dilation=dilation, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        ]
    else:
        convs = [nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)]
    return nn.Sequential(*convs, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def initialise(head: nn.Module, classifier: nn.Conv2d) -> None:
    """Draw the weights of a head's convolutions (He et al. 2015), and small ones for its classifier.

    Args:
        head: changed in place.
        classifier: the head's last convolution.
    """
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Small weights make the first probabilities nearly uniform, so that no class starts with a random lead.
    nn.init.normal_(classifier.weight, std=0.01)


def upsample(x: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Upsample bilinearly by an integer factor (align_corners=False) and crop to a size.

    All upsampling of F1 and logits goes through here. A factor keeps cells in their place on the ground, also
    where the image's size is no multiple of the stride: interpolating to ``size`` directly would stretch the
    map by ``size`` / (h · factor).

    Args:
        x: (N, channels, h, w) with h · factor ≥ size[0] and w · factor ≥ size[1].
        factor: fine cells along a side of a coarse cell.
        size: height and width of the fine grid.

    Returns:
        (N, channels, *size).
    """
    if factor > 1:
        x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return x[..., : size[0], : size[1]]


def upsample_to(coarse: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Upsample F1 to F2's grid, by the smallest power of 2 that covers it.

    Args:
        coarse: (N, channels, h, w).
        size: height and width of F2's grid.

    Returns:
        (N, channels, *size).
    """
    factor = 1
    while coarse.shape[-2] * factor < size[0] or coarse.shape[-1] * factor < size[1]:
        factor *= 2
    return upsample(coarse, factor, (size[0], size[1]))


def _decoder(inputs: int, convs: int, separable: bool, light: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if convs == 2:
        layers["conv1"] = conv_norm_relu(inputs, FEATURES, 3, separable=separable)
        layers["dropout"] = ByteDropout(0.5) if light else nn.Dropout2d(0.1)
        inputs = FEATURES
    layers["last"] = conv_norm_relu(inputs, FEATURES, 3, separable=separable)
    return nn.Sequential(layers)


def _auxiliary(inputs: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        conv_norm_relu(inputs, FEATURES, 3), nn.Dropout2d(0.1), nn.Conv2d(FEATURES, classes, 1)
    )
