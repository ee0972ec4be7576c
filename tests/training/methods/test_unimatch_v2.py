import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.methods import unimatch_v2


class TestUniMatchV2(MethodTester):
    method = "unimatch_v2"

    def test_the_sum_is_the_authors_and_labels_are_the_teachers(self, step, monkeypatch):
        values, thresholds = iter((1.0, 2.0)), []
        monkeypatch.setattr(
            unimatch_v2,
            "confident_loss",
            lambda *args: thresholds.append(args[3]) or torch.tensor(next(values)),
        )
        monkeypatch.setattr(unimatch_v2.UniMatchV2, "supervised", lambda *args: torch.tensor(8.0))
        module, losses = step()
        assert losses["total"].item() == pytest.approx((8 + (1 + 2) / 2) / 2)
        assert thresholds == [0.95, 0.95]
        module.begin(100_000)
        assert module.teacher.decay == 0.996

    def test_the_teacher_sees_weak_views_without_dropout(self, config, make_module, make_data, batch_of):
        made = config()
        data = make_data(made)
        module = make_module(made, data)
        recorded = []
        teacher, student = module.teacher.model, module.student
        for name, network in (("teacher", teacher), ("student", student)):
            original = network.forward

            def note(images, original=original, name=name, **rest):
                recorded.append((name, len(images), rest.get("perturb") is not None))
                return original(images, **rest)

            network.forward = note
        module.losses(batch_of(data), module._seed())
        assert recorded == [("teacher", 2, False), ("student", 6, True)]
