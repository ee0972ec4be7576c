import numpy as np
import pytest
import torch

from systems.base import MethodTester
from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.ssl.systems.ps_mt import (
    adversarial_noise,
    cosine_rise,
    ensemble,
    strict_loss,
    teacher_turn,
)


class TestPsMt(MethodTester):
    method = "ps_mt"

    def test_teachers_take_turns_with_the_passes_over_the_chips(self, config, make_module, make_data):
        made = config()
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
        got = module._disturbed(EncoderFeatures(low, high, high), known=1)
        assert torch.equal(got.low, low) and torch.equal(got.middle, high)
        assert torch.equal(got.high[0], high[0])
        assert (got.high - high)[1:].flatten(1).norm(dim=1).tolist() == pytest.approx([2] * 3, rel=1e-4)

    def test_the_first_pass_is_on_labels_alone(self, step):
        module, losses = step()
        assert set(losses) == {"total", "labelled"} and module.warmup_steps == 1
        assert set(step(progress=0.5)[1]) == {"total", "labelled", "teachers"}


def test_turns():
    assert [teacher_turn(step, 3) for step in range(8)] == [0, 0, 0, 1, 1, 1, 0, 0]
    assert [teacher_turn(step, 0) for step in range(3)] == [0, 1, 0]


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
    assert cosine_rise(progress, 0.02) == pytest.approx(expected)


def test_noise_goes_where_the_prediction_changes_most():
    """Near a point the divergence is dᵀHd/2, H = Σ Wᵀ(diag p - p pᵀ)W: one power step gives H·d."""
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(3, 5)), rng.normal(size=(2, 5, 4, 4))
    linear = torch.from_numpy(weight).float()
    features = torch.from_numpy(x).float()
    torch.manual_seed(7)
    got = adversarial_noise(features, lambda f: torch.einsum("cd,ndhw->nchw", linear, f))
    torch.manual_seed(7)
    start = torch.rand_like(features).numpy() - 0.5
    for image, values, noise in zip(x, start, got.numpy(), strict=True):
        d = values / np.linalg.norm(values)
        expected = np.zeros_like(d)
        for i in np.ndindex(4, 4):
            logits = weight @ image[:, *i]
            p = np.exp(logits - logits.max())
            p /= p.sum()
            expected[:, *i] = weight.T @ (np.diag(p) - np.outer(p, p)) @ weight @ d[:, *i]
        expected *= 2 / np.linalg.norm(expected)
        assert np.linalg.norm(noise) == pytest.approx(2, rel=1e-5)
        assert (noise * expected).sum() / 4 > 0.99
