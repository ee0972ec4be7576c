"""The rounds of the instant model: from nothing to a map, the cache, maps of the saved network."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch

from tests.helpers.loop_case import CLASSES, QuietReporter, write_scenes
from tsfal_geo import open_workspace
from tsfal_geo.config import load_config
from tsfal_geo.errors import ConfigError
from tsfal_geo.instant.classifier import LabelledCells, fit_classifier
from tsfal_geo.instant.extract import FeatureExtractor
from tsfal_geo.refinement.refined_labels import LabelSource
from tsfal_geo.rounds.instant.rasters import bands_of
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request

SETTINGS = {
    "train.method": "instant",
    "model.encoder": "tu-mobilenetv2_035",
    "model.weights": None,
    "data.chip_size": 64,
    "data.labelled": 0.0,
    "export.window": 256,
    "active.oracle": True,
    "active.oracle_answers": "mixed",
    "active.answers": 30,
    "active.rounds": 2,
}


@pytest.fixture
def scenes(tmp_path):
    folder = write_scenes(tmp_path / "scenes")
    return folder, load_config(None, {**SETTINGS, "classes": CLASSES})


def test_from_no_labels_to_a_map_within_the_answers(scenes, tmp_path):
    folder, config = scenes
    result = train(Request(tmp_path / "ws", folder, folder, config), QuietReporter())
    rounds = [
        json.loads((tmp_path / "ws" / "rounds" / f"{number:03d}" / "metrics.json").read_text())
        for number in range(result.number + 1)
    ]
    assert rounds[0]["labelled_share"] == 0
    assert "map_miou" not in rounds[0]
    assert 0 < rounds[0]["queries"] <= 10
    assert rounds[-1]["answers"] <= 31
    assert rounds[-1]["miou"] > 0.6
    assert rounds[-1]["map_miou"] >= rounds[-1]["miou"] - 0.02
    maps = open_workspace(tmp_path / "ws").export(folder, out=tmp_path / "maps", layers=("source",))
    for scene in maps:
        with rasterio.open(scene.classes) as made, rasterio.open(scene.layers["source"]) as source:
            found, origin, grid = made.read(1), source.read(1), (made.crs, made.transform)
        looked = tmp_path / "ws" / "rounds" / f"{result.number:03d}" / scene.scene / "prediction.tif"
        with rasterio.open(looked) as source:
            predicted = source.read(1)
            assert grid == (source.crs, source.transform)
        inside = origin == int(LabelSource.PSEUDO)
        assert inside.mean() > 0.5
        # The map's network computes in bfloat16 where the CPU has it, and has no components of 16 bits.
        assert (found[inside] == predicted[inside]).mean() > 0.95


def test_cells_are_read_once_and_anew_where_a_scene_changed(scenes, tmp_path, monkeypatch):
    folder, config = scenes
    read = []
    features = FeatureExtractor.features

    def spy(self, window):
        read.append(window.scene)
        return features(self, window)

    monkeypatch.setattr(FeatureExtractor, "features", spy)
    request = Request(tmp_path / "ws", folder, None, config)
    train(request, QuietReporter())
    assert set(read) == {0, 1}
    read.clear()
    query(request, QuietReporter())
    assert read == []
    os.utime(folder / "images" / "s1.tif", ns=(1, 1))
    query(request, QuietReporter())
    assert set(read) == {1}


def test_queries_lie_on_pixels_with_data_and_never_overlap(scenes, tmp_path):
    folder, config = scenes
    config = load_config(None, {"active.oracle": False}, config)
    train(Request(tmp_path / "ws", folder, None, config), QuietReporter())
    workspace = open_workspace(tmp_path / "ws")
    queries = workspace.queries()
    for scene in ("s0", "s1"):
        with rasterio.open(tmp_path / "ws" / "rounds" / "000" / scene / "queries.tif") as source:
            ranks = source.read(1)
        with rasterio.open(folder / "images" / f"{scene}.tif") as source:
            valid = source.read_masks(1) > 0
        assert not ranks[~valid].any()
        for asked in [asked for asked in queries if asked.scene == scene]:
            assert np.count_nonzero(ranks == asked.rank) == asked.pixels


@pytest.mark.parametrize("height", [400, 512, 1030])
def test_a_scene_is_the_same_in_bands_as_at_once(height):
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(-(-height // 4), 10, 4)).astype(np.float16)
    labelled = LabelledCells(cells.reshape(-1, 4)[:90].astype(np.float32), np.arange(90) % 3, np.arange(90))
    head = fit_classifier(labelled, 3, seed=0)
    scene = SimpleNamespace(height=height, width=38)
    bands = list(bands_of(head, cells, 5, scene))
    assert (bands[0].window.y, bands[0].window.height) == (0, min(512, height))
    found = np.concatenate([band.pixels for band in bands], axis=1)
    whole = torch.from_numpy(head.probabilities(cells)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(whole, scale_factor=4, mode="bilinear")[0, :, :height, :38]
    assert np.abs(found - expected.numpy()).max() < 1e-5
    assert np.array_equal(np.concatenate([band.cells for band in bands]), cells)


def test_a_strategy_that_the_instant_model_does_not_follow_is_refused(scenes, tmp_path):
    folder, config = scenes
    other = load_config(None, {"active.strategy": "entropy"}, config)
    with pytest.raises(ConfigError, match="chooses its questions itself"):
        train(Request(tmp_path / "ws", folder, None, other), QuietReporter())
    at_random = load_config(None, {"active.strategy": "random", "active.oracle": False}, config)
    train(Request(tmp_path / "ws", folder, None, at_random), QuietReporter())
    assert {query.reason for query in open_workspace(tmp_path / "ws").queries()} == {"random"}
