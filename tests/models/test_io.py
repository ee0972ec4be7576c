import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.segmenter_tester import card_of
from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import load_card, load_model, load_part, save_model
from tsfal_geo.models.segmenter import build_segmenter


@pytest.fixture(scope="module")
def network():
    return build_segmenter(ModelConfig(encoder="tu-mobilenetv2_035", weights=None), 4, 3, seed=0)


@pytest.fixture
def folder(network, tmp_path):
    save_model(tmp_path, network, card_of(network, 4), {"emd": ErrorMaskDecoder(3, first_kernel=1)})
    return tmp_path


def test_only_the_two_files_are_left(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert load_card(folder).versions["torch"] == torch.__version__.split("+")[0]


def test_channels_last_weights_are_saved_too(network, tmp_path):
    save_model(tmp_path, network.to(memory_format=torch.channels_last), card_of(network, 4))
    loaded, _ = load_model(tmp_path)
    state = loaded.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not loaded.training


def test_parts_come_back(network, tmp_path):
    torch.manual_seed(3)
    saved, fresh = (ErrorMaskDecoder(3) for _ in range(2))
    save_model(tmp_path, network, card_of(network, 4), {"emd": saved})
    assert load_part(tmp_path, "emd", fresh)
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), fresh.parameters(), strict=True))
    assert not load_part(tmp_path, "distances", fresh)
    with pytest.raises(WeightsError, match="shape"):
        load_part(tmp_path, "emd", ErrorMaskDecoder(5))


def test_a_model_with_downloaded_weights_loads_without_looking_for_them(network, tmp_path):
    cfg = network.cfg.model_copy(update={"weights": "gone.safetensors"})
    save_model(tmp_path, network, card_of(network, 4).model_copy(update={"model": cfg}))
    assert load_model(tmp_path)[1].model.weights == "gone.safetensors"


def edit_card(folder, **values):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def break_missing_card(folder):
    (folder / "model.json").unlink()


def break_missing_weights(folder):
    (folder / "model.safetensors").unlink()


def break_json(folder):
    (folder / "model.json").write_text("{")


def break_value(folder):
    edit_card(folder, in_channels="many")


def break_newer(folder):
    edit_card(folder, schema_version=99, something="new")


def break_bands(folder):
    edit_card(folder, in_channels=5)


def break_encoder(folder):
    edit_card(folder, model={"encoder": "resnet18"})


def break_truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def break_surplus(folder):
    path = folder / "model.safetensors"
    save_file({**load_file(path), "head.more": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (break_missing_card, "no model there"),
        (break_missing_weights, "missing"),
        (break_json, "JSON"),
        (break_value, "in_channels"),
        (break_newer, "schema 99"),
        (break_bands, "shape"),
        (break_encoder, "another card"),
        (break_truncated, "damaged"),
        (break_surplus, "head.more"),
    ],
)
def test_damage_is_reported_in_one_line_with_the_file(folder, harm, message):
    harm(folder)
    with pytest.raises(WeightsError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("which", [0, -1])
def test_weights_that_are_not_finite_are_refused_by_name(folder, value, which):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    floating = sorted(key for key, tensor in tensors.items() if tensor.is_floating_point() and "/" not in key)
    tensors[floating[which]].view(-1)[-1] = value
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=rf"model\.safetensors: '{floating[which]}' holds NaN or infinite"):
        load_model(folder)
