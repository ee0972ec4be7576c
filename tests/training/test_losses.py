import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tsfal_geo.training.losses import (
    class_weights,
    cross_entropy,
    image_cross_entropy,
    log_probabilities,
    ohem_cross_entropy,
    peer_loss,
    ramp_up,
    teacher_loss,
)


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(0)
    log_p = F.log_softmax(2 * torch.randn(2, 4, 6, 7, generator=generator), dim=1)
    target = torch.randint(0, 4, (2, 6, 7), generator=generator)
    target[0, :2] = 255
    return log_p, target, generator


def truth_losses(log_p, target):
    """-log p of the truth at every pixel that is not ignored, by NumPy."""
    p, y = log_p.double().numpy(), target.numpy()
    where = np.argwhere(y != 255)
    return np.array([-p[n, y[n, i, j], i, j] for n, i, j in where]), where


def test_cross_entropy_is_the_mean_over_labelled_pixels(scene):
    log_p, target, _ = scene
    losses, _ = truth_losses(log_p, target)
    assert cross_entropy(log_p, target).item() == pytest.approx(losses.mean(), rel=1e-6)


def test_images_of_few_labels_count_as_much_as_others(scene):
    log_p, target, _ = scene
    target[0].flatten()[:-3] = 255
    losses, where = truth_losses(log_p, target)
    means = [losses[where[:, 0] == image].mean() for image in (0, 1)]
    assert image_cross_entropy(log_p, target).item() == pytest.approx(np.mean(means), rel=1e-6)
    target[0] = 255
    assert image_cross_entropy(log_p, target).item() == pytest.approx(means[1], rel=1e-6)


def test_class_weights_are_inverse_roots_of_shares_with_mean_one():
    counts = np.array([700_000, 200_000, 90_000, 10_000])
    share = counts / counts.sum()
    expected = share**-0.5 / (share * share**-0.5).sum()
    weights = class_weights(counts.tolist()).double().numpy()
    np.testing.assert_allclose(weights, expected, rtol=1e-4)
    assert (weights * share).sum() == pytest.approx(1, rel=1e-4)


def test_a_class_without_labels_has_the_weight_of_a_thousandth():
    weights = class_weights([999_000, 1_000, 0])
    assert weights[2].item() == pytest.approx(weights[1].item(), rel=1e-3)
    assert torch.isfinite(class_weights([0, 0, 0])).all()


def test_weighted_classes_against_numpy(scene):
    log_p, target, _ = scene
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0])
    losses, where = truth_losses(log_p, target)
    factors = np.array([weight[target[tuple(w)]].item() for w in where])
    weighted = losses * factors
    assert cross_entropy(log_p, target, weight).item() == pytest.approx(weighted.mean(), rel=1e-6)
    means = [weighted[where[:, 0] == image].mean() for image in (0, 1)]
    assert image_cross_entropy(log_p, target, weight).item() == pytest.approx(np.mean(means), rel=1e-6)
    hard = losses > -math.log(0.7)
    found = ohem_cross_entropy(log_p, target, weight, min_kept=1).item()
    assert found == pytest.approx(weighted[hard].mean(), rel=1e-6)


def test_without_labels_all_losses_are_zero(scene):
    log_p, target, _ = scene
    void = torch.full_like(target, 255)
    zero = torch.zeros(target.shape)
    assert cross_entropy(log_p, void) == image_cross_entropy(log_p, void) == 0
    assert ohem_cross_entropy(log_p, void) == 0
    for weighting in ("none", "ael", "threshold"):
        assert teacher_loss(log_p, void, zero, zero.bool(), weighting, 0.9) == 0
        assert teacher_loss(log_p, target, zero, zero.bool(), weighting, 0.9) == 0


@pytest.mark.parametrize("min_kept", [1, 66, 10_000])
def test_ohem_keeps_the_hard_pixels_and_at_least_so_many(scene, min_kept):
    log_p, target, _ = scene
    losses, _ = truth_losses(log_p, target)
    losses = np.sort(losses)[::-1]
    hard = int((losses > -math.log(0.7)).sum())
    expected = losses[: max(hard, min(min_kept, len(losses)))].mean()
    assert hard < 66 < len(losses)
    assert ohem_cross_entropy(log_p, target, None, 0.7, min_kept).item() == pytest.approx(expected, rel=1e-6)


