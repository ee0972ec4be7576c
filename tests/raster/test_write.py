import shutil
import subprocess
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.transform import Affine, from_origin
from rio_cogeo.cogeo import cog_validate

from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.write import RasterWriter, class_writer, write_classes

ODD = ClassMap((ClassInfo(7, "Straße & <Weg>", (1, 2, 3)), ClassInfo(0, "roof", (40, 50, 60))))
NORTH_UP = from_origin(497_123.456789, 5_420_987.654321, 0.09, 0.09)
ROTATED = Affine(-0.143, -0.5767, 337_934.483635, -0.57677, 0.14299987, 7_840_518.464866)


def labels_of(shape, classes=6):
    labels = np.random.default_rng(0).integers(0, classes, shape).astype(np.uint8)
    labels[: shape[0] // 4] = 255
    return labels


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED, Affine(2, 0, 5, 0, 2, 7)])
def test_grid_and_pixels_are_exact_and_the_file_is_a_cog(tmp_path, transform):
    grid = GeoBox((700, 1100), transform, "EPSG:25832")
    labels = labels_of((700, 1100))
    path = tmp_path / "map.tif"
    write_classes(path, grid, VAIHINGEN, labels)
    with rasterio.open(path) as dataset:
        assert dataset.transform == transform
        assert dataset.crs == rasterio.CRS.from_epsg(25832)
        assert dataset.nodata == 255
        assert np.array_equal(dataset.read(1), labels)
    assert cog_validate(path, strict=True)[:2] == (True, [])


def test_ids_colours_and_names_are_in_the_file(tmp_path):
    path = tmp_path / "map.tif"
    write_classes(path, GeoBox((8, 8), NORTH_UP, "EPSG:25832"), ODD, labels_of((8, 8), 2))
    with rasterio.open(path) as dataset:
        assert set(np.unique(dataset.read(1))) == {7, 0, 255}
        assert dataset.colormap(1)[7] == (1, 2, 3, 255)
        assert dataset.tags(1)["class_7"] == "Straße & <Weg>"
    root = ElementTree.parse(tmp_path / "map.tif.aux.xml").getroot()
    names = [c.text for c in root.iterfind("PAMRasterBand/CategoryNames/Category")]
    assert names == ["roof", None, None, None, None, None, None, "Straße & <Weg>"]
    rows = [[f.text for f in row] for row in root.iterfind(".//GDALRasterAttributeTable/Row")]
    assert rows[0] == ["7", "Straße & <Weg>", "1", "2", "3"]
    entries = ElementTree.parse(tmp_path / "map.qml").getroot().iterfind(".//paletteEntry")
    assert [(e.get("value"), e.get("color")) for e in entries] == [("7", "#010203"), ("0", "#28323c")]


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdal_reads_names_and_attribute_table(tmp_path):
    path = tmp_path / "map.tif"
    write_classes(path, GeoBox((8, 8), NORTH_UP, "EPSG:25832"), ODD, labels_of((8, 8), 2))
    text = subprocess.run(["gdalinfo", str(path)], check=True, capture_output=True, text=True).stdout
    assert "7: Straße & <Weg>" in text
    assert "GDALRasterAttributeTable" in text


def test_overviews_of_classes_are_modes(tmp_path):
    path = tmp_path / "map.tif"
    labels = np.tile(np.array([[5, 5], [0, 3]], np.uint8), (512, 512))
    write_classes(path, GeoBox(labels.shape, NORTH_UP, "EPSG:25832"), VAIHINGEN, labels)
    with rasterio.open(path, overview_level=0) as dataset:
        assert set(np.unique(dataset.read(1))) == {5}


def test_blocks_may_come_in_any_order_and_gaps_are_nodata(tmp_path):
    grid = GeoBox((1300, 900), NORTH_UP, "EPSG:25832")
    labels = labels_of((1300, 900))
    path = tmp_path / "map.tif"
    blocks = [(1024, 512), (0, 0), (512, 512), (512, 0), (1024, 0)]
    with class_writer(path, grid, VAIHINGEN) as writer:
        for y, x in blocks:
            writer.write(y, x, labels[y : y + 512, x : x + 512])
    labels[:512, 512:] = 255
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(1), labels)


def test_continuous_bands(tmp_path):
    grid = GeoBox((600, 600), NORTH_UP, "EPSG:25832")
    values = np.random.default_rng(0).normal(size=(2, 600, 600)).astype(np.float32)
    path = tmp_path / "c.tif"
    with RasterWriter(
        path, grid, "float32", 2, np.nan, descriptions=("a", "b"), tags={"KEY": "value"}
    ) as writer:
        writer.write(0, 0, values)
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(), values)
        assert dataset.descriptions == ("a", "b")
        assert dataset.tags()["KEY"] == "value"
    assert cog_validate(path)[0]
    assert not path.with_suffix(".qml").exists()


def test_without_georeference_nothing_is_claimed_nor_warned_of(tmp_path, recwarn):
    warnings.simplefilter("always")
    path = tmp_path / "map.tif"
    write_classes(path, GeoBox((8, 8), Affine.identity(), None), VAIHINGEN, labels_of((8, 8)))
    assert not [w for w in recwarn if issubclass(w.category, rasterio.errors.NotGeoreferencedWarning)]
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as dataset:
        assert dataset.crs is None


def test_a_failed_run_leaves_nothing_and_keeps_the_old_map(tmp_path):
    grid = GeoBox((600, 600), NORTH_UP, "EPSG:25832")
    path = tmp_path / "map.tif"
    write_classes(path, grid, VAIHINGEN, np.zeros((600, 600), np.uint8))
    before, files = path.read_bytes(), sorted(tmp_path.iterdir())
    with pytest.raises(RuntimeError), class_writer(path, grid, VAIHINGEN) as writer:
        writer.write(0, 0, np.ones((512, 512), np.uint8))
        assert path.read_bytes() == before
        raise RuntimeError
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files


def test_real_grids_survive(tmp_path, real_data):
    names = ("mars_crs", "rotated_south_up", "float_nan_tiny", "rgba_2cm", "uint16_3band")
    for source in (real_data / "odd_rasters" / f"{name}.tif" for name in names):
        scene = read_scene(source)
        write_classes(tmp_path / source.name, scene.grid, VAIHINGEN, labels_of(scene.shape))
        with rasterio.open(source) as before, rasterio.open(tmp_path / source.name) as after:
            assert after.transform == before.transform
            assert after.crs == before.crs


@pytest.mark.parametrize("crs", ["EPSG:25832", "EPSG:25833", "EPSG:4326", "ESRI:102003", "EPSG:5514"])
def test_the_reference_system_is_the_grids_to_the_letter(tmp_path, crs):
    grid = GeoBox((8, 8), Affine(0.1, 0, 5e5, 0, -0.1, 5e6), crs)
    with RasterWriter(tmp_path / "map.tif", grid, np.uint8, nodata=255) as writer:
        writer.write(0, 0, np.zeros((8, 8), np.uint8))
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs == rasterio.CRS.from_user_input(crs)
        assert dataset.crs.to_epsg() == rasterio.CRS.from_user_input(crs).to_epsg()
