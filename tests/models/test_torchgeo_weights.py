"""Weights that torchgeo knows by name; what would be downloaded is written here, under the same keys."""

import pytest
import timm
import torch
from torchgeo.models import get_weight

from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.segmenter import build_segmenter


@pytest.fixture
def published(monkeypatch):
    """Let torchgeo find a network of the weights' architecture where it would download them."""
    addresses = []

    def publish(name):
        weights = get_weight(name)
        torch.manual_seed(0)
        network = timm.create_model(weights.meta["model"], in_chans=weights.meta["in_chans"])

        def load(url, **_options):
            addresses.append(url)
            return network.state_dict()

        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
        return network.eval(), addresses

    return publish


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
@pytest.mark.parametrize(("name", "bands"), [("SENTINEL2_ALL_MOCO", 13), ("SENTINEL2_RGB_MOCO", 3)])
def test_residual_networks_give_the_features_of_torchgeo_s(published, encoder, name, bands):
    weights = f"ResNet18_Weights.{name}"
    network, addresses = published(weights)
    cfg = ModelConfig(encoder=encoder, weights=weights)
    segmenter = build_segmenter(cfg, bands, 3, seed=1).eval()
    assert len(addresses) == 1 and addresses[0].startswith("https://")
    images = torch.randn(1, bands, 64, 64)
    with torch.no_grad():
        low = network.layer1(network.maxpool(network.act1(network.bn1(network.conv1(images)))))
        assert torch.allclose(segmenter.encoder(images).low, low, atol=1e-5)
    state, ours = network.state_dict(), segmenter.encoder.net.state_dict()
    (last,) = (key for key in ours if key.endswith("layer4.1.conv2.weight"))
    assert torch.equal(ours[last], state["layer4.1.conv2.weight"])


def test_vision_transformers_of_sentinel_2_give_the_tokens_of_torchgeo_s(published):
    weights = "ViTSmall16_Weights.SENTINEL2_ALL_DINO"
    network, _ = published(weights)
    cfg = ModelConfig(encoder="tu-vit_small_patch16_224", weights=weights)
    encoder = build_segmenter(cfg, 13, 3, seed=1).encoder.eval()
    images = torch.randn(1, 13, 224, 224)
    with torch.no_grad():
        tokens = network.forward_features(images)[:, 1:]
        assert torch.allclose(encoder(images).last.flatten(2).mT, tokens, atol=1e-4)


def test_dino_v2_of_sentinel_2_comes_with_its_patches_resampled(published):
    weights = "ViTSmall14_DINOv2_Weights.SENTINEL2_ALL_SOFTCON"
    network, _ = published(weights)
    cfg = ModelConfig(encoder="tu-vit_small_patch14_dinov2", weights=weights)
    net = build_segmenter(cfg, 13, 3, seed=1).encoder.net
    assert net.patch_embed.proj.weight.shape == (384, 13, 16, 16)
    assert torch.equal(net.blocks[7].mlp.fc2.weight, network.blocks[7].mlp.fc2.weight)


def test_bands_of_multispectral_weights_are_not_guessed(published):
    published("ResNet18_Weights.SENTINEL2_ALL_MOCO")
    cfg = ModelConfig(encoder="resnet18", weights="ResNet18_Weights.SENTINEL2_ALL_MOCO")
    with pytest.raises(WeightsError, match="for 13 bands, the images have 4"):
        build_segmenter(cfg, 4, 3, seed=0)


def test_a_download_that_fails_is_told_with_the_remedy(monkeypatch):
    def refuse(url, **_options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    cfg = ModelConfig(encoder="resnet50", weights="ResNet50_Weights.FMOW_RGB_GASSL")
    with pytest.raises(
        WeightsError, match=r"FMOW_RGB_GASSL cannot be loaded .*model\.weights=FILE"
    ) as caught:
        build_segmenter(cfg, 3, 3, seed=0)
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_name_the_encoder(published):
    published("ResNet18_Weights.SENTINEL2_RGB_MOCO")
    cfg = ModelConfig(encoder="tu-mobilenetv2_035", weights="ResNet18_Weights.SENTINEL2_RGB_MOCO")
    with pytest.raises(WeightsError, match=r"choose the encoder .*model\.encoder"):
        build_segmenter(cfg, 3, 3, seed=0)
