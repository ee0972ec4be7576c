import numpy as np
import pytest
import rasterio
import torch
from torch.nn.functional import interpolate

from tests.helpers.mapping_fakes import Collect, MemoryReader
from tests.inference.test_network import card
from tests.mapping.test_export import write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import Config, ModelConfig, load_config
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import UserError
from tsfal_geo.inference.compute import Compute
from tsfal_geo.inference.network import Network, open_network
from tsfal_geo.inference.rows.model import RowModel, row_model
from tsfal_geo.mapping import streamed
from tsfal_geo.mapping.outputs.blocks import MappingJob, assemble, run_local
from tsfal_geo.mapping.outputs.rasters import export_scene
from tsfal_geo.mapping.scene import Settings, settings_for
from tsfal_geo.mapping.streamed import stream_scene
from tsfal_geo.mapping.windowed import Block
from tsfal_geo.models.head import LocalMean
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import Normalisation

STATISTICS = Normalisation((0.0,) * 3, (255.0,) * 3, (120.0,) * 3, (50.0,) * 3)
CONFIG = ModelConfig(encoder="tu-mobilenetv2_035", weights=None, atrous_rates=(1, 2, 3))
CHIP = 64


@pytest.fixture(scope="module")
def segmenter():
    segmenter = build_segmenter(CONFIG, 3, 6, seed=0).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    return segmenter


@pytest.fixture(scope="module")
def model(segmenter):
    return row_model(segmenter, Normaliser(STATISTICS), Compute(torch.device("cpu"), None), CHIP)


def scene(height, width):
    image = np.random.default_rng(0).integers(0, 255, (3, height, width)).astype(np.uint8)
    return MemoryReader(image, np.ones((height, width), bool))


def run(reader, model, *blocks):
    collect = Collect(*reader.valid.shape)
    for block in blocks or (None,):
        stream_scene(reader, 0, model, channels={"probabilities": 6}, on_rows=collect, block=block)
    assert (collect.counts == 1).all() and np.array_equal(collect.valid, reader.valid)
    assert collect.tallest <= 64
    return collect.layers.get("probabilities")


def at_once(reader, segmenter):
    height, width = reader.valid.shape
    patch = reader.read(Window(0, 0, 0, -(-height // 32) * 32, -(-width // 32) * 32))
    batch = {"image": torch.from_numpy(patch.image)[None], "valid": torch.from_numpy(patch.valid)[None]}
    mean, segmenter.head.aspp.mean = segmenter.head.aspp.mean, LocalMean(CHIP // 16 + 1)
    with torch.inference_mode():
        cells = segmenter(Normaliser(STATISTICS)(batch)).logits.softmax(1)
    segmenter.head.aspp.mean = mean
    return interpolate(cells, scale_factor=4, mode="bilinear")[0, :, :height, :width].numpy()


@pytest.mark.parametrize("size", [(1, 1), (37, 200), (300, 45)])
def test_a_scene_is_predicted_as_one_image(size, segmenter, model):
    reader = scene(*size)
    rows = RowModel(model.network, model.prepare, 2**13)
    found = run(reader, rows)
    assert (reader.reads == 1).all()
    assert np.abs(found - at_once(reader, segmenter)).max() < 1e-3


def test_nodata_costs_nothing_beyond_the_networks_reach(segmenter, model, monkeypatch):
    monkeypatch.setattr(streamed, "_STEP", 32)
    reader, computed = scene(2000, 900), []
    reader.valid[:] = False
    reader.valid[40:60, 20:50] = True
    reader.valid[1850:1870, 800:850] = True

    def prepare(batch):
        computed.append(batch["valid"].numel())
        return model.prepare(batch)

    found = run(reader, RowModel(model.network, prepare, 2**15))
    side = 2 * (model.network.reach + 64) + 64
    assert 0 < sum(computed) < 2 * side * side / 2
    for rows, columns in ((slice(0, 400), slice(0, 400)), (slice(1504, 2000), slice(480, 900))):
        cut = MemoryReader(reader.image[:, rows, columns], reader.valid[rows, columns])
        gap = np.abs(found[:, rows, columns] - at_once(cut, segmenter))
        assert gap[:, cut.valid].max() < 1e-3


def test_a_scene_of_nodata_alone_costs_nothing(model):
    reader = scene(200, 100)
    reader.valid[:] = False
    assert run(reader, RowModel(model.network, None, 2**13)) is None


def test_blocks_and_strips_have_the_values_of_the_full_scene(model, monkeypatch):
    reader = scene(200, 900)
    full = run(reader, model)
    blocks = [Block(0, x, 200, min(x + 512, 900)) for x in (0, 512)]
    assert np.abs(run(reader, model, *blocks) - full).max() < 1e-3
    monkeypatch.setattr(streamed, "_WIDEST", 512)
    assert np.abs(run(reader, model) - full).max() < 1e-3


def test_bands_for_which_memory_is_short_are_halved_with_the_same_result(model):
    reader, heights = scene(400, 64), []

    def prepare(batch):
        heights.append(batch["image"].shape[2])
        if heights[-1] > 64 and len(heights) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return model.prepare(batch)

    found = run(reader, RowModel(model.network, prepare, 128 * 64))
    assert max(heights) == 128 and heights[-1] <= 64
    assert np.abs(found - run(reader, model)).max() < 1e-3


def test_scenes_are_predicted_in_one_piece_where_configuration_and_network_say_so(model):
    def window(chip, rows, **values):
        network = Network(None, card(chip_size=chip), VAIHINGEN, rows=rows)
        config = load_config(None, {f"export.{k}": v for k, v in values.items()})
        return settings_for(network, config.export, config.plar.confidence).window

    assert window(256, model) == 256 and window(256, model, window="scene") is None
    assert window(512, model, window=128) == 128
    with pytest.raises(UserError, match=r"export\.window"):
        window(512, None, window="scene")
    assert Config().export.window is None


def test_blocks_of_a_scene_in_one_piece_make_the_map_of_one_pass(segmenter, tmp_path):
    save_model(tmp_path / "model", segmenter, card(model=CONFIG, chip_size=CHIP))
    image = (
        np.random.default_rng(0).integers(0, 255, (3, 10, 30)).astype(np.uint8).repeat(20, 1).repeat(20, 2)
    )
    write(tmp_path / "town" / "town.tif", image)
    (found,) = discover(tmp_path / "town")
    settings = Settings(None, layers=("probabilities",))
    job, other = (
        MappingJob(tmp_path / "model", found, "uint8", tmp_path / out, settings, threads=1, side=512)
        for out in ("blocks", "shards")
    )
    assert len(list(run_local(job))) == 2
    files = assemble(job)
    for shard in (1, 0):
        list(run_local(other, shard, 2))
    assert assemble(other).classes.read_bytes() == files.classes.read_bytes()
    reader = SceneReader([found], None, False)
    single_map = export_scene(reader, 0, open_network(tmp_path / "model"), tmp_path / "single", settings)
    with (
        rasterio.open(files.layers["probabilities"]) as made,
        rasterio.open(single_map.layers["probabilities"]) as single,
    ):
        assert np.abs(made.read().astype(int) - single.read()).mean() < 1
