"""Every entry of a folder is accounted for: read, or not read with the reason and the mend."""

import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from tsfal_geo.datasets.folder import prepare
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.discovery import discover, survey

IMAGE = np.full((3, 16, 16), 7, np.uint8)
BAND = np.repeat([[0, 1]], 8, 1).repeat(16, 0).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, write_tif):
    write_tif(tmp_path / "images" / "a.tif", IMAGE)
    write_tif(tmp_path / "labels" / "a.tif", BAND)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("images/c.img", "gdal_translate"),
        ("images/d.ecw", "gdal_translate"),
        ("images/E.SID", "gdal_translate"),
        ("tiles.zip", "unpack"),
        ("images/sub/e.tif", "folder of 1 rasters"),
        ("more/deep/e.tif", "folder of 1 rasters"),
        ("masks/a.png", "name it labels/"),
        ("gts/a.png", "name it labels/"),
        ("labels/a.gpkg", "labels import"),
        ("labels/coco.json", "labels import"),
        ("labels/town.gdb/x", "labels import"),
        ("parcels.shp", "labels import"),
        ("images/gone.tif", "leads nowhere"),
        ("labels/gone.png", "leads nowhere"),
        ("dsm.tif", "orthophotos are in images/"),
    ],
)
def test_what_may_have_been_meant_is_told_with_its_mend(folder, name, mend):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if "gone" in name:
        path.symlink_to(folder / "nowhere.tif")
    else:
        path.write_bytes(b"x")
    found = survey(folder)
    assert not found.problems
    first = name.split("/")[0] if mend.startswith(("folder", "name")) and name[:6] != "images" else path.name
    first = "sub" if "sub/" in name else "town.gdb" if "gdb" in name else first
    told = [line for line in found.warnings if mend in line]
    assert len(told) == 1 and len(found.warnings) == 1, found.warnings
    assert first in told[0]


def test_many_of_a_kind_are_one_line(folder):
    for number in range(7):
        (folder / "images" / f"t{number}.img").write_bytes(b"x")
    (line,) = survey(folder).warnings
    assert "t0.img (7 such: t0.img, t1.img, t2.img, t3.img, t4.img …)" in line


@pytest.mark.parametrize(
    "name",
    [
        "images/a.tfw",
        "images/a.TFW",
        "images/a.tif.aux.xml",
        "images/a.qml",
        "labels/a.tif.aux.xml",
        "README.md",
        "notes/x.txt",
        "images/.hidden.tif",
        "images/Thumbs.db",
        "a.csv",
    ],
)
def test_sidecars_and_other_files_are_no_concern(folder, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    found = survey(folder)
    assert found.warnings == []
    assert not found.problems


def test_folders_in_capitals_are_read(tmp_path, write_tif):
    write_tif(tmp_path / "Images" / "a.tif", IMAGE)
    write_tif(tmp_path / "LABELS" / "a.tif", BAND)
    found = survey(tmp_path)
    assert found.scenes[0].labels == tmp_path / "LABELS" / "a.tif"
    assert found.warnings == []


def test_a_folder_of_other_formats_says_how_to_convert_them(tmp_path):
    (tmp_path / "a.img").write_bytes(b"x")
    with pytest.raises(RasterError, match=r"holds no orthophoto.*a\.img is of a format.*gdal_translate"):
        discover(tmp_path)


def test_jpeg_2000_is_read_and_told_to_be_slow_until_it_is_converted(tmp_path, write_tif):
    with rasterio.open(
        tmp_path / "b.jp2",
        "w",
        driver="JP2OpenJPEG",
        width=64,
        height=64,
        count=3,
        dtype="uint8",
        crs="EPSG:25832",
        transform=Affine(0.5, 0, 5e5, 0, -0.5, 5.4e6),
    ) as dataset:
        dataset.write(np.full((3, 64, 64), 9, np.uint8))
    found = survey(tmp_path)
    assert [scene.name for scene in found.scenes] == ["b"] and found.scenes[0].grid.crs.epsg == 25832
    assert "b.jp2 (1 such files) is JPEG 2000" in found.warnings[0] and "gdal_translate" in found.warnings[0]
    write_tif(tmp_path / "b.tif", IMAGE)
    found = survey(tmp_path)
    assert [scene.path.name for scene in found.scenes] == ["b.tif"]
    assert found.warnings == [] and not found.problems


@pytest.fixture
def placed(tmp_path):
    """Pictures whose place is in a world file, in every customary spelling."""
    source = tmp_path / "src"
    spellings = [
        ("TIF", "TFW"),
        ("tif", "TFW"),
        ("TIF", "tfw"),
        ("JPG", "JGW"),
        ("jpg", "jgw"),
        ("png", "pgw"),
    ]
    drivers = {"tif": "GTiff", "jpg": "JPEG", "png": "PNG"}
    (source / "images").mkdir(parents=True)
    (source / "labels").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        for number, (suffix, world) in enumerate(spellings):
            profile = {"width": 16, "height": 16, "dtype": "uint8"}
            path = source / "images" / f"s{number}.{suffix}"
            with rasterio.open(path, "w", driver=drivers[suffix.lower()], count=3, **profile) as dataset:
                dataset.write(IMAGE)
            text = f"0.5\n0\n0\n-0.5\n{1000.25 + number}\n1999.75\n"
            path.with_suffix(f".{world}").write_text(text)
            with rasterio.open(
                source / "labels" / f"s{number}.png", "w", driver="PNG", count=1, **profile
            ) as dataset:
                dataset.write(BAND[None])
    return source


def test_prepared_folders_keep_every_place(placed, tmp_path):
    before = {scene.name: scene.grid.affine for scene in discover(placed)}
    assert sorted(affine.c for affine in before.values()) == [1000.0 + number for number in range(6)]
    prepared = prepare(placed, tmp_path / "out", chip_size=64)
    after = {s.name: s.grid.affine for split in prepared.splits.values() for s in discover(split)}
    assert after == before


def test_a_crs_is_given_to_files_with_a_place_and_no_crs(placed, write_tif):
    write_tif(placed / "images" / "own.tif", IMAGE, crs="EPSG:32633")
    scenes = {scene.name: scene for scene in discover(placed, crs="EPSG:25832")}
    assert {name: scene.grid.crs.epsg for name, scene in scenes.items()} == {
        **{f"s{number}": 25832 for number in range(6)},
        "own": 32633,
    }
    for path in placed.glob("images/*.?[Gg][Ww]"):
        path.unlink()
    assert {s.grid.crs for s in discover(placed, crs="EPSG:25832") if s.path.suffix in (".JPG", ".png")} == {
        None
    }
    with pytest.raises(RasterError, match="--crs EPSG:1: no such CRS"):
        discover(placed, crs="EPSG:1")
