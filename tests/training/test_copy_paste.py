import numpy as np
import pytest
import torch

from tsfal_geo.training.adaptive_augmentation import draw_classes, paste, rescale, tail_classes


def test_tail_is_what_has_less_than_its_share():
    # 6 classes, 600 pixels: less than 100, and not absent.
    assert tail_classes((250, 100, 99, 0, 148, 3)) == (2, 5)


def test_drawn_classes_are_distinct_members_of_the_tail():
    rng = np.random.default_rng(0)
    draws = [draw_classes((2, 5), np.array([0.7, 0.3]), 3, rng) for _ in range(500)]
    assert {tuple(d) for d in draws} == {(2,), (5,), (2, 5)}
    assert sum(d == [2] for d in draws) / 500 == pytest.approx(0.7**3, abs=0.07)


def test_paste_takes_the_classes_and_nothing_else():
    image, donor = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    label = torch.zeros(4, 4, dtype=torch.long)
    donor_label = torch.tensor([[1, 1, 2, 2]] * 3 + [[255] * 4])
    pasted, pasted_label = paste(image, label, donor, donor_label, [2])
    where = donor_label == 2
    assert torch.equal(pasted[0].bool(), where) and torch.equal(pasted_label == 2, where)
    assert (pasted_label[~where] == 0).all()


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 1.7, 2.0])
def test_rescaled_donor_keeps_canvas_and_alignment(scale):
    label = torch.zeros(40, 60, dtype=torch.long)
    label[10:30, 20:40] = 1
    image = torch.where(label == 1, 1.0, -1.0)[None]
    rng = np.random.default_rng(4)
    placed = set()
    for _ in range(20):
        moved, moved_label = rescale(image, label, scale, 255, rng)
        assert moved.shape == image.shape and moved_label.shape == label.shape
        inside = moved_label != 255
        if scale <= 1:
            assert inside.sum() == round(40 * scale) * round(60 * scale)
            placed.add(tuple(inside.nonzero()[0].tolist()))
        else:
            assert inside.all()
            placed.add(int((moved_label == 1).float().argmax()))
        assert (moved[0][~inside] == 0).all()
        agrees = (moved[0] > 0) == (moved_label == 1)
        assert agrees[inside].float().mean() > 0.9
    assert len(placed) > 3 or scale == 1.0


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_branch_pastes_rare_classes_onto_the_configured_share(
    make_config, make_module, make_data, batch_of, probability
):
    config = make_config(tsf={"copy_paste_probability": probability})
    data = make_data(config)
    branch = make_module(config, data).branch
    views = branch.views(batch_of(data)["labelled"])
    pasted = [branch.paste(views, np.random.default_rng(seed)) for seed in range(4)]
    changed = torch.stack([each.labels != views.labels for each in pasted])
    assert branch.tail == (1, 2) and bool(changed.any()) == (probability == 1)
    for each, where in zip(pasted, changed, strict=True):
        assert (each.labels[where] > 0).all()
        new_pixels = (each.images != views.images).any(1)
        assert new_pixels[where].all() and bool(new_pixels.any()) >= bool(where.any())
