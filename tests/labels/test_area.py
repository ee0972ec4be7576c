"""Areas of interest: to the pixel, in any CRS, with a word where they miss."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.labels.exchange.area import Area, limit_to, read_area
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader

X, Y, SIZE = 500_000.0, 5_400_000.0, 0.5


def write(path: Path, crs="EPSG:25832", transform=None, shape=(90, 120)):
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = transform or from_origin(X, Y, SIZE, SIZE)
    profile = {"driver": "GTiff", "width": shape[1], "height": shape[0], "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as file:
        file.write(np.full((3, *shape), 7, np.uint8))


def valid(scene, window=None):
    reader = SceneReader([scene], None, use_dsm=False)
    return reader.read(window or Window(0, 0, 0, *scene.shape)).valid


def inside(shape, scene):
    """Pixel by pixel: the centre lies in the shape, in map coordinates."""
    rows, columns = np.indices(scene.shape)
    x, y = scene.grid.affine * (columns.ravel() + 0.5, rows.ravel() + 0.5)
    return shapely.contains_xy(shape, x, y).reshape(scene.shape)


TRIANGLE = shapely.Polygon([(X + 5.1, Y - 4.3), (X + 52.7, Y - 11.9), (X + 20.2, Y - 41.6)])


def test_exactly_the_pixels_whose_centres_lie_in_the_area_count(tmp_path):
    write(tmp_path / "a.tif")
    (scene,) = limit_to(discover(tmp_path), Area(tmp_path, TRIANGLE, pyproj.CRS(25832)))
    found = valid(scene)
    assert 0 < found.sum() < found.size
    assert np.array_equal(found, inside(TRIANGLE, scene))
    # The same pixels in any window, also one that hangs over the edge.
    part = valid(scene, Window(0, 13, 27, 40, 50))
    assert np.array_equal(part, found[13:53, 27:77])
    over = valid(scene, Window(0, 60, 90, 64, 64))
    assert np.array_equal(over[:30, :30], found[60:, 90:]) and not over[30:].any()


@pytest.mark.parametrize("crs", [4326, 3857, 25833])
def test_an_area_in_another_crs_is_the_same_ground(tmp_path, crs):
    write(tmp_path / "a.tif")
    frame = geopandas.GeoDataFrame(geometry=[TRIANGLE.segmentize(1.0)], crs=25832).to_crs(crs)
    frame.to_file(tmp_path / "area.gpkg")
    (scene,) = limit_to(discover(tmp_path), read_area(tmp_path / "area.gpkg"))
    # A centre may lie on the border to within the accuracy of the projection.
    assert (valid(scene) != inside(TRIANGLE, scene)).sum() <= 2


def test_pictures_without_georeference_have_areas_as_labels_have_places(tmp_path):
    write(tmp_path / "a.tif", crs=None, transform=rasterio.Affine.identity())
    shape = shapely.box(10, -30, 50, -20)
    (scene,) = limit_to(discover(tmp_path), Area(tmp_path, shape, None))
    rows, columns = np.nonzero(valid(scene))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 29, 10, 49)


def test_scenes_outside_are_left_out_and_an_area_beside_all_is_refused(tmp_path):
    write(tmp_path / "a.tif")
    write(tmp_path / "b.tif", transform=from_origin(X + 1000, Y, SIZE, SIZE))
    crs = pyproj.CRS(25832)
    assert [s.name for s in limit_to(discover(tmp_path), Area(tmp_path, TRIANGLE, crs))] == ["a"]
    far = shapely.box(X + 5000, Y, X + 5001, Y + 1)
    with pytest.raises(RasterError, match=r"touches none of 2 scenes, such as .*a\.tif; .*check its CRS"):
        limit_to(discover(tmp_path), Area(tmp_path, far, crs))
    with pytest.raises(RasterError, match="found no CRS, but"):
        limit_to(discover(tmp_path), Area(tmp_path, TRIANGLE, None))


def test_files_that_hold_no_area_are_refused_in_a_line(tmp_path):
    points = geopandas.GeoDataFrame(geometry=[shapely.Point(X, Y)], crs=25832)
    points.to_file(tmp_path / "points.geojson")
    (tmp_path / "area.txt").write_text("polygon")
    (tmp_path / "fake.shp").write_text("polygon")
    for name, text in {
        "points.geojson": "found no polygon",
        "area.txt": "not a vector file",
        "fake.shp": "first bytes are not those",
        "gone.gpkg": "no such file",
    }.items():
        with pytest.raises(LabelError, match=text):
            read_area(tmp_path / name)
