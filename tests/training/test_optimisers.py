import pytest
import torch

from tsfal_geo.config import Config, ModelConfig, TrainConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.stats import compute_normalisation
from tsfal_geo.training.fit import fit
from tsfal_geo.training.methods.build import build_module
from tsfal_geo.training.optimisers import build_optimiser, parameter_groups

VIT = "tu-test_vit"  # six blocks
RATES = {f"blocks.{i}": 2 ** (5 - i) for i in range(6)}
"""What the base rate is divided by at a decay of a half; 64 for the embeddings."""


def divisor(name):
    place = name.removeprefix("encoder.net.")
    if place.startswith("norm."):
        return 1
    return next((value for key, value in RATES.items() if place.startswith(f"{key}.")), 64)


@pytest.fixture(scope="module")
def network():
    return build_segmenter(ModelConfig(encoder=VIT, weights=None), 3, 3, seed=0)


def rates(network, train):
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = build_optimiser(parameter_groups(network, train), train).param_groups
    return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}


def test_each_depth_has_its_rate_and_every_parameter_one(network):
    train = TrainConfig(optimiser="adamw", lr=1e-4, head_lr_mult=40, layer_decay=0.5)
    found = rates(network, train)
    assert found.keys() == {name for name, _ in network.named_parameters()}
    for name, rate in found.items():
        expected = 40e-4 if name.startswith("head.") else 1e-4 / divisor(name)
        assert rate == pytest.approx(expected), name


def test_without_layer_decay_an_encoder_has_one_rate(network):
    found = rates(network, TrainConfig(optimiser="sgd", lr=0.25, head_lr_mult=40))
    assert {rate for name, rate in found.items() if name.startswith("encoder.")} == {0.25}
    assert {rate for name, rate in found.items() if name.startswith("head.")} == {10}


def test_the_optimiser_is_the_one_that_was_named(network):
    groups = parameter_groups(network, TrainConfig())
    sgd = build_optimiser(groups, TrainConfig(optimiser="sgd", momentum=0.8, weight_decay=0.3))
    adamw = build_optimiser(groups, TrainConfig(optimiser="adamw", weight_decay=0.01))
    assert type(sgd) is torch.optim.SGD and type(adamw) is torch.optim.AdamW
    assert {(g["momentum"], g["weight_decay"]) for g in sgd.param_groups} == {(0.8, 0.3)}
    assert {(g["betas"], g["weight_decay"]) for g in adamw.param_groups} == {((0.9, 0.999), 0.01)}


def test_layer_decay_for_a_convolutional_encoder_is_told():
    network = build_segmenter(ModelConfig(encoder="tu-mobilenetv2_035", weights=None), 3, 3, seed=0)
    with pytest.raises(ConfigError, match=r"train\.layer_decay=0\.8: encoder tu-mobilenetv2_035") as caught:
        parameter_groups(network, TrainConfig(layer_decay=0.8))
    assert "\n" not in str(caught.value)


def test_first_step_of_training_moves_every_depth_by_its_rate(make_data, tmp_path):
    """Adam's first step is the rate itself wherever there is a gradient."""
    torch.set_num_threads(1)
    config = Config.model_validate(
        {
            "data": {"chip_size": 64},
            "model": {"encoder": VIT, "weights": None},
            "train": {"method": "supervised", "steps": 1, "optimiser": "adamw", "lr": 1e-4,
                      "layer_decay": 0.5, "weight_decay": 0, "precision": "32-true", "num_workers": 0,
                      "accelerator": "cpu"},
        }
    )  # fmt: skip
    data = make_data(config, unlabelled=0)
    statistics = compute_normalisation(data.labelled.reader, data.labelled.chips)
    module = build_module(config, data, statistics, ("a", "b", "c"), (4000, 3000, 300), bands=3)
    before = {name: value.clone() for name, value in module.network.named_parameters()}
    fit(module, data, folder=tmp_path, steps=1, train=config.train)
    for name, value in module.network.named_parameters():
        step = (value - before[name]).abs().max().item()
        factor = 4 if name.startswith("head.") else 1 / divisor(name)
        assert step == pytest.approx(1e-4 * factor, rel=0.05), name
