import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.inference.test_rows import segmenter_of
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import Compute
from tsfal_geo.inference.folding import fold_norms
from tsfal_geo.inference.network import make_predict_fn
from tsfal_geo.models.layers import to_bfloat16
from tsfal_geo.raster.stats import Normalisation

STATISTICS = Normalisation((0.0,) * 3, (255.0,) * 3, (120.0,) * 3, (50.0,) * 3)


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


ENCODERS = ["mobilenet_v2", "tu-mobilenetv2_035", "resnet18"]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_windows_get_the_classes_of_the_network_with_its_norms(encoder):
    segmenter = segmenter_of(encoder)
    before = copy.deepcopy(segmenter.state_dict())
    image = torch.randint(0, 255, (2, 3, 128, 128), generator=torch.Generator().manual_seed(0)).byte()
    batch = {"image": image, "valid": torch.ones(2, 128, 128, dtype=torch.bool)}
    predict = make_predict_fn(segmenter, Normaliser(STATISTICS), Compute(torch.device("cpu"), None))
    found = predict(batch)["probabilities"]
    with torch.inference_mode():
        expected = segmenter(Normaliser(STATISTICS)(batch)).logits.softmax(1)
    assert torch.allclose(found, expected, atol=1e-4)
    assert len(found.argmax(1).unique()) > 1 and torch.equal(found.argmax(1), expected.argmax(1))
    after = segmenter.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_folding_in_half_precision_costs_next_to_no_digits(encoder):
    """As near to float32, or nearly so, as the network with its norms under autocast."""
    segmenter = segmenter_of(encoder)
    image = torch.randint(0, 255, (2, 3, 128, 128), generator=torch.Generator().manual_seed(0)).byte()
    batch = {"image": image, "valid": torch.ones(2, 128, 128, dtype=torch.bool)}
    normaliser, cpu = Normaliser(STATISTICS), torch.device("cpu")
    found = make_predict_fn(segmenter, normaliser, Compute(cpu, torch.bfloat16))(batch)["probabilities"]
    with torch.inference_mode():
        expected = segmenter(normaliser(batch)).logits.softmax(1)
        with torch.autocast("cpu", torch.bfloat16):
            plain = segmenter(normaliser(batch)).logits.float().softmax(1)
    off, plainly_off = ((values - expected).abs().mean() for values in (found, plain))
    assert 0 < off < 2 * plainly_off


def test_halved_convolutions_keep_their_bias_and_the_hold_of_others():
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 8, 3, padding=1)
    held, image = [convolution], torch.randn(1, 8, 16, 16)
    nn.init.constant_(convolution.bias, 100.3)
    with torch.inference_mode():
        to_bfloat16(convolution)
        held[0].dilation = held[0].padding = (2, 2)
        found = convolution(image).float()
        weight = convolution.weight.float()
        expected = F.conv2d(image.bfloat16().float(), weight, convolution.bias, padding=2, dilation=2)
    assert convolution.bias.dtype == torch.float32 and found.shape == image.shape
    # Of one in 256 parts at most, by the last rounding alone: 100.3 itself would be rounded to 100.5.
    assert float((found - expected).mean().abs()) < 0.05


class Branches(nn.Module):
    """A norm whose convolution's output another layer reads too, and one that alone reads its own."""

    def __init__(self, twice):
        super().__init__()
        self.twice = twice
        self.layer, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other, self.last = nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.layer(x)
        x = x + self.norm(x)
        x = self.last(self.other(x))
        return self.last(self.other(x)) if self.twice else x


@pytest.mark.parametrize(("twice", "left"), [(False, 1), (True, 2)])
def test_only_norms_that_stand_alone_behind_a_convolution_are_folded(twice, left):
    torch.manual_seed(0)
    network = Branches(twice)
    for _ in range(3):
        network(torch.randn(4, 3, 8, 8) * 3 + 1)
    network.eval()
    image = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        expected = network(image)
        fold_norms(network, None)
        assert torch.allclose(network(image), expected, atol=1e-5)
    assert norms(network) == left


def test_a_network_that_cannot_be_traced_stays():
    class Odd(Branches):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    network = Odd(False).eval()
    fold_norms(network, None)
    assert norms(network) == 2
