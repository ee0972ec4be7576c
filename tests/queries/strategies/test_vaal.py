"""VAAL's losses, steps and order."""

import numpy as np
import pytest
import torch

from tsfal_geo.queries.strategies import build_strategy
from tsfal_geo.queries.strategies import vaal_networks as vaal
from tsfal_geo.queries.strategy import TrainingPool


class Pictures:
    """Random pictures by position, and the positions of every call."""

    def __init__(self, count=8, side=16):
        self.values = torch.randn(count, 2, side, side, generator=torch.Generator().manual_seed(0))
        self.calls = []

    def __call__(self, positions):
        self.calls.append(list(positions))
        return self.values[list(positions)]


def pool(pictures, steps=3, labelled=(0, 1, 2), progress=lambda share: None):
    others = [i for i in range(len(pictures.values)) if i not in labelled]
    keys = [(0, 0, i) for i in range(len(pictures.values))]
    return TrainingPool(pictures, keys, labelled, others, steps, 2, torch.device("cpu"), progress)


def test_vae_loss_by_hand():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 2, 4, 4))
    mean, log_variance = rng.normal(size=(2, 3, 5))
    variance = np.exp(log_variance)
    divergence = 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum()
    found = vaal.vae_loss(*map(torch.from_numpy, (x, y, mean, log_variance)))
    assert float(found) == pytest.approx(((x - y) ** 2).mean() + divergence)


@pytest.mark.parametrize("fooling", [True, False])
def test_adversary_loss_by_hand(fooling):
    labelled, unlabelled = np.array([0.3, -2.0]), np.array([1.5, -0.2, 0.7])
    p, q = 1 / (1 + np.exp(-labelled)), 1 / (1 + np.exp(-unlabelled))
    expected = -np.log(p).mean() - np.log(q if fooling else 1 - q).mean()
    found = vaal.adversary_loss(torch.from_numpy(labelled), torch.from_numpy(unlabelled), fooling=fooling)
    assert float(found) == pytest.approx(expected)


def test_networks_have_the_published_sizes():
    network = vaal.Vae(3, 32, width=4)
    again, mean, log_variance = network(torch.randn(2, 3, 32, 32))
    assert again.shape == (2, 3, 32, 32) and mean.shape == log_variance.shape == (2, 32)
    layers = [layer for layer in vaal.Discriminator() if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(32, 512), (512, 512), (512, 1)]
    assert vaal.shrink(torch.zeros(1, 3, 512, 512)).shape[-2:] == (128, 128)
    assert vaal.shrink(torch.zeros(1, 3, 64, 64)).shape[-2:] == (64, 64)


def test_two_steps_of_the_vae_and_one_of_the_discriminator(monkeypatch):
    steps = []
    descend = vaal._descend
    monkeypatch.setattr(
        vaal, "_descend", lambda optimiser, loss: (steps.append(optimiser), descend(optimiser, loss))
    )
    pictures, shares = Pictures(), []
    vaal.train(pool(pictures, steps=2, progress=shares.append), seed=0, width=4)
    by_vae, by_discriminator = steps[0], steps[2]
    assert steps == [by_vae, by_vae, by_discriminator] * 2 and by_vae is not by_discriminator
    assert {group["lr"] for optimiser in steps for group in optimiser.param_groups} == {5e-4}
    assert shares == [0.5, 1.0]
    labelled, others = pictures.calls[1::2], pictures.calls[2::2]
    assert all(set(batch) <= {0, 1, 2} for batch in labelled)
    assert len({i for batch in others for i in batch}) == 5, "every chip comes once before any is repeated"


def test_the_same_seed_gives_the_same_networks_and_leaves_the_random_state():
    before = torch.random.get_rng_state()
    first = vaal.train(pool(Pictures()), seed=3, width=4)
    again = vaal.train(pool(Pictures()), seed=3, width=4)
    other = vaal.train(pool(Pictures()), seed=4, width=4)
    assert torch.equal(before, torch.random.get_rng_state())
    picture = Pictures().values[5:6]
    values = [vaal.probability(networks, picture) for networks in (first, again, other)]
    assert values[0] == values[1] != values[2]


def test_the_discriminator_learns_which_codes_are_labelled(monkeypatch):
    """Pictures like labelled ones get a higher probability when the VAE does not train against it."""
    monkeypatch.setattr(vaal, "ADVERSARY", 0.0)
    monkeypatch.setattr(vaal, "BETA", 0.0)
    pictures, new = Pictures(), Pictures(count=4).values.flip(3)
    pictures.values[:3] += 3
    networks = vaal.train(pool(pictures, steps=60), seed=0, width=4)
    like_labelled, unlike = ([vaal.probability(networks, p[None] + shift) for p in new] for shift in (3, 0))
    assert min(like_labelled) > max(unlike)


def test_least_likely_labelled_comes_first(monkeypatch):
    monkeypatch.setattr(vaal, "train", lambda pool, seed: None)
    monkeypatch.setattr(vaal, "probability", lambda networks, picture: float(picture.mean()))
    pictures = Pictures(4)
    pictures.values = torch.tensor([0.9, 0.6, 0.1, 0.4])[:, None, None, None].expand(4, 2, 16, 16)
    strategy = build_strategy("vaal", 0, 0)
    strategy.learn(pool(pictures, labelled=(0,)))
    vectors = [np.array([strategy._labelled[0, 0, i]], np.float32) for i in (1, 2, 3)]
    assert strategy.rank_chips(vectors, []).tolist() == [1, 2, 0]
