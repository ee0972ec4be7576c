import numpy as np
import pytest
import torch
from torch import nn

from tsfal_geo.training.methods import perturbations as perturb


@pytest.fixture
def features():
    return torch.rand(2, 6, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5


def kl(decoder, x, r):
    p, q = decoder(x).softmax(1), decoder(x + r).log_softmax(1)
    return (p * (p.log() - q)).sum((1, 2, 3))


def test_vat_is_one_power_iteration_from_a_random_direction(features):
    """Against the definition, with the authors' ξ, in double precision."""
    torch.manual_seed(1)
    decoder = nn.Sequential(nn.Conv2d(6, 3, 1), nn.Conv2d(3, 12, 1), nn.ReLU(), nn.PixelShuffle(2))
    torch.manual_seed(2)
    r = perturb.adversarial(features, decoder) - features
    torch.manual_seed(2)
    d = (torch.rand_like(features) - 0.5).double()
    d = 1e-6 * d / d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    decoder.double()
    d.requires_grad_()
    kl(decoder, features.double(), d).sum().backward()
    expected = 2 * d.grad / d.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert torch.allclose(r.double(), expected, atol=1e-4)
    assert r.flatten(1).norm(dim=1).tolist() == pytest.approx([2, 2], rel=1e-4)
    other = torch.randn_like(r)
    other = 2 * other / other.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    harm, chance = (kl(decoder, features.double(), v.double()) for v in (r, other))
    assert (harm > 2 * chance).all()


def test_vat_passes_the_gradient_of_the_features_only(features):
    decoder = nn.Conv2d(6, 3, 1)
    features.requires_grad_()
    perturb.adversarial(features, decoder).sum().backward()
    assert torch.equal(features.grad, torch.ones_like(features)) and decoder.weight.grad is None


def test_vat_of_a_decoder_that_cannot_be_harmed_changes_nothing(features):
    decoder = nn.Conv2d(6, 3, 1)
    nn.init.zeros_(decoder.weight)
    assert torch.equal(perturb.adversarial(features, decoder), features)


def test_dropout_drops_whole_channels_and_doubles_the_others():
    x = torch.rand(4, 200, 3, 3) + 0.1
    ratio = perturb.dropout(x) / x
    per_channel = ratio.flatten(2)
    assert (per_channel == per_channel[..., :1]).all() and set(ratio.unique().tolist()) == {0, 2}
    assert (per_channel[..., 0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_foreground_is_what_is_not_the_commonest_class():
    classes = torch.tensor([[[2, 2, 2], [2, 0, 1], [2, 2, 1]], [[0, 0, 1], [1, 1, 1], [0, 1, 1]]])
    expected = [[[0, 0, 0], [0, 1, 1], [0, 0, 1]], [[1, 1, 0], [0, 0, 0], [1, 0, 0]]]
    assert perturb.foreground(classes).int().tolist() == expected


def test_context_and_objects_are_hidden_in_turn(features):
    objects = torch.zeros(2, 16, 16, dtype=torch.bool)
    objects[0, 4:12, :8], objects[1] = True, True
    without_context = perturb.hide_context(features, objects)
    without_objects = perturb.hide_objects(features, objects)
    expected = torch.zeros_like(features)
    expected[0, :, 2:6, :4], expected[1] = features[0, :, 2:6, :4], features[1]
    assert torch.equal(without_context, expected)
    assert torch.equal(without_objects, features - expected)


def test_cutout_hides_a_part_of_each_large_objects_box(features):
    objects = torch.zeros(2, 32, 32, dtype=torch.bool)
    objects[0, 2:22, 4:14] = True  # 20 by 10 cells: 8 by 4 are hidden
    objects[0, 25:31, 20:28] = True  # 48 cells: too small
    ones = torch.ones(2, 6, 32, 32)
    places = set()
    for seed in range(30):
        hidden = perturb.cut_out(ones, objects, np.random.default_rng(seed))[:, 0] == 0
        assert not hidden[1].any() and hidden.sum() == 8 * 4
        rows, columns = (hidden[0].any(dim).nonzero().flatten() for dim in (1, 0))
        assert (len(rows), len(columns)) == (8, 4)
        assert rows[0] >= 2 and rows[-1] < 22 and columns[0] >= 4 and columns[-1] < 14
        places.add((rows[0].item(), columns[0].item()))
    assert len(places) > 10 and {2, 14} & {row for row, _ in places}
    coarse = perturb.cut_out(torch.ones(2, 6, 16, 16), objects, np.random.default_rng(0))
    assert (coarse[0, 0] == 0).sum() == 4 * 2


def test_attended_cells_are_dropped(features):
    class Low:
        def uniform(self, low, high):
            assert (low, high) == (0.7, 0.9)
            return 0.8

    attention = features.mean(1).numpy()
    kept = attention < 0.8 * attention.max((1, 2), keepdims=True)
    assert 0 < kept.mean() < 1
    expected = features.numpy() * kept[:, None]
    np.testing.assert_array_equal(perturb.drop_attended(features, Low()).numpy(), expected)


def test_noise_is_within_three_tenths_and_the_same_for_all_images(features):
    ratio = perturb.noise(features) / features - 1
    assert torch.allclose(ratio[0], ratio[1], atol=1e-6)
    assert ratio.abs().max() <= 0.3 + 1e-6 and ratio.min() < -0.25 and ratio.max() > 0.25
