"""The DeepLabv3+ head: ASPP, decoder and classifier, with the two feature taps."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.models.layers import ByteDropout

FEATURES = 256


class DeepLabHead(nn.Module):
    """ASPP on the high features, decoder on the low ones (Chen et al. 2018), classifier at stride 4.

    A 1×1 projection goes with element dropout 0.5 and 0.5/0.2 in the decoder, a 3×3 projection with channel
    dropout 0.1 throughout: the two columns of the method's table of networks.
    """

    def __init__(
        self, cfg: ModelConfig, channels: tuple[int, int, int], stride: int, low_stride: int, classes: int
    ) -> None:
        """Build the head.

        Args:
            cfg: rates, kernels and widths.
            channels: of the low, middle and high features.
            stride: pixels a cell of the high features.
            low_stride: pixels a cell of the low features and of the logits.
            classes: channels of the logits.
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
        """Logits (N, C, h4, w4), F1 (N, 256, h, w) on the high grid and F2 (N, 256, h4, w4)."""
        low, _, high = features
        f1 = self.project(self.aspp(high))
        context = upsample(self.project_dropout(f1), self.factor, (low.shape[-2], low.shape[-1]))
        f2 = self.fuse(torch.cat([context, self.low(low)], dim=1))
        return self.classifier(self.fuse_dropout(f2)), f1, f2


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: 1×1, three dilated 3×3s and image pooling, concatenated to 1280."""

    def __init__(self, channels: int, rates: tuple[int, ...], separable: bool) -> None:
        super().__init__()
        self.point = conv_norm_relu(channels, FEATURES, 1)
        self.atrous = nn.ModuleList(
            conv_norm_relu(channels, FEATURES, 3, dilation=rate, separable=separable) for rate in rates
        )
        # No batch norm here: with one value an image and two images it would leave nothing but signs.
        self.pool = nn.Sequential(nn.Conv2d(channels, FEATURES, 1), nn.ReLU())
        self.mean: nn.Module = ImageMean()

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, channels, h, w) to (N, 1280, h, w)."""
        pooled = spread(self.pool(self.mean(x)), x)
        return torch.cat([self.point(x), *(branch(x) for branch in self.atrous), pooled], dim=1)


class ImageMean(nn.Module):
    """The mean over an image: (N, channels, h, w) to (N, channels, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average."""
        return x.mean((2, 3), keepdim=True)


class LocalMean(nn.Module):
    """The mean over the ``cells`` × ``cells`` around each cell that are in the image; keeps the size.

    It takes the place of ``ImageMean`` where images are larger than in training, as the image pooling of
    DeepLabv3 (Chen et al. 2017, section 3.3) would otherwise see means of a variance it never met.
    """

    def __init__(self, cells: int) -> None:
        """``cells``: odd."""
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        """Average (N, channels, h, w)."""
        for kernel in ((1, self.cells), (self.cells, 1)):
            padding = kernel[0] // 2, kernel[1] // 2
            x = F.avg_pool2d(x, kernel, 1, padding, count_include_pad=False)
        return x


def spread(x: Tensor, like: Tensor) -> Tensor:
    """Repeat (N, channels, 1, 1) over the cells of ``like``; (N, channels, h, w) stay as they are."""
    return x.expand(-1, -1, *like.shape[-2:])


def alike(x: Tensor, like: Tensor) -> Tensor:
    """Features (N, channels, h, w) in the type and memory layout of others.

    Concatenating channels-last with contiguous takes seven times as long as two of a kind, and under
    autocast a float32 part makes all of it float32.
    """
    rows = like.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if rows else torch.contiguous_format
    return x.to(like.dtype).contiguous(memory_format=layout)


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int, dilation: int = 1, separable: bool = False
) -> nn.Sequential:
    """Convolution (depthwise and 1×1 where separable), batch norm, ReLU; keeps the size."""
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
    """Draw the weights of a head's convolutions, its classifier's among them."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Near-uniform first probabilities: no class starts with a lead that is only chance.
    nn.init.normal_(classifier.weight, std=0.01)


def upsample(x: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Bilinear (align_corners=False) enlargement by a whole factor, cut to ``size``.

    The one way from a coarse grid (F1, logits) to a finer one: cells stay where they are on the ground also
    where the image's size is no multiple of the stride.

    Args:
        x: (N, channels, h, w), or cells of it that cover at least ``size``.
        factor: fine cells a coarse cell.
        size: height and width of the fine grid.
    """
    if factor > 1:
        x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return x[..., : size[0], : size[1]]


def upsample_to(coarse: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bring F1 (N, channels, h, w) onto F2's grid of ``size``; the factor follows from the sizes."""
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
