import numpy as np
import torch
from scipy.special import softmax

from tsfal_geo.training.methods.targets import hard_targets, soft_targets
from tsfal_geo.training.views import Views


def test_what_people_said_overrides_labels_and_probabilities():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    fine = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear").detach().double().numpy()
    labels = torch.full((2, 16, 16), 255)
    labels[0, :8, :8], labels[1, 4:, 4:] = 2, 0
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[0, :, 14:] = False
    views = Views(torch.zeros(2, 3, 16, 16), valid, labels, torch.arange(2))
    hard, confidence = hard_targets(logits, views)
    soft = soft_targets(logits, views)
    p = softmax(fine, 1)
    manual = labels.numpy() != 255
    expected = np.where(manual, labels.numpy(), p.argmax(1))
    assert (hard.numpy()[valid] == expected[valid]).all() and (hard[~valid] == 255).all()
    sure = np.where(manual, 1, p.max(1)) * valid.numpy()
    np.testing.assert_allclose(confidence.numpy(), sure, atol=1e-6)
    one_hot = np.eye(3)[np.where(manual, labels.numpy(), 0)].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(soft.numpy(), np.where(manual[:, None], one_hot, p), atol=1e-6)
    assert not hard.requires_grad and not confidence.requires_grad and not soft.requires_grad
