from typing import ClassVar

import pytest
import torch

from tests.helpers.segmenter_tester import CLASSES, SegmenterTester
from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.segmenter import build_segmenter, upsample, upsample_to


class TestMobileNetV2(SegmenterTester):
    encoder = "mobilenet_v2"
    bands = 3

    def test_high_features_are_the_320_channels(self, network):
        assert network.encoder.channels == (24, 96, 320)

    def test_published_size(self, network):
        cfg = ModelConfig(encoder="mobilenet_v2", separable=False, weights=None)
        dense = build_segmenter(cfg, 3, 19, seed=0)
        # DeepLabv3+ with MobileNetV2 as DEAL, S4AL and PixelPick have it: 5.8 M parameters at 19 classes.
        assert sum(p.numel() for p in dense.parameters()) == pytest.approx(5.81e6, rel=0.01)


class TestMobileNetV2Stride8(SegmenterTester):
    encoder = "mobilenet_v2"
    stride = 8
    options: ClassVar[dict] = {"decoder_convs": 1, "separable": False, "atrous_rates": (12, 24, 36)}


class TestResNet18(SegmenterTester):
    encoder = "resnet18"
    bands = 5


class TestResNetWithStemAndGrid(SegmenterTester):
    encoder = "tu-resnet50c"
    stride = 8
    options: ClassVar[dict] = {
        "multi_grid": (2, 2, 4),
        "atrous_rates": (12, 24, 36),
        "projection_kernel": 3,
        "low_level_channels": 256,
        "aux_head": True,
    }

    def test_stem_grid_and_auxiliary_head(self, network):
        backbone = network.encoder.net.model
        assert [m.kernel_size for m in backbone.conv1 if isinstance(m, torch.nn.Conv2d)] == [(3, 3)] * 3
        assert [block.conv2.dilation[0] for block in backbone.layer4] == [4, 8, 16]
        assert network(self.images(64, 64)).aux is None
        aux = network.train()(self.images(64, 64)).aux
        network.eval()
        assert aux.shape == (2, CLASSES, 8, 8)


class TestTimmMobileNet(SegmenterTester):
    encoder = "tu-mobilenetv2_035"
    options: ClassVar[dict] = {"freeze_encoder_bn": True}

    def test_frozen_statistics_stay_while_the_head_learns(self, network):
        before = {k: v.clone() for k, v in network.state_dict().items() if k.endswith("running_mean")}
        network.train()
        network(self.images(64, 64) + 3)
        after = network.state_dict()
        network.eval()
        changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
        assert changed == {key for key in before if key.startswith("head.")}


class TestVisionTransformer(SegmenterTester):
    encoder = "tu-test_vit"
    options: ClassVar[dict] = {"separable": False}


class TestVisionTransformerOfDinoV3(SegmenterTester):
    encoder = "tu-vit_tiny_patch16_dinov3_qkvb"
    bands = 3


class TestConvNext(SegmenterTester):
    encoder = "tu-convnext_atto"
    bands = 1


def test_resnet_grid_in_both_libraries():
    for name in ("resnet50", "tu-resnet50"):
        net = Encoder(name, 3, 16, multi_grid=(1, 2, 4)).net
        stage = getattr(net, "model", net).layer4
        assert [(b.conv2.dilation[0], b.conv2.padding[0]) for b in stage] == [(1, 1), (4, 4), (8, 8)]


def test_same_seed_same_network_and_random_state_kept():
    cfg = ModelConfig(encoder="tu-mobilenetv2_035", weights=None)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (build_segmenter(cfg, 3, CLASSES, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    state, again, third = one.state_dict(), same.state_dict(), other.state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert not torch.equal(state["head.project.0.weight"], third["head.project.0.weight"])


def test_batch_of_one_can_be_trained():
    network = build_segmenter(
        ModelConfig(encoder="tu-mobilenetv2_035", weights=None), 3, CLASSES, seed=0
    ).train()
    network(torch.randn(1, 3, 64, 64)).logits.sum().backward()


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_equals_interpolation_and_keeps_the_mean(factor):
    coarse = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    fine = upsample(coarse, factor, (6 * factor, 5 * factor))
    reference = torch.nn.functional.interpolate(coarse, fine.shape[-2:], mode="bilinear", align_corners=False)
    assert torch.allclose(fine, reference)
    assert torch.allclose(fine.mean((2, 3)), coarse.mean((2, 3)))


def test_cut_grid_keeps_its_cells_in_place():
    coarse = torch.randn(1, 2, 4, 4)
    assert torch.equal(upsample_to(coarse, (13, 14)), upsample(coarse, 4, (16, 16))[..., :13, :14])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mobilenet_v9", {}, "no such encoder"),
        ("tu-nothing_like_it", {}, "tu-nothing_like_it"),
        ("mobilenet_v2", {"multi_grid": (2, 2, 4)}, "multi_grid"),
        ("tu-vit_tiny_r_s16_p8_224", {}, "choose another encoder"),
    ],
)
def test_unusable_encoder_is_reported_in_one_line(name, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_segmenter(ModelConfig(encoder=name, weights=None, **options), 3, CLASSES, seed=0)
    assert "\n" not in str(caught.value)
