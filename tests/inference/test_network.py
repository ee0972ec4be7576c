import numpy as np
import pytest
import torch

from tests.helpers.mapping_fakes import Collect
from tests.mapping.test_export import picture, write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import ModelConfig
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import RasterError
from tsfal_geo.inference.compute import Compute, choose_compute
from tsfal_geo.inference.network import make_predict_fn, open_network
from tsfal_geo.mapping.compatibility import open_scenes
from tsfal_geo.mapping.windowed import predict_scene
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import ModelCard, save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.stats import Normalisation

STATISTICS = Normalisation((0.0,) * 3, (255.0,) * 3, (2.0, 2.5, 3.0), (1.5, 2.0, 1.0))
CONFIG = ModelConfig(encoder="mobilenet_v2", weights=None)
FLOAT32 = Compute(torch.device("cpu"), None)


def card(**values):
    defaults = {
        "model": CONFIG,
        "in_channels": 3,
        "classes": VAIHINGEN.to_specs(),
        "normalisation": STATISTICS.to_dict(),
        "bands": None,
        "dsm": False,
        "chip_size": 128,
        "seed": 1,
    }
    return ModelCard(**{**defaults, **values})


@pytest.fixture(scope="module")
def segmenter():
    return build_segmenter(CONFIG, 3, 6, seed=1).eval()


def predicted(reader, predict, window):
    collect = Collect(reader.scenes[0].height, reader.scenes[0].width)
    predict_scene(
        reader,
        0,
        predict,
        window=window,
        overlap=0.25,
        batch=2,
        channels={"probabilities": 6},
        on_rows=collect,
    )
    return collect.layers["probabilities"]


def test_one_window_equals_the_network_itself(tmp_path, segmenter):
    image = picture(103, 126)
    write(tmp_path / "town.tif", image, nodata=5)
    reader = open_scenes(discover(tmp_path), card(), "uint8")
    save_model(tmp_path / "model", segmenter, card())
    network = open_network(tmp_path / "model", FLOAT32)

    valid = (image != 5).any(0)
    normal = (image - np.array([2.0, 2.5, 3.0])[:, None, None]) / np.array([1.5, 2.0, 1.0])[:, None, None]
    padded = np.zeros((1, 3, 128, 128), np.float32)
    padded[0, :, :103, :126] = np.where(valid, normal, 0)
    with torch.inference_mode():
        cells = segmenter(torch.from_numpy(padded)).logits.softmax(1)
    expected = torch.nn.functional.interpolate(cells, scale_factor=4, mode="bilinear")[
        0, :, :103, :126
    ].numpy()

    found = predicted(reader, network.predict, 128)
    assert np.abs(found - expected).max() < 1e-4
    assert network.classes.names == VAIHINGEN.names


def test_half_precision_changes_little(tmp_path, segmenter):
    write(tmp_path / "town.tif", picture(128, 128))
    reader = open_scenes(discover(tmp_path), card(), "uint8")
    normaliser = Normaliser(STATISTICS)
    exact = predicted(reader, make_predict_fn(segmenter, normaliser, FLOAT32), 128)
    half = Compute(torch.device("cpu"), torch.bfloat16)
    assert np.abs(predicted(reader, make_predict_fn(segmenter, normaliser, half), 128) - exact).max() < 0.05


@pytest.mark.parametrize(("trained", "kernel"), [(40, 1), (40, 3), (5, 1)])
def test_the_models_own_decoder_gives_the_errors_once_it_is_trained(tmp_path, segmenter, trained, kernel):
    refiner = torch.nn.Module()
    refiner.emd = ErrorMaskDecoder(6, first_kernel=kernel).eval()
    refiner.register_buffer("trained", torch.tensor(trained))
    refiner.register_buffer("threshold", torch.tensor(0.6))
    save_model(tmp_path, segmenter, card(), {"refiner": refiner})
    network = open_network(tmp_path, FLOAT32, errors=True)
    image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    found = network.predict({"image": image, "valid": torch.zeros(1, 64, 64, dtype=torch.bool)})
    assert set(found) == set(network.channels) and ("error" in found) == (trained >= 20)
    if "error" in found:
        assert network.error_threshold == pytest.approx(0.6)
        with torch.inference_mode():
            output = segmenter(torch.zeros(1, 3, 64, 64), features=True)
            logits = refiner.emd(output.f1, output.f2, output.logits.softmax(1))
        assert torch.allclose(found["error"], logits.sigmoid(), atol=1e-5)


def test_compute_is_the_gpu_where_there_is_one():
    assert choose_compute().device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_scenes_unlike_the_training_are_refused(tmp_path):
    write(tmp_path / "town.tif", picture(40, 40))
    scenes = discover(tmp_path)
    assert open_scenes(scenes, card(), "uint8").channels == 3
    assert open_scenes(scenes, card(bands=(3, 1), in_channels=2), "uint8").channels == 2
    for wrong, dtype, message in (
        (card(), "uint16", r"town\.tif is uint8, expected uint16"),
        (card(in_channels=4), "uint8", r"town\.tif has 3 bands, expected 4"),
        (card(bands=(4, 1), in_channels=2), "uint8", r"town\.tif has bands 1 to 3, expected band 4"),
        (card(dsm=True, in_channels=4), "uint8", r"town\.tif has no DSM"),
    ):
        with pytest.raises(RasterError, match=message):
            open_scenes(scenes, wrong, dtype)
