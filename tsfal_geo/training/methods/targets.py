"""Targets of unlabelled images, hard or soft; manual labels override pseudo-labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.views import Views, pixel_labels


@torch.no_grad()
def hard_targets(logits: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Label pixels by their largest logit; manual labels replace the label and set its confidence to 1.

    Args:
        logits: (B, C, h4, w4) of the views' images, any precision.
        views: B images with their manual labels.

    Returns:
        Labels (B, H, W) int64, 255 where not valid, and confidence (B, H, W) float32, 0 where not valid.
    """
    return override_with_manual(*pixel_labels(logits, views.valid), views)


def override_with_manual(labels: Tensor, confidence: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Replace pseudo-labels by manual labels, with confidence 1.

    Args:
        labels: (B, H, W) int64 pseudo-labels.
        confidence: (B, H, W) float32 confidence of the pseudo-labels.
        views: B images with their manual labels.

    Returns:
        Labels and confidence, as given.
    """
    manual = (views.labels != IGNORE) & views.valid
    return torch.where(manual, views.labels, labels), confidence.masked_fill(manual, 1.0)


@torch.no_grad()
def soft_targets(logits: Tensor, views: Views) -> Tensor:
    """Compute probabilities at full resolution, one-hot where there are manual labels.

    Args:
        logits: (B, C, h4, w4) of the views' images, any precision.
        views: B images with their manual labels.

    Returns:
        (B, C, H, W) float32.
    """
    return with_manual(log_probabilities(logits, views.size).exp(), views.labels)


def with_manual(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Replace probabilities by one-hot vectors where there are manual labels.

    Args:
        probabilities: (B, C, H, W).
        labels: (B, H, W) int64 manual labels, 255 where there is none.

    Returns:
        As ``probabilities``.
    """
    manual = labels != IGNORE
    one_hot = F.one_hot(labels.masked_fill(~manual, 0), probabilities.shape[1]).movedim(-1, 1)
    return torch.where(manual[:, None], one_hot.to(probabilities.dtype), probabilities)


def squared_error(probabilities: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Average (p − t)² over valid pixels and all classes.

    Args:
        probabilities: (B, C, H, W).
        target: as ``probabilities``; no gradient flows into it.
        valid: (B, H, W) bool.

    Returns:
        A scalar; 0 where no pixel is valid.
    """
    error = (probabilities - target.detach()).square().mean(dim=1)
    return (error * valid).sum() / valid.sum().clamp_min(1)
