import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.methods import perturbations
from tsfal_geo.training.views import Views


class TestCct(MethodTester):
    method = "cct"

    def test_decoders_teach_themselves_and_the_shared_encoder(self, step):
        module, losses = step(progress=0.5)
        losses["consistency"].backward()
        head, encoder = module.network.head, module.network.encoder
        assert head.classifier.weight.grad is None
        assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())
        assert head.project[0].weight.grad.abs().sum() > 0  # F1 belongs to what is shared
        for name, copies in module.decoders.items():
            assert len(copies) == 2
            assert all(decoder[0].weight.grad.abs().sum() > 0 for decoder in copies), name

    def test_each_decoder_has_its_perturbation(self, step, monkeypatch):
        called = []
        for name in ("adversarial", "dropout", "cut_out", "hide_context", "hide_objects", "drop_attended",
                     "noise"):  # fmt: skip
            original = getattr(perturbations, name)
            monkeypatch.setattr(
                perturbations,
                name,
                lambda *args, name=name, original=original: called.append(name) or original(*args),
            )
        step()
        assert sorted(called) == sorted(2 * ["adversarial", "dropout", "cut_out", "hide_context",
                                             "hide_objects", "drop_attended", "noise"])  # fmt: skip

    @pytest.mark.parametrize("manual", [None, CornerLabels()])
    def test_squared_error_to_the_main_prediction(
        self, config, make_module, make_data, batch_of, monkeypatch, manual
    ):
        data = make_data(config(), manual=manual)
        module, batch = make_module(config(), data), batch_of(data)
        torch.nn.init.normal_(module.network.head.classifier.weight)
        module._step = 3
        given = torch.randn(2, 2, 3, 16, 16)
        monkeypatch.setattr(module, "_perturbed", lambda f1, classes, rng: list(given))
        joint, outputs = module.joint, []
        monkeypatch.setattr(module, "joint", lambda *a, **k: outputs.append(joint(*a, **k)) or outputs[0])
        losses = module.losses(batch, module._seed())
        views = module.views(batch["unlabelled"])
        manual_labels, valid = (v.numpy()[:, 2::4, 2::4] for v in (views.labels, views.valid))
        p = softmax(outputs[0].output.logits[2:].detach().double().numpy(), 1)
        for c in range(3):
            p[:, c][manual_labels != 255] = manual_labels[manual_labels != 255] == c
        squares = [((softmax(g.double().numpy(), 1) - p) ** 2).mean(1)[valid].mean() for g in given]
        assert losses["consistency"].item() == pytest.approx(30 * np.mean(squares), rel=1e-4)
        labels = np.where(views.valid, views.labels, 255)
        log_p = log_softmax(outputs[0].unlabelled.detach().double().numpy(), 1)
        chosen = np.take_along_axis(log_p, np.where(labels == 255, 0, labels)[:, None], 1)[:, 0]
        expected = -chosen[labels != 255].mean() if manual else 0
        assert losses["manual"].item() == pytest.approx(expected, rel=1e-4)

    def test_decoders_reach_the_logits_grid_without_a_checkerboard(self, step):
        module, _ = step()
        decoder = module.decoders["noise"][0]
        out = decoder(torch.rand(1, 8, 8, 8))
        assert out.shape == (1, 3, 16, 16)
        cells = out.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
        assert torch.allclose(cells, cells[..., :1].expand_as(cells), atol=1e-6)


def test_any_size_of_image(make_config, make_module, make_data):
    """Of 65 pixels the last cell has no centre, and F1's grid, doubled, is larger than that of the logits."""
    config = make_config(train={"method": "cct"})
    module = make_module(config, make_data(config))
    valid, labels = torch.ones(2, 65, 65, dtype=torch.bool), torch.zeros(2, 65, 65, dtype=torch.long)
    views = Views(torch.randn(2, 3, 65, 65), valid, labels, torch.arange(2))
    network = module.network

    def padded(x, features):
        output = network(torch.nn.functional.pad(x, (0, 7, 0, 7)), features=features)
        return output._replace(logits=output.logits[..., :17, :17], f1=output.f1[..., :9, :9])

    joint = module.joint
    module.joint = lambda _, *args, **kwargs: joint(padded, *args, **kwargs)
    losses = module.step_losses(views, views, np.random.default_rng(0))
    assert all(value.isfinite() for value in losses.values())
