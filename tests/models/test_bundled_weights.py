"""The weights that come with the installation: the right numbers in the right places, and the right input."""

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from tsfal_geo.config import ModelConfig, load_config
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.normalisation import own_normalisation
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.models.state_matching import match_keys
from tsfal_geo.models.weights import load_encoder_weights, read_weights
from tsfal_geo.raster.stats import Normalisation

LITE0 = "tu-tf_efficientnet_lite0"
# Blocks of EfficientNet-Lite0 that halve the map, and those after which it is halved next (Tan and Le 2019).
STRIDED = {1, 3, 5, 11}
LOW, MIDDLE = 2, 10


@pytest.fixture(scope="module")
def published():
    return read_weights("bundled", LITE0)


def convolved(state, name, x, stride=1, groups=1):
    """A convolution with TensorFlow's "SAME" padding."""
    weight = state[f"{name}.weight"]
    size = x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
    before, after = total // 2, total - total // 2
    return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)


def normed(state, name, x):
    values = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *values, eps=1e-3)


def by_published_names(state, x):
    """The published network by the published names, without any order of tensors; (low, middle, high)."""
    x = F.relu6(normed(state, "_bn0", convolved(state, "_conv_stem", x, 2)))
    outputs = []
    for i in range(16):
        block, start = f"_blocks.{i}", x
        if f"{block}._expand_conv.weight" in state:
            x = F.relu6(normed(state, f"{block}._bn0", convolved(state, f"{block}._expand_conv", x)))
        stride = 2 if i in STRIDED else 1
        x = convolved(state, f"{block}._depthwise_conv", x, stride, groups=x.shape[1])
        x = F.relu6(normed(state, f"{block}._bn1", x))
        x = normed(state, f"{block}._bn2", convolved(state, f"{block}._project_conv", x))
        x = x + start if x.shape == start.shape else x
        outputs.append(x)
    return outputs[LOW], outputs[MIDDLE], outputs[-1]


@torch.no_grad()
def test_features_are_those_of_the_published_network(published):
    torch.set_num_threads(1)
    encoder = Encoder(LITE0, 3, output_stride=16)
    load_encoder_weights(encoder, "bundled")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found, expected = encoder.eval()(x), by_published_names(published, x)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4) and theirs.std() > 0.1
    # The last stage is dilated instead of strided; at the published stride it is the same.
    strided = smp.encoders.get_encoder(LITE0, depth=5, weights=None, output_stride=32)
    strided.load_state_dict(encoder.net.state_dict())
    assert torch.allclose(strided.eval()(x)[-1], expected[2], atol=1e-3)


def twelve_alike(order):
    """A file of twelve blocks of one shape, its keys in a given order."""
    return {f"layers.{i}.weight": torch.full((2, 2), float(i)) for i in order}


@pytest.mark.parametrize("order", [range(12), sorted(range(12), key=str)], ids=["defined", "by letters"])
def test_numbered_blocks_of_one_shape_keep_their_numbers(order):
    wanted = {f"stage_{i}.weight": torch.zeros(2, 2) for i in range(12)}
    found = match_keys(wanted, twelve_alike(order), "file")
    assert [found[f"stage_{i}.weight"][0, 0].item() for i in range(12)] == list(range(12))


def test_orders_that_disagree_are_refused():
    """A module without a number between numbered ones: it may stand first or where the file has it."""
    found = {"layers.0.weight": torch.zeros(2, 2), "head.weight": torch.ones(2, 2)}
    wanted = {"a.weight": torch.zeros(2, 2), "b.weight": torch.zeros(2, 2)}
    with pytest.raises(WeightsError, match="missing"):
        match_keys(wanted, found, "file")


def test_a_copy_whose_keys_are_sorted_by_letters_is_refused_or_right(published, tmp_path):
    save_file({k: v.contiguous() for k, v in published.items()}, tmp_path / "lite0.safetensors")
    encoder = Encoder(LITE0, 3)
    with pytest.raises(WeightsError, match=r"lite0\.safetensors"):
        load_encoder_weights(encoder, str(tmp_path / "lite0.safetensors"))


def test_they_are_the_default_and_others_need_no_thought():
    default = load_config(None).model
    assert (default.encoder, default.weights, default.normalisation) == (LITE0, "bundled", "weights")
    other = load_config(None, {"model.encoder": "resnet18"}).model
    assert (other.weights, other.normalisation) == ("imagenet", "scenes")
    changed = load_config(None, {"model.encoder": "resnet18"}, base=load_config(None)).model
    assert changed == other
    paper = load_config(None, {"preset": "paper"}, base=load_config(None)).model
    assert (paper.encoder, paper.weights, paper.normalisation) == ("mobilenet_v2", "imagenet", "scenes")
    back = load_config(None, {"preset": "strong"}, base=load_config(None, {"preset": "paper"})).model
    assert back == default
    own = load_config(None, {"model.encoder": LITE0}, base=load_config(None, {"model.weights": "a.pth"}))
    assert own.model.weights == "a.pth"


def test_another_encoder_is_told():
    with pytest.raises(WeightsError, match=r"belong to encoder tu-.*_lite0.*mobilenet_v2") as caught:
        build_segmenter(ModelConfig(encoder="mobilenet_v2", weights="bundled"), 3, 2, seed=0)
    assert "\n" not in str(caught.value)


BYTES = torch.arange(256, dtype=torch.float32)


def seen(statistics, bands, values, heights=0):
    """The network's input for pixels of equal values in all bands, (bands, values)."""
    found = own_normalisation(ModelConfig(), statistics, bands, "any")
    image = values.view(1, 1, 1, -1).expand(1, bands, -1, -1)
    batch = {"image": image, "valid": torch.ones(1, 1, len(values), dtype=torch.bool)}
    if heights:
        batch["height"] = image[:, :1]
    return Normaliser(found)(batch)[0, :, 0]


def scenes(low, high, mean=90.0, std=40.0):
    return Normalisation(low, high, (mean,) * len(low), (std,) * len(low))


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_8_bit_pixels_reach_the_network_as_published(bands):
    found = seen(scenes((0.0,) * bands, (255.0,) * bands), bands, BYTES)
    assert torch.allclose(found, (BYTES / 255 - 0.5) / 0.5, atol=1e-6)


def test_16_bits_are_scaled_to_the_same_range_and_colours_keep_their_ratios():
    statistics = scenes((300.0, 200, 250, 1000), (2200.0, 1800, 1500, 9000))
    found = seen(statistics, 4, torch.tensor([200.0, 1000.0, 1500.0, 2200.0, 9000.0]))
    assert torch.equal(found[0, 1:3], found[1, 1:3]) and torch.equal(found[0, 1:3], found[2, 1:3])
    assert found[0, 3] == pytest.approx(1) and found[1, 0] == pytest.approx(-1)
    assert found[3, [1, 4]].tolist() == pytest.approx([-1, 1])


def test_a_constant_band_and_heights_keep_finite_values():
    statistics = Normalisation((7.0, 7, 7, 0), (7.0, 7, 7, 30), (7.0, 7, 7, 4), (1.0, 1, 1, 2))
    found = seen(statistics, 3, torch.tensor([7.0, 6.0]), heights=1)
    assert found.isfinite().all() and found[3].tolist() == [1.5, 1.0]
