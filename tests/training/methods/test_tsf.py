import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.adaptive_augmentation import Box, mix
from tsfal_geo.training.banks import ConfidenceBank
from tsfal_geo.training.methods import adaptive
from tsfal_geo.training.methods import tsf as tsf_module
from tsfal_geo.training.views import pseudo_labels

PRESETS = ["paper", "strong"]


class TestTsf(MethodTester):
    method = "tsf"
    labelled = ("student", "friend")

    def test_two_processes_learn_as_one(self, two_processes):
        module = two_processes()
        assert module.presence.present.any(0).sum() > 4  # both ranks' chips


class Spy(nn.Module):
    """A refiner that notes what it is given, and relabels everything as class 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8))
        self.calls = []
        self.targets = []

    def parameters_to_train(self):
        return [{"params": [self.weight], "lr": 0.5, "weight_decay": 0.0}]

    def refine(self, teacher, pseudo, conf, manual, step_fraction):
        assert not torch.is_grad_enabled()
        self.calls.append((teacher, pseudo, conf, manual, step_fraction))
        refined = torch.rand(pseudo.shape, generator=torch.Generator().manual_seed(0)) < 0.5
        return refined.long(), torch.full_like(conf, 0.25), refined

    def training_loss(self, teacher, target, step_fraction):
        assert not teacher.f1.requires_grad
        self.targets.append(target)
        return (teacher.f1.mean((0, 2, 3)) * self.weight).sum() + self.weight.sum()


@pytest.fixture
def step(make_module, make_data, batch_of):
    """A module, and the losses of a batch, with its unlabelled part."""

    def run(config, manual=None, refiner=None, held_out=0):
        data = make_data(config, manual=manual, held_out=held_out)
        module = make_module(config, data, refiner)
        caught = {}
        original = module._unlabelled

        def catch(*args):
            caught["extra"] = original(*args)
            return caught["extra"]

        module._unlabelled = catch
        rng = module._seed()
        return module, module.losses(batch_of(data), rng), caught.get("extra")

    return run


def grads(network):
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_teacher_teaches_the_student_only(step, make_config, preset):
    module, losses, _ = step(make_config(preset), manual=CornerLabels())
    losses["teacher"].backward()
    assert all(grad is None for grad in grads(module.friend) + grads(module.teacher))
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads(module.student))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_teacher_takes_no_gradient_from_any_loss(step, make_config, preset):
    module, losses, _ = step(make_config(preset))
    losses["total"].backward()
    assert all(grad is None for grad in grads(module.teacher))
    assert all(grad is not None for grad in grads(module.student) + grads(module.friend))


def test_peers_teach_each_other_and_total_is_the_sum(step, make_config):
    module, losses, _ = step(make_config())
    assert set(losses) == {"total", "student", "friend", "teacher", "peers"}
    parts = sum(value for name, value in losses.items() if name != "total")
    assert losses["total"].item() == pytest.approx(parts.item(), rel=1e-6)
    losses["peers"].backward()
    assert all(grad.abs().sum() > 0 for grad in grads(module.student) + grads(module.friend))


@pytest.mark.parametrize("preset", PRESETS)
def test_unmixed_views_give_the_peers_labels_before_mixing(step, make_config, preset):
    _, _, extra = step(make_config(preset))
    assert (extra.peers is None) == (preset == "paper")


@pytest.mark.parametrize("preset", PRESETS)
def test_manual_labels_override_in_full_confidence(step, make_config, preset):
    _, _, extra = step(make_config(preset, tsf={"cutmix": False}), manual=CornerLabels())
    manual = extra.manual != 255
    assert manual.any() and (extra.teacher[manual] == 2).all() and (extra.confidence[manual] == 1).all()
    assert (extra.confidence[~manual] < 1).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_friend_learns_manual_labels_in_strong_only(step, make_config, monkeypatch, preset):
    targets = []
    original = tsf_module.peer_loss
    monkeypatch.setattr(
        tsf_module,
        "peer_loss",
        lambda log_p, target, *rest: targets.append(target) or original(log_p, target, *rest),
    )
    _, _, extra = step(make_config(preset), manual=CornerLabels())
    by_friend, by_student = targets
    manual = (extra.manual == 2) & extra.valid
    for_friend = (by_student[manual] == 2).float().mean()
    assert manual.any() and (for_friend == 1) == (preset == "strong")
    assert ((by_friend == 255) == ~extra.valid).all()


def test_manual_pixels_are_always_kept(step, make_config, monkeypatch):
    kept = []
    original = adaptive.teacher_loss
    monkeypatch.setattr(adaptive, "teacher_loss", lambda *args: kept.append(args[3]) or original(*args))
    monkeypatch.setattr(ConfidenceBank, "keep_probabilities", lambda bank: torch.zeros(3))
    _, _, extra = step(make_config(), manual=CornerLabels())
    assert torch.equal(kept[0], extra.manual != 255) and kept[0].any()


def test_votes_have_the_full_weight_of_manual_labels(step, make_config, monkeypatch):
    calls = []
    original = adaptive.teacher_loss
    monkeypatch.setattr(adaptive, "teacher_loss", lambda *args: calls.append(args) or original(*args))
    _, _, extra = step(make_config(), manual=CornerLabels(), refiner=Spy())
    *_, trusted, share = calls[0]
    voted = (extra.teacher == 1) & extra.valid
    assert torch.equal(extra.refined & extra.valid, voted) and 0.2 < voted.float().mean() < 0.8
    assert share < 1 and torch.equal(trusted, extra.refined | (extra.manual != 255))


def test_image_and_maps_are_mixed_in_the_same_boxes(step, make_config, monkeypatch):
    calls = []

    def note(base, partner, inside):
        calls.append((base, partner))
        return mix(base, partner, inside)

    monkeypatch.setattr(adaptive, "mix", note)
    monkeypatch.setattr(adaptive, "draw_boxes", lambda *args: [Box(8, 16, 24, 32), Box(0, 0, 5, 7)])
    _, _, extra = step(make_config(augment={"colour": 0.0}), manual=CornerLabels())
    inside = torch.zeros(2, 64, 64, dtype=torch.bool)
    inside[0, 8:32, 16:48] = inside[1, :5, :7] = True
    maps = (
        extra.images,
        extra.valid,
        extra.teacher,
        extra.confidence,
        extra.manual,
        extra.refined,
        *extra.peers,
    )
    for mixed, (base, partner) in zip(maps, calls, strict=True):
        where = inside if mixed.ndim == 3 else inside[:, None].expand_as(mixed)
        assert torch.equal(mixed[where], partner[where]) and torch.equal(mixed[~where], base[~where])


def test_warm_up_and_missing_images_leave_the_supervised_losses(
    step, make_config, make_module, make_data, batch_of
):
    _, losses, extra = step(make_config(tsf={"warmup_steps": 1}))
    assert extra is None and set(losses) == {"total", "student", "friend"}
    config = make_config()
    data = make_data(config, unlabelled=0)
    module = make_module(config, data)
    assert set(module.losses(batch_of(data), module._seed())) == {"total", "student", "friend"}


@pytest.mark.parametrize("name", ["teacher", "peers"])
def test_losses_on_unlabelled_images_ramp_up_with_the_training(step, make_config, name):
    full, quarter, start = (step(make_config(tsf={"ramp": ramp}))[1] for ramp in (0.0, 0.5, 1.0))
    assert quarter[name] == start[name] == full[name] * np.float32(np.exp(-5))
    assert quarter["student"] == full["student"]


@pytest.mark.parametrize("name", ["teacher", "peers"])
def test_pseudo_labels_have_the_configured_weight(step, make_config, name):
    full, quarter = (
        step(make_config(tsf={"ramp": 0.0, "pseudo_weight": share}))[1][name].item() for share in (1.0, 0.25)
    )
    assert full > 0 and quarter == pytest.approx(full / 4, rel=1e-5)


def test_presence_bank_marks_the_classes_that_the_teacher_predicts(step, make_config):
    module, _, _ = step(make_config())
    columns = module.presence.present.any(0).sum()
    assert 2 <= columns <= 4  # two base images and their partners


def test_the_refiner_gets_unmixed_float32_features_and_its_labels_are_used(step, make_config):
    spy = Spy()
    module, losses, extra = step(make_config(), manual=CornerLabels(), refiner=spy)
    ((teacher, pseudo, conf, manual, fraction),) = spy.calls
    assert teacher.logits.shape == (4, 3, 16, 16) and teacher.f1.dtype == torch.float32
    assert pseudo.shape == conf.shape == manual.shape == (4, 64, 64)
    assert manual.dtype == torch.uint8 and fraction == 0
    assert torch.equal(extra.teacher == 1, extra.refined & extra.valid) and (extra.confidence == 0.25).all()
    losses["total"].backward()
    assert spy.weight.grad.abs().min() > 0
    assert all(grad is None for grad in grads(module.teacher))


@pytest.mark.parametrize(("preset", "images"), [("paper", 2), ("strong", 6)])
def test_the_refiner_learns_on_held_out_chips_and_in_strong_on_manual_pixels(
    step, make_config, preset, images
):
    spy = Spy()
    step(make_config(preset), manual=CornerLabels(), refiner=spy, held_out=2)
    (target,) = spy.targets
    assert target.shape == (images, 64, 64) and target.dtype == torch.uint8
    assert {0, 1} <= set(target[:2].unique().tolist())
    assert set(target[2:].unique().tolist()) <= {2, 255}


def test_pseudo_labels_against_plain_softmax():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 8, 8, generator=generator)
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    valid[1, :, 20:] = False
    pseudo = pseudo_labels(logits, valid)
    fine = nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    confidence, labels = fine.softmax(1).max(1)
    assert torch.equal(pseudo.labels[valid], labels[valid]) and (pseudo.labels[~valid] == 255).all()
    assert (
        torch.allclose(pseudo.confidence[valid], confidence[valid]) and (pseudo.confidence[~valid] == 0).all()
    )
    assert torch.equal(pseudo.cells[0].long(), logits[0].argmax(0))
    assert (pseudo.cells[1, :, 5:] == 255).all() and (pseudo.cells[1, :, :5] != 255).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_autocast_gives_every_parameter_the_gradient_of_float32(step, make_config, preset):
    """Autocast must not reuse weights that the label passes cast without gradients."""
    exact = step(make_config(preset))
    exact[1]["total"].backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module, losses, _ = step(make_config(preset))
    losses["total"].backward()
    for mine, other in zip(module.student.parameters(), exact[0].student.parameters(), strict=True):
        assert mine.grad is not None
        assert nn.functional.cosine_similarity(mine.grad.flatten(), other.grad.flatten(), dim=0) > 0.9


@pytest.mark.parametrize(("steps", "decay"), [(20_000, 0.99), (200, 0.95), (10, 0.0)])
def test_the_teachers_memory_is_at_most_a_tenth_of_the_training(step, make_config, steps, decay):
    module, _, _ = step(make_config())
    module.begin(steps)
    assert module.teacher.decay == pytest.approx(decay)
