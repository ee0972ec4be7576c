"""The files of an export are checked before it, lie where their scene lies, and fail one by one."""

import json

import geopandas
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from tests.mapping.test_export import NORTH_UP
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.mapping.outputs.ground import bounding_box, box_geometry, footprint
from tsfal_geo.mapping.outputs.mosaic import write_mosaic
from tsfal_geo.mapping.outputs.polygons import write_polygons
from tsfal_geo.mapping.outputs.products import Products, check_products, check_published
from tsfal_geo.mapping.outputs.rasters import SceneMap
from tsfal_geo.mapping.outputs.stac import write_map_item
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.write import write_classes

ODD_CRS = {
    "three dimensions": pyproj.CRS("EPSG:25832").to_3d(),
    "rotated pole": pyproj.CRS("+proj=ob_tran +o_proj=longlat +o_lat_p=40 +o_lon_p=0 +lon_0=10 +ellps=WGS84"),
    "no authority": pyproj.CRS("+proj=omerc +lat_0=50 +lonc=9 +alpha=30 +gamma=20 +ellps=WGS84"),
    "local": pyproj.CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]'),
    "usual": pyproj.CRS("EPSG:25832"),
}


def scene(folder, name, crs="EPSG:25832", affine=NORTH_UP, shape=(20, 30)):
    return Scene(name, folder / "in" / f"{name}.tif", GeoBox(shape, affine, crs), 3, "uint8")


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("mosaic",), {"mosaic": "cog"}),
        (("Mosaic",), {"mosaic": "cog"}),
        (("mosaic",), {"mosaic": "vrt"}),  # its style, mosaic.qml
        (("model",), {}),  # model.stac.json
        (("a", "a_confidence"), {"layers": ("confidence",)}),
        (("a", "a_polygons"), {"polygons": "fgb"}),  # a_polygons.qml
        (("a", "a_classes"), {"png": True, "preview": True}),
        (("town", "TOWN"), {}),
    ],
)
def test_two_files_of_one_name_are_refused(tmp_path, names, options):
    scenes = [scene(tmp_path, name) for name in names]
    with pytest.raises(UserError, match="would be a file of"):
        check_products(Products(tmp_path / "out", **options), scenes)
    check_products(Products(tmp_path / "out"), [scene(tmp_path, "a"), scene(tmp_path, "a_confidence")])


@pytest.mark.parametrize("name", ["town.tif", "town.qml", "town.tif.aux.xml"])
def test_an_input_and_the_files_beside_it_are_never_overwritten(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"")
    scenes = [Scene("town", tmp_path / "in" / "town.tif", GeoBox((5, 5), NORTH_UP, None), 3, "uint8")]
    check_products(Products(tmp_path / "maps"), scenes)
    with pytest.raises(UserError, match="--out"):
        check_products(Products(tmp_path / "maps" / ".." / "in"), scenes)


@pytest.mark.parametrize("other", ["EPSG:25833", None, "turned", "south-up"])
def test_a_mosaic_that_cannot_be_made_is_refused_before_mapping(tmp_path, other):
    odd = {"turned": Affine(0.3, 0.4, 5e5, 0.4, -0.3, 5.4e6), "south-up": Affine(0.5, 0, 5e5, 0, 0.5, 5.4e6)}
    second = scene(tmp_path, "b", affine=odd[other]) if other in odd else scene(tmp_path, "b", crs=other)
    scenes = [scene(tmp_path, "a"), second]
    check_products(Products(tmp_path), scenes)
    with pytest.raises(RasterError, match="expected"):
        check_products(Products(tmp_path, mosaic="cog"), scenes)


@pytest.mark.parametrize("kind", list(ODD_CRS))
def test_every_product_has_the_scenes_crs(tmp_path, kind):
    crs = ODD_CRS[kind]
    grid = GeoBox((20, 30), Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), crs.to_wkt())
    path = tmp_path / "a.tif"
    write_classes(path, grid, VAIHINGEN, np.zeros((20, 30), np.uint8))
    made = Scene("a", path, grid, 3, "uint8")
    assert check_published(path, made) is None
    write_polygons(tmp_path / "a_polygons.gpkg", path, VAIHINGEN)
    assert geopandas.read_file(tmp_path / "a_polygons.gpkg").crs.equals(crs, ignore_axis_order=True)
    mosaic = write_mosaic(tmp_path / "mosaic.tif", [path], VAIHINGEN)
    assert check_published(mosaic, made) is None
    assert "building" in (tmp_path / "mosaic.tif.aux.xml").read_text()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_another_grid_in_a_published_file_is_told(tmp_path):
    grid = GeoBox((20, 30), NORTH_UP, "EPSG:25832")
    write_classes(tmp_path / "a.tif", grid, VAIHINGEN, np.zeros((20, 30), np.uint8))
    for other in (
        GeoBox((20, 30), NORTH_UP, "EPSG:25833"),
        GeoBox((20, 30), NORTH_UP, None),
        GeoBox((20, 30), NORTH_UP * Affine.translation(1e-6, 0), "EPSG:25832"),
        GeoBox((20, 31), NORTH_UP, "EPSG:25832"),
    ):
        told = check_published(tmp_path / "a.tif", Scene("a", tmp_path / "a.tif", other, 3, "uint8"))
        assert told is not None and "a.tif" in told and "expected" in told


