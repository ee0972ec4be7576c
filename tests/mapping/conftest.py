"""A small untrained model on disk."""

import pytest
import torch

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import ModelConfig
from tsfal_geo.models.io import ModelCard, save_model
from tsfal_geo.models.segmenter import build_segmenter

CONFIG = ModelConfig(encoder="mobilenet_v2", weights=None)
STATISTICS = {"low": [0.0] * 3, "high": [200.0] * 3, "mean": [90.0, 80, 70], "std": [30.0, 40, 50]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    card = ModelCard(
        model=CONFIG, in_channels=3, classes=VAIHINGEN.to_specs(), normalisation=STATISTICS,
        bands=None, dsm=False, chip_size=64, seed=0,
    )  # fmt: skip
    segmenter = build_segmenter(CONFIG, 3, 6, seed=1).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.2)
    save_model(folder, segmenter, card)
    return folder, card
