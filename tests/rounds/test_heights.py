"""Heights as an extra channel: used where every scene has them, never left out in silence."""

import shutil
import warnings

import numpy as np
import pytest
import rasterio

from tests.helpers.loop_case import tiny_config, write_scenes
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.rounds.inputs import prepare
from tsfal_geo.rounds.validation import validation_set


def add_heights(folder, name):
    with rasterio.open(folder / "images" / f"{name}.tif") as image:
        profile = {**image.profile, "dtype": "float32", "count": 1, "nodata": None}
        heights = image.read(1).astype(np.float32)
    (folder / "dsm").mkdir(exist_ok=True)
    with rasterio.open(folder / "dsm" / f"{name}.tif", "w", **profile) as dsm:
        dsm.write(heights, 1)


@pytest.fixture
def two_scenes(tmp_path):
    folder = write_scenes(tmp_path / "train")
    add_heights(folder, "s0")
    return folder


def test_auto_names_the_scenes_that_lack_heights(two_scenes):
    with pytest.warns(RasterWarning, match=r"found no DSM for 1 of 2 scenes \(s1\)"):
        inputs = prepare(two_scenes, tiny_config(data__dsm="auto"))
    assert inputs.reader.channels == inputs.reader.bands


@pytest.mark.parametrize("choice", ["auto", "ignore"])
def test_nothing_is_said_where_no_height_is_lost(two_scenes, choice):
    if choice == "auto":
        add_heights(two_scenes, "s1")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RasterWarning)
        inputs = prepare(two_scenes, tiny_config(data__dsm=choice))
    assert inputs.reader.channels == inputs.reader.bands + (choice == "auto")


def test_validation_has_heights_where_training_has(two_scenes, tmp_path):
    elsewhere = shutil.copytree(two_scenes, tmp_path / "val")
    config = tiny_config(data__dsm="auto")
    with pytest.warns(RasterWarning):
        without = prepare(two_scenes, config)
    add_heights(elsewhere, "s1")
    assert validation_set(elsewhere, without, config).reader.channels == without.reader.channels
    (elsewhere / "dsm" / "s1.tif").unlink()
    add_heights(two_scenes, "s1")
    with pytest.raises(RasterError, match=r"s1\.tif: found no DSM for it"):
        validation_set(elsewhere, prepare(two_scenes, config), config)
