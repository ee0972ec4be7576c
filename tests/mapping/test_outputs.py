"""What is written beside a class map: further layers, polygons, mosaic, STAC items, ONNX."""

import json
import sys

import geopandas
import numpy as np
import pyogrio
import pystac
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rio_cogeo.cogeo import cog_validate

from tests.helpers.mapping_fakes import Identity
from tests.mapping.test_export import NORTH_UP, picture, write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.inference.network import Network, average_orientations, halve_on_memory_error
from tsfal_geo.mapping.outputs.mosaic import write_mosaic
from tsfal_geo.mapping.outputs.onnx import export_onnx, onnx_network
from tsfal_geo.mapping.outputs.polygons import write_polygons
from tsfal_geo.mapping.outputs.rasters import Settings, export_scene
from tsfal_geo.mapping.outputs.stac import write_map_item
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.write import write_classes

SHARES = np.array([0.1, 0.2, 0.005, 0.43, 0.2, 0.065], np.float32)


def constant(error=None):
    def network(batch):
        size = (len(batch["image"]), -1, 16, 16)
        layers = {"probabilities": torch.from_numpy(SHARES)[None, :, None, None].expand(size)}
        return layers if error is None else {**layers, "error": torch.full((size[0], 1, 16, 16), error)}

    return network


def export(folder, predict, threshold=None, **options):
    reader = SceneReader(discover(folder), None, False)
    network = Network(predict, None, VAIHINGEN, error_threshold=threshold)
    return export_scene(reader, 0, network, folder / "maps", Settings(**{"window": 64, **options}))


def read(path, band=1):
    with rasterio.open(path) as file:
        return file.read(band)


def test_all_layers_come_from_one_pass(tmp_path):
    image = picture(70, 600)
    image[:, :9, :9] = 7
    write(tmp_path / "town.tif", image, nodata=7)
    layers = ("entropy", "error_mask", "probabilities", "confidence")
    files = export(tmp_path, constant(0.8), 0.5, layers=layers)
    nodata = np.zeros((70, 600), bool)
    nodata[:9, :9] = True
    entropy = 100 * -(SHARES * np.log(SHARES)).sum() / np.log(6)
    for layer, value in (("confidence", 43), ("entropy", round(entropy)), ("error_mask", 80)):
        assert np.array_equal(read(files.layers[layer]), np.where(nodata, 255, value)), layer
    with rasterio.open(files.layers["probabilities"]) as made:
        assert made.descriptions == VAIHINGEN.names and set(made.scales) == {1 / 250}
        expected = np.rint(SHARES * 250)[:, None, None]
        assert np.abs(made.read() - np.where(nodata, 255, expected)).max() <= 1
    assert all(cog_validate(path, strict=True)[0] for path in files.layers.values())


@pytest.mark.parametrize(
    ("error", "threshold", "doubt", "expected"),
    [
        (0.2, 0.5, 0.4, 0),
        (0.2, 0.1, 0.4, 20),
        (0.2, 0.5, 0.7, 20),
        (None, None, 0.7, 57),
        (None, None, 0.4, 0),
    ],
)
def test_the_error_mask_is_low_confidence_or_the_decoders_word(tmp_path, error, threshold, doubt, expected):
    write(tmp_path / "town.tif", picture(30, 40))
    files = export(tmp_path, constant(error), threshold, layers=("error_mask",), doubt=doubt)
    assert (read(files.layers["error_mask"]) == expected).all()


GRID = GeoBox((240, 200), Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), "EPSG:25832")


def blobs(seed=0):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal(GRID.shape), 5) for _ in range(4)]
    index = np.argmax(fields, 0).astype(np.uint8)
    index[rng.random(GRID.shape) < 0.01] = 4
    index[:30, :30] = 255
    return index


def test_geoparquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "town_polygons.parquet"
    with pytest.raises(UserError, match=r"needs pyarrow; `pip install 'tsfal-geo\[parquet\]'`$"):
        write_polygons(path, tmp_path / "town.tif", VAIHINGEN)


