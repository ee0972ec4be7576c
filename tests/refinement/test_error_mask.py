"""Error masks, targets and how well masks find errors."""

import math

import numpy as np
import torch

from tsfal_geo.refinement.error_mask import (
    cell_share,
    classify,
    classify_pixels,
    emd_pixels,
    emd_target,
    error_mask,
)
from tsfal_geo.refinement.quality import MaskCounts


def test_mask_is_either_minus_what_is_kept_out():
    conf = torch.tensor([0.69, 0.71, 0.71, 0.1, 0.7])
    emd = torch.tensor([0.0, 0.51, 0.5, 0.9, 0.0])
    keep = torch.tensor([True, True, True, False, True])
    assert error_mask(conf, emd, keep, 0.7, 0.5).tolist() == [True, True, False, False, False]
    assert error_mask(conf, None, keep, 0.7, 0.5).tolist() == [True, False, False, False, False]


def test_prediction_is_blank_where_there_is_no_image():
    probs = torch.tensor([[0.2, 0.6], [0.8, 0.4]])[None, :, None]
    valid = torch.tensor([[[True, False]]])
    found = classify(probs, valid)
    assert found.pseudo.tolist() == [[[1, 255]]]
    torch.testing.assert_close(found.conf, torch.tensor([[[0.8, 0.0]]]))


def test_pixels_come_from_upsampled_probabilities():
    """Between a sure cell of class 0 and one of class 1 the confidence falls to a half."""
    probs = torch.zeros(1, 2, 1, 2)
    probs[0, 0, 0, 0] = probs[0, 1, 0, 1] = 1.0
    found = classify_pixels(probs, torch.ones(1, 4, 8, dtype=torch.bool))
    ramp = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(found.conf[0, 0], np.maximum(ramp, 1 - ramp), atol=1e-6)
    assert found.pseudo[0, 0].tolist() == [0] * 4 + [1] * 4


def test_decoder_is_upsampled_as_logits():
    logits = torch.tensor([[[[-8.0, 8.0]]]])
    found = emd_pixels(logits, (4, 8))
    ramp = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(found[0, 0], 1 / (1 + np.exp(-(16 * ramp - 8))), rtol=1e-5)


def test_share_of_cells():
    pixels = torch.zeros(8, 8, dtype=torch.bool)
    pixels[:4, 4:] = True
    pixels[4, 0] = True
    assert cell_share(pixels).tolist() == [[0, 1], [1 / 16, 0]]


def test_target_is_one_where_the_teacher_errs():
    pseudo = torch.tensor([0, 1, 2, 255], dtype=torch.uint8)
    labels = torch.tensor([0, 2, 255, 1], dtype=torch.uint8)
    wrong, valid = emd_target(pseudo, labels)
    assert wrong.tolist() == [False, True, False, False]
    assert valid.tolist() == [True, True, False, False]


def test_a_perfect_teacher_has_no_errors():
    labels = torch.randint(0, 4, (8, 8), dtype=torch.uint8)
    assert not emd_target(labels, labels)[0].any()


def test_precision_and_recall():
    mask = torch.tensor([1, 1, 1, 0, 0, 1]).bool()
    wrong = torch.tensor([1, 0, 0, 1, 0, 1]).bool()
    valid = torch.tensor([1, 1, 1, 1, 1, 0]).bool()
    counts = MaskCounts.of(mask, wrong, valid)
    assert (counts.precision, counts.recall) == (1 / 3, 1 / 2)
    doubled = counts + MaskCounts.of(mask, wrong, torch.ones(6).bool())
    assert (doubled.precision, doubled.recall) == (3 / 7, 3 / 5)
    assert math.isnan(MaskCounts().precision)
    assert math.isnan(MaskCounts().recall)
