import numpy as np
import torch
from scipy.ndimage import gaussian_filter, maximum_filter
from torch import nn

from tsfal_geo.training.methods.flaws import FlawDetector, better_predictions, flaw_target, smooth_flaws


def blur(values, side):
    return gaussian_filter(values, 0.3 * ((side - 1) * 0.5 - 1) + 0.8, mode="mirror", radius=side // 2)


def scaled(values):
    return (values - values.min()) / (values.max() - values.min())


def test_flaw_target_against_scipy():
    generator = torch.Generator().manual_seed(0)
    p = (3 * torch.randn(2, 4, 64, 64, generator=generator)).softmax(1)
    labels = torch.randint(4, (2, 64, 64), generator=generator)
    labels[0, 10:30, 5:50] = 255
    target = flaw_target(p, labels)
    for i in range(2):
        y, q = labels[i].numpy(), p[i].double().numpy()
        one_hot = np.eye(4)[np.where(y == 255, 0, y)].transpose(2, 0, 1)
        flaw = 0.5 * np.abs(one_hot - q).sum(0) * (y != 255)
        flaw = blur(maximum_filter(blur(flaw, 9), size=3, mode="mirror"), 17)
        np.testing.assert_allclose(target[i].numpy(), scaled(flaw), atol=1e-4)


def test_handled_maps_are_smooth_scaled_and_empty_where_faint():
    flaws = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    flaws[1] *= 0.05
    maps = smooth_flaws(flaws)
    expected = scaled(blur(flaws[0].double().numpy().clip(0), 5))
    np.testing.assert_allclose(maps[0].numpy(), expected, atol=1e-5)
    assert (maps[1] == 0).all()


def test_each_learns_the_less_flawed_prediction():
    left, right = torch.full((1, 2, 1, 5), 0.25), torch.full((1, 2, 1, 5), 0.75)
    left_flaws = torch.tensor([[[0.1, 0.5, 0.9, 0.7, 0.3]]])
    right_flaws = torch.tensor([[[0.2, 0.4, 0.3, 0.8, 0.3]]])
    for_left, for_right, bad = better_predictions(left, right, left_flaws, right_flaws)
    # Smaller on the left, on the right, left bad, both bad (though unequal), equal.
    assert for_left[0, 0, 0].tolist() == [0.25, 0.75, 0.75, 0.25, 0.25]
    assert for_right[0, 1, 0].tolist() == [0.25, 0.75, 0.75, 0.75, 0.75]
    assert bad[0, 0].tolist() == [False, False, False, True, False]


def test_detector_has_eight_convolutions_and_sees_what_is_flawed():
    torch.manual_seed(0)
    detector = FlawDetector(5)
    assert sum(isinstance(m, nn.Conv2d) for m in detector.modules()) == 8
    images, p = torch.randn(2, 3, 64, 96), torch.rand(2, 2, 64, 96)
    flaws = detector(images, p)
    assert flaws.shape == (2, 64, 96)
    assert not torch.allclose(flaws, detector(images, p.flip(1)))
