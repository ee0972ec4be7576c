import numpy as np
import pytest
import torch

from tsfal_geo.training.banks import Alignment

VALID = torch.ones(2, 32, 32, dtype=torch.bool)


def logits_of(probabilities):
    """(2, C, 8, 8) logits of one distribution everywhere."""
    return torch.tensor(probabilities).log()[None, :, None, None].repeat(2, 1, 8, 8)


def test_predictions_that_are_as_frequent_as_labels_stay():
    alignment = Alignment([699, 199, 99], networks=1)
    logits = logits_of([0.7, 0.2, 0.1])
    torch.testing.assert_close(alignment(0, logits, VALID), logits, atol=1e-5, rtol=0)


def test_predicted_shares_come_to_those_of_the_labels():
    """Against the fixed point in NumPy: p·π/q, normalised."""
    alignment = Alignment([499, 299, 199], networks=1)
    predicted = [0.8, 0.15, 0.05]
    for _ in range(1000):
        aligned = alignment(0, logits_of(predicted), VALID)
    expected = np.array(predicted) * np.array([0.5, 0.3, 0.2]) / np.array(predicted)
    got = aligned.softmax(1)[0, :, 0, 0]
    assert got.numpy() == pytest.approx(expected / expected.sum(), abs=1e-3)


def test_networks_are_aligned_each_by_itself():
    alignment = Alignment([500, 500], networks=2)
    alignment(0, logits_of([0.9, 0.1]), VALID)
    assert alignment.seen[0, 0] > 0.5 and alignment.seen[1, 0] == 0.5


def test_invalid_pixels_are_not_counted():
    alignment = Alignment([500, 500], networks=1)
    logits = logits_of([0.5, 0.5])
    logits[:, 0, :, 4:] = 20
    valid = VALID.clone()
    valid[:, :, 16:] = False
    alignment(0, logits, valid)
    assert alignment.seen[0].tolist() == pytest.approx([0.5, 0.5])
    before = alignment.seen.clone()
    alignment(0, logits, torch.zeros_like(VALID))
    assert torch.equal(alignment.seen, before)


def test_a_class_that_is_hardly_seen_gains_ten_times_at_most():
    alignment = Alignment([500, 500], networks=1)
    alignment.seen.copy_(torch.tensor([[1 - 1e-6, 1e-6]]))
    logits = torch.zeros(1, 2, 8, 8)
    shift = (alignment(0, logits, VALID[:1]) - logits)[0, :, 0, 0]
    assert shift[1] - shift[0] <= np.log(10) + np.log(2) + 1e-5
