"""Chips are looked at with what lies around them; only their own part counts."""

import json

import numpy as np
import pytest
import rasterio
import torch
from torch.nn.functional import avg_pool2d

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.inference.compute import Compute
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.raster.chips import Window, scene_chips
from tsfal_geo.raster.discovery import discover
from tsfal_geo.refinement import refiner as refine
from tsfal_geo.rounds import inspection
from tsfal_geo.rounds.halo import own_parts, padded_window
from tsfal_geo.rounds.inspection import HALO, ChipInspector
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # 150 rows: the last row of chips is shifted, and there is no room for a halo of 32 on both sides
    return write_scenes(tmp_path_factory.mktemp("rasters"), shape=(150, 275))


def scene_of(tmp_path, shape):
    return discover(write_scenes(tmp_path, labels=False, shape=shape))[0]


@pytest.mark.parametrize("shape", [(150, 275), (64, 300), (50, 130), (192, 128), (100, 97)])
@pytest.mark.parametrize("halo", [0, 32, 64])
def test_windows_hold_their_chip_line_up_and_lie_in_the_scene(tmp_path, shape, halo):
    scene = scene_of(tmp_path, shape)
    chips = scene_chips([scene], 64, "shift")
    windows = [padded_window(chip, scene, halo) for chip in chips]
    assert len({(w.height, w.width) for w in windows}) == 1
    for chip, w in zip(chips, windows, strict=True):
        for start, begin, span, at, length in (
            (chip.y, w.y, w.height, w.top, shape[0]),
            (chip.x, w.x, w.width, w.left, shape[1]),
        ):
            assert span % 32 == 0 and at % 32 == 0 and 0 <= at <= span - 64
            assert begin + at == start and begin >= 0
            # Beyond the scene it reaches by less than a step, unless the chip itself does.
            assert begin + span < max(length, start + 64) + 32
            before, after = min(halo, start // 32 * 32), min(halo, max(length - start - 64, 0) // 32 * 32)
            assert at >= before and span - at - 64 >= after


def test_a_chip_that_hangs_over_the_edge_keeps_its_place(tmp_path):
    scene = scene_of(tmp_path, (100, 97))
    for chip in scene_chips([scene], 64, "pad"):
        window = padded_window(chip, scene, 32)
        assert (window.y + window.top, window.x + window.left) == (chip.y, chip.x)
        assert window.height == window.width == 96


def test_parts_of_a_batch_keep_values_and_memory_format(tmp_path):
    scene = scene_of(tmp_path, (150, 275))
    windows = [padded_window(chip, scene, 32) for chip in scene_chips([scene], 64, "shift")[:3]]
    values = torch.rand(3, 5, windows[0].height // 4, windows[0].width // 4)
    parts = own_parts(values.contiguous(memory_format=torch.channels_last), windows, 4)
    assert parts.is_contiguous(memory_format=torch.channels_last)
    for part, value, w in zip(parts, values, windows, strict=True):
        assert torch.equal(part, value[:, w.top // 4 :, w.left // 4 :][:, :16, :16])


def local_network(images):
    """Logits and features that look at most 24 pixels around a cell."""
    fine = avg_pool2d(images, 4)
    wide = avg_pool2d(fine, 5, 1, 2)
    logits = torch.cat([fine[:, :1], wide[:, :1], wide[:, 1:2]], 1)
    f2 = torch.cat([fine, wide], 1).repeat(1, 64, 1, 1)
    f1 = avg_pool2d(avg_pool2d(images, 16), 3, 1, 1).repeat(1, 128, 1, 1)
    return SegmenterOutput(logits, f1, f2)


def test_what_is_seen_of_a_chip_is_what_the_whole_scene_shows(folder, tmp_path, monkeypatch):
    """Also at chip borders, in shifted chips and beside nodata."""
    inspected = []
    inspect = ChipInspector.inspect

    def record(self, positions):
        batch = inspect(self, positions)
        inspected.extend((self, batch, i) for i in range(len(positions)))
        return batch

    monkeypatch.setattr(refine, "_READY", 0)
    monkeypatch.setattr(inspection, "choose_compute", lambda: Compute(torch.device("cpu"), None))
    monkeypatch.setattr(ChipInspector, "_run", lambda self, images: local_network(images))
    monkeypatch.setattr(ChipInspector, "inspect", record)
    train(Request(tmp_path, folder, None, tiny_config(active__rounds=1, train__steps=1)), QuietReporter())
    scenes = WorkspaceFolder.open(tmp_path).scenes
    whole = {}
    for inspector, batch, i in inspected:
        chip = batch.chips[i]
        origin = (chip.y % 32, chip.x % 32)
        key = (chip.scene, *origin)
        if key not in whole:
            height, width = (n - o for n, o in zip(scenes[chip.scene].shape, origin, strict=True))
            sample = inspector._dataset.read_window(
                Window(chip.scene, *origin, -(-height // 32) * 32, -(-width // 32) * 32)
            )
            output = local_network(inspector._module.normaliser({k: v[None] for k, v in sample.items()}))
            whole[key] = output, inspector.refiner.decode(output).sigmoid()
        output, error = whole[key]
        for got, expected, stride in (
            (batch.refinement.emd[i].sigmoid(), error, 4),
            (batch.probs[i], output.logits.softmax(1), 4),
            (batch.teacher.f1[i], output.f1, 16),
            (batch.teacher.f2[i], output.f2, 4),
        ):
            y, x = (chip.y - origin[0]) // stride, (chip.x - origin[1]) // stride
            side = chip.size // stride
            part = expected[0, :, y : y + side, x : x + side]
            # The pooling counts zeros in at the windows' ends; those at the scene's own edge stay.
            edge = np.zeros((side, side), bool)
            for axis, (at, length) in enumerate(zip((chip.y, chip.x), scenes[chip.scene].shape, strict=True)):
                near = np.arange(side) * stride + at
                close = (near < 48) | (near >= length - 64)
                edge |= close[:, None] if axis == 0 else close[None]
            inner = torch.from_numpy(~edge)
            torch.testing.assert_close(got[:, inner], part[:, inner])
    assert len(inspected) == 30 and HALO >= 32


def test_queries_do_not_depend_on_how_many_chips_are_looked_at_at_once(folder, tmp_path):
    found = []
    for batch in (1, 3):
        root = tmp_path / str(batch)
        config = tiny_config(active__rounds=1, train__steps=1, export__batch=batch)
        train(Request(root, folder, None, config), QuietReporter())
        workspace = WorkspaceFolder.open(root)
        with rasterio.open(workspace.round_dir(0) / "s0" / "error_mask.tif") as dataset:
            mask = dataset.read(1) > 0
        numbers = json.loads((workspace.round_dir(0) / "metrics.json").read_text())
        asked = [(q.qid, q.pixels, q.geometry.wkb) for q in workspace.store().read_queries(0)]
        found.append((asked, mask.tolist(), numbers["query_pixels"]))
    assert found[0] == found[1]
