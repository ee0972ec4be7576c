import os
import warnings
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants as hub
from safetensors.torch import save_file

from tests.helpers.segmenter_tester import card_of
from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models import weights
from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.models.state_matching import adapt_bands, match_keys
from tsfal_geo.models.weights import load_encoder_weights

DATA = Path(os.environ.get("TSFAL_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "weights"
SMALL = "tu-mobilenetv2_035"


def real_weights(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"REAL WEIGHTS MISSING: {path}; set TSFAL_DATA to the folder of real data")
    return str(path)


def first_conv(encoder):
    return next(m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d))


@pytest.mark.parametrize("bands", range(1, 8))
def test_grey_pixel_gets_the_pretrained_response_with_any_bands(bands):
    pretrained = torch.randn(8, 3, 3, 3, dtype=torch.float64)
    adapted = adapt_bands(pretrained, bands, "file")
    assert adapted.shape == (8, bands, 3, 3)
    assert torch.allclose(adapted.sum(1), pretrained.sum(1))
    if bands >= 3:
        assert torch.allclose(adapted[:, :3] * bands / 3, pretrained)


def test_filters_of_many_bands_are_not_guessed_for_others():
    with pytest.raises(WeightsError, match="for 13 bands, the images have 4"):
        adapt_bands(torch.randn(8, 13, 3, 3), 4, "file")


def library_encoder(seed):
    torch.manual_seed(seed)
    return Encoder(SMALL, 3).eval()


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder.", "backbone."])
def test_prefixes_and_a_classifier_do_not_matter(tmp_path, prefix):
    source, target = library_encoder(0), library_encoder(1)
    state = {prefix + key.removeprefix("model."): value for key, value in source.net.state_dict().items()}
    save_file({**state, "classifier.weight": torch.zeros(5, 5)}, tmp_path / "w.safetensors")
    load_encoder_weights(target, str(tmp_path / "w.safetensors"))
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(source(images).high, target(images).high)


def test_flattened_names_of_feature_extractors_match():
    wanted = {"model.stages_0.blocks.0.weight": torch.zeros(2)}
    found = {"stages.0.blocks.0.weight": torch.ones(2)}
    assert torch.equal(match_keys(wanted, found, "file")["model.stages_0.blocks.0.weight"], torch.ones(2))


def test_own_saved_model_serves_as_weights(tmp_path):
    network = build_segmenter(ModelConfig(encoder=SMALL, weights=None), 4, 3, seed=0)
    save_model(tmp_path, network, card_of(network, 4))
    cfg = ModelConfig(encoder=SMALL, weights=str(tmp_path / "model.safetensors"))
    other = build_segmenter(cfg, 4, 7, seed=9)
    state = other.encoder.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in network.encoder.state_dict().items())


class RunsWhenUnpickled:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_safe_pickles_are_read_and_unsafe_ones_refused(tmp_path):
    source, target = library_encoder(0), library_encoder(1)
    torch.save({"state_dict": source.net.state_dict()}, tmp_path / "plain.pth")
    load_encoder_weights(target, str(tmp_path / "plain.pth"))
    assert torch.equal(first_conv(target).weight, first_conv(source).weight)
    torch.save({"a": RunsWhenUnpickled(tmp_path / "ran")}, tmp_path / "unsafe.pth")
    torch.save(source, tmp_path / "full.pth")
    for name in ("unsafe.pth", "full.pth"):
        with pytest.raises(WeightsError, match=name) as caught:
            load_encoder_weights(target, str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["empty", "text", "truncated"])
