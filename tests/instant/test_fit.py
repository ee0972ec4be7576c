"""The head of the instant model: labels of cells, the fit, and the network that takes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import ModelConfig
from tsfal_geo.instant.basis import Basis
from tsfal_geo.instant.classifier import LabelledCells
from tsfal_geo.instant.fitting import fit_classifier
from tsfal_geo.instant.labels import answers_of, label_cells
from tsfal_geo.instant.network import put_into
from tsfal_geo.models.pyramid import to_quarter
from tsfal_geo.models.segmenter import build_segmenter


def clusters(count=40, classes=3, components=6, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(classes, components))
    y = np.arange(count) % classes
    x = centres[y] + spread * rng.normal(size=(count, components))
    return LabelledCells(x.astype(np.float32), y.astype(np.int64), np.arange(count, dtype=np.int64))


@pytest.mark.parametrize("scales", [(1,), (1, 2)])
def test_a_network_predicts_what_the_fitted_head_predicts_of_its_features(scales):
    config = ModelConfig(encoder="tu-mobilenetv2_035", weights=None, architecture="instant", scales=scales)
    segmenter = build_segmenter(config, 3, 3, seed=0).eval()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        levels = segmenter.encoder(images)
        cells = torch.cat(
            [
                to_quarter(level, stride)[0]
                for level, stride in zip(levels, segmenter.encoder.level_strides, strict=True)
            ]
        )
    flat = cells.flatten(1).T.numpy()
    basis = Basis.of(flat, 8)
    projected = basis.project(cells.double()).float().numpy()
    labelled = LabelledCells(
        projected.reshape(-1, 8)[::7], np.arange(len(flat[::7])) % 3, np.arange(len(flat[::7]))
    )
    head = fit_classifier(labelled, 3, seed=1)
    put_into(segmenter, basis, head)
    with torch.inference_mode():
        output = segmenter(images, features=True)
    expected = head.probabilities(projected)
    found = output.logits.softmax(1)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 1e-3
    assert output.f1 is not None
    assert output.f1.shape[-2:] == (4, 6)
    assert output.f2 is not None
    assert output.f2.shape[-2:] == (16, 24)


def test_a_basis_reproduces_standardised_features_and_ignores_constant_ones():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 5)) * [1, 10, 100, 1, 1] + 7
    cells = np.column_stack((cells, np.full(500, 4.0))).astype(np.float32)
    basis = Basis.of(cells, 3)
    projected = basis.project(torch.from_numpy(cells.T[:, :, None]).double()).numpy()[:, 0]
    standard = (cells[:, :5] - cells[:, :5].mean(0)) / cells[:, :5].std(0)
    assert np.allclose(projected @ basis.vectors[:5].T, standard, atol=1e-3)
    assert np.abs(projected @ basis.vectors[5:].T).max() < 1e-6


def test_one_labelled_pixel_labels_its_cell_and_mixed_cells_have_no_label():
    labels = np.full((9, 10), IGNORE, np.uint8)
    labels[1, 2] = 2
    labels[4:8, 4:8] = 1
    labels[4, 4] = 0  # 15 of 16 are enough
    labels[8, 8], labels[8, 9] = 0, 1
    cells = label_cells(labels, 3)
    assert cells.shape == (3, 3)
    assert cells[0, 0] == 2
    assert cells[1, 1] == 1
    assert cells[2, 2] == IGNORE
    assert np.count_nonzero(cells != IGNORE) == 2


def test_connected_labels_of_one_class_are_one_answer():
    cells = np.array([[0, 0, 255], [1, 0, 255], [1, 255, 0]], np.uint8)
    numbers = answers_of(cells)
    assert numbers[0, 0] == numbers[0, 1] == numbers[1, 1] != 0
    assert numbers[1, 0] == numbers[2, 0] != numbers[0, 0]
    assert numbers[2, 2] not in (0, numbers[0, 0], numbers[1, 0])
    assert (numbers[cells == IGNORE] == 0).all()


def test_five_labels_are_enough_and_a_class_without_labels_is_improbable():
    head = fit_classifier(clusters(count=5, classes=2), 3, seed=0)
    probabilities = head.probabilities(clusters(count=60, classes=2, seed=0).features)
    assert (probabilities.argmax(-1) == np.arange(60) % 2).mean() > 0.95
    assert probabilities[:, 2].max() < 0.5
    assert head.judged is None


def test_confidence_is_calibrated_on_noisy_answers():
    cells = clusters(count=600, spread=0.2)
    rng = np.random.default_rng(1)
    wrong = rng.random(600) < 0.3
    noisy = LabelledCells(
        cells.features, np.where(wrong, (cells.classes + 1) % 3, cells.classes), cells.answers
    )
    head = fit_classifier(noisy, 3, seed=0)
    confidence = head.probabilities(clusters(count=600, spread=0.2).features).max(-1).mean()
    assert confidence == pytest.approx(0.7, abs=0.08)
    assert head.judged.accuracy == pytest.approx(0.7, abs=0.06)


def test_the_fit_is_repeatable_and_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    one, two = (fit_classifier(clusters(), 3, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.hidden, two.hidden)
    assert not torch.equal(one.hidden, fit_classifier(clusters(), 3, seed=4).hidden)


def test_a_large_answer_does_not_drown_the_small_ones():
    weights = LabelledCells(
        np.zeros((101, 1), np.float32), np.zeros(101, np.int64), np.r_[np.zeros(100), 1].astype(np.int64)
    ).weights()
    assert weights[:100].sum() / weights[100] == pytest.approx(10)
    assert weights.mean() == pytest.approx(1)


def test_answers_without_a_pattern_leave_the_head_in_doubt():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 64)).astype(np.float32)
    head = fit_classifier(LabelledCells(x, rng.integers(0, 3, 90), np.arange(90)), 3, seed=0)
    assert head.probabilities(rng.normal(size=(300, 64))).max(-1).mean() < 0.55


def test_unlabelled_cells_move_the_border_to_where_there_are_none():
    # A long cloud and a short one, labelled at their far ends: the middle between the labels lies in one.
    rng = np.random.default_rng(0)
    along = np.concatenate([rng.uniform(-6, 0.8, 700), rng.uniform(3, 6, 300)])
    x = np.stack([along, rng.normal(size=1000)], 1).astype(np.float32)
    truth = (along > 2).astype(int)
    places = np.array([[-6, 0], [-5.8, 1], [-5.9, -1], [4.5, 0], [4.6, 1], [4.4, -1]], np.float32)
    labelled = LabelledCells(places, np.repeat([0, 1], 3), np.arange(6))
    once, twice = (fit_classifier(labelled, 2, 0, pool) for pool in (None, x))
    right = [(head.probabilities(x).argmax(1) == truth).mean() for head in (once, twice)]
    assert right[1] > right[0] + 0.01
