"""Where the teacher is likely wrong: low confidence, or the decoder says so (method, sections 3 and 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.head import upsample
from tsfal_geo.refinement.support import CELL, pixels_by_cell


@dataclass(frozen=True)
class TeacherPrediction:
    """The teacher's word on one grid, cells or pixels.

    Attributes:
        pseudo: (N, h, w) uint8 class; 255 where there is no image (padding, nodata).
        conf: (N, h, w) float32 largest probability; 0 there.
    """

    pseudo: Tensor
    conf: Tensor


def cell_share(pixels: Tensor) -> Tensor:
    """Share of each cell's 16 pixels that are True: (..., H, W) bool to (..., H/4, W/4) float32."""
    return pixels_by_cell(pixels).float().mean(-1)


def classify(probs: Tensor, valid: Tensor) -> TeacherPrediction:
    """Class and confidence of probabilities (N, C, h, w) on their own grid; ``valid`` (N, h, w) bool."""
    conf, pseudo = probs.float().max(1)
    return TeacherPrediction(
        torch.where(valid, pseudo.to(torch.uint8), IGNORE).to(torch.uint8),
        torch.where(valid, conf, torch.zeros_like(conf)),
    )


def classify_pixels(probs: Tensor, valid: Tensor) -> TeacherPrediction:
    """Class and confidence at full resolution, from bilinearly enlarged probabilities.

    Args:
        probs: (N, C, h, w) at stride 4.
        valid: (N, H, W) bool.
    """
    size = (valid.shape[1], valid.shape[2])
    return classify(upsample(probs.float(), CELL, size), valid)


def emd_pixels(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Error probabilities at full resolution, (N, H, W), from logits (N, 1, h, w) at stride 4."""
    return upsample(logits.float(), CELL, size)[:, 0].sigmoid()


def error_mask(conf: Tensor, emd: Tensor | None, keep: Tensor, confidence: float, threshold: float) -> Tensor:
    """M = (EMD > threshold) OR (max P < confidence), minus manual pixels and padding; cells or pixels.

    Args:
        conf: largest probability.
        emd: error probability of the same shape; None where no decoder is trained.
        keep: bool: neither manual nor padding.
        confidence: 0.7 in the paper.
        threshold: 0.5.
    """
    mask = conf < confidence
    if emd is not None:
        mask = mask | (emd > threshold)
    return mask & keep


def emd_target(pseudo: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What the decoder learns: 1 where the teacher's class is not the true one.

    Args:
        pseudo: uint8 class.
        labels: uint8 truth of the same shape, 255 where unknown.

    Returns:
        target bool, and valid bool: where truth and prediction are both known.
    """
    valid = (labels != IGNORE) & (pseudo != IGNORE)
    return (pseudo != labels) & valid, valid
