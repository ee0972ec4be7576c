"""S4AL's squares: the grid, and the four best of each chip first."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from tsfal_geo.config import ActiveConfig
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.ranking import propose, select
from tsfal_geo.queries.strategies import build_strategy
from tsfal_geo.queries.strategies.s4al import grid_squares


def chip(number, size=32, sharp=1.0):
    g = torch.Generator().manual_seed(number)
    zeros = torch.zeros(size, size)
    return ChipOutputs(
        key=(0, 0, number),
        probs=(sharp * torch.randn(3, size, size, generator=g)).softmax(0),
        f1=zeros[None],
        f2=zeros[None],
        emd=None,
        mask=zeros.bool(),
        plar=None,
        askable=torch.randint(0, 17, (size, size), generator=g),
    )


def test_the_grid_at_512_pixels_is_squares_of_32():
    labels = grid_squares(np.full((128, 128), 16))
    expected = np.arange(1, 257).reshape(16, 16).repeat(8, 0).repeat(8, 1)
    assert np.array_equal(labels, expected)


def test_at_688_pixels_squares_are_43_pixels_to_a_cell():
    labels = grid_squares(np.full((172, 172), 16))
    assert labels.max() == 256
    sides = np.unique([np.count_nonzero((labels == number).any(1)) for number in range(1, 257)])
    assert sides.tolist() == [10, 11]


def test_labelled_cells_are_in_no_square_and_empty_squares_have_no_number():
    askable = np.full((32, 32), 16)
    askable[:2, :2] = 0
    askable[5, 7] = 0
    labels = grid_squares(askable)
    assert labels[0, 0] == 0 and labels[5, 7] == 0
    assert labels.max() == 255 and labels[0, 2] == 1


@pytest.mark.parametrize("granularity", ["pixels", "regions"])
def test_the_four_most_entropic_squares_of_each_chip_come_first(granularity):
    strategy = build_strategy("s4al", 0, 0)
    config = ActiveConfig(granularity=granularity)
    chips = [chip(0, sharp=5.0), chip(1, sharp=0.5)]
    proposals = [propose(outputs, strategy, config, 1) for outputs in chips]
    best = []
    for outputs, proposal in zip(chips, proposals, strict=True):
        values = entropy(outputs.probs.numpy(), axis=0) / np.log(3)
        weight = outputs.askable.numpy()
        blocks = [a.reshape(16, 2, 16, 2).swapaxes(1, 2).reshape(256, 4) for a in (values * weight, weight)]
        means = blocks[0].sum(1) / blocks[1].sum(1)
        np.testing.assert_allclose(proposal.regions.score, means, atol=1e-6)
        best.append(set((np.argsort(-means)[:4] + 1).tolist()))
        assert set((np.flatnonzero(proposal.within_cap) + 1).tolist()) == best[-1]
    allowance = sum(int(p.regions.pixels[p.within_cap].sum()) for p in proposals)
    picks = select(proposals, allowance, strategy, "strong")
    assert [{p.region for p in picks if p.chip == i} for i in range(2)] == best
    more = select(proposals, allowance + 300, strategy, "strong")
    assert len(more) > len(picks) and {p.chip for p in more[len(picks) :]} == {1}
