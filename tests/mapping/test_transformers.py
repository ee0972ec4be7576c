"""A vision transformer makes maps, and becomes an ONNX file, like any other network."""

import numpy as np
import pytest
import torch

from tests.inference.test_network import FLOAT32, card, predicted
from tests.mapping.test_export import picture, write
from tsfal_geo.config import ModelConfig
from tsfal_geo.inference.network import open_network
from tsfal_geo.mapping.compatibility import open_scenes
from tsfal_geo.mapping.outputs.onnx import export_onnx, onnx_network
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.discovery import discover

DINO_V3 = "tu-vit_tiny_patch16_dinov3_qkvb"


def saved(folder, encoder, **values):
    """A model of chips of 96 pixels with classes of every kind."""
    torch.manual_seed(0)
    config = ModelConfig(encoder=encoder, weights=None)
    segmenter = build_segmenter(config, 3, 6, seed=1)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    with torch.no_grad():
        for module in segmenter.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        segmenter(torch.randn(2, 3, 96, 96))
    emd = torch.nn.Module()
    emd.emd = ErrorMaskDecoder(6).eval()
    emd.register_buffer("trained", torch.tensor(40))
    emd.register_buffer("threshold", torch.tensor(0.5))
    save_model(folder, segmenter, card(model=config, chip_size=96, **values), {"refiner": emd})
    return segmenter.eval()


def test_windows_of_another_size_than_the_chips_give_what_the_network_gives(tmp_path):
    segmenter = saved(tmp_path / "model", "tu-test_vit")
    image = picture(103, 126)
    write(tmp_path / "town.tif", image)
    reader = open_scenes(discover(tmp_path), card(), "uint8")
    normal = (image - np.array([2.0, 2.5, 3.0])[:, None, None]) / np.array([1.5, 2.0, 1.0])[:, None, None]
    padded = np.zeros((1, 3, 128, 128), np.float32)
    padded[0, :, :103, :126] = normal
    with torch.inference_mode():
        cells = segmenter(torch.from_numpy(padded)).logits.softmax(1)
    expected = torch.nn.functional.interpolate(cells, scale_factor=4, mode="bilinear")[0, :, :103, :126]
    found = predicted(reader, open_network(tmp_path / "model", FLOAT32).predict, 128)
    assert len(np.unique(found.argmax(0))) > 2
    assert np.abs(found - expected.numpy()).max() < 1e-4


def test_the_error_mask_comes_with_it(tmp_path):
    saved(tmp_path, "tu-test_vit")
    network = open_network(tmp_path, FLOAT32, errors=True)
    image = torch.from_numpy(picture(64, 64))[None]
    found = network.predict({"image": image, "valid": torch.ones(1, 64, 64, dtype=torch.bool)})
    assert {name: tuple(layer.shape) for name, layer in found.items()} == {
        "probabilities": (1, 6, 16, 16),
        "error": (1, 1, 16, 16),
    }


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["tu-test_vit", DINO_V3])
def test_onnx_gives_the_same_classes(tmp_path, encoder):
    pytest.importorskip("onnxruntime")
    saved(tmp_path, encoder)
    export_onnx(tmp_path, tmp_path / "model.onnx", resolution=None, overlap=0.25)
    image = torch.from_numpy(np.stack([picture(96, 96), picture(96, 96)[:, ::-1].copy()]))
    batch = {"image": image, "valid": torch.ones(2, 96, 96, dtype=torch.bool)}
    cells = open_network(tmp_path, FLOAT32).predict(batch)["probabilities"]
    expected = torch.nn.functional.interpolate(cells, scale_factor=4, mode="bilinear")
    found = onnx_network(tmp_path / "model.onnx")(batch)["probabilities"]
    assert len(expected.argmax(1).unique()) > 2
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.999
    assert (found - expected).abs().max() < 1e-3
