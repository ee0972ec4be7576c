import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
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
from tsfal_geo.raster.header import read_scene
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


class Listener:
    """A socket on loopback that counts who calls."""

    def __init__(self):
        self.calls = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.calls.append(caller.recv(100))
                caller.close()

    def close(self):
        self._socket.close()


@pytest.fixture
def listener(monkeypatch):
    monkeypatch.delenv(REMOTE, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = Listener()
    yield found
    found.close()


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


def test_parts_lie_in_the_mosaics_folder_or_are_linked_there(tmp_path, halves):
    scenes = tmp_path / "scenes"
    mosaic(scenes / "town.vrt", ["tiles/a.tif", str(scenes / "b.tif")])
    (scenes / "tiles").mkdir()
    (scenes / "tiles" / "a.tif").symlink_to(tmp_path / "a.tif")
    (scenes / "b.tif").symlink_to(tmp_path / "b.tif")
    (scene,) = discover(scenes)
    read = SceneReader([scene], None, False).read(Window(0, 0, 0, 80, 200))
    assert np.array_equal(read.image, halves)


@pytest.mark.parametrize(
    "name", ["../a.tif", "{tmp_path}/a.tif", "tiles/../../a.tif", "./../scenes/../a.tif"]
)
def test_parts_outside_the_mosaics_folder_are_refused(tmp_path, halves, name):
    mosaic(tmp_path / "scenes" / "town.vrt", [name.format(tmp_path=tmp_path)])
    with pytest.raises(RasterError, match=r"town\.vrt: reads .*a\.tif, expected files in .*scenes"):
        discover(tmp_path / "scenes")


def test_a_mosaic_in_images_may_have_its_parts_beside_images(tmp_path, halves):
    mosaic(tmp_path / "images" / "town.vrt", ["../a.tif", "../b.tif"])
    assert [scene.shape for scene in discover(tmp_path)] == [(80, 200)]


INNER = "<SourceFilename>{other}</SourceFilename>"
BAND = '<VRTRasterBand dataType="Byte" band="1">{inside}</VRTRasterBand>'
GOOD = SOURCE.format(name="a.tif", band=1, x=0)
TRICKS = {
    "lower case": BAND.format(inside=f"<simplesource>{INNER}</simplesource>"),
    "lower case name": BAND.format(inside=GOOD + f"<SimpleSource>{INNER.lower()}</SimpleSource>"),
    "raw band": '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
    + INNER
    + "</VRTRasterBand>",
    "raw band, odd case": '<VRTRasterBand dataType="Byte" band="1" subclass="VRTRawRasterBand">'
    + GOOD
    + INNER
    + "</VRTRasterBand>",
    "pixel function": BAND.format(inside="<PixelFunctionType>x</PixelFunctionType>" + GOOD),
    "warp options": "<GDALWarpOptions><SourceDataset>{other}</SourceDataset></GDALWarpOptions>"
    + BAND.format(inside=GOOD),
    "open options": BAND.format(inside=f"<SimpleSource>{INNER}<OpenOptions/></SimpleSource>"),
    "array": BAND.format(inside="<ArraySource><SourceFilename>{other}</SourceFilename></ArraySource>"),
    "kernel": BAND.format(inside=f"<KernelFilteredSource>{INNER}</KernelFilteredSource>"),
    "group": "<Group name='/'><SourceFilename>{other}</SourceFilename></Group>" + BAND.format(inside=GOOD),
    "mask": f"<MaskBand>{BAND.format(inside=f'<SimpleSource>{INNER}</SimpleSource>')}</MaskBand>"
    + BAND.format(inside=GOOD),
    "xml as a name": BAND.format(
        inside="<SimpleSource><SourceFilename>&lt;VRTDataset/&gt;</SourceFilename></SimpleSource>"
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("target", ["{tmp_path}/b.tif", "/vsicurl/{server}/b.tif"])
def test_tricks_reach_neither_the_network_nor_other_files(tmp_path, halves, listener, trick, target):
    (tmp_path / "scenes").mkdir()
    shutil.copy(tmp_path / "a.tif", tmp_path / "scenes" / "a.tif")
    other = target.format(tmp_path=tmp_path, server=listener.address)
    text = (
        '<VRTDataset rasterXSize="100" rasterYSize="80">'
        + TRICKS[trick].replace("{other}", other)
        + "</VRTDataset>"
    )
    (tmp_path / "scenes" / "town.vrt").write_text(text)
    with pytest.raises(RasterError, match=r"town\.vrt") as error:
        discover(tmp_path / "scenes")
    assert "\n" not in str(error.value)
    assert listener.calls == []


EVIL = (
    '<VRTDataset rasterXSize="100" rasterYSize="80">'
    + BAND.format(
        inside="<SimpleSource><SourceFilename>/vsicurl/{server}/x.tif</SourceFilename></SimpleSource>"
    )
    + "</VRTDataset>"
)
OVERVIEWS = (
    '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{server}/x.ovr</MDI>'
    "</Metadata></PAMDataset>"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tif.msk", EVIL),
        ("a.tif.MSK", EVIL),
        ("a.tif.ovr", EVIL),
        ("A.TIF.OVR", EVIL),
        ("a.tif.aux.xml", OVERVIEWS),
        ("a.tif.AUX.xml", OVERVIEWS.replace("OVERVIEW_FILE", "Overview_File")),
    ],
)
@pytest.mark.parametrize("through", ["file", "mosaic"])
def test_files_beside_a_raster_reach_no_network(tmp_path, halves, listener, name, text, through):
    (tmp_path / "scenes").mkdir()
    shutil.copy(tmp_path / "a.tif", tmp_path / "scenes" / "a.tif")
    (tmp_path / "scenes" / name).write_text(text.replace("{server}", listener.address))
    if through == "mosaic":
        mosaic(tmp_path / "scenes" / "town.vrt", ["a.tif"])
    with pytest.raises(RasterError, match=r"found no TIFF|names another file"):
        discover(tmp_path / "scenes")
    assert listener.calls == []


def test_honest_masks_and_overviews_beside_a_raster_are_read(tmp_path, halves):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(tmp_path / "a.tif", "r+") as dataset:
        dataset.write_mask(np.repeat([[True, False]], 50, 1).repeat(80, 0))
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(tmp_path / "a.tif", "r+") as dataset:
        dataset.build_overviews([2])
    assert {"a.tif.msk", "a.tif.ovr"} <= {path.name for path in tmp_path.iterdir()}
    scene = next(scene for scene in discover(tmp_path) if scene.name == "a")
    assert SceneReader([scene], None, False).read(Window(0, 0, 0, 80, 100)).valid.mean() == 0.5


def test_a_mosaic_keeps_what_it_declares(tmp_path, halves):
    rasterio.shutil.copy(tmp_path / "a.tif", tmp_path / "m.vrt", driver="VRT")
    text = (tmp_path / "m.vrt").read_text()
    extra = "<NoDataValue>7</NoDataValue><Scale>0.5</Scale><Offset>3</Offset><UnitType>K</UnitType>"
    (tmp_path / "m.vrt").write_text(
        text.replace('band="1"', 'band="1" x="1"', 1).replace("<ColorInterp>", extra + "<ColorInterp>", 1)
    )
    scene = read_scene(tmp_path / "m.vrt")
    assert scene.radiometry.nodata[0] == 7 and scene.radiometry.scales[0] == 0.5
    assert scene.radiometry.offsets[0] == 3 and scene.radiometry.units[0] == "K"
    assert scene.radiometry.names == ("red", "green", "blue")
    assert scene.grid.crs.epsg == 25832


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
    path = mosaic(tmp_path / "town.vrt", names, kind=kind)
    with pytest.raises(RasterError, match=reason) as error:
        read_scene(path)
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
    shutil.copy(source, tmp_path / f"part_{name}.tif")
    rasterio.shutil.copy(tmp_path / f"part_{name}.tif", tmp_path / f"{name}.vrt", driver="VRT")
    (scene,) = discover(tmp_path)
    (plain,) = [s for s in survey(source.parent).scenes if s.name == name]
    assert scene.grid == plain.grid and scene.dtype == plain.dtype and scene.alpha == plain.alpha
    ours, theirs = (SceneReader([s], None, False).read(Window(0, 5, 5, 64, 64)) for s in (scene, plain))
    assert np.array_equal(ours.image, theirs.image, equal_nan=True) and np.array_equal(
        ours.valid, theirs.valid
    )


@pytest.mark.parametrize("prefix", ["/vsicurl/", "/vsicurl_streaming/", "/vsicurl?url=", ""])
def test_the_command_line_turns_gdals_network_off_unless_it_is_allowed(listener, prefix):
    code = (
        "import sys, os\nfrom tsfal_geo.cli.remote import _allow, forbid_network\nforbid_network()\n"
        "if sys.argv[2] == 'allow': _allow(None, None, True)\n"
        "import rasterio\n"
        "try: rasterio.open(sys.argv[1])\nexcept rasterio.errors.RasterioError: pass\n"
    )
    address = f"{prefix}{listener.address}/a.tif"
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "GDAL_HTTP_MAX_RETRY": "0"}
    for word in ("forbid", "allow"):
        subprocess.run([sys.executable, "-c", code, address, word], env=environment, check=True)
        assert bool(listener.calls) == (word == "allow"), word