@pytest.mark.parametrize("suffix", ["gpkg", "parquet", "fgb"])
def test_polygons_share_their_borders(tmp_path, suffix):
    index = blobs()
    write_classes(tmp_path / "town.tif", GRID, VAIHINGEN, index)
    path = tmp_path / f"town_polygons.{suffix}"
    count = write_polygons(path, tmp_path / "town.tif", VAIHINGEN, min_area=25 * 0.25)
    frame = geopandas.read_parquet(path) if suffix == "parquet" else geopandas.read_file(path)
    assert len(frame) == count and frame.crs == "EPSG:25832"
    shapes = frame.geometry.to_numpy()
    single = shapely.get_geometry(shapes, 0) if suffix == "gpkg" else shapes
    assert shapely.is_valid(shapes).all() and shapely.coverage_is_valid(single)
    labelled_area = (index != 255).sum() * 0.25
    assert shapely.union_all(shapes).area == pytest.approx(labelled_area, rel=0.01)
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-9)
    assert 4 not in set(frame.class_id) and frame.area.min() > 3
    back = rasterize(zip(shapes, frame.class_id, strict=True), GRID.shape, fill=255, transform=GRID.affine)
    assert (back == index)[index < 4].mean() > 0.93
    assert shapely.get_num_coordinates(shapes).sum() < 0.5 * 4 * count + 6000
    assert "categorizedSymbol" in path.with_suffix(".qml").read_text()


def test_polygons_along_the_pixels_are_exact(tmp_path):
    index = blobs()
    write_classes(tmp_path / "town.tif", GRID, VAIHINGEN, index)
    write_polygons(tmp_path / "town.fgb", tmp_path / "town.tif", VAIHINGEN, min_area=0, smooth=0)
    frame = geopandas.read_file(tmp_path / "town.fgb")
    shapes = zip(frame.geometry, frame.class_id, strict=True)
    assert np.array_equal(rasterize(shapes, GRID.shape, fill=255, transform=GRID.affine), index)


def test_a_map_of_nodata_has_no_polygons(tmp_path):
    write_classes(tmp_path / "town.tif", GRID, VAIHINGEN, np.full(GRID.shape, 255, np.uint8))
    assert write_polygons(tmp_path / "town.gpkg", tmp_path / "town.tif", VAIHINGEN) == 0
    assert pyogrio.read_info(tmp_path / "town.gpkg")["features"] == 0


@pytest.fixture
def two_maps(tmp_path):
    """Two maps that overlap by 40 columns; the first has a hole in it."""
    first, second = np.zeros((100, 120), np.uint8), np.ones((90, 130), np.uint8)
    first[10:20, 90:110] = 255
    for name, index, x, y in (("b", second, 80, 30), ("a", first, 0, 0)):
        affine = Affine(0.5, 0, 500_000 + 0.5 * x, 0, -0.5, 5_400_000 + 0.5 * y)
        write_classes(tmp_path / f"{name}.tif", GeoBox(index.shape, affine, "EPSG:25832"), VAIHINGEN, index)
    expected = np.full((130, 210), 255, np.uint8)
    expected[:90, 80:] = 1
    expected[30:, :120] = np.where(first == 255, expected[30:, :120], first)
    return [tmp_path / "b.tif", tmp_path / "a.tif"], expected


@pytest.mark.parametrize("kind", ["tif", "vrt"])
def test_a_mosaic_shows_the_first_map_and_below_it_the_second(tmp_path, two_maps, kind):
    maps, expected = two_maps
    path = write_mosaic(tmp_path / f"mosaic.{kind}", maps, VAIHINGEN)
    with rasterio.open(path) as made:
        assert np.array_equal(made.read(1), expected)
        assert made.transform == Affine(0.5, 0, 500_000, 0, -0.5, 5_400_015)
        assert made.crs == "EPSG:25832" and made.nodata == 255 and made.colormap(1)[1] == (0, 0, 255, 255)
    assert "building" in (
        path.read_text() if kind == "vrt" else path.with_name("mosaic.tif.aux.xml").read_text()
    )
    assert not [p for p in tmp_path.iterdir() if "sources" in p.name or p.name.startswith(".")]


