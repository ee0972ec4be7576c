"""Sums, scatters and distances of both kinds of levels against explicit NumPy in float64."""

import numpy as np
import pytest
import torch

from tsfal_geo.refinement.levels import ClassCells
from tsfal_geo.refinement.upsampled_level import UpsampledCellFeatures, feature_level


def bilinear(coarse, factor, height, width):
    """Half-pixel bilinear upsampling, written out: value between the two nearest coarse cells."""

    def axis(n, length):
        at = np.clip((np.arange(length) + 0.5) / factor - 0.5, 0, n - 1)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        return low, np.minimum(low + 1, n - 1), at - low

    y0, y1, ty = axis(coarse.shape[1], height)
    x0, x1, tx = axis(coarse.shape[2], width)
    rows = coarse[:, y0] * (1 - ty)[:, None] + coarse[:, y1] * ty[:, None]
    return rows[:, :, x0] * (1 - tx) + rows[:, :, x1] * tx


CLASSES = 4  # the last one has no cells
CASES = {
    "fine": ((9, 12), (9, 12), 1),
    "stride 16": ((4, 6), (16, 24), 4),
    "stride 8": ((5, 7), (10, 14), 2),
    "cut": ((4, 6), (14, 23), 4),
    "one cell": ((1, 1), (4, 4), 4),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def level(request):
    """A level, the cells that have a class, their features and labels."""
    coarse_size, size, factor = request.param
    rng = np.random.default_rng(3)
    coarse = rng.normal(2.0, 1.0, (5, *coarse_size))
    values = bilinear(coarse, factor, *size).reshape(5, -1).T
    chosen = np.flatnonzero(rng.random(len(values)) < 0.7)
    labels = rng.integers(0, 3, len(chosen))
    grid = np.full(len(values), 255, np.uint8)
    grid[chosen] = labels
    cells = ClassCells(torch.from_numpy(grid), CLASSES)
    return feature_level(torch.from_numpy(coarse), size), cells, values[chosen], labels


def test_means(level):
    built, cells, values, labels = level
    means = built.means(cells).numpy()
    for c in range(CLASSES):
        own = values[labels == c]
        expected = own.mean(0) if len(own) else np.zeros(values.shape[1])
        np.testing.assert_allclose(means[c], expected, atol=1e-12)


def test_pooled_moments(level):
    built, cells, values, labels = level
    moments = built.moments(cells, per_class=False)
    assert torch.equal(moments.means, built.means(cells))
    residuals = values - moments.means.numpy()[labels]
    assert moments.counts.tolist() == [len(values)]
    np.testing.assert_allclose(moments.scatter[0], residuals.T @ residuals, atol=1e-10)
    np.testing.assert_allclose(moments.fourth[0], ((residuals**2).sum(1) ** 2).sum(), atol=1e-10)


def test_moments_of_classes(level):
    built, cells, values, labels = level
    moments = built.moments(cells, per_class=True)
    residuals = values - moments.means.numpy()[labels]
    for c in range(CLASSES):
        own = residuals[labels == c]
        assert moments.counts[c] == len(own)
        np.testing.assert_allclose(moments.scatter[c], own.T @ own, atol=1e-10)
        np.testing.assert_allclose(moments.fourth[c], ((own**2).sum(1) ** 2).sum(), atol=1e-10)


def test_many_cells_of_many_channels():
    """More than one strip of channels, and not a whole number of them."""
    rng = np.random.default_rng(5)
    values = rng.normal(1.0, 1.0, (150, 50 * 50))
    grid = np.where(rng.random(2500) < 0.9, rng.integers(0, 3, 2500), 255).astype(np.uint8)
    built = feature_level(torch.from_numpy(values.reshape(150, 50, 50)), (50, 50))
    cells = ClassCells(torch.from_numpy(grid), CLASSES)
    moments = built.moments(cells, per_class=False)
    own = values.T[grid < 255]
    expected = np.stack([own[grid[grid < 255] == c].mean(0) for c in range(3)])
    np.testing.assert_allclose(moments.means[:3], expected, atol=1e-12)
    residuals = own - expected[grid[grid < 255]]
    np.testing.assert_allclose(moments.scatter[0], residuals.T @ residuals, atol=1e-9)
    np.testing.assert_allclose(moments.fourth[0], ((residuals**2).sum(1) ** 2).sum(), rtol=1e-12)


def test_squared_distances_also_after_a_map(level):
    every, cells, values, _ = level
    built = every.at((cells.labels != 255).nonzero()[:, 0])
    rng = np.random.default_rng(4)
    points, matrix = rng.normal(2, 1, (3, 5)), rng.normal(size=(5, 5))
    expected = ((values[:, None] - points) ** 2).sum(2)
    np.testing.assert_allclose(built.squared_distances(torch.from_numpy(points)), expected, atol=1e-10)
    mapped = built.mapped(torch.from_numpy(matrix))
    expected = ((values[:, None] @ matrix.T - points) ** 2).sum(2)
    np.testing.assert_allclose(mapped.squared_distances(torch.from_numpy(points)), expected, atol=1e-9)


def test_single_precision_with_a_large_common_offset():
    """Features far from the origin: naive ||x||^2 - 2xy + ||y||^2 in float32 would be off by units."""
    coarse = np.random.default_rng(0).normal(1000.0, 1.0, (8, 6, 6))
    values = bilinear(coarse, 4, 24, 24).reshape(8, -1).T
    points = values[::100]
    expected = ((values[:, None] - points) ** 2).sum(2)
    for features in (coarse, bilinear(coarse, 4, 24, 24)):
        built = feature_level(torch.from_numpy(features).float(), (24, 24)).at(torch.arange(576))
        found = built.squared_distances(torch.from_numpy(points).float())
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_coarse_maps_are_not_upsampled():
    built = feature_level(torch.zeros(3, 4, 4), (16, 16)).at(torch.arange(256))
    assert isinstance(built, UpsampledCellFeatures)
    assert built.level.coarse.shape == (16, 3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [4, 16])
def test_statistics_and_distances_leave_the_features_as_they_are(layout, side):
    features = torch.randn(1, 3, side, side).to(memory_format=layout)[0]
    before = features.clone()
    level = feature_level(features, (16, 16))
    for count in (256, 7):
        grid = torch.full((256,), 255, dtype=torch.uint8)
        grid[:count] = 0
        cells = ClassCells(grid, 1)
        level.moments(cells, per_class=False)
        level.at(cells.positions).squared_distances(torch.zeros(1, 3))
    assert torch.equal(features, before)
