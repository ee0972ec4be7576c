"""Estimates against scikit-learn and NumPy."""

import numpy as np
import pytest
import torch
from sklearn.covariance import OAS, LedoitWolf

from tsfal_geo.errors import ConfigError
from tsfal_geo.refinement.covariance import (
    empirical,
    factorise,
    is_per_class,
    ledoit_wolf,
    oas,
    pseudo_inverse,
    regularised,
    whitening,
)
from tsfal_geo.refinement.levels import ClassCells, DenseLevel

CLASSES = 3
COUNTS = (200, 40, 7)


@pytest.fixture
def data():
    """Residuals of three classes, correlated channels, the last class with fewer cells than channels."""
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(CLASSES, 12, 12))
    values = np.concatenate(
        [rng.normal(size=(n, 12)) @ m + rng.normal(size=12) for n, m in zip(COUNTS, mix, strict=True)]
    )
    labels = np.repeat(np.arange(CLASSES, dtype=np.uint8), COUNTS)
    residuals = [values[labels == c] - values[labels == c].mean(0) for c in range(CLASSES)]
    level, cells = DenseLevel(torch.from_numpy(values)), ClassCells(torch.from_numpy(labels), CLASSES)
    return (
        residuals,
        level.moments(cells, per_class=False),
        level.moments(cells, per_class=True),
    )


@pytest.mark.parametrize(("ours", "theirs"), [(ledoit_wolf, LedoitWolf), (oas, OAS)])
def test_shrinkage_is_scikit_learns(data, ours, theirs):
    residuals, pooled, per_class = data
    covariance, intensity = ours(per_class)
    for c, own in enumerate(residuals):
        fitted = theirs(assume_centered=True).fit(own)
        np.testing.assert_allclose(covariance[c], fitted.covariance_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(intensity[c], fitted.shrinkage_, rtol=1e-9)
    fitted = theirs(assume_centered=True).fit(np.concatenate(residuals))
    covariance, intensity = ours(pooled)
    np.testing.assert_allclose(covariance[0], fitted.covariance_, rtol=1e-9, atol=1e-12)
    assert 0 < float(intensity[0]) < 1


def test_single_precision_is_near_enough(data):
    residuals, _, _ = data
    own = np.concatenate(residuals).astype(np.float32)
    cells = ClassCells(torch.zeros(len(own), dtype=torch.uint8), 1)
    moments = DenseLevel(torch.from_numpy(own)).moments(cells, per_class=False)
    expected = LedoitWolf(assume_centered=True).fit(own - own.mean(0, dtype=np.float64)).covariance_
    np.testing.assert_allclose(ledoit_wolf(moments)[0][0], expected, rtol=1e-4, atol=1e-4)


def test_regularised_discriminant_analysis(data):
    residuals, _, per_class = data
    found = regularised(per_class, pooling=0.25, shrinkage=0.1)
    pooled = sum(r.T @ r for r in residuals)
    for c, own in enumerate(residuals):
        blend = (0.75 * own.T @ own + 0.25 * pooled) / (0.75 * len(own) + 0.25 * sum(COUNTS))
        expected = 0.9 * blend + 0.1 * np.trace(blend) / 12 * np.eye(12)
        np.testing.assert_allclose(found[c], expected, rtol=1e-10, atol=1e-12)


def test_whitening_inverts_and_knows_the_determinant(data):
    _, pooled, _ = data
    covariance = empirical(pooled)
    factor = factorise(covariance, jitter=0.0)
    matrix = factor.matrix[0]
    np.testing.assert_allclose(matrix.T @ matrix, np.linalg.inv(covariance[0]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(factor.logdet[0], np.linalg.slogdet(covariance[0].numpy())[1], rtol=1e-10)


def test_jitter_is_relative_to_the_mean_variance(data):
    _, pooled, _ = data
    covariance = empirical(pooled)
    expected = covariance[0] + 0.5 * covariance[0].trace() / 12 * torch.eye(12, dtype=torch.float64)
    matrix = factorise(covariance, jitter=0.5).matrix[0]
    np.testing.assert_allclose(matrix.T @ matrix, np.linalg.inv(expected), rtol=1e-9, atol=1e-12)


def test_pseudo_inverse(data):
    _, _, per_class = data
    covariance = empirical(per_class)
    factor = pseudo_inverse(covariance)
    for c in range(CLASSES):
        expected = np.linalg.pinv(covariance[c].numpy(), hermitian=True)
        np.testing.assert_allclose(factor.matrix[c].T @ factor.matrix[c], expected, rtol=1e-6, atol=1e-8)
    assert torch.linalg.matrix_rank(factor.matrix[2]) == COUNTS[2] - 1


def test_diagonal(data):
    residuals, pooled, _ = data
    factor = whitening("diag", pooled)
    variance = (np.concatenate(residuals) ** 2).mean(0)
    expected = 1 / (variance + 1e-6 * variance.mean())
    np.testing.assert_allclose(factor.matrix[0].T @ factor.matrix[0], np.diag(expected), rtol=1e-9)


def test_no_spread_counts_as_euclid():
    factor = factorise(torch.zeros(2, 5, 5))
    assert torch.allclose(factor.matrix, torch.eye(5).expand(2, 5, 5), atol=1e-5)
    assert factor.logdet.abs().max() < 1e-4


def test_a_matrix_that_rounding_made_indefinite_is_repaired():
    vector = torch.ones(6)
    covariance = (torch.outer(vector, vector) - 1e-4 * torch.eye(6))[None]
    matrix = factorise(covariance).matrix
    assert matrix.isfinite().all()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_of_a_network_that_diverged_are_an_error_and_no_endless_repair(value):
    covariance = torch.eye(4).repeat(2, 1, 1)
    covariance[1, 2, 2] = value
    with pytest.raises(ConfigError, match="diverged"):
        factorise(covariance)


@pytest.mark.parametrize("option", ["per_class_lw", "per_class_oas"])
def test_a_class_of_one_cell_takes_the_spread_of_all(option):
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(51, 4)))
    level, cells = DenseLevel(values), ClassCells(torch.tensor([0] * 50 + [1], dtype=torch.uint8), 2)
    moments = level.moments(cells, per_class=True)
    factor = whitening(option, moments)
    own = values[:50] - values[:50].mean(0)
    pooled = torch.cat([own, torch.zeros(1, 4, dtype=own.dtype)])
    estimate = LedoitWolf if option == "per_class_lw" else OAS
    expected = estimate(assume_centered=True).fit(pooled.numpy()).precision_
    np.testing.assert_allclose(factor.matrix[1].T @ factor.matrix[1], expected, rtol=1e-4, atol=1e-5)


def test_which_options_are_class_specific():
    assert [
        o for o in ("pinv", "per_class_lw", "per_class_oas", "rda", "pooled_lw", "diag") if is_per_class(o)
    ] == [
        "pinv",
        "per_class_lw",
        "per_class_oas",
        "rda",
    ]
