import pytest
import torch
from torchgeo.models import ResNet18_Weights, ResNet50_Weights, ViTSmall14_DINOv2_Weights, ViTSmall16_Weights

from tsfal_geo.config import ModelConfig
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import ConfigError, WeightsError
from tsfal_geo.models.normalisation import own_normalisation
from tsfal_geo.raster.stats import Normalisation

DINO = "tu-vit_small_patch14_dinov2"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def scenes(*mean, std=50.0, high=255.0):
    many = len(mean)
    return Normalisation((0.0,) * many, (high,) * many, mean, (std,) * many)


def config(weights="imagenet", encoder=DINO):
    return ModelConfig(encoder=encoder, weights=weights, normalisation="weights")


@pytest.mark.parametrize("weights", ["imagenet", "dinov2.safetensors"])
def test_pixels_reach_the_network_as_the_weights_authors_gave_them(weights):
    found = own_normalisation(config(weights), scenes(90.0, 80.0, 70.0), 3, "uint8")
    image = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    ours = Normaliser(found)({"image": image, "valid": torch.ones(2, 8, 8, dtype=torch.bool)})
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    assert torch.allclose(ours, (image / 255 - mean) / std, atol=1e-5)


def test_aerial_weights_of_dino_v3_have_their_own():
    cfg = config(encoder="tu-vit_large_patch16_dinov3.sat493m")
    found = own_normalisation(cfg, scenes(90.0, 80.0, 70.0), 3, "uint8")
    assert found.mean == pytest.approx((255 * 0.430, 255 * 0.411, 255 * 0.296))
    assert found.std == pytest.approx((255 * 0.213, 255 * 0.156, 255 * 0.143))


def test_further_bands_and_heights_keep_the_scenes_statistics():
    before = Normalisation((0.0,) * 5, (255.0,) * 4 + (40.0,), (90.0, 80, 70, 120, 4), (50.0, 40, 30, 60, 3))
    found = own_normalisation(config(), before, 4, "uint8")
    assert found.mean[3:] == (120, 4) and found.std[3:] == (60, 3)
    assert found.mean[:3] == pytest.approx([255 * m for m in IMAGENET_MEAN])
    assert (found.low, found.high) == (before.low, before.high)


@pytest.mark.parametrize(
    "weights",
    [ResNet50_Weights.FMOW_RGB_GASSL, ResNet50_Weights.SENTINEL2_RGB_MOCO,
     ResNet18_Weights.SENTINEL2_ALL_MOCO,
     ViTSmall16_Weights.SENTINEL2_ALL_DINO, ViTSmall14_DINOv2_Weights.SENTINEL2_ALL_SOFTCON,
     ResNet50_Weights.SENTINEL2_MI_MS_SATLAS],
    ids=str,
)  # fmt: skip
def test_torchgeo_s_own_transform_is_reproduced(weights):
    bands = weights.meta["in_chans"]
    eight_bit = weights is ResNet50_Weights.FMOW_RGB_GASSL
    statistics = scenes(*[900.0] * bands, std=700.0, high=1e4) if not eight_bit else scenes(90.0, 80.0, 70.0)
    found = own_normalisation(config(str(weights)), statistics, bands, "uint8" if eight_bit else "uint16")
    image = torch.randint(0, 255, (1, bands, 256, 256)).float()
    image = torch.nn.functional.avg_pool2d(image, 256).expand(-1, -1, 256, 256).contiguous()
    ours = Normaliser(found)({"image": image, "valid": torch.ones(1, 256, 256, dtype=torch.bool)})
    expected = weights.transforms(image.clone())
    assert torch.allclose(ours[..., :1, :1], expected[..., :1, :1], atol=1e-4)


@pytest.mark.parametrize(
    ("weights", "statistics", "bands", "dtype", "message"),
    [
        (None, scenes(90.0, 80.0, 70.0), 3, "uint8", "no weights"),
        ("imagenet", scenes(90.0), 1, "uint8", "has 3 bands, the images have 1"),
        ("imagenet", scenes(400.0, 390.0, 380.0, std=150.0), 3, "uint16", "expects 123.7 ± 58.4"),
        ("imagenet", scenes(0.4, 0.4, 0.4, std=0.1), 3, "float32", "float32"),
        ("ResNet50_Weights.SENTINEL2_RGB_MOCO", scenes(90.0, 80.0, 70.0), 3, "uint8", "expects -?0 ± 1e"),
        ("ResNet50_Weights.SENTINEL2_ALL_MOCO", scenes(*[900.0] * 4), 4, "uint16", "has 13 bands"),
        # torchgeo's transform multiplies by 255 where SeCo's authors divide by it.
        ("ResNet50_Weights.SENTINEL2_RGB_SECO", scenes(90.0, 80.0, 70.0), 3, "uint8", r"± 0\.076"),
        ("DOFABase16_Weights.DOFA_MAE", scenes(90.0, 80.0, 70.0), 3, "uint8", "for which bands"),
    ],
)
def test_statistics_that_do_not_suit_are_refused(weights, statistics, bands, dtype, message):
    with pytest.raises(ConfigError, match=message) as caught:
        own_normalisation(config(weights), statistics, bands, dtype)
    assert "model.normalisation=scenes" in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_names_are_told():
    with pytest.raises(WeightsError, match="torchgeo has no weights"):
        own_normalisation(config("ResNet50_Weights.NO_SUCH"), scenes(90.0, 80.0, 70.0), 3, "uint8")
