import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.methods import cutmix
from tsfal_geo.training.methods.cutmix import confident_share
from tsfal_geo.training.methods.targets import squared_error


class TestCutMix(MethodTester):
    method = "cutmix"

    def test_the_students_target_is_mixed_like_its_images(
        self, config, make_module, make_data, batch_of, monkeypatch
    ):
        data = make_data(config())
        module = make_module(config(), data)
        torch.nn.init.normal_(module.teacher.model.head.classifier.weight, std=3)
        recorded = {}
        monkeypatch.setattr(
            cutmix,
            "squared_error",
            lambda p, target, valid: recorded.update(p=p, target=target) or squared_error(p, target, valid),
        )
        mask = np.zeros((64, 64), dtype=bool)
        mask[16:48, 8:40] = True  # whole cells, away from which interpolation reaches over the border
        monkeypatch.setattr(cutmix, "half_box", lambda size, rng: mask)
        batch = batch_of(data)
        losses = module.losses(batch, module._seed())
        views = module.views(batch["unlabelled"])
        with torch.no_grad():
            logits = module.teacher(views.images).logits
        p = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear").softmax(1)
        expected = torch.where(torch.from_numpy(mask), p[[1, 0]], p)
        assert torch.allclose(recorded["target"], expected, atol=1e-6)
        valid = torch.where(torch.from_numpy(mask), views.valid[[1, 0]], views.valid).numpy()
        squares = ((recorded["p"].detach() - expected) ** 2).mean(1).numpy()[valid]
        share = (expected.amax(1).numpy() > 0.97)[valid].mean()
        assert 0.05 < share < 0.95
        assert losses["consistency"].item() == pytest.approx(20 * share * squares.mean(), rel=1e-4)


def test_the_weight_is_the_share_of_confident_pixels_in_the_whole_batch():
    sure, unsure, edge = [0.98, 0.01, 0.01], [0.5, 0.3, 0.2], [0.97, 0.02, 0.01]
    target = torch.tensor([[sure, unsure, unsure], [sure, sure, edge]]).permute(0, 2, 1)[..., None]
    valid = torch.tensor([[True, True, False], [True, False, True]])[..., None]
    assert confident_share(target, valid).item() == pytest.approx(2 / 4)
    assert confident_share(target, torch.zeros_like(valid)).item() == 0


def test_squared_error_by_hand():
    p = torch.tensor([[[[0.8, 0.3, 0.9]], [[0.2, 0.7, 0.1]]]])
    target = torch.tensor([[[[1.0, 0.5, 0.0]], [[0.0, 0.5, 1.0]]]])
    valid = torch.tensor([[[True, True, False]]])
    assert squared_error(p, target, valid).item() == pytest.approx((0.04 + 0.04) / 2)
