import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.methods import cps


class TestCps(MethodTester):
    method = "cps"

    @pytest.fixture
    def first(self, config, make_module, make_data, batch_of, monkeypatch):
        """A module, its losses, its unlabelled views, predictions on mixed images, these, and the mask."""

        def run(manual=None):
            mask = np.random.default_rng(0).random((64, 64)) < 0.5
            monkeypatch.setattr(cps, "three_boxes", lambda size, rng: mask)
            data = make_data(config(), manual=manual)
            module, batch, name_of = make_module(config(), data), batch_of(data), {}
            for name, network in module.learners().items():
                torch.nn.init.normal_(network.head.classifier.weight)
                name_of[network] = name
            joint, log_p, images = module.joint, {}, []

            def note(network, labelled, mixed):
                result = joint(network, labelled, mixed)
                log_p[name_of[network]] = result.unlabelled.detach().numpy()
                images.append(mixed.numpy())
                return result

            monkeypatch.setattr(module, "joint", note)
            losses = module.losses(batch, module._seed())
            return module, losses, module.views(batch["unlabelled"]), log_p, images, mask

        return run

    @pytest.mark.parametrize("manual", [None, CornerLabels()])
    def test_each_learns_the_others_labels_of_unmixed_images(self, first, manual):
        module, losses, views, log_p, images, mask = first(manual)
        valid, manual_labels = views.valid.numpy(), views.labels.numpy()
        labels = {}
        for name, network in module.learners().items():
            with torch.no_grad():
                fine = interpolate(network(views.images).logits, scale_factor=4, mode="bilinear")
            own = np.where(valid, np.where(manual_labels != 255, manual_labels, fine.argmax(1).numpy()), 255)
            labels[name] = np.where(mask, own[::-1], own)
        expected = np.where(mask, views.images.numpy()[::-1], views.images.numpy())
        assert all((mixed == expected).all() for mixed in images) and len(images) == 2
        for name, other in (("left", "right"), ("right", "left")):
            y = labels[other]
            chosen = np.take_along_axis(log_p[name], np.where(y == 255, 0, y)[:, None], 1)[:, 0]
            assert losses[name].item() == pytest.approx(5 * -chosen[y != 255].mean(), rel=1e-4)
        assert (labels["left"] != labels["right"]).any()

    def test_labels_take_no_gradient(self, first):
        module, losses, *_ = first()
        losses["left"].backward()
        assert all(p.grad is None for p in module.right.parameters())
        assert all(p.grad is not None for p in module.left.parameters())
