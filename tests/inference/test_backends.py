from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from tests.inference.test_network import CONFIG, FLOAT32, card
from tests.mapping.test_export import picture, write
from tsfal_geo.config import ExportConfig
from tsfal_geo.errors import UserError
from tsfal_geo.inference import backends
from tsfal_geo.inference.backends import WORTHWHILE, choose_backend, convert
from tsfal_geo.inference.compute import Compute
from tsfal_geo.inference.network import open_network
from tsfal_geo.inference.outputs import StrideLayers
from tsfal_geo.mapping.outputs.blocks import MappingJob, _opened, assemble, run_local
from tsfal_geo.mapping.outputs.rasters import export_scene
from tsfal_geo.mapping.scene import Settings
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader

BF16 = Compute(torch.device("cpu"), torch.bfloat16)
GPU = Compute(torch.device("cuda"), torch.bfloat16)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def telling():
    """A network whose classes differ from place to place."""
    segmenter = build_segmenter(CONFIG, 3, 6, seed=1).eval()
    classifier = segmenter.head.classifier
    with torch.random.fork_rng():
        torch.manual_seed(5)
        nn.init.normal_(classifier.weight, std=1.0)
        # Without data all features are 0: equal biases would tie there.
        nn.init.normal_(classifier.bias)
    return segmenter


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    segmenter = telling()
    save_model(folder, segmenter, card())
    return folder


def batch(side, count=3):
    coarse = torch.rand((count, 3, 8, 8), generator=torch.Generator().manual_seed(2)) * 9
    image = nn.functional.interpolate(coarse, (side, side), mode="bilinear").to(torch.uint8)
    valid = torch.ones((count, side, side), dtype=torch.bool)
    valid[1, : side // 3] = False
    return {"image": image, "valid": valid}


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("openvino", "OpenVINO, float32"),
        pytest.param("onnx", "ONNX Runtime, float32", marks=pytest.mark.slow),
    ],
)
def test_each_runtime_gives_the_classes_and_errors_of_pytorch(backend, name):
    torch.manual_seed(0)
    layers = StrideLayers(telling(), ErrorMaskDecoder(6).eval()).eval()
    images = nn.functional.interpolate(torch.randn(2, 3, 12, 12), (96, 96), mode="bilinear")
    images[1, :, :30] = 0
    with torch.no_grad():
        wanted, errors = layers(images)
    assert len(wanted.argmax(1).unique()) > 2
    copy = convert(layers, 3, 96, backend, FLOAT32)
    assert (copy.name, copy.size) == (name, (96, 96))
    found, found_errors = copy(images)
    assert found.dtype == torch.float32 and found.shape == wanted.shape
    assert (found.argmax(1) != wanted.argmax(1)).float().mean() < 0.001
    assert torch.allclose(found, wanted, atol=1e-3)
    assert torch.allclose(found_errors, errors, atol=1e-3)


class Odd(nn.Module):
    """A trace takes its sorted values for constants."""

    def forward(self, x):
        return (torch.from_numpy(np.sort(x.detach().numpy(), -1)) + 0 * x,)


class Refused(nn.Module):
    def forward(self, x):
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            raise RuntimeError("not to be traced")
        return (x.softmax(1),)


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
@pytest.mark.parametrize("network", [Odd(), Refused()])
def test_what_a_runtime_cannot_run_is_not_converted(network, backend):
    assert convert(network.eval(), 3, 64, backend, FLOAT32) is None


def test_what_cannot_be_converted_runs_on_pytorch_and_its_map_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(StrideLayers, "forward", Refused.forward)
    network = open_network(folder, FLOAT32, backend="openvino")
    monkeypatch.undo()
    write(tmp_path / "town.tif", picture(64, 64))
    reader = SceneReader(discover(tmp_path), None, False)
    found = [
        rasterio.open(export_scene(reader, 0, each, tmp_path / name, Settings(128)).classes)
        for name, each in (("odd", network), ("plain", open_network(folder, FLOAT32)))
    ]
    assert np.array_equal(found[0].read(1), found[1].read(1))
    assert found[0].tags()["TSFAL_RUNTIME"] == "PyTorch, float32 (OpenVINO cannot run this network)"
    assert found[1].tags()["TSFAL_RUNTIME"] == "PyTorch, float32"


def test_blocks_and_one_pass_on_openvino_give_one_map_that_names_it(folder, tmp_path):
    write(tmp_path / "town" / "town.tif", picture(200, 600))
    (scene,) = discover(tmp_path / "town")
    settings = Settings(128)
    job = MappingJob(folder, scene, "uint8", tmp_path / "blocks", settings, threads=1, side=512)
    job = replace(job, backend="openvino")
    assert len(list(run_local(job))) == 2
    parts = assemble(job).classes
    # The job's own network, since a second conversion takes seconds.
    network, reader = _opened(job)
    single = export_scene(reader, 0, network, tmp_path / "single", settings).classes
    with rasterio.open(single) as one, rasterio.open(parts) as other:
        assert one.tags()["TSFAL_RUNTIME"].startswith("OpenVINO, ")
        assert other.tags()["TSFAL_RUNTIME"] == one.tags()["TSFAL_RUNTIME"]
        assert np.array_equal(one.read(1), other.read(1))
    assert job.folder != replace(job, backend="pytorch").folder

    plain = open_network(folder)
    ours, theirs = (each.predict(batch(128))["probabilities"] for each in (network, plain))
    assert torch.allclose(ours, theirs, atol=0.1) and not torch.equal(ours, theirs)
    # Windows of 64 pixels have no copy: PyTorch itself gives the same bits.
    ours, theirs = (each.predict(batch(64))["probabilities"] for each in (network, plain))
    assert torch.equal(ours, theirs)


def test_the_choice_follows_device_work_and_what_is_installed(monkeypatch):
    auto, large = ExportConfig(), WORTHWHILE
    assert choose_backend(auto, FLOAT32, large) == "openvino"
    assert choose_backend(auto, FLOAT32, large - 1) == "pytorch"
    assert choose_backend(auto, GPU, large) == "pytorch"
    assert choose_backend(ExportConfig(window="scene"), FLOAT32, large) == "pytorch"
    assert choose_backend(ExportConfig(backend="onnx"), BF16, 1) == "onnx"
    assert choose_backend(ExportConfig(backend="pytorch"), FLOAT32, large) == "pytorch"
    monkeypatch.setattr(backends, "_installed", lambda backend: backend == "onnx")
    assert choose_backend(auto, FLOAT32, large) == "onnx"
    assert choose_backend(auto, BF16, large) == "pytorch"


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("tsfal_geo.errors.find_spec", lambda package: None)
    with pytest.raises(UserError, match=r"export.backend=openvino needs openvino; .*tsfal-geo\[openvino\]"):
        choose_backend(ExportConfig(backend="openvino"), FLOAT32, 1)
