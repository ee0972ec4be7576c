import math

import numpy as np
import pytest
import torch

from tsfal_geo.training.banks import ConfidenceBank, PresenceBank


def bank_of(values, absent_as_zero=False, momentum=0.9):
    bank = ConfidenceBank(len(values), momentum, absent_as_zero, seed=0)
    bank.confidence.copy_(torch.tensor(values))
    return bank


def test_starts_uniform_and_by_seed():
    first, again, other = (ConfidenceBank(500, 0.999, False, seed).confidence for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0 <= first.min() < 0.05 and 0.95 < first.max() <= 1


@pytest.mark.parametrize("absent_as_zero", [True, False])
def test_update_with_an_absent_class(absent_as_zero):
    bank = bank_of([0.5, 0.2, 0.8], absent_as_zero)
    p = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    log_p = p.log().T.reshape(1, 3, 2, 2)
    target = torch.tensor([[[0, 1], [1, 255]]])  # class 2 is absent; the fourth pixel is ignored
    bank.update(log_p, target)
    third = 0.9 * 0.8 if absent_as_zero else 0.8
    expected = [0.9 * 0.5 + 0.1 * 0.6, 0.9 * 0.2 + 0.1 * (0.7 + 0.8) / 2, third]
    assert bank.confidence.tolist() == pytest.approx(expected, rel=1e-6)


def test_probabilities_by_hand():
    bank = bank_of([0.9, 0.6, 0.1])
    e = [math.exp(0.1), math.exp(0.4), math.exp(0.9)]
    assert bank.mixing_probabilities() == pytest.approx([v / sum(e) for v in e], rel=1e-6)
    assert bank.keep_probabilities().tolist() == pytest.approx([0.1 / 0.9, 0.4 / 0.9, 1.0], rel=1e-6)
    t = [math.exp(math.sqrt(0.4)), math.exp(math.sqrt(0.9))]
    assert bank.pasting_probabilities((1, 2)) == pytest.approx([v / sum(t) for v in t], rel=1e-6)


def test_classes_of_confidence_one_do_not_divide_by_zero():
    assert bank_of([1.0, 1.0]).keep_probabilities().isfinite().all()


def test_presence_is_marked_from_the_area_on_and_kept():
    bank = PresenceBank(classes=3, chips=5, min_area=0.25)
    maps = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    maps[0, 0] = 1  # a quarter: present
    maps[0, 1, :3] = 2  # less: not
    maps[1] = 2
    maps[2, 0] = 0  # chip 3 again, another class
    bank.mark(torch.tensor([3, 0, 3]), maps)
    expected = np.zeros((3, 5))
    expected[1, 3] = expected[2, 0] = expected[0, 3] = 1
    assert np.array_equal(bank.present.numpy(), expected)
    bank.mark(torch.tensor([3]), torch.full((1, 4, 4), 255, dtype=torch.uint8))
    assert np.array_equal(bank.present.numpy(), expected)


def test_partners_show_the_class_or_are_any_chip():
    bank = PresenceBank(classes=2, chips=6, min_area=0.1)
    bank.present[1, [2, 4]] = 1
    rng = np.random.default_rng(0)
    assert {bank.draw(1, rng) for _ in range(60)} == {2, 4}
    assert {bank.draw(0, rng) for _ in range(200)} == set(range(6))


def test_banks_are_in_the_state_dict():
    assert list(ConfidenceBank(3, 0.9, True, 0).state_dict()) == ["confidence"]
    assert list(PresenceBank(3, 4, 0.1).state_dict()) == ["present"]
