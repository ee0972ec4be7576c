"""The segmentation network: an encoder, its head, and features for the error mask decoder and PLAR."""

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
from tsfal_geo.models.pyramid import InstantHead, PyramidEncoder
from tsfal_geo.models.vit import ViTEncoder, is_vision_transformer
from tsfal_geo.models.weights import load_encoder_weights

__all__ = ["FEATURES", "Segmenter", "SegmenterOutput", "build_segmenter", "upsample", "upsample_to"]

Perturb = Callable[[EncoderFeatures], EncoderFeatures]
"""Changes the encoder's features; may return more images than it is given."""

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
    """The output of a forward pass; h4 = ⌈H/4⌉ and h = ⌈H/stride⌉.

    Attributes:
        logits: (N, C, h4, w4).
        f1: (N, 256, h, w) projection of the deepest features (of the ASPP in DeepLabv3+), after its ReLU and
            before dropout; None if not requested.
        f2: (N, 256, h4, w4) input of the classifier, after its ReLU and before dropout; None if not
            requested.
        aux: logits of the auxiliary head on its own grid; None in eval mode or without that head.
    """

    logits: Tensor
    f1: Tensor | None = None
    f2: Tensor | None = None
    aux: Tensor | None = None


class Segmenter(nn.Module):
    """DeepLabv3+, DPT or instant: logits and F2 at stride 4, F1 at the output stride.

    Images may have any size. An image whose size is no multiple of ``encoder.multiple`` (at most 32) is
    padded with zeros, the normalised mean, at the bottom and right, and the outputs are cropped.
    ``upsample_to`` takes F1 to F2's grid, and ``upsample`` with ``LOGIT_STRIDE`` takes logits to pixels.

    Attributes:
        cfg: the configuration of the network.
        classes: number of classes C.
        encoder: its parameters learn at the base rate.
        head: all other parameters, the auxiliary head's included.
    """

    LOGIT_STRIDE = LOW_STRIDE

    def __init__(self, cfg: ModelConfig, encoder: Encoder | ViTEncoder, classes: int) -> None:
        """Build the head for an encoder; `build_segmenter` builds both.

        Args:
            cfg: configuration of the head.
            encoder: the encoder.
            classes: number of classes C.
        """
        super().__init__()
        self.cfg = cfg
        self.classes = classes
        self.encoder = encoder
        self.head = _head(cfg, encoder, classes)
        self.train()

    def forward(self, x: Tensor, features: bool = False, perturb: Perturb | None = None) -> SegmenterOutput:
        """Segment images.

        Args:
            x: (N, channels, H, W) float, normalised.
            features: True to return F1 and F2 as well; the logits are the same.
            perturb: changes the features between encoder and head; may append images.

        Returns:
            Logits, and the other outputs where they are requested.
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
        """Switch the mode; with ``cfg.freeze_encoder_bn`` the encoder's batch norms stay in eval mode."""
        super().train(mode)
        if self.cfg.freeze_encoder_bn:
            for module in self.encoder.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def build_segmenter(cfg: ModelConfig, in_channels: int, classes: int, seed: int) -> Segmenter:
    """Build a network with the encoder weights of ``cfg.weights`` and a random head.

    Networks of one configuration and different seeds have the same pretrained encoder and different heads.
    Without ``cfg.weights`` the encoder is drawn from the seed as well. PyTorch's global random state does not
    change.

    Args:
        cfg: encoder, weights and head.
        in_channels: channels of the input, heights included.
        classes: number of classes C.
        seed: of the random weights.

    Returns:
        The network, in train mode on the CPU.

    Raises:
        ConfigError: the encoder does not exist, lacks the stages, or has no head of this architecture.
        WeightsError: the weights cannot be loaded or do not fit (unless ``cfg.allow_random_init``).

    Example:
        >>> cfg = ModelConfig(encoder="mobilenet_v2", weights=None)
        >>> network = build_segmenter(cfg, in_channels=3, classes=6, seed=0)
        >>> tuple(network(torch.zeros(2, 3, 64, 64)).logits.shape)
        (2, 6, 16, 16)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = _encoder(cfg, in_channels)
        torch.manual_seed(seed)
        segmenter = Segmenter(cfg, encoder, classes)
    if cfg.weights is not None:
        load_encoder_weights(encoder, cfg.weights, allow_random=cfg.allow_random_init)
    return segmenter


def _head(
    cfg: ModelConfig, encoder: Encoder | ViTEncoder, classes: int
) -> DeepLabHead | DptHead | InstantHead:
    if isinstance(encoder, ViTEncoder):
        return DptHead(encoder.channels, classes, cfg.separable)
    if isinstance(encoder, PyramidEncoder):
        return InstantHead(encoder.level_channels, encoder.level_strides, encoder.deepest, classes)
    return DeepLabHead(cfg, encoder.channels, encoder.stride, LOW_STRIDE, classes)


def _encoder(cfg: ModelConfig, in_channels: int) -> Encoder | ViTEncoder:
    transformer = is_vision_transformer(cfg.encoder)
    if cfg.architecture == "instant" and not transformer:
        return PyramidEncoder(cfg.encoder, in_channels, cfg.output_stride, cfg.scales)
    if cfg.architecture == "instant":
        raise ConfigError(
            f"model.encoder={cfg.encoder}: is a vision transformer, for which there is no instant model yet; "
            "expected a convolutional encoder, such as tu-tf_efficientnet_lite0 or resnet50"
        )
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
