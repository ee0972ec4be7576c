"""The losses of TSF (Ma, Karakus, Rosin 2025, eqs. 1 to 3) on log-probabilities at full resolution.

Each network's output is upsampled and normalised once a step, L = log softmax(↑logits). All of its losses
are sums over that one map: a cross-entropy with labels y and weights w is −Σ w · L[y] / n. The supervised,
the teacher's and the friend's targets are therefore three gathers. All losses ignore target 255 and are 0
(not NaN) where no pixel is left.
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
_SMALLEST_SHARE = 0.001


def log_probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Upsample stride-4 logits and normalise them.

    Args:
        logits: (N, C, h4, w4) of any precision.
        size: height and width in pixels.

    Returns:
        (N, C, *size) float32 log-probabilities.
    """
    return F.log_softmax(upsample(logits.float(), Segmenter.LOGIT_STRIDE, size), dim=1)


def class_weights(counts: Sequence[int]) -> Tensor:
    """Compute class weights 1/√share, scaled so that the mean weight over the counted pixels is 1.

    The root is halfway between equal weights of pixels (exponent 0) and equal weights of classes
    (exponent −1). The mean over pixels is Σ_c share_c · share_c^−½ = Σ_c √share_c, hence the divisor. Classes
    below a share of 0.001, uncounted ones included, have the weight of that share.

    Args:
        counts: (C,) labelled pixels of each class.

    Returns:
        (C,) float32.
    """
    pixels = torch.as_tensor(counts, dtype=torch.float64) + 1
    share = (pixels / pixels.sum()).clamp_min(_SMALLEST_SHARE)
    return (share.rsqrt() / share.sqrt().sum()).float()


def cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Average the negative log-likelihood over all labelled pixels (eq. 1).

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: (C,) factors on the losses of each class's pixels; the divisor stays the number of labelled
            pixels. None: 1.

    Returns:
        A scalar.
    """
    return _pixel_losses(log_p, target, weight).sum() / (target != IGNORE).sum().clamp_min(1)


def image_cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Average each image's mean loss over the images that have labels.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: as in :func:`cross_entropy`.

    Returns:
        A scalar.
    """
    labelled = (target != IGNORE).flatten(1).sum(1)
    means = _pixel_losses(log_p, target, weight).flatten(1).sum(1) / labelled.clamp_min(1)
    return means.sum() / (labelled > 0).sum().clamp_min(1)


def ohem_cross_entropy(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    threshold: float = 0.7,
    min_kept: int = 100_000,
) -> Tensor:
    """Average the loss over hard pixels, whose true class has a probability below ``threshold``.

    Source: online hard example mining, with the threshold and the count of AEL (Hu et al. 2021).

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: as in :func:`cross_entropy`; the choice of hard pixels does not depend on it.
        threshold: probability of the true class from which a pixel is easy.
        min_kept: number of the batch's hardest pixels that count in any case.

    Returns:
        A scalar.
    """
    labelled = target != IGNORE
    losses = _pixel_losses(log_p, target)[labelled]
    if not len(losses):
        return log_p.sum() * 0
    hardest = losses.detach().topk(min(min_kept, len(losses))).values[-1]
    hard = losses.detach() >= hardest.clamp_max(-math.log(threshold))
    if weight is not None:
        losses = losses * weight[target[labelled]]
    return losses[hard].mean()


def weighted_cross_entropy(log_p: Tensor, target: Tensor, weight: Tensor, divisor: Tensor) -> Tensor:
    """Compute Σ weight · loss / divisor over the pixels that are not ignored.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        target: (N, H, W) int64 class indices, 255 ignored.
        weight: (N, H, W) non-negative.
        divisor: a scalar; 0, which means that no pixel has a weight, counts as 1.

    Returns:
        A scalar.
    """
    total = (_pixel_losses(log_p, target) * weight).sum()
    return total / torch.where(divisor > 0, divisor, torch.ones_like(divisor))


def teacher_loss(
    log_p: Tensor,
    target: Tensor,
    confidence: Tensor,
    keep: Tensor,
    weighting: TeacherWeighting,
    threshold: float,
    trusted: Tensor | None = None,
    share: float = 1.0,
) -> Tensor:
    """Compute L_t (eq. 2), by which the student learns the teacher's labels.

    The weighting is one of three. ``none`` is eq. 2: every label has weight 1, labels of confidence 0 have
    none. ``ael`` divides by the sum of the weights confidence² · keep (Hu et al. 2021). ``threshold`` uses
    labels of sufficient confidence and divides by all valid pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities of the student on the mixed images.
        target: (N, H, W) int64 labels, 255 ignored.
        confidence: (N, H, W) float32 confidence of the labels in [0, 1].
        keep: (N, H, W) bool, the pixels that ``ael`` uses.
        weighting: turns confidence into a weight.
        threshold: the confidence that ``threshold`` asks for.
        trusted: (N, H, W) bool, True where ``target`` is a manual label or a vote supported by one; None:
            nowhere.
        share: factor on the weight of pseudo-labels; the divisor does not depend on it.

    Returns:
        A scalar.
    """
    valid = target != IGNORE
    if weighting == "ael":
        weight = confidence.square() * keep
    else:
        weight = (confidence >= threshold if weighting == "threshold" else confidence > 0).float()
    weight = weight * valid
    divisor = valid.sum().float() if weighting == "threshold" else weight.sum()
    if trusted is not None:
        weight = torch.where(trusted, weight, share * weight)
    return weighted_cross_entropy(log_p, target, weight, divisor)


def peer_loss(
    log_p: Tensor,
    target: Tensor,
    confidence: Tensor,
    manual: Tensor,
    weighting: PeerWeighting,
    share: float = 1.0,
) -> Tensor:
    """Compute half of L_f (eq. 3), by which one network learns the other's labels.

    With ``none`` every label has weight 1, as in eq. 3. With ``confidence`` the weight is confidence², so
    that an unsure network teaches little. Manual labels always have weight 1, and the divisor is the number
    of valid pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities on the mixed images.
        target: (N, H, W) int64 labels of the other network, 255 ignored.
        confidence: (N, H, W) float32, the other network's probability of its label.
        manual: (N, H, W) bool, True where ``target`` is a manual label.
        weighting: turns confidence into a weight.
        share: factor on the weight of labels that are not manual.

    Returns:
        A scalar.
    """
    trust = torch.ones_like(confidence) if weighting == "none" else confidence.square()
    weight = (share * trust).masked_fill(manual, 1.0)
    return weighted_cross_entropy(log_p, target, weight, (target != IGNORE).sum().float())


def ramp_up(progress: float, share: float) -> float:
    """Compute the weight exp(−5 (1 − t)²) of a loss that rises over the first part of a training.

    Source: Laine and Aila 2017, temporal ensembling.

    Args:
        progress: share of the training that is done, in [0, 1].
        share: share of the training at which the weight reaches 1; with 0 it is 1 throughout.

    Returns:
        The weight, exp(−5) to 1.
    """
    done = min(1.0, progress / share) if share > 0 else 1.0
    return math.exp(-5 * (1 - done) ** 2)


def _pixel_losses(log_p: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    return F.nll_loss(log_p, target, weight, ignore_index=IGNORE, reduction="none")
