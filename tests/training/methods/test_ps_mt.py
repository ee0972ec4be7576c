import copy

import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.training.methods.ps_mt import active_teacher_at, cosine_ramp_up, ensemble, strict_loss


class TestPsMt(MethodTester):
    method = "ps_mt"

    def test_teachers_take_turns_with_the_passes_over_the_chips(self, config, make_module, make_data):
        made = config(warmup_steps=None)
        module = make_module(made, make_data(made, unlabelled=6))  # three steps a pass
        module.begin(450)  # five of them to warm up
        counts = []
        for step in range(12):
            module._step = step
            module.after_step()
            counts.append(tuple(teacher.updates for teacher in module.teachers))
        both = [(n, n) for n in range(1, 6)]
        assert counts == [*both, (5, 6), (6, 6), (7, 6), (8, 6), (8, 7), (8, 8), (8, 9)]

    def test_noise_is_on_the_deepest_features_of_unlabelled_images(self, config, make_module):
        module = make_module(config())
        low, high = torch.rand(4, 8, 16, 16), torch.rand(4, 8, 8, 8)
        got = module._disturbed(EncoderFeatures(low, high, high), labelled=1)
        assert torch.equal(got.low, low) and torch.equal(got.middle, high)
        assert torch.equal(got.high[0], high[0])
        assert (got.high - high)[1:].flatten(1).norm(dim=1).tolist() == pytest.approx([2] * 3, rel=1e-4)

    def test_noise_goes_where_the_mean_of_both_teachers_changes_most(self, config, make_module):
        """Against the power iteration by finite differences in float64."""
        module = make_module(config())
        for parameter in module.teachers[1].parameters():
            parameter.normal_()
        low, high = torch.rand(2, 8, 16, 16), torch.rand(2, 8, 8, 8)
        torch.manual_seed(3)
        got = module._disturbed(EncoderFeatures(low, high, high), labelled=0).high - high
        torch.manual_seed(3)
        direction = (torch.rand_like(high) - 0.5).double()
        direction /= direction.flatten(1).norm(dim=1)[:, None, None, None]
        heads = [copy.deepcopy(teacher.model.head).double() for teacher in module.teachers]

        def teachers_logits(deepest):
            features = EncoderFeatures(low.double(), deepest, deepest)
            return (heads[0](features)[0] + heads[1](features)[0]) / 2

        away = (1e-3 * direction).requires_grad_()
        before = teachers_logits(high.double()).softmax(1).detach()
        (before * -teachers_logits(high + away).log_softmax(1)).sum().backward()
        cosine = torch.nn.functional.cosine_similarity(got.flatten(1), away.grad.flatten(1).float())
        assert (cosine > 0.999).all()

    def test_the_first_pass_is_on_labels_alone(self, step):
        module, losses = step()
        assert set(losses) == {"total", "labelled_student"} and module.warmup_steps == 1
        assert set(step(progress=0.5)[1]) == {"total", "labelled_student", "teachers"}


def test_turns():
    assert [active_teacher_at(step, 3) for step in range(8)] == [0, 0, 0, 1, 1, 1, 0, 0]
    assert [active_teacher_at(step, 0) for step in range(3)] == [0, 1, 0]


def test_ensemble_is_the_mean_of_the_logits():
    first, second = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, -1.0]])
    assert torch.equal(ensemble([first, second]), torch.tensor([[1.5, 1.0]]))


def test_strict_loss_by_hand():
    p = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    labels, confidence = torch.tensor([[[0, 1], [0, 255]]]), torch.tensor([[[0.6, 0.9], [0.59, 0.0]]])
    log_p = torch.from_numpy(p).log().T.reshape(1, 2, 2, 2)
    got = strict_loss(log_p, labels, confidence)
    assert got.item() == pytest.approx(-(0.6 * np.log(0.7) + 0.9 * np.log(0.8)) / 2)
    assert strict_loss(log_p, labels, 0.5 * confidence) == 0


@pytest.mark.parametrize(("progress", "expected"), [(0, 0), (0.01, 0.5), (0.005, 0.1464466), (0.5, 1)])
def test_cosine_rise(progress, expected):
    assert cosine_ramp_up(progress, 0.02) == pytest.approx(expected)
