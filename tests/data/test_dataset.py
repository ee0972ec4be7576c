"""Chips are the file's own pixels, their transforms exact, and torchgeo's tools take the dataset."""

import pickle

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.windows import Window
from torch.utils.data import DataLoader
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler

from tsfal_geo.data.dataset import ChipSlice, OrthoDataset
from tsfal_geo.data.samplers import GridChipSampler
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Chip, scene_chips
from tsfal_geo.raster.reader import SceneReader


def dataset_of(*scenes, labels=None, size=64, edge="pad", **kwargs):
    reader = SceneReader(scenes, None, False)
    return OrthoDataset(reader, labels, scene_chips(scenes, size, edge), **kwargs)


def plain_window(scene, chip):
    """The same window by plain rasterio: pixels, and where the raster is."""
    with rasterio.open(scene.path) as file:
        part = file.read(window=Window(chip.x, chip.y, chip.size, chip.size))  # cut at the raster's edge
    _, height, width = part.shape
    missing = ((0, chip.size - height), (0, chip.size - width))
    return np.pad(part, ((0, 0), *missing)), np.pad(np.ones((height, width), bool), missing)


@pytest.mark.parametrize("grid", ["north_up", "south_up", "rotated", "other_crs", None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("edge", ["pad", "shift"])
def test_chips_equal_plain_windows_byte_for_byte(make_scene, grid, dtype, edge):
    scene = make_scene(grid=grid, dtype=dtype)
    dataset = dataset_of(scene, edge=edge)
    for chip in dataset.chips:
        sample = dataset[dataset.chip_slice(chip)]
        image, inside = plain_window(scene, chip)
        assert sample["image"].numpy().dtype == np.dtype(dtype)
        assert sample["image"].numpy().tobytes() == image.tobytes()
        assert np.array_equal(sample["valid"].numpy(), inside)


def test_scene_smaller_than_a_chip_is_one_padded_chip(make_scene):
    scene = make_scene(shape=(40, 50))
    dataset = dataset_of(scene, edge="shift")
    (chip,) = dataset.chips
    sample = dataset.read_chip(chip)
    assert sample["image"].shape == (3, 64, 64)
    assert sample["valid"].sum() == 40 * 50
    assert sample["valid"][:40, :50].all()


def test_nodata_is_not_valid(make_scene):
    dataset = dataset_of(make_scene(nodata=0, shape=(64, 64)))
    valid = dataset.read_chip(dataset.chips[0])["valid"]
    assert not valid[20:40].any()
    assert valid[:20].all() and valid[40:].all()


def test_labels_come_with_the_chip_and_are_ignored_outside(make_scene, random_labels):
    scene = make_scene(shape=(70, 70))
    labels = random_labels(scene)
    dataset = dataset_of(scene, labels=labels)
    sample = dataset.read_chip(dataset.chips[-1])
    assert sample["mask"].dtype == torch.uint8
    assert np.array_equal(sample["mask"][:6, :6].numpy(), labels.arrays[0][64:, 64:])
    assert (sample["mask"][6:] == 255).all() and (sample["mask"][:, 6:] == 255).all()


def test_labels_have_the_requested_name(make_scene, random_labels):
    scene = make_scene()
    dataset = dataset_of(scene, labels=random_labels(scene), label_key="manual")
    sample = dataset.read_chip(dataset.chips[0])
    assert "manual" in sample and "mask" not in sample


@pytest.mark.parametrize("grid", ["north_up", "south_up", "rotated"])
def test_transform_is_exact_in_float64(make_scene, grid):
    scene = make_scene(grid=grid)
    dataset = dataset_of(scene)
    for chip in dataset.chips:
        transform = dataset.read_chip(chip)["transform"]
        assert transform.dtype == torch.float64
        with rasterio.open(scene.path) as file:
            expected = file.window_transform(Window(chip.x, chip.y, chip.size, chip.size))
        # Ten nanometres on coordinates of five million metres: float32 would be off by 25 centimetres.
        assert Affine(*transform.tolist()).almost_equals(expected, 1e-8)
        assert list(~scene.grid.affine @ (transform[2].item(), transform[5].item())) == pytest.approx(
            [chip.x, chip.y], abs=1e-6
        )


def test_chip_numbers_are_in_the_sample(make_scene):
    dataset = dataset_of(make_scene("a"), make_scene("b"))
    chip = next(chip for chip in dataset.chips if (chip.scene, chip.row, chip.col) == (1, 2, 3))
    sample = dataset.read_chip(chip)
    assert sample["scene"] == 1
    assert sample["chip"].tolist() == [chip.y, chip.x, 64, 2_000_003]


def test_index_lies_in_the_first_scenes_crs(make_scene):
    first, other = make_scene("a"), make_scene("b", grid="other_crs")
    dataset = dataset_of(first, other)
    assert dataset.crs.to_epsg() == 25832
    assert dataset.index.index.name == "datetime"
    assert list(dataset.index.filepath) == [str(first.path), str(other.path)]
    expected = other.grid.extent.to_crs("EPSG:25832").geom
    assert dataset.index.geometry.iloc[1].symmetric_difference(expected).area < 1e-3 * expected.area
    query = dataset.chip_slice(Chip(1, 0, 0, 0, 0, 64))
    assert query[0].start == pytest.approx(expected.bounds[0], abs=0.5)
    assert query[1].stop == pytest.approx(expected.bounds[3], abs=0.5)


def test_scenes_without_georeference_lie_beside_each_other(make_scene):
    dataset = dataset_of(make_scene("a", grid=None), make_scene("b", grid=None), make_scene("c"))
    assert dataset.crs is None
    footprints = list(dataset.index.geometry)
    assert [shape.area for shape in footprints] == [150 * 210] * 3
    assert not any(a.intersects(b) for a in footprints for b in footprints if a is not b)
    assert dataset.read_chip(Chip(0, 0, 1, 0, 64, 64))["transform"].tolist() == [1, 0, 64, 0, 1, 0]


@pytest.mark.parametrize("grid", ["north_up", "south_up", "rotated"])
def test_plain_slices_are_rounded_to_the_scenes_pixels(make_scene, grid):
    scene = make_scene(grid=grid)
    dataset = dataset_of(scene)
    chip = Chip(0, 0, 0, 40, 70, 64)
    x, y = scene.grid.affine @ (70 + 32.2, 40 + 31.8)
    half = 32 * 0.09
    sample = dataset[x - half : x + half, y - half : y + half]
    assert torch.equal(sample["image"], dataset.read_chip(chip)["image"])
    assert sample["chip"].tolist() == [40, 70, 64, -1]


@pytest.mark.parametrize("sampler", [RandomPatchSampler, GriddedPatchSampler])
def test_torchgeos_samplers_work(make_scene, sampler):
    scene = make_scene()
    dataset = dataset_of(scene)
    queries = list(sampler(dataset, size=64))
    assert queries
    for query in queries:
        assert dataset[query]["image"].shape == (3, 64, 64)


def test_plain_slices_take_the_scene_that_holds_most(make_scene):
    dataset = dataset_of(make_scene("a"), make_scene("b", grid="south_up"))
    left, bottom, right, top = dataset.index.geometry.iloc[1].bounds
    assert dataset[left - 1 : right, bottom:top]["scene"] == 1


def test_plain_slices_that_cannot_be_answered_say_why(make_scene):
    dataset = dataset_of(make_scene("a"))
    with pytest.raises(IndexError, match="not found"):
        dataset[0:1, 0:1]
    with pytest.raises(IndexError, match="pixel size"):
        left, bottom, right, top = dataset.index.total_bounds
        dataset[left:right:0.5, bottom:top]
    mixed = dataset_of(make_scene("a"), make_scene("b", grid="other_crs"))
    with pytest.raises(RasterError, match="2 CRSs"):
        mixed[left:right, bottom:top]


def test_chip_slice_is_three_slices_and_travels(make_scene):
    dataset = dataset_of(make_scene())
    query = dataset.chip_slice(dataset.chips[1])
    x, y, t = query
    assert x.start < x.stop and y.start < y.stop and t.start < t.stop
    copy = pickle.loads(pickle.dumps(query))
    assert isinstance(copy, ChipSlice) and copy == query and copy.chip == query.chip


def test_workers_read_the_same(make_scene, random_labels):
    scene = make_scene()
    dataset = dataset_of(scene, labels=random_labels(scene))
    here = [dataset[query] for query in GridChipSampler(dataset)]
    loader = DataLoader(dataset, batch_size=4, sampler=GridChipSampler(dataset), num_workers=2)
    images = torch.cat([batch["image"] for batch in loader])
    assert torch.equal(images, torch.stack([sample["image"] for sample in here]))


def test_a_dataset_in_use_can_be_sent_to_another_process(make_scene):
    dataset = dataset_of(make_scene())
    sample = dataset.read_chip(dataset.chips[0])
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy.read_chip(copy.chips[0])["image"], sample["image"])
    assert copy.crs == dataset.crs
