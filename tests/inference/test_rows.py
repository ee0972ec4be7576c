import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from tsfal_geo.config import ModelConfig
from tsfal_geo.inference.outputs import OutputLayers
from tsfal_geo.inference.rows.graph import UnstreamableError
from tsfal_geo.inference.rows.layers import Sliding, Upsample
from tsfal_geo.inference.rows.network import row_network
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.head import LocalMean
from tsfal_geo.models.segmenter import build_segmenter

CELLS = 5


def segmenter_of(encoder, **values):
    segmenter = build_segmenter(ModelConfig(encoder=encoder, weights=None, **values), 3, 4, seed=0).eval()
    torch.manual_seed(0)
    nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    with torch.no_grad():
        for module in segmenter.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return segmenter


def pieces(stream, image, step):
    for y in range(0, image.shape[2], step):
        yield from stream.push(image[:, :, y : y + step], y + step >= image.shape[2])


def streamed(stream, image, step):
    found = {}
    for layers in pieces(stream, image, step):
        assert len({rows.shape[2] for rows in layers.values()}) == 1
        for name, rows in layers.items():
            found.setdefault(name, []).append(rows)
    return {name: torch.cat(rows, 2) for name, rows in found.items()}


def pushed(layer, image, step, height):
    for y in range(0, height, step):
        yield layer.push([image[:, :, y : y + step]], y + step >= height)
    while not layer.ended:
        yield layer.push([None], True)


@pytest.mark.parametrize(
    ("encoder", "values"),
    [
        ("mobilenet_v2", {}),
        ("tu-mobilenetv2_035", {}),
        ("resnet18", {"output_stride": 8, "atrous_rates": (12, 24, 36), "separable": False}),
    ],
)
@pytest.mark.parametrize("kernel", [1, 3])
def test_rows_give_what_the_image_gives_at_once(encoder, values, kernel):
    segmenter = segmenter_of(encoder, **values)
    decoder = ErrorMaskDecoder(4, first_kernel=kernel).eval()
    names = ("probabilities", "error")
    network = row_network(OutputLayers(segmenter, decoder).eval(), names, 32, torch.float32, CELLS)
    image = torch.randn(1, 3, 256, 64, generator=torch.Generator().manual_seed(1))

    segmenter.head.aspp.mean = LocalMean(CELLS)
    with torch.inference_mode():
        output = segmenter(image, features=True)
        cells = output.logits.softmax(1)
        errors = decoder(output.f1, output.f2, cells).sigmoid()
    for step in (32, 96):
        found = streamed(network.start(), image, step)
        for name, expected in (("probabilities", cells), ("error", errors)):
            at_once = interpolate(expected, scale_factor=4, mode="bilinear")
            assert found[name].shape == at_once.shape
            assert (found[name] - at_once).abs().max() < 1e-3


def test_rows_depend_on_no_more_than_the_reach_of_the_network():
    segmenter = segmenter_of("tu-mobilenetv2_035", atrous_rates=(1, 2, 3))
    network = row_network(OutputLayers(segmenter, None).eval(), ("p",), 32, torch.float32, CELLS)
    image, given, parts = torch.randn(1, 3, 512, 32), 0, []
    stream = network.start()
    for y in range(0, 512, 64):
        for layers in stream.push(image[:, :, y : y + 64], y == 448):
            parts.append(layers["p"])
            given += parts[-1].shape[2]
        assert given >= y + 64 - network.reach - 32
    first = torch.cat(parts, 2)
    image[:, :, 448:] = 9.0
    other = streamed(network.start(), image, 64)["p"]
    assert torch.equal(first[:, :, : 448 - network.reach], other[:, :, : 448 - network.reach])
    assert not torch.equal(first[:, :, :440], other[:, :, :440])


