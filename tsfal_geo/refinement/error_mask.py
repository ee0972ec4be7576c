"""The error mask: cells or pixels where the teacher is likely wrong.

M = (EMD > threshold) OR (max P < confidence), the error mask decoder or the teacher's own confidence (Ma,
Karakus, Rosin, arXiv 2501.19227). Our reading: manual pixels and padding are never in the mask. PLAR works on
the mask at stride 4; labels are written by the mask at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.head import upsample
from tsfal_geo.refinement.support import CELL, pixels_by_cell


@dataclass(frozen=True)
class TeacherPrediction:
    """The teacher's classes on one grid, cells or pixels, with their confidence.

    Attributes:
        pseudo: pseudo-labels, (N, h, w) uint8; 255 outside the image (padding, nodata).
        conf: largest probability, (N, h, w) float32; 0 outside the image.
    """

    pseudo: Tensor
    conf: Tensor


def cell_share(pixels: Tensor) -> Tensor:
    """Compute the share of each cell's 16 pixels that are True.

    Args:
        pixels: (..., H, W) bool; H and W are multiples of 4.

    Returns:
        (..., H/4, W/4) float32.
    """
    return pixels_by_cell(pixels).float().mean(-1)


def classify(probs: Tensor, valid: Tensor) -> TeacherPrediction:
    """Take the class of the largest probability, on the probabilities' own grid.

    Args:
        probs: (N, C, h, w).
        valid: (N, h, w) bool.
    """
    conf, pseudo = probs.float().max(1)
    return TeacherPrediction(
        torch.where(valid, pseudo.to(torch.uint8), IGNORE).to(torch.uint8),
        torch.where(valid, conf, torch.zeros_like(conf)),
    )


def classify_pixels(probs: Tensor, valid: Tensor) -> TeacherPrediction:
    """Take the class of the largest probability at full resolution, after bilinear upsampling.

    Args:
        probs: (N, C, h, w) at stride 4.
        valid: (N, H, W) bool.
    """
    size = (valid.shape[1], valid.shape[2])
    return classify(upsample(probs.float(), CELL, size), valid)


def emd_pixels(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Upsample the decoder's logits bilinearly, and return error probabilities.

    Args:
        logits: (N, 1, h, w) at stride 4.
        size: H and W.

    Returns:
        (N, H, W) float32.
    """
    return upsample(logits.float(), CELL, size)[:, 0].sigmoid()


def error_mask(conf: Tensor, emd: Tensor | None, keep: Tensor, confidence: float, threshold: float) -> Tensor:
    """Compute M = ((EMD > threshold) OR (max P < confidence)) AND keep, on cells or pixels.

    Args:
        conf: largest probability, any shape.
        emd: error probability of the same shape; None where no decoder is trained.
        keep: bool of the same shape, False on manual pixels and padding.
        confidence: 0.7 in the paper.
        threshold: of the error probability. The paper gives none; our reading is 0.5.

    Returns:
        Bool, of the same shape.
    """
    mask = conf < confidence
    if emd is not None:
        mask = mask | (emd > threshold)
    return mask & keep


def emd_target(pseudo: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the decoder's target: the cells whose pseudo-label is not the true class (equation 5).

    Args:
        pseudo: uint8 pseudo-labels.
        labels: uint8 truth of the same shape, 255 where unknown.

    Returns:
        Target bool, and valid bool: True where both truth and pseudo-label exist.
    """
    valid = (labels != IGNORE) & (pseudo != IGNORE)
    return (pseudo != labels) & valid, valid