def test_teacher_weightings_against_numpy(scene):
    log_p, target, generator = scene
    confidence = torch.rand(target.shape, generator=generator)
    keep = torch.rand(target.shape, generator=generator) < 0.5
    confidence[1, 0] = 0
    losses, where = truth_losses(log_p, target)
    conf = np.array([confidence[tuple(w)].item() for w in where])
    kept = np.array([keep[tuple(w)].item() for w in where])
    expected = {
        "none": losses[conf > 0].mean(),
        "ael": (conf**2 * kept * losses).sum() / (conf**2 * kept).sum(),
        "threshold": losses[conf >= 0.6].sum() / len(losses),
    }
    for weighting, value in expected.items():
        loss = teacher_loss(log_p, target, confidence, keep, weighting, 0.6)
        assert loss.item() == pytest.approx(value, rel=1e-5), weighting


def test_pseudo_labels_have_a_share_and_manual_labels_full_weight_in_the_teachers_loss(scene):
    log_p, target, generator = scene
    confidence = torch.rand(target.shape, generator=generator)
    keep = torch.rand(target.shape, generator=generator) < 0.5
    manual = keep & (torch.rand(target.shape, generator=generator) < 0.4)
    losses, where = truth_losses(log_p, target)
    conf, kept, by_hand = (part.numpy()[tuple(where.T)] for part in (confidence, keep, manual))
    shares = np.where(by_hand, 1, 0.25)
    weight = conf**2 * kept
    expected = {
        "ael": (weight * shares * losses).sum() / weight.sum(),
        "threshold": ((conf >= 0.6) * shares * losses).sum() / len(losses),
    }
    assert by_hand.any() and not by_hand.all()
    for weighting, value in expected.items():
        loss = teacher_loss(log_p, target, confidence, keep, weighting, 0.6, manual, 0.25)
        assert loss.item() == pytest.approx(value, rel=1e-5), weighting


def test_log_probabilities_are_at_pixels_and_in_float32():
    logits = torch.randn(1, 3, 4, 5).bfloat16()
    log_p = log_probabilities(logits, (15, 18))
    assert log_p.shape == (1, 3, 15, 18) and log_p.dtype == torch.float32
    assert torch.allclose(log_p.exp().sum(1), torch.ones(1, 15, 18), atol=1e-6)


def test_peer_loss_is_weighted_by_confidence_and_manual_labels_have_full_weight(scene):
    log_p, target, generator = scene
    confidence = torch.rand(target.shape, generator=generator)
    manual = torch.rand(target.shape, generator=generator) < 0.2
    losses, where = truth_losses(log_p, target)
    trust = np.array([1.0 if manual[i] else float(confidence[i]) ** 2 for i in map(tuple, where)])
    weighted = peer_loss(log_p, target, confidence, manual, "confidence")
    assert weighted.item() == pytest.approx((losses * trust).sum() / len(losses), rel=1e-5)
    plain = peer_loss(log_p, target, confidence, manual, "none")
    assert plain.item() == pytest.approx(cross_entropy(log_p, target).item(), rel=1e-6)
    by_hand = manual.numpy()[tuple(where.T)]
    quarter = peer_loss(log_p, target, confidence, manual, "confidence", 0.25)
    shares = np.where(by_hand, trust, 0.25 * trust)
    assert by_hand.any() and quarter.item() == pytest.approx((losses * shares).sum() / len(losses), rel=1e-5)
    nothing = peer_loss(log_p, torch.full_like(target, 255), confidence, manual, "confidence")
    assert nothing == 0


@pytest.mark.parametrize(
    ("progress", "share", "weight"),
    [(0, 0.5, math.exp(-5)), (0.25, 0.5, math.exp(-1.25)), (0.5, 0.5, 1), (0.9, 0.5, 1), (0, 0, 1)],
)
def test_the_ramp_up_is_laine_and_ailas(progress, share, weight):
    assert ramp_up(progress, share) == pytest.approx(weight)
