import numpy as np
import pytest
import torch

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.training.methods import contrast
from tsfal_geo.training.methods import u2pl as module_u2pl
from tsfal_geo.training.methods.u2pl import entropy, entropy_bounds, reliable_loss


class TestU2pl(MethodTester):
    method = "u2pl"

    @pytest.mark.parametrize(("progress", "share"), [(0, 0.2), (0.5, 0.1)])
    def test_fewer_pixels_are_unreliable_as_training_goes_on(self, step, monkeypatch, progress, share):
        shares, original = [], entropy_bounds
        monkeypatch.setattr(
            module_u2pl, "entropy_bounds", lambda *args: shares.append(args[2]) or original(*args)
        )
        step(progress=progress)
        assert shares == pytest.approx([share])

    def test_what_people_said_is_always_reliable(self, step, monkeypatch):
        recorded, original = [], module_u2pl.contrast
        monkeypatch.setattr(
            module_u2pl, "contrast", lambda *args: recorded.append(args[2]) or original(*args)
        )
        kept, loss = [], reliable_loss
        monkeypatch.setattr(module_u2pl, "reliable_loss", lambda *args: kept.append(args[1:3]) or loss(*args))
        step(manual=CornerLabels())
        (cells,) = recorded
        ((labels, pixels),) = kept
        manual = labels == 2
        assert manual.any() and pixels[manual].all()
        assert pixels[labels != 255].float().mean().item() == pytest.approx(0.8, abs=0.01)
        assert cells.reliable[2:][cells.labels[2:] == 2].all() and not cells.unreliable[:2].any()

    def ranks(self, alone, monkeypatch):
        """Each rank draws from the negatives of both."""
        found = []
        with monkeypatch.context() as patched:
            patched.setattr(contrast, "_from_all", lambda *part: found.append(part) or [part])
            alone(0), alone(1)
        monkeypatch.setattr(contrast, "_from_all", lambda *_: found)
        return alone(0), alone(1)

    def test_the_queues_fill_and_the_teachers_projector_follows(self, run, config):
        module, _, _ = run(config(), steps=3)
        assert (module.queues.filled > 0).any() and module.teacher_projector.updates == 3
        assert module.teacher_projector.decay == module.teacher.decay


def test_entropy_and_its_bounds_against_numpy():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=(2, 9, 9))
    valid = rng.random((2, 9, 9)) < 0.7
    doubt = entropy(torch.from_numpy(p).log().movedim(-1, 1))
    expected = -(p * np.log(p)).sum(-1)
    assert np.allclose(doubt, expected)
    bounds = entropy_bounds(doubt, torch.from_numpy(valid), 0.2)
    assert [b.item() for b in bounds] == pytest.approx(np.percentile(expected[valid], [20, 80]))
    bounds = entropy_bounds(doubt, torch.from_numpy(valid), 0.0)
    assert [b.item() for b in bounds] == pytest.approx([expected[valid].min(), expected[valid].max()])
    assert entropy_bounds(doubt, torch.zeros(2, 9, 9, dtype=torch.bool), 0.2) == (0, 0)


def test_reliable_loss_is_scaled_by_all_over_kept():
    p = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    log_p = torch.from_numpy(p).log().T.reshape(1, 2, 2, 2)
    labels = torch.tensor([[[0, 1], [1, 255]]])
    kept = torch.tensor([[[True, True], [False, False]]])
    got = reliable_loss(log_p, labels, kept, labels != 255)
    assert got.item() == pytest.approx(3 / 2 * -(np.log(0.7) + np.log(0.8)) / 2)
    assert reliable_loss(log_p, labels, torch.zeros_like(kept), labels != 255) == 0
