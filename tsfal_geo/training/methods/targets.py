"""What unlabelled images teach, hard or soft; what people said overrides it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.views import Views, pixel_labels


@torch.no_grad()
def hard_targets(logits: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Labels and their confidence at full resolution; manual labels replace both.

    Args:
        logits: (B, C, h4, w4) of the views' images, any precision.
        views: as many images.

    Returns:
        (B, H, W) int64, 255 where not valid; (B, H, W) float32, 1 where a person said it, 0 where not valid.
    """
    return override_with_manual(*pixel_labels(logits, views.valid), views)


def override_with_manual(labels: Tensor, confidence: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Labels and confidence (B, H, W) with what people said in their place, in full confidence."""
    said = (views.labels != IGNORE) & views.valid
    return torch.where(said, views.labels, labels), confidence.masked_fill(said, 1.0)


@torch.no_grad()
def soft_targets(logits: Tensor, views: Views) -> Tensor:
    """Probabilities (B, C, H, W) float32 at full resolution; one-hot where a person labelled.

    Args:
        logits: (B, C, h4, w4) of the views' images, any precision.
        views: as many images.
    """
    return with_manual(log_probabilities(logits, views.size).exp(), views.labels)


def with_manual(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Probabilities (B, C, H, W), one-hot where ``labels`` (B, H, W) int64 is not 255."""
    said = labels != IGNORE
    manual = F.one_hot(labels.masked_fill(~said, 0), probabilities.shape[1]).movedim(-1, 1)
    return torch.where(said[:, None], manual.to(probabilities.dtype), probabilities)


def squared_error(probabilities: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid pixels and all classes of (p - t)²; 0 where nothing is valid.

    Args:
        probabilities: (B, C, H, W).
        target: as ``probabilities``; no gradient flows into it.
        valid: (B, H, W) bool.
    """
    error = (probabilities - target.detach()).square().mean(dim=1)
    return (error * valid).sum() / valid.sum().clamp_min(1)
