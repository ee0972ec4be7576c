import numpy as np
import pytest
import torch

from tsfal_geo.training.methods.mixing import draw_mixing, half_box, sometimes_box, three_boxes
from tsfal_geo.training.views import Views

SIZE = (80, 120)
CPU = torch.device("cpu")


def masks(sampler, count=400):
    rng = np.random.default_rng(0)
    return np.stack([sampler(SIZE, rng) for _ in range(count)])


def sides(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def test_half_box_is_one_box_of_half_the_area_and_any_aspect():
    drawn = masks(half_box)
    heights, widths = np.array([sides(mask) for mask in drawn]).T
    assert (heights * widths == drawn.sum((1, 2))).all()
    assert drawn.mean((1, 2)) == pytest.approx(0.5, abs=0.01)
    # Uniform in the exponent: a quarter of the boxes is flatter than 0.5^0.75 of the height.
    assert (heights < 80 * 0.5**0.75).mean() == pytest.approx(0.25, abs=0.06)


def test_three_boxes_cover_a_quarter_to_a_half_and_lift_each_other_where_they_overlap():
    area = masks(three_boxes).mean((1, 2))
    assert area.max() < 0.51 and 0.2 < area.mean() < 0.4
    assert (area < 0.2).any()  # overlaps show the base again


def test_a_box_comes_in_half_of_the_cases_within_its_bounds():
    drawn = masks(sometimes_box, 1000)
    area = drawn.mean((1, 2))
    assert (area == 0).mean() == pytest.approx(0.5, abs=0.06)
    boxes = drawn[area > 0]
    heights, widths = np.array([sides(mask) for mask in boxes]).T
    assert (heights * widths == boxes.sum((1, 2))).all()
    assert 0.01 < area[area > 0].min() < 0.03 and 0.3 < area.max() <= 0.4
    aspects = heights[area[area > 0] > 0.1] / widths[area[area > 0] > 0.1]
    assert 0.27 < aspects.min() < 0.5 and 2 < aspects.max() < 3.7


def test_each_image_is_mixed_with_the_next_and_all_maps_alike():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1:3, :2] = True
    mixing = draw_mixing(3, (4, 4), lambda size, rng: mask, np.random.default_rng(0), CPU)
    values = torch.arange(3.0).view(3, 1, 1).expand(3, 4, 4)
    views = Views(values[:, None].expand(3, 2, 4, 4), values > 0, values.long(), torch.tensor([7, 8, 9]))
    mixed = mixing.views(views)
    inside = torch.from_numpy(mask)
    for i, partner in enumerate((1, 2, 0)):
        assert (mixed.labels[i][inside] == partner).all() and (mixed.labels[i][~inside] == i).all()
        assert torch.equal(mixed.images[i, 1], mixed.labels[i].float())
        assert torch.equal(mixed.valid[i], mixed.labels[i] > 0)
    assert mixed.index.tolist() == [7, 8, 9]


def test_a_batch_of_one_gets_another_chip(make_config, make_data, make_module, batch_of):
    config = make_config(train={"method": "cutmix", "batch_unlabelled": 1})
    data = make_data(config)
    module = make_module(config, data)
    batch = batch_of(data)
    views, mixing = module.mixing(module.views(batch["unlabelled"]), half_box, np.random.default_rng(1))
    assert len(views.images) == 2 and views.index[0] != views.index[1]
    mixed = mixing.views(views)
    assert len(mixed.images) == len(mixed.index) == 1
    inside = mixing.inside[0]
    assert torch.equal(mixed.images[0][:, inside], views.images[1][:, inside])
    assert module.losses(batch, module._seed())["total"].isfinite()


def test_masks_depend_on_the_given_numbers_alone():
    first, second = (
        draw_mixing(2, SIZE, three_boxes, np.random.default_rng(5), CPU).inside for _ in range(2)
    )
    assert torch.equal(first, second) and not torch.equal(first[0], first[1])
