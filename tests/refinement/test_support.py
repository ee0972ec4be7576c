"""The cells that support each class."""

import numpy as np
import pytest
import torch

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.support import choose_support, label_cells


def cells(*pairs, size=400):
    """A flat map of ``size`` cells as (1, size): (class, count) one after the other, 255 after them."""
    values = np.full(size, 255, np.uint8)
    start = 0
    for value, count in pairs:
        values[start : start + count] = value
        start += count
    return torch.from_numpy(values)[None]


def counts(labels):
    return {
        int(v): int(n)
        for v, n in zip(*np.unique(labels.numpy(), return_counts=True), strict=True)
        if v != 255
    }


def support(manual, pseudo, conf=None, mask=None, **config):
    conf = torch.ones(pseudo.shape) if conf is None else conf
    mask = torch.zeros_like(pseudo, dtype=torch.bool) if mask is None else mask
    return choose_support(manual, pseudo, conf, mask, PlarConfig(**config), classes=3)


NOTHING = cells()


def test_cells_take_the_class_that_fills_three_quarters():
    block = np.full((4, 4), 2, np.uint8)
    impure, unlabelled, ignored = block.copy(), block.copy(), np.full((4, 4), 255, np.uint8)
    impure.ravel()[:5] = 1
    unlabelled.ravel()[:4] = 255
    row = np.concatenate([block, impure, unlabelled, ignored], axis=1)
    assert label_cells(torch.from_numpy(row), 0.75).tolist() == [[2, 255, 2, 255]]
    assert label_cells(torch.from_numpy(row), 0.80).tolist() == [[2, 255, 255, 255]]


def test_cells_keep_their_place_in_a_batch():
    small = torch.randint(0, 5, (2, 3, 4), dtype=torch.uint8)
    large = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(label_cells(large, 0.75), small)


def test_sixteen_manual_cells_suffice_and_keep_reliable_ones_out_of_the_means():
    manual, pseudo = cells((0, 15), (2, 1)), cells((1, 400))
    found = support(manual, pseudo)
    assert counts(found.for_means) == {0: 15, 2: 1}
    assert found.available.tolist() == [True, False, True]


def test_with_fewer_manual_cells_the_reliable_ones_join():
    manual, pseudo = cells((0, 14), (2, 1)), cells((1, 200))
    found = support(manual, pseudo)
    assert counts(found.for_means) == {0: 14, 1: 185, 2: 1}
    assert found.available.tolist() == [True, True, True]


def test_a_class_needs_sixteen_reliable_cells_or_a_manual_one():
    found = support(NOTHING, cells((0, 15), (1, 16)))
    assert counts(found.for_means) == {1: 16}
    assert found.available.tolist() == [False, True, False]


def test_reliable_means_confident_and_outside_the_mask():
    pseudo = cells((0, 100), (1, 100), (2, 100))
    conf = torch.full(pseudo.shape, 0.9)
    conf[0, 100:200] = 0.89
    mask = torch.zeros_like(pseudo, dtype=torch.bool)
    mask[0, 200:300] = True
    assert counts(support(NOTHING, pseudo, conf, mask).for_means) == {0: 100}


@pytest.mark.parametrize(("by_hand", "reliable_help"), [(127, True), (128, False)])
def test_reliable_cells_help_the_covariance_while_manual_ones_are_few(by_hand, reliable_help):
    found = support(cells((0, by_hand)), cells((1, 300)))
    assert counts(found.for_means) == {0: by_hand}
    assert (1 in counts(found.for_covariance)) is reliable_help
    assert counts(found.for_covariance)[0] == by_hand


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("manual", {0: 3}), ("reliable", {1: 97}), ("both", {0: 3, 1: 97}), ("auto", {0: 3, 1: 97})],
)
def test_rules_with_few_manual_cells(rule, expected):
    found = support(cells((0, 3)), cells((1, 100)), support=rule)
    assert counts(found.for_means) == expected


def test_an_image_without_anything():
    found = support(NOTHING, NOTHING, conf=torch.zeros(NOTHING.shape))
    assert counts(found.for_means) == {}
    assert not found.available.any()


def test_with_manual_alone_reliable_cells_help_nothing():
    manual, pseudo = cells((0, 3)), cells((1, 97))
    found = support(manual, pseudo, support="manual")
    assert torch.equal(found.for_covariance, manual.flatten())
    assert torch.equal(found.for_means, manual.flatten())
