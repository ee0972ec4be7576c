import copy

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.phases import join_phases, phased_runs, split_phases


@pytest.mark.parametrize("dilation", [2, 3, 4])
def test_undilated_on_phases_equals_dilated(dilation):
    x = torch.randn(2, 5, 4 * dilation, 2 * dilation, dtype=torch.float64)
    weight = torch.randn(5, 1, 3, 3, dtype=torch.float64)
    expected = nn.functional.conv2d(x, weight, padding=dilation, dilation=dilation, groups=5)
    phases = nn.functional.conv2d(split_phases(x, dilation), weight, padding=1, groups=5)
    assert torch.allclose(join_phases(phases, dilation), expected)
    assert torch.equal(join_phases(split_phases(x, dilation), dilation), x)


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("name", ["mobilenet_v2", "tu-mobilenetv2_035", "tu-tf_efficientnet_lite0"])
def test_encoder_equals_the_library_s_in_forward_backward_and_statistics(name, stride):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = Encoder(name, 3, stride).double().train()
    assert ours.multiple == 32
    theirs = smp.encoders.get_encoder(name, weights=None, output_stride=stride).double().train()
    theirs.load_state_dict({**theirs.state_dict(), **ours.net.state_dict()})
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    theirs(images)  # every module is called, so its statistics are comparable
    ours(images)
    last = len(ours.net.features) - 1 if name == "mobilenet_v2" else None
    caught = []
    if last is not None:
        theirs.features[last].register_forward_hook(lambda _m, _i, output: caught.append(output))
    features = theirs(images)
    expected, high = caught[0] if caught else features[-1], ours(images).high
    assert torch.allclose(high, expected)
    target = torch.randn_like(expected)
    (high * target).sum().backward()
    (expected * target).sum().backward()
    reference = dict(theirs.named_parameters())
    for key, parameter in ours.net.named_parameters():
        assert torch.allclose(parameter.grad, reference[key].grad, atol=1e-8), key
    state = theirs.state_dict()
    assert all(
        torch.allclose(value, state[key]) for key, value in ours.net.state_dict().items() if value.ndim
    )


def test_modes_and_copies_give_the_same():
    encoder = Encoder("mobilenet_v2", 3)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for module in encoder.modules():  # the same statistics in both modes
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
        trained = encoder.train()(images).high
        copied = copy.deepcopy(encoder)
        assert torch.equal(copied(images).high, trained)
        assert torch.allclose(copied.eval()(images).high, trained, atol=1e-5)
        assert copied.net.features[16].conv[1][0].dilation == (2, 2)
        assert encoder.net.features[16].conv[1][0].dilation == (1, 1)


def test_blocks_that_look_at_whole_images_are_left_alone():
    assert Encoder("tu-mobilenetv3_small_100", 3).multiple == 16
    assert not phased_runs(smp.encoders.get_encoder("resnet18", weights=None, output_stride=16))
