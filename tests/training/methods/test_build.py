import threading

import pytest
import torch

from tsfal_geo.config import Config
from tsfal_geo.errors import Cancelled
from tsfal_geo.raster.stats import compute_normalisation
from tsfal_geo.training.fit import fit
from tsfal_geo.training.methods.build import build_module
from tsfal_geo.training.methods.supervised import Supervised
from tsfal_geo.training.methods.tsf import Tsf

NAMES = ("ground", "roof", "car")


@pytest.fixture
def build(make_data):
    def make(encoder="tu-mobilenetv2_035", **train):
        config = Config.model_validate(
            {
                "data": {"chip_size": 64},
                "model": {"encoder": encoder, "weights": None},
                "train": {"steps": 4, "accelerator": "cpu", "num_workers": 0, **train},
                "tsf": {"warmup_steps": 1},
            }
        )
        data = make_data(config)
        statistics = compute_normalisation(data.labelled.reader, data.labelled.chips)
        return config, data, build_module(config, data, statistics, NAMES, (4000, 3000, 300), bands=3)

    return make


def test_methods_and_their_networks(build):
    _, data, tsf = build()
    _, _, supervised = build(method="supervised")
    assert type(tsf) is Tsf and type(supervised) is Supervised
    student, friend, plain = (
        module.head.classifier.weight for module in (tsf.student, tsf.friend, supervised.network)
    )
    assert not torch.equal(student, friend) and torch.equal(student, plain)
    assert tsf.presence.present.shape == (3, len(data.unlabelled.chips))
    assert tsf.branch.tail == (2,)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16-mixed"},
        {
            "precision": "32-true",
            "encoder": "tu-test_vit",
            "optimiser": "adamw",
            "layer_decay": 0.8,
            "lr": 1e-4,
        },
    ],
    ids=["convolutional", "transformer"],
)
def test_the_real_network_resumes_to_the_bit(build, tmp_path, options):
    """Also in bfloat16, with a validation after each step, after which all modules return to train mode."""

    def run(folder, stop=None):
        config, data, module = build(steps=3, **options)
        if stop is not None:
            module.after_step = lambda: (Tsf.after_step(module), module.steps_done == 1 and stop.set())
        fit(module, data, folder=tmp_path / folder, steps=3, train=config.train, stop=stop)
        return module.state_dict()

    full = run("full")
    with pytest.raises(Cancelled):
        run("cut", threading.Event())
    resumed = run("cut")
    assert all(torch.equal(value, resumed[name]) for name, value in full.items())
