"""Points and lines label pixels: the ones that contain them, that lie near them, that they cross."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

from tests.labels.conftest import CLASSES, make_scene, on_ground, square
from tsfal_geo.classes import IGNORE
from tsfal_geo.labels.footprints import with_area
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window

TURNED = Affine(0.3, 0.4, 497_000, 0.4, -0.3, 5_419_000)


def pixels(scene, *shapes, radius=None):
    """The mask that shapes in pixel coordinates label."""
    ground = with_area(np.array([on_ground(scene, shape) for shape in shapes], dtype=object), scene, radius)
    labels = [Label(scene.name, 3, shape) for shape in ground if shape is not None]
    return PolygonLabels(labels, [scene], CLASSES).read(Window(0, 0, 0, *scene.shape)) != IGNORE


@pytest.mark.parametrize("affine", [None, TURNED])
def test_a_point_labels_the_pixel_that_contains_it(affine):
    scene = make_scene(affine=affine)
    found = pixels(scene, shapely.Point(12.9, 7.1), shapely.MultiPoint([(3.5, 4.5), (79.99, 59.99)]))
    assert np.argwhere(found).tolist() == [[4, 3], [7, 12], [59, 79]]


@pytest.mark.parametrize("affine", [None, TURNED])
def test_a_line_labels_every_pixel_that_it_crosses(affine):
    scene = make_scene(affine=affine)
    corners = np.random.default_rng(3).uniform(-20, 100, (12, 2))
    found = pixels(scene, shapely.LineString(corners))
    squares = [
        [
            shapely.LineString(corners).intersection(shapely.box(x, y, x + 1, y + 1)).length > 0
            for x in range(80)
        ]
        for y in range(60)
    ]
    assert (found == np.array(squares)).all()
    assert found.sum() > 100


def test_lines_agree_with_gdal():
    scene = make_scene()
    line = shapely.LineString([(2.3, 3.7), (70.2, 20.4), (9.1, 55.5)])
    expected = rasterize([line], scene.shape, all_touched=True) != 0
    assert (pixels(scene, line) == expected).all()


def test_a_line_along_the_pixels_edges_labels_one_side():
    assert pixels(make_scene(), shapely.LineString([(5, 10), (9, 10)])).sum() == 4


@pytest.mark.parametrize(
    ("crs", "size", "place", "metres"),
    [
        ("EPSG:25832", 0.5, (497_000, 5_419_000), (0.5, 0.5)),
        ("EPSG:3857", 0.5, (1_489_000, 6_894_000), (0.3045, 0.3045)),  # at 52.5 degrees north
        ("EPSG:4326", 0.00001, (10.0, 60.0), (0.558, 1.114)),
        ("EPSG:2263", 1.0, (1_000_000, 200_000), (0.3048, 0.3048)),  # feet
    ],
)
def test_a_disc_has_its_radius_in_metres(crs, size, place, metres):
    scene = make_scene(shape=(120, 160), affine=Affine(size, 0, place[0], 0, -size, place[1]), crs=crs)
    radius = 12.0
    found = pixels(scene, shapely.Point(80, 60), radius=radius)
    rows, columns = found.any(1).sum(), found.any(0).sum()
    assert columns == pytest.approx(2 * radius / metres[0], abs=2)
    assert rows == pytest.approx(2 * radius / metres[1], abs=2)
    assert found.sum() == pytest.approx(np.pi * radius**2 / metres[0] / metres[1], rel=0.02)


def test_a_small_disc_labels_the_points_own_pixel():
    assert pixels(make_scene(), shapely.Point(5.1, 5.1), radius=0.01).sum() == 1


def test_points_and_lines_beyond_the_scene_label_nothing():
    scene = make_scene()
    beyond = [shapely.Point(-0.1, 3), shapely.Point(80.1, 3), shapely.LineString([(-5, -5), (-1, 90)])]
    ground = np.array([on_ground(scene, shape) for shape in beyond], dtype=object)
    assert list(with_area(ground, scene, None)) == [None] * 3
    assert with_area(ground[:1], scene, 0.001)[0] is None


@pytest.mark.parametrize("layer", ["labels", "labels_points"])
def test_an_annotators_points_and_lines_are_labels(tmp_path, town, layer):
    store = open_store(tmp_path, CLASSES, [town])
    store.folder.mkdir()
    shapes = [shapely.Point(3.5, 4.5), shapely.LineString([(10.5, 5.5), (14.5, 5.5)])]
    frame = geopandas.GeoDataFrame(
        {"class_id": [3, 7]}, geometry=[on_ground(town, shape) for shape in shapes], crs=25832
    )
    frame.to_crs(4326).to_file(store.folder / "ben.gpkg", layer=layer)
    found = store.snapshot()
    assert not found.rejected
    read = PolygonLabels(found.labels, [town], CLASSES).read(Window(0, 0, 0, *town.shape))
    assert np.argwhere(read != IGNORE).tolist() == [[4, 3], [5, 10], [5, 11], [5, 12], [5, 13], [5, 14]]


def test_a_point_that_a_script_adds_is_kept(tmp_path, town):
    store = open_store(tmp_path, CLASSES, [town])
    store.add("anna", [Label("town", 3, on_ground(town, shapely.Point(3.5, 4.5)))])
    read = PolygonLabels(store.snapshot().labels, [town], CLASSES).read(Window(0, 0, 0, *town.shape))
    assert np.argwhere(read != IGNORE).tolist() == [[4, 3]]


def test_a_collection_without_polygons_gives_its_lines_or_points(tmp_path, town):
    store = open_store(tmp_path, CLASSES, [town])
    store.folder.mkdir()
    point, line = shapely.Point(3.5, 4.5), shapely.LineString([(10.5, 5.5), (11.5, 5.5)])
    area = shapely.box(20, 20, 22, 22)
    shapes = [(point,), (point, line), (point, line, area)]
    geometry = [on_ground(town, shapely.GeometryCollection(parts)) for parts in shapes]
    frame = geopandas.GeoDataFrame({"class_id": [3, 3, 3]}, geometry=geometry, crs=pyproj.CRS(25832))
    frame.to_file(store.folder / "ben.gpkg", layer="labels")
    labels = store.snapshot().labels
    counts = [PolygonLabels([label], [town], CLASSES).pixels().sum() for label in labels]
    assert counts == [1, 2, 4]
    assert labels[2].geometry.equals(on_ground(town, area)) or square(town, 20, 20, 2).equals(
        labels[2].geometry
    )
