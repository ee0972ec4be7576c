"""The head for vision transformers (DPT; Ranftl et al. 2021), on the same grids and with the same taps."""

from __future__ import annotations

from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.head import FEATURES, conv_norm_relu, initialise, upsample
from tsfal_geo.models.vit import ViTFeatures


class DptHead(nn.Module):
    """Four maps of one grid are brought to strides 4 to 32 and fused from the coarsest to the finest.

    F1 is the projection of the last block's map, on the encoder's grid; F2 is the fused map before the
    classifier. Every cell keeps its place on the ground: maps are refined by transposed convolutions and
    coarsened by a convolution whose kernel is its stride, and enlarged with half-cell centres. (The original
    aligns corners, which moves cells by up to half of one, by where in the image they are.)
    """

    aux = None

    def __init__(self, cfg: ModelConfig, channels: tuple[int, int, int, int], classes: int) -> None:
        """Build the head.

        Args:
            cfg: separable convolutions or dense ones.
            channels: of the four maps.
            classes: channels of the logits.
        """
        super().__init__()
        quarter, half, same, last = channels
        separable = cfg.separable
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
        """Logits (N, C, h4, w4), F1 (N, 256, h, w) on the encoder's grid and F2 (N, 256, h4, w4).

        Args:
            features: of an even number of rows h and columns w.
        """
        f1 = self.project(features[-1])
        maps = [level(x) for level, x in zip(self.levels, (*features[:-1], f1), strict=True)]
        fused = None
        for fusion, x in zip(self.fusions[::-1], maps[::-1], strict=True):
            fused = fusion(x, fused)
        f2 = self.fuse(fused)
        return self.classifier(self.fuse_dropout(f2)), f1, f2


class _Fusion(nn.Module):
    """A level's map, plus the coarser levels' fused map on its grid, each through residual units."""

    def __init__(self, separable: bool, coarsest: bool) -> None:
        super().__init__()
        self.own = _Residual(separable)
        # A 1×1 convolution commutes with the enlargement and is four times less work before it.
        self.coarser = None if coarsest else nn.Conv2d(FEATURES, FEATURES, 1)
        self.both = _Residual(separable)

    def forward(self, x: Tensor, coarser: Tensor | None = None) -> Tensor:
        x = self.own(x)
        if self.coarser is not None:
            x = x + upsample(self.coarser(coarser), 2, (x.shape[-2], x.shape[-1]))
        return self.both(x)


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
        return x + self.body(x)


def _refine(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1), nn.ConvTranspose2d(outputs, outputs, factor, stride=factor)
    )


def _conv(inputs: int, separable: bool) -> nn.Module:
    return conv_norm_relu(inputs, FEATURES, 3, separable=separable)[:-2]
