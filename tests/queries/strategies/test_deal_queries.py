"""DEAL's two acquisition functions."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from tests.queries.strategies.test_strategies import outputs  # noqa: F401
from tsfal_geo.queries.strategies import build_strategy
from tsfal_geo.queries.strategies.deal import histogram_entropy


@pytest.fixture
def chip(outputs):  # noqa: F811
    difficulty = torch.rand(4, 5, generator=torch.Generator().manual_seed(4))
    return dataclasses.replace(outputs, difficulty=difficulty)


def test_score_is_the_branchs_difficulty_else_the_decoders_else_doubt(chip):
    strategy = build_strategy("deal_ds", 0, 0)
    assert torch.equal(strategy.score(chip).score, chip.difficulty)
    without = dataclasses.replace(chip, difficulty=None)
    assert torch.equal(strategy.score(without).score, chip.emd)
    neither = dataclasses.replace(without, emd=None)
    np.testing.assert_allclose(strategy.score(neither).score, 1 - chip.probs.numpy().max(0))


def test_entropy_of_levels(chip):
    values = chip.difficulty.numpy()[chip.askable.numpy() > 0]
    edges = np.linspace(values.min(), values.max(), 9)
    level = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, 7)
    expected = entropy(np.bincount(level, minlength=8))
    (found,) = build_strategy("deal_de", 0, 0).chip_vector(chip)
    assert found == pytest.approx(expected, rel=1e-6)


def test_entropy_of_one_level_and_of_nothing_is_zero():
    assert histogram_entropy(np.full(9, 0.3)) == 0
    assert histogram_entropy(np.zeros(0)) == 0
    assert histogram_entropy(np.linspace(0, 1, 80)) == pytest.approx(np.log(8))


def test_most_even_chips_come_first():
    vectors = [np.array([value], np.float32) for value in (0.2, 1.9, 1.1)]
    assert build_strategy("deal_de", 0, 0).rank_chips(vectors, []).tolist() == [1, 2, 0]
