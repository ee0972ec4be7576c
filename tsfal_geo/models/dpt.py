"""The DPT head for vision transformers (Ranftl et al. 2021), with the grids and taps of DeepLabv3+."""

from __future__ import annotations

from torch import Tensor, nn

from tsfal_geo.models.head import FEATURES, conv_norm_relu, initialise, upsample
from tsfal_geo.models.vit import ViTFeatures


class DptHead(nn.Module):
    """Resample four maps of one grid to strides 4 to 32 and fuse them from the coarsest to the finest.

    F1 is the projection of the last block's map, on the encoder's grid. F2 is the fused map before the
    classifier. Every cell keeps its place on the ground: maps are refined by transposed convolutions,
    coarsened by a convolution whose kernel equals its stride, and upsampled with half-cell centres. The
    original aligns corners, which moves cells by up to half a cell, depending on their place in the image.

    Attributes:
        aux: None, as this head has no auxiliary head.
        classifier: the last 1×1 convolution, whose input is F2.
    """

    aux = None

    def __init__(self, channels: tuple[int, int, int, int], classes: int, separable: bool) -> None:
        """Build the head with random weights.

        Args:
            channels: of the four maps.
            classes: channels C of the logits.
            separable: True for separable convolutions, False for dense ones.
        """
        super().__init__()
        quarter, half, same, last = channels
        self.project = conv_norm_relu(last, FEATURES, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(resize, _conv(width, separable))
            for width, resize in (
                (quarter // 8, _refine(quarter, quarter // 8, 4)),
                (half // 4, _refine(half, half // 4, 2)),
                (same // 2, nn.Conv2d(same, same // 2, 1)),
                (FEATURES, nn.Conv2d(FEATURES, FEATURES, 2, stride=2)),
            )
        )
        self.fusions = nn.ModuleList(
            _Fusion(separable, coarsest=level is self.levels[-1]) for level in self.levels
        )
        self.fuse = conv_norm_relu(FEATURES, FEATURES, 3, separable=separable)
        self.fuse_dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(FEATURES, classes, 1)
        initialise(self, self.classifier)

    def forward(self, features: ViTFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """Decode the encoder's features.

        Args:
            features: four maps with an even number of rows h and of columns w.

        Returns:
            Logits (N, C, h4, w4), F1 (N, 256, h, w) on the encoder's grid and F2 (N, 256, h4, w4).
        """
        f1 = self.project(features[-1])
        maps = [level(x) for level, x in zip(self.levels, (*features[:-1], f1), strict=True)]
        fused = None
        for fusion, x in zip(self.fusions[::-1], maps[::-1], strict=True):
            fused = fusion(x, fused)
        f2 = self.fuse(fused)
        return self.classifier(self.fuse_dropout(f2)), f1, f2


class _Fusion(nn.Module):
    """Add the coarser levels' fused map to a level's map, with residual units before and after."""

    def __init__(self, separable: bool, coarsest: bool) -> None:
        super().__init__()
        self.own = _Residual(separable)
        # Upsampling mixes cells of a channel, a 1×1 convolution mixes channels of a cell. The two commute
        # (with the bias too, as the upsampling's weights sum to 1); the coarse map has 4 times fewer cells.
        self.coarser = None if coarsest else nn.Conv2d(FEATURES, FEATURES, 1)
        self.both = _Residual(separable)

    def forward(self, x: Tensor, coarser: Tensor | None = None) -> Tensor:
        x = self.own(x)
        if self.coarser is not None:
            x = x + upsample(self.coarser(coarser), 2, (x.shape[-2], x.shape[-1]))
        fused: Tensor = self.both(x)
        return fused


class _Residual(nn.Module):
    def __init__(self, separable: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            _conv(FEATURES, separable),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(inplace=True),
            _conv(FEATURES, separable),
            nn.BatchNorm2d(FEATURES),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.body(x)
        return x + residual


def _refine(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1), nn.ConvTranspose2d(outputs, outputs, factor, stride=factor)
    )


def _conv(inputs: int, separable: bool) -> nn.Module:
    return conv_norm_relu(inputs, FEATURES, 3, separable=separable)[:-2]
