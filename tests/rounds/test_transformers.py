"""The round loop with a vision transformer, and with the normalisation that its weights expect."""

import json

import numpy as np
import pytest
import rasterio
import timm
import torch
from safetensors.torch import save_file

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.io import load_model
from tsfal_geo.rounds import inputs as inputs_file
from tsfal_geo.rounds.inputs import open_scenes, prepare
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

VIT = {"model__encoder": "tu-test_vit", "model__decoder_convs": 2}


@pytest.mark.slow
def test_rounds_of_the_loop_train_refine_and_query(tmp_path):
    folder = write_scenes(tmp_path / "rasters")
    config = tiny_config(
        **VIT,
        train__optimiser="adamw",
        train__layer_decay=0.8,
        train__lr=1e-4,
        active__oracle=True,
        active__budget=0.5,
        active__rounds=1,
    )
    train(Request(tmp_path / "ws", folder, None, config), QuietReporter())
    workspace = WorkspaceFolder.open(tmp_path / "ws")
    assert (workspace.current_round, workspace.state.status) == (1, "done")
    first, second = (json.loads((workspace.round_dir(n) / "metrics.json").read_text()) for n in range(2))
    assert first["labelled_share"] < second["labelled_share"] <= 0.5
    model, card = load_model(workspace.round_dir(1))
    assert card.model.encoder == "tu-test_vit"
    image = torch.randn(1, 2, 70, 50)
    with torch.no_grad():
        output = model(image, features=True)
    assert (output.f1.shape[-2:], output.f2.shape[-2:]) == ((5, 4), (18, 13))


@pytest.fixture
def three_bands(tmp_path):
    folder = write_scenes(tmp_path / "rasters")
    for path in (folder / "images").iterdir():
        with rasterio.open(path) as file:
            image, profile = file.read(), {**file.profile, "count": 3}
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.concatenate((image, image[:1])))
    return folder


def test_what_the_weights_expect_takes_the_place_of_statistics(three_bands, tmp_path):
    config = tiny_config(**VIT, model__weights="test_vit.safetensors", model__normalisation="weights")
    found = prepare(three_bands, config)
    # timm's entry of test_vit: mean and deviation of a half.
    assert found.normalisation.mean == found.normalisation.std == (127.5, 127.5, 127.5)
    inputs_file.save(found, tmp_path / "inputs.json", config)
    scenes, _ = open_scenes(three_bands, config)
    again = inputs_file.load(tmp_path / "inputs.json", scenes, found.classes, config)
    assert again.normalisation == found.normalisation
    plain = prepare(three_bands, tiny_config(**VIT))
    assert 60 < plain.normalisation.mean[0] < 127 and plain.normalisation.low == found.normalisation.low


def test_bands_that_the_weights_do_not_have_are_told_before_training(tmp_path):
    folder = write_scenes(tmp_path / "rasters")
    weights = tmp_path / "test_vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), weights)
    config = tiny_config(**VIT, model__weights=str(weights), model__normalisation="weights")
    with pytest.raises(ConfigError, match="has 3 bands, the images have 2"):
        train(Request(tmp_path / "ws", folder, None, config), QuietReporter())
    assert not (tmp_path / "ws").exists()
