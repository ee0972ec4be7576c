import pytest

from tsfal_geo.config import Config
from tsfal_geo.raster.stats import compute_normalisation
from tsfal_geo.training.methods.build import build_module
from tsfal_geo.training.registry import METHODS

CONVOLUTIONS, TRANSFORMER = "tu-mobilenetv2_035", "tu-test_vit"
OF_FEATURES = ("ps_mt", "u2pl", "unimatch", "unimatch_v2")


@pytest.mark.parametrize(
    ("method", "encoder"),
    [*((name, CONVOLUTIONS) for name in sorted(METHODS)), *((name, TRANSFORMER) for name in OF_FEATURES)],
)
def test_a_step_with_a_real_network(make_data, batch_of, method, encoder):
    config = Config.model_validate(
        {
            "data": {"chip_size": 64},
            "model": {"encoder": encoder, "weights": None},
            "train": {"method": method, "steps": 10, "accelerator": "cpu", "num_workers": 0},
        }
    )
    data = make_data(config)
    statistics = compute_normalisation(data.labelled.reader, data.labelled.chips)
    module = build_module(config, data, statistics, ("ground", "roof", "car"), (4000, 3000, 300), bands=3)
    module.begin(10)
    module._step = 5
    losses = module.losses(batch_of(data), module._seed())
    losses["total"].backward()
    assert all(value.isfinite() for value in losses.values())
    for optimiser in module.configure_optimizers():
        for group in optimiser.param_groups:
            assert all(p.grad is not None and p.grad.isfinite().all() for p in group["params"])
