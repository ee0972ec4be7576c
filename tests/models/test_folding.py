import pytest
import torch
from torch import nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.folding import folded
from tsfal_geo.models.segmenter import build_segmenter


def unsettle(network):
    """Statistics and weights of batch norms that are no identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def norms(network):
    return sum(type(module) is nn.BatchNorm2d for module in network.modules())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"encoder": "mobilenet_v2"}, 0),
        ({"encoder": "mobilenet_v2", "separable": False, "projection_kernel": 3, "decoder_convs": 1}, 0),
        ({"encoder": "tu-mobilenetv2_035"}, 0),
        ({"encoder": "resnet18"}, 17),
    ],
)
def test_a_folded_network_answers_alike(options, left):
    torch.manual_seed(0)
    config = ModelConfig(weights=None, **options)
    network = unsettle(build_segmenter(config, 3, 4, seed=0))
    image = torch.randn(1, 3, 64, 96)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        expected = network(image, features=True)
        small = folded(network)
        got = small(image, features=True)
    for name in ("logits", "f1", "f2"):
        ours, theirs = getattr(got, name), getattr(expected, name)
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()
    assert norms(small) == left < norms(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_folded_decoder_answers_alike(kernel):
    torch.manual_seed(0)
    decoder = unsettle(ErrorMaskDecoder(5, first_kernel=kernel))
    inputs = torch.randn(2, 256, 8, 8), torch.randn(2, 256, 32, 32), torch.randn(2, 5, 32, 32)
    with torch.no_grad():
        small = folded(decoder)
        torch.testing.assert_close(small(*inputs), decoder(*inputs), atol=1e-4, rtol=1e-4)
    assert norms(small) == 0 and norms(decoder) == 2
