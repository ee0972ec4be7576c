"""Training labels of pixels, merged from manual labels, PLAR's votes and pseudo-labels.

A manual label overrides a vote, and a vote overrides the pseudo-label. Pixels whose cell has no vote keep the
pseudo-label in the paper (arXiv 2501.19227); the configuration can leave them out or weight them by
confidence.
"""

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


@dataclass(frozen=True)
class RefinerOutput:
    """Error masks and votes of a batch of images, from which labels are merged.

    Attributes:
        probs: (N, C, h, w) float32, the teacher's probabilities on cells.
        cells: the teacher's classes and confidence on cells.
        emd: (N, 1, h, w) logits; None while the decoder is untrained or off.
        mask: (N, h, w) bool, the error mask on cells.
        pixel_mask: (N, H, W) bool, the error mask on pixels.
        votes: PLAR's result on cells.
    """

    probs: Tensor
    cells: TeacherPrediction
    emd: Tensor | None
    mask: Tensor
    pixel_mask: Tensor
    votes: PlarResult


class LabelSource(IntEnum):
    """Source of a pixel's label; ``UNRESOLVED`` is a pseudo-label inside the error mask."""

    PSEUDO = 0
    REFINED = 1
    MANUAL = 2
    UNRESOLVED = 3


@dataclass(frozen=True)
class RefinedLabels:
    """Training labels of unlabelled images, all (N, H, W).

    Attributes:
        labels: uint8 class; 255 where the loss ignores the pixel.
        weight: float32 factor in [0, 1]: 1 for manual labels and for pseudo-labels outside the mask, 1 or the
            margin for votes, and as configured for unresolved pixels.
        conf: float32 confidence, which the loss weights by: the teacher's, but 1 for manual labels and votes.
        source: uint8, of ``LabelSource``.
    """

    labels: Tensor
    weight: Tensor
    conf: Tensor
    source: Tensor


def merge_labels(
    pixels: TeacherPrediction, mask: Tensor, result: PlarResult, manual: Tensor, config: PlarConfig
) -> RefinedLabels:
    """Merge the labels of pixels. Votes count only inside the full-resolution mask.

    Args:
        pixels: the teacher's prediction at full resolution.
        mask: (N, H, W) bool, the error mask at full resolution, without manual pixels and padding.
        result: votes on cells, (N, h, w).
        manual: (N, H, W) uint8, annotators' labels; 255 where there are none.
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
    """Upsample (N, h, w) of any dtype to pixels (nearest neighbour), cut to ``size``."""
    large = cells.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
    return large[:, : size[0], : size[1]]