def test_a_mosaic_of_two_crs_is_refused(tmp_path, two_maps):
    grid = GeoBox((20, 20), NORTH_UP, "EPSG:25833")
    write_classes(tmp_path / "c.tif", grid, VAIHINGEN, np.zeros((20, 20), np.uint8))
    with pytest.raises(RasterError, match="expected one CRS"):
        write_mosaic(tmp_path / "mosaic.vrt", [*two_maps[0], tmp_path / "c.tif"], VAIHINGEN)


def test_stac_items_say_what_the_map_is(tmp_path):
    write(tmp_path / "town.tif", picture(70, 80))
    files = export(tmp_path, Identity(), layers=("confidence",))
    scenes = discover(tmp_path)
    item = pystac.Item.from_file(str(write_map_item(files, scenes[0], VAIHINGEN)))
    assert set(item.assets) == {"classes", "confidence"} and item.properties["proj:code"] == "EPSG:25832"
    assert item.bbox[0] == pytest.approx(8.959, abs=0.01) and item.bbox[1] == pytest.approx(48.93, abs=0.01)
    assert (tmp_path / "maps" / item.assets["classes"].href).is_file()
    assert [c["title"] for c in item.assets["classes"].extra_fields["classification:classes"]] == [
        *VAIHINGEN.names
    ]


@pytest.mark.slow
def test_onnx_gives_the_same_classes(tmp_path, model):
    pytest.importorskip("onnxruntime")
    import onnx

    from tsfal_geo.inference.compute import Compute
    from tsfal_geo.inference.network import open_network

    folder, _ = model
    export_onnx(folder, tmp_path / "model.onnx", resolution=0.09, overlap=0.25)
    props = {p.key: json.loads(p.value) for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert props["model_type"] == "Segmentor" and props["resolution"] == 9.0 and props["tile_size"] == 64
    assert props["class_names"] == {str(i): name for i, name in enumerate(VAIHINGEN.names)}
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64)).astype(np.uint8))
    batch = {"image": image, "valid": torch.ones(2, 64, 64, dtype=torch.bool)}
    cells = open_network(folder, Compute(torch.device("cpu"), None)).predict(batch)["probabilities"]
    expected = torch.nn.functional.interpolate(cells, scale_factor=4, mode="bilinear")
    found = onnx_network(tmp_path / "model.onnx")(batch)["probabilities"]
    assert len(expected.argmax(1).unique()) > 2
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.9999
    assert (found - expected).abs().max() < 1e-4


def test_turns_leave_a_symmetric_network_alone_and_mend_a_lopsided_one():
    image = torch.rand(2, 3, 64, 64)
    batch = {"image": image, "valid": torch.ones(2, 64, 64, dtype=torch.bool)}
    pooled = average_orientations(lambda b: {"p": torch.nn.functional.avg_pool2d(b["image"], 4)})(batch)["p"]
    assert torch.allclose(pooled, torch.nn.functional.avg_pool2d(image, 4), atol=1e-6)
    shifted = average_orientations(lambda b: {"p": b["image"].roll(1, -1)})(batch)["p"]
    around = sum(image.roll(s, d) for s in (1, -1) for d in (-1, -2)) / 4
    assert torch.allclose(shifted, around, atol=1e-6)


def test_batches_are_halved_until_they_fit_and_the_result_stays():
    sizes = []

    def hungry(batch):
        sizes.append(len(batch["image"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"p": batch["image"] * 2}

    predict = halve_on_memory_error(hungry)
    image = torch.arange(13.0).view(13, 1, 1, 1)
    assert torch.equal(predict({"image": image})["p"], image * 2)
    assert sizes[:4] == [13, 7, 4, 2]
    sizes.clear()
    assert torch.equal(predict({"image": image})["p"], image * 2)
    assert sizes == [2] * 6 + [1]

    def broken(batch):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        halve_on_memory_error(broken)({"image": image})
