"""Changes of the features between encoder and head, for networks of any kind of encoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.models.segmenter import Segmenter


def each(features: EncoderFeatures, change: Callable[[Tensor], Tensor]) -> EncoderFeatures:
    """Change every map alike."""
    return type(features)(*(change(part) for part in features))


def head_logits(network: Segmenter, features: EncoderFeatures) -> Tensor:
    """What a network's head makes of features that may be another network's: (N, C, h4, w4)."""
    logits: Tensor = network.head(features)[0]
    return logits


def dropped(features: EncoderFeatures, which: slice, share: float) -> EncoderFeatures:
    """The features, and after them those of some images once more with whole channels dropped out.

    Args:
        features: (N, channels, h, w) each.
        which: images that are appended.
        share: of channels that become 0; the others are scaled up.
    """
    return each(features, lambda part: torch.cat((part, F.dropout2d(part[which], share))))


def complementary(features: EncoderFeatures, first: int, untouched: float) -> EncoderFeatures:
    """Drop complementary halves of the channels of two views (UniMatch V2, Yang et al. 2025).

    A random half of the channels of an image's first view is doubled and the rest dropped, in its second view
    the other way round. Maps of as many channels share their masks.

    Args:
        features: (first + 2B, channels, h, w) each: images to be left alone, first views, second views.
        first: number of images to be left alone.
        untouched: share of the B images whose views are left alone, too.
    """
    count = (len(features[0]) - first) // 2
    alone = torch.randperm(count)[: int(count * untouched)]
    masks: dict[int, Tensor] = {}

    def change(part: Tensor) -> Tensor:
        channels = part.shape[1]
        if channels not in masks:
            masks[channels] = complementary_masks(count, channels, alone).to(part.device)
        mask = masks[channels][:, :, None, None].to(part.dtype)
        return torch.cat((part[:first], part[first:] * mask))

    return each(features, change)


def complementary_masks(count: int, channels: int, alone: Tensor) -> Tensor:
    """Factors (2·count, channels): 0 or 2 for first views, 2 or 0 for second ones; 1 for images ``alone``."""
    mask = 2.0 * torch.randint(2, (count, channels))
    other = 2.0 - mask
    mask[alone] = other[alone] = 1.0
    return torch.cat((mask, other))
