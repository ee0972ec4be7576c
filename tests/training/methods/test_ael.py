import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.banks import ConfidenceBank
from tsfal_geo.training.methods import adaptive


class TestAel(MethodTester):
    method = "ael"
    options = {"tsf": {"ramp": 0.0}}  # noqa: RUF012

    @pytest.fixture
    def caught(self, monkeypatch):
        calls, original = [], adaptive.teacher_loss
        monkeypatch.setattr(adaptive, "teacher_loss", lambda *args: calls.append(args) or original(*args))
        return calls

    def test_pixels_weigh_by_squared_confidence(self, step, caught):
        _, losses = step(manual=CornerLabels())
        log_p, labels, confidence, keep, weighting, _, _, share = (
            part.detach().numpy() if isinstance(part, torch.Tensor) else part for part in caught[0]
        )
        total = weights = 0.0
        for i in np.argwhere(keep & (labels != 255)):
            n, y, x = i
            weight = confidence[n, y, x] ** 2
            total -= weight * log_p[n, labels[n, y, x], y, x]
            weights += weight
        assert (weighting, share) == ("ael", 1) and 0 < keep.mean() < 1
        assert losses["teacher"].item() == pytest.approx(total / weights, rel=1e-4)

    def test_unknown_classes_are_kept_and_what_people_said_always(self, step, caught, monkeypatch):
        monkeypatch.setattr(ConfidenceBank, "keep_probabilities", lambda bank: torch.zeros(3))
        step(manual=CornerLabels())
        _, labels, confidence, keep, *_ = caught[0]
        assert keep.any() and (labels[keep] == 2).all() and (confidence[keep] == 1).all()

    def test_partners_show_the_class_that_the_bank_knows_least(self, step, monkeypatch):
        wanted, original = [], adaptive.PresenceBank.draw
        monkeypatch.setattr(
            adaptive.PresenceBank, "draw", lambda bank, c, rng: wanted.append(c) or original(bank, c, rng)
        )
        monkeypatch.setattr(ConfidenceBank, "mixing_probabilities", lambda bank: np.array([0.0, 0.0, 1.0]))
        module, _ = step()
        assert wanted == [2, 2] and module.presence.present.any()

    def test_there_is_no_friend_and_the_warm_up_is_on_labels_alone(self, config, make_config, make_module):
        module = make_module(make_config(train={"method": "ael"}, tsf={"warmup_steps": None}))
        assert set(module.learners()) == {"student"} and list(module.evaluated()) == ["teacher", "student"]
        module.begin(1000)
        assert (module.warmup_steps, module.warm) == (50, False)
        module._step = 50
        assert module.warm
