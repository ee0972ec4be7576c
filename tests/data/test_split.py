"""Labelled chips are drawn by seed, with every class among them."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from tsfal_geo.data.split import class_counts, draw_held_out, draw_labelled, listed_scenes
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.reader import SceneReader


def common_counts(chips=233, classes=6):
    return np.full((chips, classes), 100)


def test_counts_are_those_of_the_chips(make_scene, random_labels):
    scene = make_scene()
    labels = random_labels(scene)
    labels.arrays[0][:64, :64] = 255
    labels.arrays[0][:10, :10] = 2
    chips = scene_chips([scene], 64, "pad")
    counts = class_counts(SceneReader([scene], None, False), chips, labels, 6)
    assert counts[0].tolist() == [0, 0, 100, 0, 0, 0]
    assert counts.sum() == (labels.arrays[0] != 255).sum()


def test_labels_where_nothing_was_flown_do_not_count(make_scene, random_labels):
    scene = make_scene(nodata=0)
    with rasterio.open(scene.path, "r+") as file:
        pixels = file.read()
        pixels[:, 64:128, :64] = 0
        file.write(pixels)
    labels = random_labels(scene)
    chips = scene_chips([scene], 64, "pad")
    counts = class_counts(SceneReader([scene], None, False), chips, labels, 6)
    valid = (pixels != 0).any(0)
    assert counts.sum(0).tolist() == [int((valid & (labels.arrays[0] == c)).sum()) for c in range(6)]
    empty = next(i for i, chip in enumerate(chips) if (chip.y, chip.x) == (64, 0))
    assert empty not in draw_labelled(counts, 1.0, 0)


@pytest.fixture
def streets(make_scene, tmp_path):
    names = ["ulm_000000_000019", "ulm_000001_000019", "bonn 7"]
    return [replace(make_scene(name, bands=1, shape=(8, 9)), labels=tmp_path / "x.png") for name in names]


@pytest.mark.parametrize(
    "lines",
    [
        "ulm_000000_000019\n\nbonn 7\n",
        "train/ulm/ulm_000000_000019_leftImg8bit.png gtFine/ulm_000000_000019_gtFine_labelIds.png\nbonn 7",
        "  ulm_000000_000019.jpg\r\nbonn_07_leftImg8bit.png\r\n",
    ],
    ids=["names", "a paper's list", "files"],
)
def test_a_list_names_labelled_scenes(streets, tmp_path, lines):
    path = tmp_path / "list.txt"
    path.write_text(lines.replace("bonn 7", "bonn 7"))
    assert listed_scenes(path, streets) == {0, 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("ulm_000002_000019\n", "names no scene"), (None, "not readable"), ("bonn_8", "bonn_8")],
)
def test_a_list_that_does_not_fit_is_an_error(streets, tmp_path, text, message):
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabelError, match=message):
        listed_scenes(path, streets)


def test_a_listed_scene_needs_labels_and_an_ambiguous_name_is_none(streets, make_scene, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("town")
    with pytest.raises(LabelError, match=r"town\.tif is listed and has no label file"):
        listed_scenes(path, [*streets, make_scene(bands=1, shape=(8, 9))])
    path.write_text("ulm_0_19")
    twins = [streets[0], replace(streets[0], name="ulm_0_0019", path=tmp_path / "ulm_0_0019.tif")]
    with pytest.raises(LabelError, match="names 2 scenes"):
        listed_scenes(path, twins)


def test_share_of_the_papers_chips():
    drawn = draw_labelled(common_counts(), 0.15, seed=0)
    assert len(drawn) == len(set(drawn)) == 35
    assert drawn == draw_labelled(common_counts(), 0.15, seed=0)
    assert drawn != draw_labelled(common_counts(), 0.15, seed=1)


def test_only_chips_with_labels_are_drawn():
    counts = common_counts(20)
    counts[10:] = 0
    drawn = draw_labelled(counts, 0.5, seed=0)
    assert len(drawn) == 5 and max(drawn) < 10


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_always_among_them(seed):
    counts = common_counts(100)
    counts[:, 4] = 0
    counts[[7, 50, 93], 4] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # three chips of a hundred are found by drawing again
        drawn = draw_labelled(counts, 0.1, seed=seed)
    assert len(drawn) == 10
    assert set(drawn) & {7, 50, 93}


def test_classes_too_rare_to_be_drawn_are_added_with_a_warning():
    counts = common_counts(5000, 3)
    counts[:, 1:] = 0
    counts[17, 1] = counts[4000, 2] = 1
    with pytest.warns(UserWarning, match="missed a class"):
        drawn = draw_labelled(counts, 0.002, seed=0)
    assert len(drawn) == 10 and {17, 4000} <= set(drawn)


def test_a_class_that_no_label_holds_is_not_waited_for():
    counts = common_counts(40)
    counts[:, 3] = 0
    assert len(draw_labelled(counts, 0.15, seed=0)) == 6


def test_no_label_at_all_is_an_error():
    with pytest.raises(LabelError, match="no labelled pixel in 3 chips"):
        draw_labelled(np.zeros((3, 6), dtype=int), 0.5, seed=0)


def test_held_out_chips_leave_every_class_to_train_on():
    counts = common_counts(60)
    counts[:, 4] = 0
    counts[[3, 8], 4] = 1
    labelled = [3, 8, *range(20, 38)]
    held_out = draw_held_out(counts, labelled, 0.2, seed=0)
    assert len(held_out) == 4 and set(held_out) < set(labelled)
    assert {3, 8} - set(held_out)


def test_too_few_chips_hold_none_out():
    assert draw_held_out(common_counts(), [4], 0.2, seed=0) == []
    assert draw_held_out(common_counts(), [4, 9, 11], 0.0, seed=0) == []
