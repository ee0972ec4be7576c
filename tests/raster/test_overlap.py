"""Validation scenes on ground that is trained on."""

import shutil

import numpy as np
import pyproj
import pytest
from PIL import Image
from rasterio.transform import from_origin

from tsfal_geo.raster.comparison import overlapping
from tsfal_geo.raster.header import read_scene

E, N = 5e5, 5.4e6


@pytest.fixture
def scene_at(tmp_path, write_tif):
    def make(name, east=0.0, size=1.0, crs="EPSG:25832", x=E, y=N):
        grid = from_origin(x + east, y, size, size)
        return read_scene(write_tif(tmp_path / name, np.ones((3, 40, 40), np.uint8), transform=grid, crs=crs))

    return make


@pytest.mark.parametrize(
    ("east", "overlaps"), [(0, True), (30, True), (39.9, False), (40, False), (5000, False)]
)
def test_scenes_overlap_where_they_share_ground(scene_at, east, overlaps):
    trained = [scene_at("far.tif", 9000), scene_at("a.tif")]
    found = overlapping([scene_at("b.tif", east)], trained)
    assert [other.name for _, other in found] == (["a"] if overlaps else [])


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:25833", "EPSG:3857", "EPSG:4326"])
def test_scenes_overlap_across_crss(scene_at, crs):
    x, y = pyproj.Transformer.from_crs(25832, crs, always_xy=True).transform(E, N)
    size = 1e-5 if crs == "EPSG:4326" else 1.0
    away = 1.0 if crs == "EPSG:4326" else 90_000.0
    trained = [scene_at("a.tif"), scene_at("c.tif", 9000, crs="EPSG:31467")]
    assert len(overlapping([scene_at("b.tif", crs=crs, x=x, y=y, size=size)], trained)) == 1
    assert overlapping([scene_at("b.tif", crs=crs, x=x + away, y=y, size=size)], trained) == []


def test_pictures_without_a_place_overlap_with_their_copies_only(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (2, 20, 20, 3)).astype(np.uint8)
    for name, values in zip("ab", noise, strict=True):
        Image.fromarray(values).save(tmp_path / f"{name}.bmp")
        shutil.copy(tmp_path / f"{name}.bmp", tmp_path / f"{name}.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    a, b, copy, link = (read_scene(tmp_path / f"{name}.png") for name in ("a", "b", "copy", "link"))
    assert overlapping([b], [a]) == []
    assert [len(overlapping([scene], [a])) for scene in (a, copy, link)] == [1, 1, 1]
