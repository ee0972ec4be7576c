"""State that follows the labels step by step equals the state that is read from scratch."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import oas

from tests.helpers.loop_case import CLASSES, IDS, write_scenes
from tsfal_geo.config import load_config
from tsfal_geo.instant.cells import cell_shape
from tsfal_geo.instant.classifier import LabelledCells
from tsfal_geo.labels.footprints import with_area
from tsfal_geo.labels.model import Label, LabelSnapshot
from tsfal_geo.labels.rasterise import PolygonLabels, StackedLabels
from tsfal_geo.live.labelled import LiveLabels
from tsfal_geo.live.statistics import ClassStatistics
from tsfal_geo.rounds.inputs import prepare
from tsfal_geo.rounds.instant.cells import labelled_cells

SEQUENCES = int(os.environ.get("TSFAL_SEQUENCES", "8"))
SHAPE = (600, 700)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Cache:
    """Cells with known components: the last ones tell the place."""

    components = 5

    def __init__(self, scenes):
        rng = np.random.default_rng(0)
        self._cells = [rng.normal(size=(*cell_shape(scene), 5)).astype(np.float16) for scene in scenes]
        self._cells[1][:, :5] = np.nan

    def scene(self, position):
        return self._cells[position]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("live") / "scenes", shape=SHAPE)
    config = load_config(None, {"classes": CLASSES, "data.chip_size": 128, "data.labelled": 0.1})
    return prepare(folder, config)


def polygon(scene, x, y, width, height):
    """A rectangle in the scene's CRS."""
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return shapely.Polygon([scene.grid.affine * corner for corner in corners])


@st.composite
def answers(draw):
    """An answer: scene, class, and a rectangle or a point that may lie across blocks."""
    left, top = draw(st.integers(-20, SHAPE[1] - 1)), draw(st.integers(-20, SHAPE[0] - 1))
    width, height = draw(st.integers(0, 90)), draw(st.integers(0, 90))
    return draw(st.integers(0, 1)), draw(st.integers(0, 2)), left, top, width, height


steps = st.lists(st.one_of(answers(), st.integers(0, 50)), min_size=1, max_size=12)


@settings(max_examples=SEQUENCES, deadline=None)
@given(steps)
def test_cells_and_statistics_follow_answers_and_undos_as_from_scratch(inputs, sequence):
    cache = Cache(inputs.scenes)
    live = LiveLabels(inputs, cache)
    statistics = ClassStatistics(3, 5)

    def follow(change):
        for sign, blocks in ((-1, change.gone), (1, change.come)):
            for block in blocks:
                statistics.add(block.features, block.classes, sign)

    follow(live.begin())
    labels: list[Label] = []
    for number, step in enumerate(sequence):
        if isinstance(step, int):  # an undo, or what another person withdrew
            if labels:
                labels.pop(step % len(labels))
        else:
            scene, index, left, top, width, height = step
            own = inputs.scenes[scene]
            shape = polygon(own, left, top, width, height)
            if not width or not height:
                # A store holds a point as the pixel that it touches.
                point = shapely.Point(own.grid.affine * (max(left, 0) + 0.5, max(top, 0) + 0.5))
                shape = with_area(np.array([point], dtype=object), own, None)[0]
            labels.append(Label(own.name, int(IDS[index]), shape, created=START + timedelta(seconds=number)))
        snapshot = LabelSnapshot(tuple(labels), ())
        follow(live.update(snapshot))
        every = StackedLabels(PolygonLabels(labels, inputs.scenes, inputs.classes), inputs.base)
        context = SimpleNamespace(inputs=inputs, workspace=SimpleNamespace(root="ws"))
        expected = labelled_cells(context, cache, every)
        found, _ = live.cells()
        assert np.array_equal(found.features, expected.features)
        assert np.array_equal(found.classes, expected.classes)
        assert np.array_equal(found.answers, expected.answers)
        counts, sums, products = moments(expected)
        assert np.array_equal(statistics.counts, counts)
        assert np.allclose(statistics.sums, sums, atol=1e-6)
        assert np.allclose(statistics.products, products, atol=1e-6)


def moments(cells: LabelledCells):
    values = cells.features.astype(np.float64)
    sums = np.stack([values[cells.classes == index].sum(0) for index in range(3)])
    return np.bincount(cells.classes, minlength=3), sums, values.T @ values


def clusters(seed=0, count=240):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, count)
    mixing = rng.normal(size=(5, 5))
    features = (2 * np.eye(3, 5)[classes] + rng.normal(size=(count, 5)) @ mixing).astype(np.float32)
    return LabelledCells(features, classes, np.sort(rng.integers(0, 40, count)))


def mahalanobis(train, queries):
    """An independent reference: scikit-learn's shrinkage, and an explicit inverse."""
    values = train.features.astype(np.float64)
    means = np.stack([values[train.classes == index].mean(0) for index in range(3)])
    covariance, _ = oas(values - means[train.classes], assume_centered=True)
    gaps = queries[:, None].astype(np.float64) - means
    return np.einsum("nck,kl,ncl->nc", gaps, np.linalg.inv(covariance), gaps)


def test_distances_are_those_of_a_shrunk_pooled_covariance():
    cells = clusters()
    statistics = ClassStatistics(3, 5)
    statistics.add(cells.features, cells.classes)
    queries = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    found = statistics.distances()._squared(queries)
    assert np.allclose(found, mahalanobis(cells, queries), rtol=1e-4)
    assert np.array_equal(statistics.distances().nearest(queries), found.argmin(1))


def test_a_labelled_cell_is_judged_without_its_own_answer():
    cells = clusters(seed=2)
    statistics = ClassStatistics(3, 5)
    statistics.add(cells.features, cells.classes)
    # Answers hold one class each.
    answers = cells.answers * 3 + cells.classes
    distances = statistics.distances()
    found = distances.nearest_without(cells.features, cells.classes, answers)
    for place in range(0, len(cells), 7):
        others = answers != answers[place]
        white = distances._squared(cells.features[place : place + 1])[0]
        kept = others & (cells.classes == cells.classes[place])
        mean = cells.features[kept].astype(np.float64).mean(0)
        gap = distances.whitening @ (cells.features[place] - mean)
        white[cells.classes[place]] = gap @ gap
        assert found[place] == white.argmin()


def test_there_is_no_distance_before_two_classes_have_cells():
    statistics = ClassStatistics(3, 5)
    assert statistics.distances() is None
    cells = clusters()
    one = cells.classes == 0
    statistics.add(cells.features[one], cells.classes[one])
    assert statistics.distances() is None
    statistics.add(cells.features[~one], cells.classes[~one])
    statistics.add(cells.features, cells.classes, -1)
    assert not statistics.counts.any()
    assert np.abs(statistics.products).max() < 1e-6
