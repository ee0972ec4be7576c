import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.methods import unimatch
from tsfal_geo.training.methods.unimatch import confident_loss


class TestUniMatch(MethodTester):
    method = "unimatch"

    def test_the_sum_is_the_authors(self, step, monkeypatch):
        values = iter((1.0, 2.0, 4.0))
        monkeypatch.setattr(unimatch, "confident_loss", lambda *args: torch.tensor(next(values)))
        monkeypatch.setattr(unimatch.UniMatch, "supervised", lambda *args: torch.tensor(8.0))
        _, losses = step()
        assert losses["total"].item() == pytest.approx((8 + 1 / 4 + 2 / 4 + 4 / 2) / 2)

    def test_labels_are_mixed_like_the_strong_views(
        self, config, make_module, make_data, batch_of, monkeypatch
    ):
        made = config()
        data = make_data(made)
        module = make_module(made, data)
        module.augment = lambda images, valid, generator: images
        passed, supervised = [], []
        original = module.network.forward
        module.network.forward = lambda images, **rest: passed.append(images) or original(images, **rest)
        loss = confident_loss
        monkeypatch.setattr(
            unimatch, "confident_loss", lambda *args: supervised.append(args[1:]) or loss(*args)
        )
        boxes = iter((np.s_[8:40, 4:60], np.s_[0:16, 0:16], np.s_[32:64, 32:64], np.s_[0:0, 0:0]))

        def box(size, rng):
            mask = np.zeros(size, dtype=bool)
            mask[next(boxes)] = True
            return mask

        monkeypatch.setattr(unimatch, "sometimes_box", box)
        module.losses(batch_of(data), module._seed())
        ((images,), (first, second, weak)) = passed, supervised
        base, strong = images[2:4], images[4:].split(2)
        inside = torch.zeros(4, 64, 64, dtype=torch.bool)
        inside[0, 8:40, 4:60] = inside[1, :16, :16] = inside[2, 32:, 32:] = True
        for view, (labels, confidence), mask in zip(strong, (first, second), inside.split(2), strict=True):
            expected = (base, weak[0], weak[1])
            for got, values in zip((view, labels, confidence), expected, strict=True):
                where = mask[:, None] if values.ndim == 4 else mask
                assert torch.equal(got, torch.where(where, values.flip(0), values))


@pytest.mark.parametrize(("threshold", "kept"), [(0.0, [0, 1, 2]), (0.95, [0, 2])])
def test_confident_loss_is_over_all_valid_pixels(threshold, kept):
    p = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    labels, confidence = np.array([0, 1, 1, 255]), np.array([0.95, 0.94, 0.99, 0.0])
    log_p = torch.from_numpy(p).log().T.reshape(1, 2, 2, 2)
    got = confident_loss(
        log_p,
        torch.from_numpy(labels).reshape(1, 2, 2),
        torch.from_numpy(confidence).reshape(1, 2, 2),
        threshold,
    )
    assert got.item() == pytest.approx(-sum(np.log(p[i, labels[i]]) for i in kept) / 3)
