import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.methods import flaws, gct


class TestGct(MethodTester):
    method = "gct"

    @pytest.fixture(autouse=True)
    def small_detector(self, monkeypatch):
        monkeypatch.setattr(flaws, "_WIDTH", 4)

    def test_correction_teaches_the_networks_and_detection_the_detector(self, step, monkeypatch):
        monkeypatch.setattr(flaws, "BAD", -1.0)  # all is bad
        module, losses = step()
        losses["correction"].backward(retain_graph=True)
        assert all(p.grad is None for p in module.detector.parameters())
        for network in (module.left, module.right):
            assert network.head.classifier.weight.grad.abs().sum() > 0
            network.zero_grad()
        losses["detector"].backward()
        assert all(p.grad is not None for p in module.detector.parameters())
        for network in (module.left, module.right):
            assert all(p.grad is None for p in network.parameters())

    @pytest.mark.parametrize("progress", [0.05, 0.5])
    @pytest.mark.parametrize("manual", [None, CornerLabels()])
    def test_losses_by_hand(self, config, make_module, make_data, batch_of, monkeypatch, manual, progress):
        data = make_data(config(steps=20), manual=manual)
        module, batch = make_module(config(steps=20), data), batch_of(data)
        module._step = round(progress * 20)
        torch.nn.init.normal_(module.right.head.classifier.weight)
        rng = np.random.default_rng(0)
        judged = torch.from_numpy(rng.random((4, 64, 64))).float()  # left's maps, then right's
        found = torch.from_numpy(rng.random((4, 64, 64))).float()
        wanted = torch.from_numpy(rng.random((4, 64, 64))).float()
        monkeypatch.setattr(module, "_judge", lambda images, p: judged)
        monkeypatch.setattr(gct, "smooth_flaws", lambda maps: maps)
        monkeypatch.setattr(gct, "flaw_target", lambda p, labels: wanted)
        monkeypatch.setattr(module.detector, "forward", lambda images, p: found)
        joint, recorded = module.joint, []
        monkeypatch.setattr(module, "joint", lambda *a: recorded.append(joint(*a)) or recorded[-1])
        losses = module.losses(batch, module._seed())
        views = module.views(batch["unlabelled"])
        valid, manual_labels = views.valid.numpy(), views.labels.numpy()
        p = [one.unlabelled.detach().double().exp().numpy() for one in recorded]
        maps = np.split(judged.numpy(), 2)
        consistency = 0
        bad = (maps[0] > 0.6) & (maps[1] > 0.6)
        for own in (0, 1):
            capped = [np.where(m > 0.6, 1, m) for m in maps]
            target = np.where((capped[1 - own] < capped[own])[:, None], p[1 - own], p[own])
            for c in range(3):
                target[:, c][manual_labels != 255] = manual_labels[manual_labels != 255] == c
            consistency += ((p[own] - target) ** 2).mean(1)[valid].mean()
        ramp = np.exp(-5 * (1 - min(1, progress / 0.15)) ** 2)
        assert losses["consistency"].item() == pytest.approx(100 * ramp * consistency, rel=1e-3)
        correction = sum(((m**2) * bad * valid).mean() for m in maps)
        assert losses["correction"].item() == pytest.approx(correction, rel=1e-3)
        error = ((found - wanted) ** 2).mean().item()
        assert losses["detector"].item() == pytest.approx(10 * error, rel=1e-4)

    def test_the_detector_learns_by_adam_at_its_own_rate(self, step):
        module, _ = step()
        _, adam = module.configure_optimizers()
        (group,) = adam.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.9, 0.99), 0.0)
        assert {id(p) for p in group["params"]} == {id(p) for p in module.detector.parameters()}
