"""Learning λ on hidden cells of labelled images."""

import pytest
import torch
import torch.nn.functional as F

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.distances import class_distances
from tsfal_geo.refinement.episodes import episodic_loss, hide_cells
from tsfal_geo.refinement.support import Support


def loss(town, lambdas, labels=None, temperatures=None, **levels):
    f1, f2 = levels.get("f1", town.f1), levels.get("f2", town.f2)
    labels = town.truth if labels is None else labels
    return episodic_loss(
        f1[None],
        f2[None],
        labels[None],
        torch.zeros_like(labels, dtype=torch.bool)[None],
        lambdas[None],
        torch.ones(2) if temperatures is None else temperatures,
        PlarConfig(),
        town.classes,
        torch.Generator().manual_seed(0),
    )


def test_hides_half_and_prefers_the_mask():
    labels = torch.randint(0, 3, (16, 16), dtype=torch.uint8)
    labels[:4] = 255
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[2:6] = True
    hidden = hide_cells(labels, mask).view(16, 16)
    assert hidden.sum() == 12 * 16 // 2
    assert not hidden[labels == 255].any()
    assert hidden[mask & (labels != 255)].all()


def test_equals_the_cross_entropies_of_the_hidden_cells(make_town):
    town = make_town(spread=1.0)
    lambdas, temperatures = torch.tensor([0.3, 0.6]), torch.tensor([0.5, 2.0])
    mask = torch.zeros_like(town.truth, dtype=torch.bool)
    hidden = hide_cells(town.truth, mask, torch.Generator().manual_seed(0))
    truth = town.truth.flatten()
    cells = torch.where(hidden, 255, truth).to(torch.uint8)
    support = Support(cells, cells, torch.ones(4, dtype=torch.bool))
    queries = hidden.nonzero()[:, 0]
    e, m = class_distances((town.f1, town.f2), support, queries, PlarConfig()).mixed(lambdas)
    expected = F.cross_entropy(-e / 0.5, truth[queries].long()) + F.cross_entropy(
        -m / 2.0, truth[queries].long()
    )
    torch.testing.assert_close(loss(town, lambdas, temperatures=temperatures), expected)


def test_gradients_reach_weights_and_temperatures_only(make_town):
    town = make_town(spread=1.0)
    lambdas, temperatures = torch.tensor([0.3, 0.3], requires_grad=True), torch.ones(2, requires_grad=True)
    f2 = town.f2.clone().requires_grad_()
    loss(town, lambdas, temperatures=temperatures, f2=f2).backward()
    assert (lambdas.grad != 0).all()
    assert (temperatures.grad != 0).all()
    assert f2.grad is None


@pytest.mark.parametrize(("noisy", "sign"), [("f2", -1), ("f1", 1)])
def test_gradient_leads_away_from_the_level_that_knows_nothing(make_town, noisy, sign):
    town = make_town(spread=0.3)
    noise = torch.randn(getattr(town, noisy).shape, generator=torch.Generator().manual_seed(1))
    lambdas = torch.tensor([0.5, 0.5], requires_grad=True)
    loss(town, lambdas, **{noisy: noise}).backward()
    assert (lambdas.grad.sign() == sign).all()


def test_images_without_an_episode_give_zero_with_a_gradient(make_town):
    town = make_town()
    lambdas = torch.tensor([0.3, 0.3], requires_grad=True)
    found = loss(town, lambdas, labels=town.empty())
    found.backward()
    assert found == 0
    assert (lambdas.grad == 0).all()


def test_a_rare_class_is_left_out(make_town):
    town = make_town()
    labels = torch.where(town.truth == 3, 255, town.truth).to(torch.uint8)
    labels[0, :8] = 3
    assert loss(town, torch.tensor([0.3, 0.3]), labels=labels).isfinite()