def test_only_as_many_rows_are_held_as_are_needed_again():
    segmenter = segmenter_of("tu-mobilenetv2_035", atrous_rates=(1, 2, 3))
    stream = row_network(OutputLayers(segmenter, None).eval(), ("p",), 32, torch.float32, CELLS).start()
    sizes = []
    for _ in range(24):
        list(stream.push(torch.randn(1, 3, 32, 32), False))
        held = [getattr(layer, "_held", None) for layer in stream._layers]
        tensors = [t for h in held for t in (h if isinstance(h, list) else [h]) if t is not None]
        sizes.append(sum(t.untyped_storage().nbytes() for t in tensors))
    assert sizes[-1] == sizes[-6] > 0


@pytest.mark.parametrize("height", [128, 512])
def test_rows_leave_no_faster_at_an_images_end_than_before(height):
    segmenter = segmenter_of("tu-mobilenetv2_035")
    layers = OutputLayers(segmenter, ErrorMaskDecoder(4).eval()).eval()
    network = row_network(layers, ("p", "error"), 32, torch.float32, 33)
    image = torch.randn(1, 3, height, 32, generator=torch.Generator().manual_seed(1))
    counts = [layers["p"].shape[2] for layers in pieces(network.start(), image, 32)]
    # A layer that upsamples also gives the rows that it holds.
    assert sum(counts) == height and max(counts) <= 40


def test_half_precision_stays_near():
    segmenter = segmenter_of("tu-mobilenetv2_035")
    segmenter.head.classifier.weight.data.mul_(0.1)
    image = torch.randn(1, 3, 128, 96, generator=torch.Generator().manual_seed(1))
    layers = OutputLayers(segmenter, None).eval()
    exact, half = (
        streamed(row_network(layers, ("p",), 32, t, CELLS).start(), image, 32)["p"]
        for t in (torch.float32, torch.bfloat16)
    )
    assert 0 < (exact - half).abs().mean() < 0.03


@pytest.mark.parametrize("encoder", ["tu-efficientnet_b0", "tu-convnext_pico"])
def test_networks_that_read_an_image_at_once_are_refused(encoder):
    segmenter = segmenter_of(encoder)
    with pytest.raises(UnstreamableError):
        row_network(OutputLayers(segmenter, None).eval(), ("p",), 32, torch.float32, CELLS)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 2, 0), (2, 3, 0), (7, 2, 3)]
)
@pytest.mark.parametrize("step", [1, 2, 5, 40])
def test_windows_over_rows(kernel, stride, padding, step):
    conv = nn.Conv2d(2, 3, kernel, stride, padding).double()
    pool = nn.MaxPool2d(3, 2, 1)
    image = torch.randn(1, 2, 24, 12).double()
    with torch.no_grad():
        for layer, fill, (k, s, p) in ((conv, 0, (kernel, stride, padding)), (pool, -torch.inf, (3, 2, 1))):

            def beside(rows, layer=layer, p=p):
                if layer is pool:
                    return nn.functional.max_pool2d(rows, 3, 2, (0, 1))
                return nn.functional.conv2d(rows, conv.weight, conv.bias, stride, (0, p))

            found = list(pushed(Sliding(beside, k, s, p, fill), image, step, 24))
            found = torch.cat([rows for rows in found if rows is not None], 2)
            assert torch.allclose(found, layer(image))


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("step", [1, 3, 12])
def test_upsampled_rows(factor, step):
    image, layer, found = torch.randn(1, 2, 12, 5), Upsample(factor), []
    for y in range(0, 12, step):
        found.append(layer.push([image[:, :, y : y + step]], y + step >= 12))
    expected = interpolate(image, scale_factor=factor, mode="bilinear") if factor > 1 else image
    assert torch.allclose(torch.cat(found, 2), expected, atol=1e-6)
    late = Upsample(2)
    early = [late.push([image], False), late.push([None], True)]
    assert torch.allclose(torch.cat(early, 2), interpolate(image, scale_factor=2, mode="bilinear"), atol=1e-6)
