import os
from unittest import mock

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from click.testing import CliRunner
from rasterio.transform import Affine

from tests.helpers.servers import serving
from tsfal_geo.cli import info
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover, survey
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.vrt import REMOTE, local_folder

HALVES = (Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), Affine(0.5, 0, 500_050, 0, -0.5, 5_400_000))

SOURCE = """<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>
<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="100" ySize="80"/>
<DstRect xOff="{x}" yOff="0" xSize="100" ySize="80"/></SimpleSource>"""


def mosaic(path, names, bands=3, kind=""):
    """A VRT as gdalbuildvrt writes it."""
    text = '<VRTDataset rasterXSize="200" rasterYSize="80"><SRS>EPSG:25832</SRS>'
    text += "<GeoTransform>500000, 0.5, 0, 5400000, 0, -0.5</GeoTransform>"
    for band in range(1, bands + 1):
        text += f'<VRTRasterBand dataType="Byte" band="{band}" {kind}>'
        text += "".join(SOURCE.format(name=name, band=band, x=100 * i) for i, name in enumerate(names))
        text += "</VRTRasterBand>"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "</VRTDataset>")
    return path


@pytest.fixture
def halves(tmp_path, write_tif, random_image):
    images = [random_image((3, 80, 100), seed=i) for i in (0, 1)]
    for name, image, transform in zip("ab", images, HALVES, strict=True):
        write_tif(tmp_path / f"{name}.tif", image, transform=transform, compress="deflate")
    return np.concatenate(images, 2)


def test_a_mosaic_is_one_scene_and_its_parts_are_none(tmp_path, halves):
    mosaic(tmp_path / "town.vrt", ["a.tif", "b.tif"])
    found = survey(tmp_path)
    assert [scene.name for scene in found.scenes] == ["town"] and not found.problems
    assert "a.tif is not read by itself (2 such files)" in found.warnings[0]
    reader = SceneReader(found.scenes, None, False)
    assert np.array_equal(reader.read(Window(0, 0, 0, 80, 200)).image, halves)
    assert np.array_equal(reader.read(Window(0, 10, 90, 20, 30)).image, halves[:, 10:30, 90:120])


def test_parts_may_lie_elsewhere(tmp_path, halves):
    mosaic(tmp_path / "scenes" / "town.vrt", ["../a.tif", str(tmp_path / "b.tif")])
    assert [scene.shape for scene in discover(tmp_path / "scenes")] == [(80, 200)]


@pytest.mark.parametrize(
    ("names", "kind", "reason"),
    [
        (["a.tif", "missing.tif"], "", "cannot be opened"),
        (["a.tif", "secret.txt"], "", "no GeoTIFF"),
        (["a.tif", "inner.vrt"], "", "VRTs of VRTs"),
        (["a.tif", "HDF5:x.h5"], "", "cannot be opened"),
        (["a.tif", "/vsizip/x.zip/y.tif"], "", "expected files"),
        (["a.tif", "/vsicurl/https://example.org/x.tif"], "", "--allow-remote"),
        (["a.tif"], 'subClass="VRTDerivedRasterBand"', "computes or warps"),
        ([], "", "without rasters"),
    ],
)
def test_vrts_that_reach_out_are_refused(tmp_path, halves, names, kind, reason):
    (tmp_path / "secret.txt").write_text("secret")
    mosaic(tmp_path / "inner.vrt", ["a.tif", "b.tif"])
    path = mosaic(
        tmp_path / "scenes" / "town.vrt", [n if n.startswith("/") else f"../{n}" for n in names], kind=kind
    )
    with pytest.raises(RasterError, match=reason) as error:
        discover(tmp_path / "scenes")
    assert str(path) in str(error.value) or "cannot be opened" in reason


def test_broken_and_greedy_files_are_refused(tmp_path, halves):
    (tmp_path / "scenes").mkdir()
    path = tmp_path / "scenes" / "town.vrt"
    for text, reason in (
        ("<VRTDataset>", "not readable"),
        ("<other/>", "expected a mosaic"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><VRTDataset/>', "entities"),
    ):
        path.write_text(text)
        with pytest.raises(RasterError, match=reason):
            discover(tmp_path / "scenes")


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(tmp_path) as address:
        yield f"http://{address}"


def test_a_raster_on_the_web_is_a_scene_where_that_is_allowed(tmp_path, halves, server, monkeypatch):
    monkeypatch.delenv(REMOTE, raising=False)
    with pytest.raises(RasterError, match="--allow-remote"):
        local_folder(f"{server}/a.tif", tmp_path / "remote")
    monkeypatch.setenv(REMOTE, "1")
    folder = local_folder(f"{server}/a.tif", tmp_path / "remote")
    scenes = discover(folder)
    assert [scene.name for scene in scenes] == ["a"] and scenes[0].grid.affine == HALVES[0]
    assert np.array_equal(
        SceneReader(scenes, None, False).read(Window(0, 0, 0, 80, 100)).image, halves[:, :, :100]
    )
    monkeypatch.delenv(REMOTE)
    with pytest.raises(RasterError, match="over the network"):
        discover(folder)


def test_the_option_allows_it(tmp_path, halves, server, monkeypatch):
    monkeypatch.setenv(REMOTE, "0")
    mosaic(tmp_path / "scenes" / "town.vrt", [f"/vsicurl/{server}/{name}.tif" for name in "ab"])
    refused = CliRunner().invoke(info.command, ["--raster", str(tmp_path / "scenes")])
    assert "--allow-remote" in refused.output and refused.exit_code != 0
    with mock.patch.dict(os.environ):
        allowed = CliRunner().invoke(info.command, ["--raster", str(tmp_path / "scenes"), "--allow-remote"])
    assert allowed.exit_code == 0, allowed.output


def test_world_files_of_local_rasters_are_found_where_remote_ones_are_allowed(tmp_path):
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as dataset:
        dataset.write(np.ones((1, 30, 40), np.uint8))
    (tmp_path / "a.tfw").write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    with mock.patch.dict(os.environ):
        CliRunner().invoke(info.command, ["--raster", str(tmp_path), "--allow-remote"])
        (scene,) = discover(tmp_path)
    assert scene.grid.affine == Affine(0.5, 0, 1000, 0, -0.5, 2000)


@pytest.mark.parametrize("name", ["rotated_south_up", "uint16_3band", "rgba_2cm", "nan_nodata", "mars_crs"])
def test_odd_real_rasters_are_read_through_a_vrt_as_they_are(tmp_path, real_data, name):
    source = real_data / "odd_rasters" / f"{name}.tif"
    rasterio.shutil.copy(source, tmp_path / f"{name}.vrt", driver="VRT")
    (scene,) = discover(tmp_path)
    (plain,) = [s for s in survey(source.parent).scenes if s.name == name]
    assert scene.grid == plain.grid and scene.dtype == plain.dtype and scene.alpha == plain.alpha
    ours, theirs = (SceneReader([s], None, False).read(Window(0, 5, 5, 64, 64)) for s in (scene, plain))
    assert np.array_equal(ours.image, theirs.image, equal_nan=True) and np.array_equal(
        ours.valid, theirs.valid
    )
