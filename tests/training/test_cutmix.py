import numpy as np
import pytest
import torch

from tsfal_geo.training.adaptive_augmentation import Box, box_mask, draw_boxes, mix, object_box, random_box


def test_box_of_the_only_large_object():
    classes = np.zeros((20, 20), np.uint8)
    classes[3:9, 5:12] = 1  # 42 cells of 400
    classes[15, 15] = 1  # too small
    classes[9, 12] = 1  # touches the first by a corner: part of it
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert object_box(classes, 1, 0.05, 4, (80, 80), rng) == Box(12, 20, 28, 32)
    assert object_box(classes, 2, 0.05, 4, (80, 80), rng) is None
    assert object_box(classes, 1, 0.2, 4, (80, 80), rng) is None


def test_large_objects_are_drawn_alike():
    classes = np.zeros((16, 16), np.uint8)
    classes[:4, :4] = classes[8:, 8:] = 1
    rng = np.random.default_rng(0)
    tops = [object_box(classes, 1, 0.02, 4, (64, 64), rng).y for _ in range(400)]
    assert set(tops) == {0, 32} and 150 < tops.count(0) < 250


def test_box_stays_in_an_image_that_is_no_multiple_of_the_cell():
    box = object_box(np.ones((4, 4), np.uint8), 1, 0.1, 4, (14, 15), np.random.default_rng(0))
    assert box == Box(0, 0, 14, 15)


def test_random_boxes_cover_half_the_image():
    rng = np.random.default_rng(1)
    boxes = [random_box((400, 200), rng) for _ in range(300)]
    for box in boxes:
        assert box.y >= 0 and box.x >= 0 and box.y + box.height <= 400 and box.x + box.width <= 200
        assert box.height * box.width == pytest.approx(40_000, rel=0.02)
        assert box.height >= 200
    # log2 of the height's share is uniform in (-1, 0].
    assert np.log2([box.height / 400 for box in boxes]).mean() == pytest.approx(-0.5, abs=0.06)


def test_without_an_object_the_box_is_random():
    maps = np.zeros((2, 16, 16), np.uint8)
    maps[0, 4:12, 4:12] = 1
    first, second = draw_boxes(maps, [1, 2], 0.005, 4, (64, 64), np.random.default_rng(0))
    assert first == Box(16, 16, 32, 32)
    assert second.height * second.width == pytest.approx(64 * 64 / 2, rel=0.05)


def test_mixing_whole_boxes_gives_the_partner_and_empty_ones_the_base():
    base, partner = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    labels, partner_labels = torch.zeros(2, 8, 8), torch.ones(2, 8, 8)
    inside = box_mask([Box(0, 0, 8, 8), Box(2, 3, 0, 0)], (8, 8), base.device)
    mixed, mixed_labels = mix(base, partner, inside), mix(labels, partner_labels, inside)
    assert torch.equal(mixed[0], partner[0]) and torch.equal(mixed[1], base[1])
    assert mixed_labels[0].all() and not mixed_labels[1].any()


def test_image_and_labels_are_mixed_at_the_same_pixels():
    inside = box_mask([Box(1, 2, 3, 4)], (6, 8), torch.device("cpu"))
    image = mix(torch.zeros(1, 1, 6, 8), torch.ones(1, 1, 6, 8), inside)
    assert torch.equal(image[:, 0].bool(), inside)
    assert inside[0, 1:4, 2:6].all() and inside.sum() == 12
