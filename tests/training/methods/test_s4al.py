"""S4AL's mixes, its confidence share, cold start and replay."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.losses import cross_entropy, log_probabilities
from tsfal_geo.training.methods import s4al
from tsfal_geo.training.views import make_views


class TestS4al(MethodTester):
    method = "s4al"
    test_in_the_warm_up_only_labels_teach = None  # it has a start of its own, or none


@pytest.fixture
def build(make_config, make_data, make_module):
    def make(generation=0, progress=0.5, **sections):
        config = make_config(train={"method": "s4al"}, **sections)
        data = make_data(config)
        module = make_module(config, data).train()
        module.adaptive = generation > 0
        module.begin(100)
        module._step = round(100 * progress)
        return module, data

    return make


def maps(seed=0, count=2, classes=6, size=8):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count, size, size), generator=g)
    labels[:, 0, 0] = 255
    images = torch.randn(count, 3, size, size, generator=g)
    return images, labels, torch.rand(count, size, size, generator=g)


def test_loss_is_weighted_by_confidence_and_by_each_images_share_of_sure_pixels():
    rng = np.random.default_rng(0)
    log_p = torch.from_numpy(rng.normal(size=(2, 4, 5, 6))).log_softmax(1)
    target = torch.from_numpy(rng.integers(0, 4, (2, 5, 6)))
    target[0, :2] = 255
    confidence = torch.from_numpy(rng.choice([0.5, 0.96, 0.97, 1.0], (2, 5, 6)))
    total = pixels = 0
    for i in range(2):
        valid = target[i].numpy() != 255
        conf = confidence[i].numpy()
        share = (conf[valid] >= 0.97).mean()
        for y, x in zip(*np.nonzero(valid), strict=True):
            total += share * conf[y, x] * -log_p[i, target[i, y, x], y, x].item()
            pixels += 1
    assert s4al.confident_loss(log_p, target, confidence).item() == pytest.approx(total / pixels)
    assert s4al.confident_loss(log_p, torch.full_like(target, 255), confidence) == 0


def test_class_mix_pastes_half_of_the_classes_over_the_next_image():
    base = maps()
    images, labels, confidence = s4al.class_mix(base, np.random.default_rng(0))
    for i in range(2):
        other = 1 - i
        pasted = labels[i] == base[1][i]
        chosen = {c for c in range(6) if torch.equal((base[1][i] == c) & pasted, base[1][i] == c)}
        own = torch.isin(base[1][i], torch.tensor(sorted(chosen)))
        assert len(chosen) >= 3
        for part, before in ((labels, base[1]), (confidence, base[2]), (images[:, 0], base[0][:, 0])):
            here = (part[i] == before[i]).logical_or(part[i] == before[other])
            assert here.all()
        assert torch.equal(images[i, 0][~own], base[0][other, 0][~own])
        pasted_classes = [c for c in range(6) if (images[i, 0] == base[0][i, 0])[base[1][i] == c].all()]
        assert len(pasted_classes) == 3
        assert labels[i, 0, 0] == 255


def test_rare_classes_are_pasted_with_three_frequent_ones():
    base, donors = maps(1, classes=9), maps(2, classes=9)
    images, labels, _ = s4al.paste_rare(base, donors, (4, 5, 6, 7, 8), 9, np.random.default_rng(0))
    for i in range(2):
        pasted_classes = [c for c in range(9) if (images[i, 0] == donors[0][i, 0])[donors[1][i] == c].all()]
        assert (
            len([c for c in pasted_classes if c < 4]) == 3 and len([c for c in pasted_classes if c >= 4]) == 3
        )
        pasted = torch.isin(donors[1][i], torch.tensor(pasted_classes))
        assert torch.equal(labels[i], torch.where(pasted, donors[1][i], base[1][i]))


def test_in_the_cold_start_only_labels_teach_and_half_as_much_again(build, batch_of):
    module, data = build(progress=0.09)
    batch = batch_of(data)
    losses = module.losses(batch, np.random.default_rng(0))
    views = module.branch.views(batch["labelled"])
    log_p = log_probabilities(module.student(views.images).logits, views.size)
    plain = cross_entropy(log_p, views.labels, module.branch.weights)
    assert set(losses) == {"total", "labelled"}
    assert losses["total"].item() == pytest.approx(1.5 * plain.item(), rel=1e-5)
    module._step = 10
    assert set(module.losses(batch, np.random.default_rng(0))) == {"total", "labelled", "classmix"}


def test_what_people_said_takes_the_place_of_pseudo_labels(build, batch_of):
    module, data = build()
    views = make_views(batch_of(data)["unlabelled"], module.normaliser, module.branch.augment)
    manual_labels = torch.full_like(views.labels, 255)
    manual_labels[:, 10:20, 10:20] = 2
    _, labels, confidence = module._teacher_labels(dataclasses.replace(views, labels=manual_labels))
    inside = (manual_labels != 255) & views.valid
    assert (labels[inside] == 2).all() and (confidence[inside] == 1).all()
    assert (labels[~views.valid] == 255).all() and confidence[~inside].max() < 1


def test_replay_begins_in_the_second_generation_after_three_tenths(build, batch_of):
    first, data = build(generation=0, progress=0.6)
    assert "replay" not in first.losses(batch_of(data), np.random.default_rng(0))
    assert (first.replay < 0).all()
    second, data = build(generation=1, progress=0.2)
    batch = batch_of(data)
    assert "replay" not in second.losses(batch, np.random.default_rng(0))
    assert set(second.replay[second.replay >= 0].tolist()) == set(batch["unlabelled"]["index"].tolist())
    second._step = 30
    assert "replay" in second.losses(batch, np.random.default_rng(0))
    second.begin(100)
    assert (second.replay < 0).all()


@pytest.mark.parametrize("copy_paste", [True, False])
def test_the_rare_classes_are_those_of_the_labels_with_copy_paste_or_without(
    build, batch_of, monkeypatch, copy_paste
):
    tails, original = [], s4al.paste_rare
    monkeypatch.setattr(
        s4al,
        "paste_rare",
        lambda base, donors, tail, *rest: tails.append(tail) or original(base, donors, tail, *rest),
    )
    module, data = build(generation=1, tsf={"copy_paste": copy_paste})
    module.losses(batch_of(data), np.random.default_rng(0))
    assert tails == [(1, 2)]  # 20 000 and 3 000 of 63 000 labelled pixels; a third is 21 000


def test_the_buffer_gives_what_it_holds_once_and_never_holds_too_many(build):
    module, _ = build(generation=1)
    rng = np.random.default_rng(0)
    module._add_to_buffer(list(range(3)), rng)
    drawn = module._from_buffer(2, rng).index.tolist()
    left = module.replay[module.replay >= 0].tolist()
    assert sorted(drawn + left) == [0, 1, 2]
    for _ in range(300):
        module._add_to_buffer([1, 2], rng)
    assert (module.replay >= 0).all() and len(module.replay) == 500


def test_the_map_is_the_students_and_the_teacher_follows(build):
    module, _ = build()
    assert module.predictor is module.student and list(module.evaluated()) == ["student", "teacher"]
    with torch.no_grad():
        module.student.head.classifier.weight.add_(1)
    before = module.teacher.model.head.classifier.weight.clone()
    module.after_step()
    module.after_step()
    assert not torch.equal(before, module.teacher.model.head.classifier.weight)
