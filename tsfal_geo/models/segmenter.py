"""The segmentation network: any encoder, its head, features tapped for the error mask and PLAR."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.dpt import DptHead
from tsfal_geo.models.encoders import LOW_STRIDE, Encoder, EncoderFeatures
from tsfal_geo.models.head import FEATURES, DeepLabHead, upsample, upsample_to
from tsfal_geo.models.vit import ViTEncoder, is_vision_transformer
from tsfal_geo.models.weights import load_encoder_weights

__all__ = ["FEATURES", "Segmenter", "SegmenterOutput", "build_segmenter", "upsample", "upsample_to"]

Perturb = Callable[[EncoderFeatures], EncoderFeatures]
"""A change of the encoder's features."""


_DEEPLAB_KEYS = (
    "freeze_encoder_bn",
    "output_stride",
    "atrous_rates",
    "projection_kernel",
    "low_level_channels",
    "decoder_convs",
    "multi_grid",
    "aux_head",
)


class SegmenterOutput(NamedTuple):
    """What one forward pass gives; h4 = ceil(H/4), h = ceil(H/stride).

    Attributes:
        logits: (N, C, h4, w4).
        f1: projection of the deepest features (DeepLabv3+: of the ASPP) after its ReLU, before dropout,
            (N, 256, h, w); None unless asked for.
        f2: input of the classifier after its ReLU, before dropout, (N, 256, h4, w4); None unless asked for.
        aux: logits of the auxiliary head on its own grid; None in eval mode or without that head.
    """

    logits: Tensor
    f1: Tensor | None = None
    f2: Tensor | None = None
    aux: Tensor | None = None


class Segmenter(nn.Module):
    """DeepLabv3+ (method, section 1) or DPT: logits and F2 at stride 4, F1 at the output stride.

    Images of any size work: a size that is no multiple of ``encoder.multiple`` (at most 32) is padded with
    zeros (the normalised mean) at the bottom and right, and the padding is cut off what comes out. Use
    ``upsample_to`` to bring F1 onto F2's grid and ``upsample`` with ``LOGIT_STRIDE`` to bring logits to pixels.

    Attributes:
        encoder: its parameters learn at the base rate.
        head: everything else, auxiliary head included.
    """

    LOGIT_STRIDE = LOW_STRIDE

    def __init__(self, cfg: ModelConfig, encoder: Encoder | ViTEncoder, classes: int) -> None:
        super().__init__()
        self.cfg = cfg
        self.classes = classes
        self.encoder = encoder
        self.head: DeepLabHead | DptHead = (
            DptHead(cfg, encoder.channels, classes)
            if isinstance(encoder, ViTEncoder)
            else DeepLabHead(cfg, encoder.channels, encoder.stride, LOW_STRIDE, classes)
        )
        self.train()

    def forward(self, x: Tensor, features: bool = False, perturb: Perturb | None = None) -> SegmenterOutput:
        """Segment normalised images (N, bands, H, W).

        Args:
            x: float images.
            features: also return F1 and F2; the logits do not depend on it.
            perturb: changes what the head gets of the encoder; it may give more images than it was given.
        """
        height, width = x.shape[-2:]
        multiple = self.encoder.multiple
        if height % multiple or width % multiple:
            x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        stages = self.encoder(x) if perturb is None else perturb(self.encoder(x))
        logits, f1, f2 = self.head(stages)
        h4, w4 = -(-height // LOW_STRIDE), -(-width // LOW_STRIDE)
        h, w = -(-height // self.encoder.stride), -(-width // self.encoder.stride)
        aux = self.head.aux(stages.middle) if self.head.aux is not None and self.training else None
        return SegmenterOutput(
            logits[..., :h4, :w4],
            f1[..., :h, :w] if features else None,
            f2[..., :h4, :w4] if features else None,
            aux,
        )

    def train(self, mode: bool = True) -> Self:
        """Switch the mode; with ``freeze_encoder_bn`` the encoder's batch norms stay in eval mode."""
        super().train(mode)
        if self.cfg.freeze_encoder_bn:
            for module in self.encoder.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def build_segmenter(cfg: ModelConfig, in_channels: int, classes: int, seed: int) -> Segmenter:
    """Build a network: pretrained encoder if ``cfg.weights`` says so, head initialised from ``seed``.

    Networks of one configuration and different seeds have the same pretrained encoder and different heads (an
    encoder without weights is drawn from the seed as well). The global random state is left as it was.

    Raises:
        ConfigError: an encoder that does not exist, cannot give the stages, or has no such head.
        WeightsError: weights that cannot be had or do not fit (unless ``cfg.allow_random_init``).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = _encoder(cfg, in_channels)
        torch.manual_seed(seed)
        segmenter = Segmenter(cfg, encoder, classes)
    if cfg.weights is not None:
        load_encoder_weights(encoder, cfg.weights, allow_random=cfg.allow_random_init)
    return segmenter


def _encoder(cfg: ModelConfig, in_channels: int) -> Encoder | ViTEncoder:
    transformer = is_vision_transformer(cfg.encoder)
    expected = "dpt" if transformer else "deeplabv3plus"
    if cfg.architecture not in (None, expected):
        raise ConfigError(
            f"model.architecture={cfg.architecture}: encoder {cfg.encoder} needs {expected}; choose another "
            "encoder (dpt: a plain vision transformer, tu-vit_…), or leave model.architecture out"
        )
    if not transformer:
        return Encoder(cfg.encoder, in_channels, cfg.output_stride, cfg.multi_grid)
    for key in _DEEPLAB_KEYS:
        if (value := getattr(cfg, key)) != ModelConfig.model_fields[key].default:
            raise ConfigError(
                f"model.{key}={value}: encoder {cfg.encoder} has the head dpt, which has no such part; "
                f"leave model.{key} out"
            )
    return ViTEncoder(cfg.encoder, in_channels)
