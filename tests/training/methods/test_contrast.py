import numpy as np
import pytest
import torch

from tsfal_geo.training.methods import contrast as module
from tsfal_geo.training.methods.contrast import (
    Cells,
    ClassQueues,
    anchor_mask,
    contrast,
    info_nce,
    negative_masks,
    rank_range,
)


def cells_of(labels, p, reliable=None, unreliable=None, labelled=1):
    """Cells of images of one row each: labels (N, w), probabilities (N, w, C)."""
    labels = torch.tensor(labels)[:, None]
    nothing = torch.zeros_like(labels, dtype=torch.bool)
    return Cells(
        labels,
        torch.tensor(p).log().movedim(-1, 1)[:, :, None],
        nothing if reliable is None else torch.tensor(reliable)[:, None],
        nothing if unreliable is None else torch.tensor(unreliable)[:, None],
        labelled,
    )


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(2, (1, 2)), (3, (1, 3)), (5, (2, 5)), (6, (3, 6)), (19, (3, 19)), (21, (3, 20))],
)
def test_ranks_are_the_authors_from_six_classes_on(classes, expected):
    assert rank_range(classes) == expected


def test_negatives_of_unreliable_cells_are_the_classes_of_low_rank():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(6), size=(2, 40))
    labels = rng.integers(0, 6, (2, 40))
    labels[0, :5] = 255
    unreliable = rng.random((2, 40)) < 0.5
    unreliable[0] = False
    got = negative_masks(cells_of(labels, p, unreliable=unreliable)).numpy()[:, :, 0]
    for w in range(40):
        order = list(np.argsort(-p[0, w]))
        for c in range(6):
            truth = labels[0, w] != 255 and labels[0, w] != c and order.index(c) < 3
            assert got[0, c, w] == truth
        order = list(np.argsort(-p[1, w]))
        for c in range(6):
            assert got[1, c, w] == (unreliable[1, w] and 3 <= order.index(c) < 20)
    assert got[0].any() and got[1].any()


def test_anchors_are_reliable_of_the_class_and_likely():
    p = [[[0.31, 0.69], [0.29, 0.71], [0.31, 0.69], [0.9, 0.1]]]
    cells = cells_of([[0, 0, 1, 0]], p, reliable=[[True, True, True, False]])
    assert anchor_mask(cells, 0)[0, 0].tolist() == [True, False, False, False]
    assert anchor_mask(cells, 1)[0, 0].tolist() == [False, False, True, False]


def test_info_nce_against_numpy():
    rng = np.random.default_rng(1)
    anchors, positive, negatives = rng.normal(size=(4, 8)), rng.normal(size=8), rng.normal(size=(4, 5, 8))
    losses = []
    for anchor, others in zip(anchors, negatives, strict=True):
        cosine = [
            anchor @ other / np.linalg.norm(anchor) / np.linalg.norm(other) for other in (positive, *others)
        ]
        power = np.exp(np.array(cosine) / 0.5)
        losses.append(-np.log(power[0] / power.sum()))
    got = info_nce(*(torch.from_numpy(x) for x in (anchors, positive, negatives)))
    assert got.item() == pytest.approx(np.mean(losses))


def test_queues_keep_the_newest(monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 5)
    queues = ClassQueues(2, 3)
    masks = torch.zeros(1, 2, 1, 4, dtype=torch.bool)
    masks[0, 1] = True
    first, second = torch.eye(3)[0], torch.eye(3)[1]
    assert queues.sample(1, (7,)) is None
    queues.add(2 * first[None, :, None, None].expand(1, 3, 1, 4), masks)
    assert queues.filled.tolist() == [0, 4] and torch.equal(queues.sample(1, (7,)), first.expand(7, 3))
    queues.add(3 * second[None, :, None, None].expand(1, 3, 1, 4), masks)
    assert queues.filled.tolist() == [0, 5] and queues.place.tolist() == [0, 3]
    assert queues.keys[1].tolist() == [[0, 1, 0]] * 3 + [[1, 0, 0]] + [[0, 1, 0]]
    assert queues.sample(0, (7,)) is None and queues.sample(1, (4, 6)).shape == (4, 6, 3)
    assert set(queues.state_dict()) == {"keys", "filled", "place"}


def test_a_step_puts_in_a_random_part_where_there_is_more(monkeypatch):
    monkeypatch.setattr(module, "KEYS", 10)
    queues = ClassQueues(1, 2)
    angles = torch.linspace(0, 3, 64)
    vectors = torch.stack((angles.cos(), angles.sin()))[None, :, None]
    torch.manual_seed(0)
    queues.add(vectors, torch.ones(1, 1, 1, 64, dtype=torch.bool))
    drawn = torch.atan2(queues.keys[0, :10, 1].float(), queues.keys[0, :10, 0].float())
    assert queues.filled.tolist() == [10] and len(drawn.unique()) == 10 and drawn.max() - drawn.min() > 1


def test_anchors_are_drawn_to_their_centre_and_away_from_negatives():
    """Two classes at right angles, all negatives of a class along the other: the numbers follow by hand."""
    east, north = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    vectors = torch.stack((east, east, north, north, north, east), dim=1)[None, :, None]
    student = vectors.clone().requires_grad_()
    p = [[[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]]]
    sure = [[True, True, True, True, False, False]]
    cells = cells_of(
        [[0, 0, 1, 1, 0, 1]], p, reliable=sure, unreliable=[[not s for s in sure[0]]], labelled=0
    )
    queues = ClassQueues(2, 2)
    loss = contrast(student, vectors, cells, queues)
    # Of the fifth cell (north) class 1 is the unlikely one, so class 1 has a north negative, and class 0 an
    # east one: each anchor is as near to its negatives as to its centre.
    assert loss.item() == pytest.approx(np.log(51), rel=1e-6)
    assert torch.equal(queues.keys[1, 0].float(), north) and torch.equal(queues.keys[0, 0].float(), east)
    swapped = vectors.clone()
    swapped[..., 4], swapped[..., 5] = vectors[..., 5], vectors[..., 4]
    fresh = ClassQueues(2, 2)
    loss = contrast(student, swapped, cells, fresh)
    assert loss.item() == pytest.approx(np.log(1 + 50 * np.exp(-1 / 0.5)), rel=1e-6)
    loss.backward()
    assert student.grad[..., :4].abs().sum() > 0 and student.grad[..., 4:].abs().sum() == 0


def test_one_class_alone_gives_no_contrast():
    cells = cells_of([[0, 0]], [[[0.9, 0.1], [0.8, 0.2]]], reliable=[[True, True]])
    student = torch.randn(1, 4, 1, 2, requires_grad=True)
    loss = contrast(student, student.detach(), cells, ClassQueues(2, 4))
    loss.backward()
    assert loss == 0 and student.grad is not None