def test_malformed_file_is_named(tmp_path, kind):
    path = tmp_path / "bad.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    content = {"empty": b"", "text": b"not weights at all", "truncated": path.read_bytes()[:-7]}[kind]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.safetensors") as caught:
        load_encoder_weights(library_encoder(0), str(path))
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_told_and_leave_the_encoder_alone(tmp_path):
    save_file(Encoder("resnet18", 3).net.state_dict(), tmp_path / "resnet.safetensors")
    encoder = library_encoder(0)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(WeightsError, match=r"resnet\.safetensors: \d+ of \d+ tensors"):
        load_encoder_weights(encoder, str(tmp_path / "resnet.safetensors"))
    wider = {k: torch.cat([v, v]) if v.ndim else v for k, v in encoder.net.state_dict().items()}
    save_file(wider, tmp_path / "wider.safetensors")
    with pytest.raises(WeightsError, match="expects"):
        load_encoder_weights(encoder, str(tmp_path / "wider.safetensors"))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_missing_file_and_unknown_names():
    for spec in ("no/such/file.safetensors", "imagenet21k", "ResNet50_Weights.NO_SUCH"):
        with pytest.raises(WeightsError, match="allow_random_init"):
            load_encoder_weights(library_encoder(0), spec)


@pytest.mark.parametrize("name", ["mobilenet_v2", "tu-resnet26t"])
def test_no_network_is_said_at_once_with_the_remedy(monkeypatch, tmp_path, name):
    looked_up = []

    def refuse(host, *_args, **_kwargs):
        looked_up.append(host)
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr(weights, "getproxies", dict)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    before = hub.HF_HUB_OFFLINE
    with pytest.raises(WeightsError, match=r"model\.weights=FILE") as caught:
        build_segmenter(ModelConfig(encoder=name, weights="imagenet"), 3, 2, seed=0)
    assert "\n" not in str(caught.value) and name in str(caught.value)
    assert len(looked_up) == 1, "the client's own retries take half a minute"
    assert before == hub.HF_HUB_OFFLINE


def test_random_weights_where_allowed_come_with_a_warning(tmp_path):
    cfg = ModelConfig(encoder=SMALL, weights="missing.safetensors", allow_random_init=True)
    with pytest.warns(UserWarning, match="random weights"):
        build_segmenter(cfg, 3, 2, seed=0)


def test_wrong_weights_are_an_error_even_where_random_ones_are_allowed(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    cfg = ModelConfig(encoder=SMALL, weights=str(tmp_path / "other.safetensors"), allow_random_init=True)
    with pytest.raises(WeightsError, match="missing"):
        build_segmenter(cfg, 3, 2, seed=0)


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("name", ["mobilenet_v2", "tu-mobilenetv2_100"])
def test_real_weights_by_key_and_by_order(name, bands):
    path = real_weights("mobilenet_v2_imagenet.safetensors")
    encoder = Encoder(name, bands)
    load_encoder_weights(encoder, path)
    state = weights.read_file(Path(path))
    assert torch.allclose(first_conv(encoder).weight.sum(1), state["features.0.0.weight"].sum(1), atol=1e-5)
    last = [m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    assert torch.equal(last.weight, state["features.17.conv.2.weight"])


def test_both_libraries_compute_the_same_from_the_same_file():
    path = real_weights("mobilenet_v2_imagenet.safetensors")
    torch.set_num_threads(1)
    encoders = [Encoder(name, 3).eval() for name in ("mobilenet_v2", "tu-mobilenetv2_100")]
    for encoder in encoders:
        load_encoder_weights(encoder, path)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        one, other = (encoder(images) for encoder in encoders)
    assert torch.allclose(one.low, other.low, atol=1e-4)
    assert torch.allclose(one.middle, other.middle, atol=1e-3)


def test_real_small_weights_fit_without_warnings():
    path = real_weights("mobilenetv2_035_imagenet.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        student, friend = (
            build_segmenter(ModelConfig(encoder=SMALL, weights=path), 4, 2, seed=seed) for seed in (0, 1)
        )
    ours, theirs = student.state_dict(), friend.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours if key.startswith("encoder."))
    assert not torch.equal(ours["head.classifier.weight"], theirs["head.classifier.weight"])
