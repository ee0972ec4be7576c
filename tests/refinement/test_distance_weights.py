import pytest
import torch

from tsfal_geo.refinement.distance_weights import DistanceWeights


def test_every_image_starts_at_the_initial_lambda():
    weights = DistanceWeights(0.3)(torch.rand(5, 256) * 10, torch.rand(5, 256))
    assert weights.shape == (5, 2)
    assert torch.allclose(weights, torch.tensor(0.3))


def test_temperatures_start_at_one_and_stay_positive():
    module = DistanceWeights()
    assert torch.allclose(module.temperatures, torch.ones(2))
    module.raw_temperatures.data.fill_(-20)
    assert (module.temperatures > 0).all()


def test_lambda_can_be_learned_per_image_but_not_through_the_features():
    torch.manual_seed(0)
    module = DistanceWeights()
    pooled = (torch.rand(4, 256, requires_grad=True), torch.rand(4, 256, requires_grad=True))
    target = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for _ in range(300):
        loss = (module(*pooled) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 1e-3
    assert pooled[0].grad is None and pooled[1].grad is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_lambda_is_float32_also_under_autocast(dtype):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (
            DistanceWeights()(torch.rand(1, 256, dtype=dtype), torch.rand(1, 256, dtype=dtype)).dtype
            == torch.float32
        )


@pytest.mark.parametrize("level", [0, 1])
def test_both_levels_decide_the_weights(level):
    module = DistanceWeights(0.3)
    torch.nn.init.normal_(module.layers[-1].weight, generator=torch.Generator().manual_seed(0))
    pooled = [torch.ones(2, 256), torch.ones(2, 256)]
    before = module(*pooled)
    pooled[level] = -pooled[level]
    assert ((module(*pooled) - before).abs() > 1e-3).all()
