"""The rounds of the instant model: from nothing to a map, the cache, maps of the saved network."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch

from tests.helpers.loop_case import CLASSES, IDS, QuietReporter, write_scenes
from tsfal_geo import open_workspace
from tsfal_geo.config import load_config
from tsfal_geo.errors import ConfigError
from tsfal_geo.instant.blocks import BLOCK, HALO
from tsfal_geo.instant.classifier import LabelledCells
from tsfal_geo.instant.extract import FeatureExtractor
from tsfal_geo.instant.fitting import fit_classifier
from tsfal_geo.labels.opening import open_store
from tsfal_geo.refinement.refined_labels import LabelSource
from tsfal_geo.rounds.instant.past_questions import read_asked
from tsfal_geo.rounds.instant.rasters import bands_of
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.copy import copy_workspace
from tsfal_geo.workspace.folder import WorkspaceFolder

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
    # Features are large and can be made again: a copy has none.
    copy_workspace(tmp_path / "ws", tmp_path / "copy")
    assert (tmp_path / "ws" / "features").is_dir()
    assert not (tmp_path / "copy" / "features").exists()
    assert (tmp_path / "copy" / "rounds").is_dir()
    maps = open_workspace(tmp_path / "ws").export(folder, out=tmp_path / "maps", layers=("source",))
    record = json.loads((tmp_path / "maps" / "model.stac.json").read_text())
    assert record["properties"]["mlm:architecture"].startswith("1x1 convolutions on all stages with")
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
    # No model has looked yet.
    assert {asked.suggested for asked in queries} == {None}
    for scene in ("s0", "s1"):
        with rasterio.open(tmp_path / "ws" / "rounds" / "000" / scene / "queries.tif") as source:
            ranks = source.read(1)
        with rasterio.open(tmp_path / "ws" / "rounds" / "000" / scene / "segments.tif") as source:
            segments = source.read(1)
        with rasterio.open(folder / "images" / f"{scene}.tif") as source:
            valid = source.read_masks(1) > 0
        assert not ranks[~valid].any() and not segments[~valid].any()
        for asked in [asked for asked in queries if asked.scene == scene]:
            assert np.count_nonzero(ranks == asked.rank) == asked.pixels
            # A query is one of the segments, of which a click in QGIS takes any.
            (number,) = np.unique(segments[ranks == asked.rank])
            assert number > 0 and np.array_equal(segments == number, ranks == asked.rank)


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
    other = load_config(None, {"active.strategy": "margin"}, config)
    with pytest.raises(ConfigError, match="chooses its questions itself"):
        train(Request(tmp_path / "ws", folder, None, other), QuietReporter())
    at_random = load_config(None, {"active.strategy": "random", "active.oracle": False}, config)
    train(Request(tmp_path / "ws", folder, None, at_random), QuietReporter())
    assert {query.reason for query in open_workspace(tmp_path / "ws").queries()} == {"random"}


@pytest.mark.parametrize("strategy", ["entropy", pytest.param("coreset", marks=pytest.mark.slow)])
def test_other_strategies_ask_points(scenes, tmp_path, strategy):
    folder, config = scenes
    points = load_config(None, {"active.strategy": strategy, "active.granularity": "pixels"}, config)
    result = train(Request(tmp_path / "ws", folder, None, points), QuietReporter())
    workspace = open_workspace(tmp_path / "ws")
    asked = [query for number in range(3) for query in workspace.queries(number, unanswered=False)]
    assert {query.pixels for query in asked} == {16} and result.labelled_share > 0
    assert (
        strategy == json.loads((tmp_path / "ws" / "rounds" / "001" / "metrics.json").read_text())["strategy"]
    )


def test_what_was_skipped_before_is_known_at_the_next_questions(scenes, tmp_path):
    folder, config = scenes
    impure = load_config(None, {"active.oracle_answers": "key", "active.oracle_purity": 0.99}, config)
    train(Request(tmp_path / "ws", folder, None, impure), QuietReporter())
    workspace = WorkspaceFolder.open(tmp_path / "ws")
    snapshot = open_store(workspace.root, workspace.classes, workspace.scenes).snapshot()
    asked = read_asked(workspace, workspace.current_round + 1, snapshot)
    skipped = {item.qid for item in snapshot.decisions if item.status == "skipped"}
    assert len(asked.answered) == 30 and (~asked.answered).sum() == len(skipped)
    assert np.isfinite(asked.columns).all() and asked.columns.shape == (30, 3)


def test_skipped_questions_are_followed_by_others_until_the_answers_are_spent(scenes, tmp_path):
    folder, config = scenes
    unsure = load_config(None, {"active.oracle_unsure": 1.0}, config)
    with pytest.raises(ConfigError, match=r"30 answers.* none of them labels a pixel; raise --answers"):
        train(Request(tmp_path / "ws", folder, None, unsure), QuietReporter())
    workspace = open_workspace(tmp_path / "ws")
    asked = [query for number in range(3) for query in workspace.queries(number, unanswered=False)]
    places = {(query.scene, query.geometry.wkt) for query in asked}
    assert len(asked) == len(places) == 30
    # More answers lead on from there.
    more = load_config(None, {"active.answers": 45, "active.oracle_unsure": 0.0}, unsure)
    assert train(Request(tmp_path / "ws", folder, None, more), QuietReporter()).labelled_share > 0


def test_scenes_without_a_segment_are_told(scenes, tmp_path):
    folder, config = scenes
    with rasterio.open(folder / "images" / "s0.tif") as source:
        profile = source.profile
    bare = tmp_path / "narrow"
    bare.mkdir()
    profile.update(height=64, width=3, nodata=None)
    with rasterio.open(bare / "s.tif", "w", **profile) as target:
        target.write(np.full((2, 64, 3), 7, np.uint8))
    by_hand = load_config(None, {"active.oracle": False}, config)
    with pytest.raises(ConfigError, match="no segment of one kind of ground"):
        train(Request(tmp_path / "ws", bare, None, by_hand), QuietReporter())


def test_another_file_of_weights_is_another_key(scenes, tmp_path):
    from tsfal_geo.rounds.instant.cells import _file_or_name

    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    before = _file_or_name(str(path))
    path.write_bytes(b"another")
    assert _file_or_name(str(path)) != before
    assert _file_or_name("bundled") == ["bundled"]
    assert _file_or_name(None) is None


def test_maps_are_made_in_the_windows_that_the_head_learnt_in():
    assert load_config(None, {"train.method": "instant"}).export.window == BLOCK + 2 * HALO
    assert load_config(None, {"train.method": "instant", "export.window": 256}).export.window == 256
    assert load_config(None, {}).export.window is None


def test_embeddings_of_many_signed_bands_are_asked_and_mapped(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (4, 5)).repeat(32, 0).repeat(32, 1)
    centres = 40 * rng.normal(size=(3, 64))
    bands = centres[truth].transpose(2, 0, 1) + 15 * rng.normal(size=(64, *truth.shape))
    profile = {"driver": "GTiff", "height": truth.shape[0], "width": truth.shape[1], "crs": "EPSG:32633"}
    profile["transform"] = rasterio.Affine(10, 0, 500_000, 0, -10, 5_400_000)
    for kind, values in (("images", bands.clip(-127, 127).astype(np.int8)), ("labels", IDS[truth][None])):
        path = tmp_path / "scenes" / kind / "year.tif"
        path.parent.mkdir(parents=True)
        more = {"count": len(values), "dtype": values.dtype, "nodata": -128 if kind == "images" else None}
        with rasterio.open(path, "w", **profile, **more) as file:
            file.write(values)
    config = load_config(None, {**SETTINGS, "classes": CLASSES, "model.scales": (1,), "active.answers": 20})
    folder = tmp_path / "scenes"
    result = train(Request(tmp_path / "ws", folder, folder, config), QuietReporter())
    assert result.miou > 0.45
    (made,) = open_workspace(tmp_path / "ws").export(folder, out=tmp_path / "maps")
    with rasterio.open(made.classes) as file:
        assert file.shape == truth.shape and file.transform == profile["transform"]
        assert (file.read(1) == IDS[truth]).mean() > 0.5
