"""Regions: connected, of one class, within size, complete, in a fixed order."""

import numpy as np
import pytest
from scipy import ndimage

from tsfal_geo.queries.regions import (
    cell_regions,
    connected_regions,
    measure_regions,
    region_pixels,
    renumber,
)

FULL = 16


def full(shape):
    return np.full(shape, FULL)


def noisy(seed, size=48, classes=4):
    """Make a smooth class map and candidates, with speckle and partly askable cells."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(classes + 1, size, size)), (0, 3, 3))
    predicted = fields[:classes].argmax(0).astype(np.uint8)
    speckle = rng.random((size, size))
    predicted[speckle < 0.03] = 0
    candidate = (fields[classes] > -0.03) & (speckle < 0.95)
    askable = np.where(rng.random((size, size)) < 0.9, FULL, rng.integers(0, FULL, (size, size)))
    return candidate, predicted, askable


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("smallest", "largest"), [(64, 4096), (100, 400), (1, 16), (64, 100)])
def test_invariants(seed, smallest, largest):
    candidate, predicted, askable = noisy(seed)
    labels = connected_regions(candidate, predicted, askable, smallest, largest)
    assert not labels[~candidate | (askable == 0)].any()
    sizes = np.bincount(labels.ravel(), askable.ravel())[1:]
    assert len(sizes) == labels.max()
    assert (sizes >= smallest).all()
    assert (sizes <= largest).all()
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1
    firsts = [np.flatnonzero(labels.ravel() == number)[0] for number in range(1, labels.max() + 1)]
    assert firsts == sorted(firsts)
    assert np.array_equal(labels, connected_regions(candidate, predicted, askable, smallest, largest))


@pytest.mark.parametrize("seed", range(3))
def test_without_a_lower_bound_regions_are_pure_and_nothing_is_lost(seed):
    candidate, predicted, askable = noisy(seed)
    labels = connected_regions(candidate, predicted, askable, 1, 10**9)
    chosen = candidate & (askable > 0)
    assert np.array_equal(labels > 0, chosen)
    for value in range(4):
        expected = ndimage.label(chosen & (predicted == value))[0]
        pairs = set(zip(expected[expected > 0], labels[expected > 0], strict=True))
        assert len(pairs) == expected.max()


def test_a_speck_joins_the_neighbour_with_the_longest_border():
    predicted = np.array([[1, 1, 1, 2], [1, 1, 0, 2], [1, 1, 2, 2], [1, 1, 2, 2]], np.uint8)
    candidate = np.ones_like(predicted, bool)
    labels = connected_regions(candidate, predicted, full((4, 4)), 2 * FULL, 100 * FULL)
    assert labels.max() == 2
    assert labels[1, 2] == labels[1, 1]
    predicted[0, 2] = 2
    labels = connected_regions(candidate, predicted, full((4, 4)), 2 * FULL, 100 * FULL)
    assert labels[1, 2] == labels[0, 3]


def test_specks_without_neighbours_are_dropped_and_clusters_of_specks_kept():
    candidate = np.zeros((6, 6), bool)
    candidate[0, 0] = True
    candidate[3:5, 3:5] = True
    predicted = np.arange(36, dtype=np.uint8).reshape(6, 6)
    labels = connected_regions(candidate, predicted, full((6, 6)), 4 * FULL, 100 * FULL)
    assert labels.max() == 1
    assert np.array_equal(labels == 1, np.pad(np.ones((2, 2), bool), ((3, 1), (3, 1))))


def test_large_regions_fall_into_compact_even_parts():
    candidate = np.ones((32, 16), bool)
    predicted = np.zeros((32, 16), np.uint8)
    labels = connected_regions(candidate, predicted, full((32, 16)), 1, 64 * FULL)
    assert sorted(np.bincount(labels.ravel())[1:]) == [64] * 8
    for box in ndimage.find_objects(labels):
        assert labels[box].shape == (8, 8)


def test_cells_as_regions():
    candidate = np.array([[True, True], [False, True]])
    askable = np.array([[16, 0], [16, 7]])
    assert cell_regions(candidate, askable).tolist() == [[1, 0], [0, 2]]


def test_measures_are_weighted_by_pixels():
    labels = np.array([[1, 1, 2], [1, 0, 2]], np.int32)
    predicted = np.array([[4, 4, 3], [5, 5, 3]], np.uint8)
    askable = np.array([[3, 4, 16], [16, 16, 0]])
    score = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 0.9]], np.float32)
    found = measure_regions(labels, predicted, askable, score)
    assert found.pixels.tolist() == [23, 16]
    assert found.predicted.tolist() == [5, 3]
    np.testing.assert_allclose(found.score, [(0.3 + 0.8 + 6.4) / 23, 0.3], rtol=1e-6)


def test_measures_of_no_region():
    empty = np.zeros((2, 2), np.int32)
    assert len(measure_regions(empty, empty.astype(np.uint8), empty, empty.astype(np.float32))) == 0


def test_upsampled_regions_have_askable_pixels_only():
    askable = np.ones((8, 8), bool)
    askable[0] = False
    found = region_pixels(np.array([[1, 2], [0, 3]], np.int32), askable)
    assert not found[0].any()
    assert (found[1:4, :4] == 1).all()
    assert (found[4:, 4:] == 3).all()
    assert np.count_nonzero(found) == 3 * 16 - 8


def test_renumbering_follows_the_scan():
    assert renumber(np.array([[0, 7, 7], [3, 0, 7]], np.int32)).tolist() == [[0, 1, 1], [2, 0, 1]]
    assert renumber(np.array([[9, 4], [4, 9]], np.int32)).tolist() == [[1, 2], [2, 1]]
