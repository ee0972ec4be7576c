"""The losses of TSF (method, section 2.2, equations 1 to 4), on log-probabilities at full resolution.

One log-softmax a network and step serves every loss: supervised, teacher's and friend's targets are gathered
from it. All losses ignore target 255 and are 0 (not NaN) where nothing is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.segmenter import Segmenter, upsample

TeacherWeighting = Literal["none", "ael", "threshold"]
PeerWeighting = Literal["none", "confidence"]
_RAREST = 0.001


def log_probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Stride-4 logits (N, C, h4, w4) of any precision to float32 log-probabilities (N, C, *size)."""
    return F.log_softmax(upsample(logits.float(), Segmenter.LOGIT_STRIDE, size), dim=1)


def class_weights(counts: Sequence[int]) -> Tensor:
    """(C,) float32 weights 1/√share, scaled so that the counted pixels have weight 1 in the mean.

    The root is between pixels that all count alike and classes that all count alike. A class below a
    thousandth, also one that was not counted, weighs what a thousandth weighs.

    Args:
        counts: (C,) labelled pixels of each class.
    """
    pixels = torch.as_tensor(counts, dtype=torch.float64) + 1
    share = (pixels / pixels.sum()).clamp_min(_RAREST)
    return (share.rsqrt() / share.sqrt().sum()).float()


def cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood over the pixels that are not ignored.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: (C,) factors on the losses of each class's pixels, which does not change what the sum is
            divided by; None: 1.
    """
    return _pixel_losses(log_p, target, weight).sum() / (target != IGNORE).sum().clamp_min(1)


def image_cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the images of each image's mean; images without a label do not count.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: as in :func:`cross_entropy`.
    """
    known = (target != IGNORE).flatten(1).sum(1)
    means = _pixel_losses(log_p, target, weight).flatten(1).sum(1) / known.clamp_min(1)
    return means.sum() / (known > 0).sum().clamp_min(1)


def ohem_cross_entropy(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    threshold: float = 0.7,
    min_kept: int = 100_000,
) -> Tensor:
    """Cross-entropy of the hard pixels, those whose truth has a probability below ``threshold``.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: as in :func:`cross_entropy`; which pixels are hard does not depend on it.
        threshold: probability of the true class from which a pixel is easy.
        min_kept: the hardest so many pixels of the batch are kept anyway.
    """
    known = target != IGNORE
    losses = _pixel_losses(log_p, target)[known]
    if not len(losses):
        return log_p.sum() * 0
    hardest = losses.detach().topk(min(min_kept, len(losses))).values[-1]
    kept = losses.detach() >= hardest.clamp_max(-math.log(threshold))
    if weight is not None:
        losses = losses * weight[target[known]]
    return losses[kept].mean()


def weighted_cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor, whole: Tensor) -> Tensor:
    """Σ weight · loss / ``whole`` over the pixels that are not ignored.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: (N, H, W) non-negative.
        whole: what the sum is divided by (0 counts as 1: then no pixel has a weight).
    """
    total = (_pixel_losses(log_p, target) * weight).sum()
    return total / torch.where(whole > 0, whole, torch.ones_like(whole))


def teacher_loss(
    log_p: Tensor,
    target: Tensor,
    confidence: Tensor,
    keep: Tensor,
    weighting: TeacherWeighting,
    threshold: float,
    known: Tensor | None = None,
    share: float = 1.0,
) -> Tensor:
    """L_t (equation 2): the student learns the teacher's labels.

    ``none``: every label counts alike, but those of confidence 0 not at all. ``ael``: weight conf²·keep,
    divided by its sum (Hu et al. 2021, AEL). ``threshold``: labels of enough confidence, divided by all valid
    pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities of the student on the mixed images.
        target: (N, H, W) int64 labels, 255 ignored.
        confidence: (N, H, W) of the labels, in [0, 1].
        keep: (N, H, W) bool, which pixels ``ael`` uses.
        weighting: how confidence becomes a weight.
        threshold: confidence that ``threshold`` asks for.
        known: (N, H, W) bool, where ``target`` is more than a pseudo-label; None: nowhere.
        share: factor on the weight of pseudo-labels; what the sum is divided by is as without it.
    """
    valid = target != IGNORE
    if weighting == "ael":
        weight = confidence.square() * keep
    else:
        weight = (confidence >= threshold if weighting == "threshold" else confidence > 0).float()
    weight = weight * valid
    whole = valid.sum().float() if weighting == "threshold" else weight.sum()
    if known is not None:
        weight = torch.where(known, weight, share * weight)
    return weighted_cross_entropy(log_p, target, weight, whole)


def peer_loss(
    log_p: Tensor,
    target: Tensor,
    confidence: Tensor,
    said: Tensor,
    weighting: PeerWeighting,
    share: float = 1.0,
) -> Tensor:
    """Half of L_f (equation 3): one network learns the other's labels.

    ``none``: every label counts alike. ``confidence``: weight conf², so that an unsure network teaches
    little. What a person said has weight 1; the sum is divided by all valid pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities on the mixed images.
        target: (N, H, W) int64 labels of the other network, 255 ignored.
        confidence: (N, H, W) the other's probability of its label.
        said: (N, H, W) bool, where ``target`` is a person's label.
        weighting: how confidence becomes a weight.
        share: factor on the weight of what no person said.
    """
    sure = torch.ones_like(confidence) if weighting == "none" else confidence.square()
    weight = (share * sure).masked_fill(said, 1.0)
    return weighted_cross_entropy(log_p, target, weight, (target != IGNORE).sum().float())


def ramp_up(progress: float, share: float) -> float:
    """Weight of a loss that rises over the first ``share`` of a training: exp(−5 (1 − t)²).

    Source: Laine and Aila 2017, temporal ensembling.

    Args:
        progress: share of the training that is done, in [0, 1].
        share: from where on the weight is 1; 0: always.
    """
    done = min(1.0, progress / share) if share > 0 else 1.0
    return math.exp(-5 * (1 - done) ** 2)


def _pixel_losses(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    return F.nll_loss(log_p, target, weight, ignore_index=IGNORE, reduction="none")
