"""Networks that maps are measured with, and how their windows lie."""

from __future__ import annotations

from pathlib import Path

import torch

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import ModelConfig
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import Compute
from tsfal_geo.inference.network import Network, make_predict_fn
from tsfal_geo.inference.rows.model import RowModel, row_model
from tsfal_geo.inference.rows.network import row_network
from tsfal_geo.models.io import ModelCard, save_model
from tsfal_geo.models.segmenter import Segmenter, build_segmenter
from tsfal_geo.raster.stats import Normalisation

WINDOW, OVERLAP, BATCH, CLASSES = 512, 0.25, 4, 6
STATISTICS = Normalisation((0.0,) * 3, (255.0,) * 3, (120.0,) * 3, (50.0,) * 3)


def model_card() -> ModelCard:
    """The card of every network here."""
    return ModelCard(
        model=ModelConfig(weights=None),
        in_channels=3,
        classes=VAIHINGEN.to_specs(),
        normalisation=STATISTICS.to_dict(),
        bands=None,
        dsm=False,
        chip_size=WINDOW,
        seed=0,
    )


class OneByOne:
    """The least network that there is: a 1 × 1 convolution from bands to classes, softmax."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(3, CLASSES, 1)

    def __call__(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Probabilities at the raster's resolution."""
        with torch.inference_mode():
            return {"probabilities": self.layer(batch["image"].float().div_(255)).softmax(1)}


class _Probabilities(torch.nn.Module):
    """The same on rows."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.layer(x).softmax(1),)


def one_by_one(in_one_piece: bool) -> Network:
    """The least network as one for exports."""
    network = OneByOne()
    rows = None
    if in_one_piece:
        made = row_network(_Probabilities(network.layer), ("probabilities",), 1, torch.float32, 1)
        rows = RowModel(made, lambda batch: batch["image"].float().div_(255))
    return Network(network, model_card(), VAIHINGEN, rows=rows)


def mobilenet() -> Segmenter:
    """DeepLabv3+ on MobileNetV2, untrained, with weights that make classes differ."""
    torch.manual_seed(0)
    segmenter = build_segmenter(ModelConfig(weights=None), 3, CLASSES, seed=0)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    return segmenter


def mobilenet_both_ways(compute: Compute) -> Network:
    """`mobilenet` as a network for exports, by windows and in one piece."""
    segmenter, normaliser = mobilenet(), Normaliser(STATISTICS)
    predict = make_predict_fn(segmenter, normaliser, compute)
    return Network(predict, model_card(), VAIHINGEN, rows=row_model(segmenter, normaliser, compute, WINDOW))


def save_mobilenet(folder: Path) -> None:
    """`mobilenet` as a model's folder."""
    save_model(folder, mobilenet(), model_card())