@pytest.mark.parametrize(("shape", "least"), [((1, 20), None), ((1, 1), None), ((4, 6), 1e12)])
def test_a_map_smaller_than_the_smallest_polygon_keeps_its_regions(tmp_path, shape, least):
    ids = np.zeros(shape, np.uint8)
    ids[:, : shape[1] // 3] = 1
    write_classes(tmp_path / "a.tif", GeoBox(shape, NORTH_UP, "EPSG:25832"), VAIHINGEN, ids)
    found = write_polygons(tmp_path / "a.fgb", tmp_path / "a.tif", VAIHINGEN, least, smooth=0)
    assert found == len(np.unique(ids))
    assert geopandas.read_file(tmp_path / "a.fgb")["area"].sum() == pytest.approx(
        ids.size * 0.09**2, rel=0.01
    )


@pytest.mark.parametrize(
    "name", ["gpkg_1", "GPKG_x", "sqlite_x", "'q'", 'say "a"', "rtree_a_geom", "ä b", "a'--"]
)
def test_polygons_of_any_scene_fit_into_a_geopackage(tmp_path, name):
    grid = GeoBox((20, 30), NORTH_UP, "EPSG:25832")
    write_classes(tmp_path / f"{name}.tif", grid, VAIHINGEN, np.zeros((20, 30), np.uint8))
    path = tmp_path / f"{name}_polygons.gpkg"
    write_polygons(path, tmp_path / f"{name}.tif", VAIHINGEN)
    assert len(geopandas.read_file(path)) == 1


@pytest.mark.parametrize(
    ("crs", "x", "y", "box"),
    [
        ("EPSG:4326", 179.9, 10.1, [179.9, 9.9, -179.9, 10.1]),
        ("EPSG:4326", 180.5, 10.1, [-179.5, 9.9, -179.3, 10.1]),
        ("EPSG:32701", 200_000, 8_000_000, None),
        ("EPSG:3832", 4_000_000, 0, None),
        ("EPSG:25832", 500_000, 5_400_000, None),
    ],
)
def test_boxes_across_the_antimeridian_are_those_of_geojson(tmp_path, crs, x, y, box):
    size = 0.01 if crs == "EPSG:4326" else 5000
    place = scene(tmp_path, "a", crs, Affine(size, 0, x, 0, -size, y), shape=(20, 20))
    shape = footprint(place)
    found = bounding_box([shape])
    if box is not None:
        assert found == pytest.approx(box)
    change = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    lon, lat = change.transform(*(place.grid.affine * (10, 10)))
    lon = (lon + 180) % 360 - 180
    assert shapely.Point(lon, lat).within(shapely.buffer(shape, 1e-6))
    west, south, east, north = found
    assert south < lat < north and -180 <= west <= 180 and -180 <= east <= 180
    assert (west <= lon <= east) if west <= east else (lon >= west or lon <= east)
    assert (east - west) % 360 < 5
    assert all(part.bounds[0] >= -180 and part.bounds[2] <= 180 for part in shapely.get_parts(shape))
    drawn = shapely.geometry.shape(box_geometry(found))
    assert drawn.area == pytest.approx((east - west) % 360 * (north - south))


@pytest.mark.parametrize("pole", [1, -1])
def test_a_scene_around_a_pole_reaches_around_the_earth(tmp_path, pole):
    crs = "EPSG:3995" if pole > 0 else "EPSG:3031"
    place = scene(tmp_path, "a", crs, Affine(10_000, 0, -1e5, 0, -10_000, 1e5), shape=(20, 20))
    west, south, east, north = bounding_box([footprint(place)])
    assert (west, east) == (-180, 180)
    assert (north if pole > 0 else south) == pole * 90
    assert abs(south if pole > 0 else north) == pytest.approx(88.7, abs=0.2)


def test_the_box_of_several_scenes_is_the_smallest_around_the_earth():
    boxes = [shapely.box(178, 0, 179, 1), shapely.box(-179, 2, -178, 3), shapely.box(-178.5, 1, -177, 2)]
    assert bounding_box(boxes) == [178, 0, -177, 3]
    assert bounding_box([shapely.box(5, 0, 6, 1), shapely.box(-3, 2, -2, 3)]) == [-3, 0, 6, 3]


@pytest.mark.parametrize("kind", ["local", None])
def test_scenes_that_lie_nowhere_on_earth_have_no_item(tmp_path, kind):
    crs = None if kind is None else ODD_CRS[kind].to_wkt()
    files = SceneMap("a", tmp_path / "a.tif")
    assert write_map_item(files, scene(tmp_path, "a", crs), VAIHINGEN) is None


def test_an_item_across_the_antimeridian_is_valid(tmp_path):
    place = scene(tmp_path, "a", "EPSG:4326", Affine(0.01, 0, 179.9, 0, -0.01, 10), shape=(20, 20))
    path = write_map_item(SceneMap("a", tmp_path / "a.tif"), place, VAIHINGEN)
    item = pystac.Item.from_file(str(path))
    assert item.bbox[0] > item.bbox[2]
    assert json.loads(path.read_text())["geometry"]["type"] == "MultiPolygon"
    with rasterio.Env():
        assert item.properties["proj:code"] == "EPSG:4326"
