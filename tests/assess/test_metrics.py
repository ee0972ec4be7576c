import io
import json

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import confusion_matrix, jaccard_score, precision_recall_fscore_support

from tsfal_geo.assess.metrics import Confusion

NAMES = ("road", "roof", "grass", "tree", "car", "clutter")


@pytest.fixture
def maps():
    rng = np.random.default_rng(7)
    truth = rng.choice([0, 1, 2, 3, 4, 255], size=(40, 50), p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    predicted = np.where(rng.random((40, 50)) < 0.6, truth, rng.integers(0, 4, (40, 50)))
    predicted[:2] = 255
    return truth.astype(np.uint8), predicted.astype(np.uint8)


def test_scores_equal_scikit_learn(maps):
    truth, predicted = maps
    confusion = Confusion(6)
    for rows in (slice(0, 13), slice(13, 14), slice(14, 40)):
        confusion.add(truth[rows], predicted[rows])
    kept = (truth != 255) & (predicted != 255)
    t, p = truth[kept], predicted[kept]
    scores = confusion.scores(NAMES)

    assert np.array_equal(confusion.matrix, confusion_matrix(t, p, labels=range(6)))
    assert scores.pixels == kept.sum()
    assert scores.accuracy == pytest.approx((t == p).mean())
    iou = jaccard_score(t, p, labels=range(5), average=None, zero_division=0)
    assert [s.iou for s in scores.classes[:5]] == pytest.approx(list(iou))
    assert scores.classes[5].iou is None
    assert scores.miou == pytest.approx(iou.mean())
    precision, recall, f1, support = precision_recall_fscore_support(t, p, labels=range(5), zero_division=0)
    assert [s.precision for s in scores.classes[:5]] == pytest.approx(list(precision))
    assert [s.recall for s in scores.classes[:5]] == pytest.approx(list(recall))
    assert [s.f1 for s in scores.classes[:5]] == pytest.approx(list(f1))
    assert [s.truth for s in scores.classes[:5]] == list(support)


def test_miou_equals_torchmetrics(maps):
    import torch
    from torchmetrics.classification import MulticlassJaccardIndex

    truth, predicted = maps
    predicted = np.where(predicted == 255, 0, predicted).astype(np.uint8)
    reference = MulticlassJaccardIndex(num_classes=6, average="macro", ignore_index=255)
    expected = reference(torch.from_numpy(predicted).long(), torch.from_numpy(truth).long())
    confusion = Confusion(6)
    confusion.add(truth, predicted)
    assert confusion.scores(NAMES).miou == pytest.approx(float(expected), abs=1e-6)


def test_a_class_only_predicted_counts_as_zero():
    confusion = Confusion(3)
    confusion.add(np.array([0, 0], np.uint8), np.array([0, 2], np.uint8))
    scores = confusion.scores(("a", "b", "c"))
    assert [s.iou for s in scores.classes] == [0.5, None, 0.0]
    assert scores.miou == 0.25


def test_nothing_to_compare():
    confusion = Confusion(2)
    confusion.add(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.uint8))
    scores = confusion.scores(("a", "b"))
    assert scores.miou is None and scores.accuracy is None and scores.pixels == 0


@pytest.mark.parametrize("bad", [np.array([[6]], np.uint8), np.array([[200]], np.uint8)])
def test_an_unknown_index_is_refused(bad):
    with pytest.raises(ValueError, match="class index"):
        Confusion(6).add(bad, np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="class index"):
        Confusion(6).add(np.zeros((1, 1), np.uint8), bad)


def test_tables_and_json(maps):
    confusion = Confusion(6)
    confusion.add(*maps)
    scores = confusion.scores(NAMES)
    console = Console(width=160, file=io.StringIO())
    console.print(scores.table())
    console.print(scores.confusion_table())
    text = console.file.getvalue()
    data = json.loads(json.dumps(scores.to_json()))
    assert data["classes"][5]["iou"] is None
    assert data["confusion"][0] == list(scores.matrix[0])
    assert data["miou"] == scores.miou
    assert f"{100 * scores.miou:.2f}" in text
    assert all(name in text for name in NAMES)
