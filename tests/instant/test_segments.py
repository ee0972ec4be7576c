"""Segments of cells: pure, spread over the features, balanced over classes."""

from __future__ import annotations

import numpy as np
import pytest

from tsfal_geo.instant.answerable import Answerable, Asked
from tsfal_geo.instant.choice import choose
from tsfal_geo.instant.segments import Segmentation, Traits, describe, single_cells


@pytest.fixture
def patches():
    """Cells (48, 60, 4) of 80 square patches of six kinds, each a little different, and each cell's kind."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 6, (8, 10))
    patches = 8 * rng.normal(size=(6, 4))[kind] + rng.normal(size=(8, 10, 4))
    kind, cells = (values.repeat(6, 0).repeat(6, 1) for values in (kind, patches))
    return (cells + 0.01 * rng.normal(size=cells.shape)).astype(np.float32), kind


def by_size(traits):
    return np.log1p(traits.cells)


def segmented(cells, predicted=None, askable=None):
    askable = np.full(cells.shape[:2], 16) if askable is None else askable
    sample = cells[np.isfinite(cells[..., 0])]
    return Segmentation(sample, seed=0).segment(cells, predicted, askable)


def test_segments_are_pure_and_keep_away_from_borders(patches):
    cells, kind = patches
    numbers = segmented(cells)
    assert numbers.max() > 5
    for number in range(1, numbers.max() + 1):
        assert len(np.unique(kind[numbers == number])) == 1
    border = np.zeros(kind.shape, bool)
    border[:, 1:] |= kind[:, 1:] != kind[:, :-1]
    border[:, :-1] |= kind[:, 1:] != kind[:, :-1]
    assert not (numbers[border] > 0).any()


def test_segments_end_where_the_predicted_class_changes(patches):
    cells, _ = patches
    predicted = np.zeros(cells.shape[:2], np.uint8)
    predicted[:, 30:] = 1
    numbers = segmented(cells, predicted)
    for number in range(1, numbers.max() + 1):
        assert len(np.unique(predicted[numbers == number])) == 1


def test_segments_hold_no_cell_without_data_or_with_a_label(patches):
    cells, _ = patches
    cells[:10, :10] = np.nan
    askable = np.full(cells.shape[:2], 16)
    askable[20:30, 20:30] = 7
    numbers = segmented(cells, askable=askable)
    assert not numbers[:10, :10].any()
    assert not numbers[20:30, 20:30].any()


def test_questions_of_a_model_are_balanced_over_the_predicted_classes(patches):
    cells, kind = patches
    probabilities = np.full((*kind.shape, 3), 0.1, np.float32)
    rows, columns = np.indices(kind.shape)
    probabilities[rows, columns, kind % 3] = 0.8
    predicted = probabilities.argmax(-1).astype(np.uint8)
    numbers = segmented(cells, predicted)
    askable = np.full(kind.shape, 16)
    found = describe(0, numbers, cells, probabilities, askable, lambda traits: 1 - traits.margin)
    assert (found.pixels == 16 * np.array([(numbers == n).sum() for n in found.numbers])).all()
    chosen = choose([found], 6, seed=0)
    assert len(set(chosen)) == len(chosen) == 6
    assert np.bincount([found.predicted[place] for _, place in chosen], minlength=3).tolist() == [2, 2, 2]


def test_the_first_questions_show_every_kind_of_ground(patches):
    cells, kind = patches
    numbers = segmented(cells)
    found = describe(0, numbers, cells, None, np.full(kind.shape, 16), lambda traits: np.log1p(traits.cells))
    assert (found.predicted == -1).all()
    asked = {kind[numbers == found.numbers[place]][0] for _, place in choose([found], 6, seed=0)}
    assert asked == set(np.unique(kind[numbers > 0]))


def test_more_questions_than_segments_are_all_segments(patches):
    cells, kind = patches
    found = describe(0, segmented(cells), cells, None, np.full(kind.shape, 16), by_size)
    assert len(choose([found], 10_000, seed=0)) == len(found.numbers)
    assert choose([], 10, seed=0) == []


def test_questions_at_random_follow_neither_doubt_nor_size(patches):
    cells, kind = patches
    numbers, askable = segmented(cells), np.full(kind.shape, 16)
    chosen = []
    for seed in (0, 1):
        draw = np.random.default_rng(seed)
        found = describe(0, numbers, cells, None, askable, lambda traits: draw.random(len(traits.cells)))  # noqa: B023
        chosen.append(choose([found], 20, seed=0, rule="worth"))
        assert len(set(chosen[-1])) == 20
    assert chosen[0] != chosen[1]


def test_the_traits_of_a_segment_are_those_of_its_cells(patches):
    cells, kind = patches
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), kind.shape).astype(np.float32)
    numbers = segmented(cells)
    found = describe(0, numbers, cells, probabilities, np.full(kind.shape, 16), lambda traits: traits.margin)
    for place in (0, len(found.numbers) - 1):
        own = numbers == found.numbers[place]
        assert found.traits.cells[place] == own.sum()
        assert found.traits.spread[place] == pytest.approx(cells[own].var(0).sum(), rel=1e-3)
        best = np.sort(probabilities[own], axis=1)
        assert found.traits.margin[place] == pytest.approx((best[:, 2] - best[:, 1]).mean(), rel=1e-4)
        entropy = -(probabilities[own] * np.log(probabilities[own])).sum(1).mean()
        assert found.traits.entropy[place] == pytest.approx(entropy, rel=1e-4)
        assert found.worth[place] == pytest.approx(found.traits.margin[place])


def traits(spread):
    spread = np.asarray(spread, float)
    return Traits(np.full(len(spread), 4), spread, np.full(len(spread), 0.5), np.zeros(len(spread)))


def test_questions_like_those_that_were_skipped_are_worth_less():
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(size=60))
    answerable = Answerable(Asked(traits(spread).columns(), spread < 1))
    pure, mixed = answerable.probability(traits([0.2, 5.0]))
    assert pure > 0.8 and mixed < 0.2
    # Nothing is learnt from a few, nor where all got the same.
    few = Answerable(Asked(traits(spread[:19]).columns(), spread[:19] < 1))
    alike = Answerable(Asked(traits(spread).columns(), np.ones(60, bool)))
    for nothing in (few, alike):
        assert nothing.probability(traits([0.2, 5.0])).tolist() == [1, 1]


def test_a_covering_lies_far_from_the_labelled_cells(patches):
    cells, kind = patches
    numbers = segmented(cells)
    probabilities = np.full((*kind.shape, 2), 0.5, np.float32)
    found = describe(0, numbers, cells, probabilities, np.full(kind.shape, 16), by_size)
    labelled = cells[(kind < 4) & (numbers > 0)][::7]
    (_, place), *_ = choose([found], 3, seed=0, rule="covering", labelled=labelled)
    unit, covered = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (found.means, labelled))
    distance = (1 - unit @ covered.T).min(1)
    assert distance[place] == pytest.approx(distance.max(), abs=1e-5)


def test_points_are_whole_cells():
    askable = np.array([[16, 3], [16, 16]])
    assert single_cells(askable).tolist() == [[1, 0], [2, 3]]
