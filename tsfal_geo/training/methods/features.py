"""Perturbations of the features between encoder and head, for encoders of any kind."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.models.segmenter import Segmenter


def each(features: EncoderFeatures, change: Callable[[Tensor], Tensor]) -> EncoderFeatures:
    """Apply a change to every map.

    Args:
        features: maps (N, channels, h, w) of one encoder.
        change: of one map.

    Returns:
        The changed maps, of the type of ``features``.
    """
    return type(features)(*(change(part) for part in features))


def head_logits(network: Segmenter, features: EncoderFeatures) -> Tensor:
    """Compute a head's logits of features that may come from another network's encoder.

    Args:
        network: gives the head.
        features: of N images.

    Returns:
        (N, C, h4, w4).
    """
    logits: Tensor = network.head(features)[0]
    return logits


def dropped(features: EncoderFeatures, which: slice, share: float) -> EncoderFeatures:
    """Append copies of some images' features with channels dropped out.

    Args:
        features: (N, channels, h, w) each.
        which: the M images whose copies are appended.
        share: share of the channels that become 0; the others are scaled up.

    Returns:
        (N + M, channels, h, w) each.
    """
    return each(features, lambda part: torch.cat((part, F.dropout2d(part[which], share))))


def complementary(features: EncoderFeatures, first: int, untouched: float) -> EncoderFeatures:
    """Drop complementary halves of the channels of two views (UniMatch V2, Yang et al. 2025).

    Each channel of an image is kept in one of its two views, doubled, and dropped in the other. Maps with the
    same number of channels share their masks.

    Args:
        features: (first + 2B, channels, h, w) each: unchanged images, first views, second views.
        first: number of images in front that stay unchanged.
        untouched: share of the B images whose two views stay unchanged.

    Returns:
        As ``features``.
    """
    count = (len(features[0]) - first) // 2
    unchanged = torch.randperm(count)[: int(count * untouched)]
    masks: dict[int, Tensor] = {}

    def change(part: Tensor) -> Tensor:
        channels = part.shape[1]
        if channels not in masks:
            masks[channels] = complementary_masks(count, channels, unchanged).to(part.device)
        mask = masks[channels][:, :, None, None].to(part.dtype)
        return torch.cat((part[:first], part[first:] * mask))

    return each(features, change)


def complementary_masks(count: int, channels: int, unchanged: Tensor) -> Tensor:
    """Draw the factors of complementary channel dropout.

    Args:
        count: number of images B.
        channels: of a map.
        unchanged: int64 indices of the images whose factors are 1.

    Returns:
        (2B, channels) float32: 0 or 2 for first views, and 2 minus that for second views.
    """
    mask = 2.0 * torch.randint(2, (count, channels))
    other = 2.0 - mask
    mask[unchanged] = other[unchanged] = 1.0
    return torch.cat((mask, other))
