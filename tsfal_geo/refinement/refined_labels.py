"""From votes on cells to labels of pixels: manual, agreed vote, pseudo-label (method, section 4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.error_mask import TeacherPrediction
from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.support import CELL


class LabelSource(IntEnum):
    """Where a pixel's label is from."""

    PSEUDO = 0
    REFINED = 1
    MANUAL = 2
    UNRESOLVED = 3


@dataclass(frozen=True)
class RefinedLabels:
    """Training labels of unlabelled images, all (N, H, W).

    Attributes:
        labels: uint8 class; 255 where the pixel teaches nothing.
        weight: float32 factor in 0..1: 1 for manual labels and plain pseudo-labels, 1 or the margin for
            votes, as configured for what stays unresolved.
        conf: float32 confidence to weight by: the teacher's, but 1 where a person or PLAR spoke.
        source: uint8, of ``LabelSource``.
    """

    labels: Tensor
    weight: Tensor
    conf: Tensor
    source: Tensor


def merge_labels(
    pixels: TeacherPrediction, mask: Tensor, result: PlarResult, manual: Tensor, config: PlarConfig
) -> RefinedLabels:
    """Write votes into pixels, only where the full-resolution mask holds.

    Args:
        pixels: the teacher's word at full resolution.
        mask: (N, H, W) bool, the error mask at full resolution, without manual pixels and padding.
        result: votes on cells, (N, h, w).
        manual: (N, H, W) uint8, people's labels; 255 where there are none.
        config: ``refined_weight`` and ``unresolved``.
    """
    size = (mask.shape[1], mask.shape[2])
    by_hand = manual != IGNORE
    vote = _to_pixels(result.refined, size)
    refined = mask & (vote != IGNORE) & ~by_hand
    unresolved = mask & ~refined & ~by_hand
    labels = torch.where(by_hand, manual, torch.where(refined, vote, pixels.pseudo))
    weight = torch.ones_like(pixels.conf)
    if config.refined_weight == "margin":
        weight = torch.where(refined, _to_pixels(result.margin, size), weight)
    if config.unresolved == "conf":
        weight = torch.where(unresolved, pixels.conf, weight)
    elif config.unresolved == "ignore":
        labels, weight = labels.masked_fill(unresolved, IGNORE), weight.masked_fill(unresolved, 0)
    source = torch.full_like(labels, LabelSource.PSEUDO)
    for where, value in (
        (refined, LabelSource.REFINED),
        (unresolved, LabelSource.UNRESOLVED),
        (by_hand, LabelSource.MANUAL),
    ):
        source.masked_fill_(where, int(value))
    return RefinedLabels(labels, weight, pixels.conf.masked_fill(refined | by_hand, 1), source)


def _to_pixels(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest enlargement by 4 of (N, h, w), any dtype, cut to ``size``."""
    large = cells.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
    return large[:, : size[0], : size[1]]
