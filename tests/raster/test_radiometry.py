"""Declared meanings of numbers: scales, offsets, units, alpha and nodata of each band."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp as C
from rasterio.transform import from_origin

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window, scene_chips
from tsfal_geo.raster.comparison import differences
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.files import FileHandles
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.height import HeightModel
from tsfal_geo.raster.radiometry import Radiometry
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import compute_normalisation

SIDE = 64


def declare(path, **values):
    """Declare scales, offsets, units, descriptions or colorinterp of a file."""
    with rasterio.open(path, "r+") as dataset:
        for name, value in values.items():
            setattr(dataset, name, value)
    return path


@pytest.fixture
def numbers(random_image):
    return random_image((3, SIDE, SIDE), "uint16") * np.uint16(16)


@pytest.mark.parametrize(
    ("dtype", "store", "scale", "offset"),
    [
        ("uint16", lambda v: v + 1000, 1e-4, -0.1),
        ("uint16", lambda v: v * 2, 5e-5, 0.0),
        ("uint16", lambda v: v // 2 * 2 + 500, 1e-4, -0.05),
    ],
)
def test_scenes_of_one_reflectance_give_one_number(tmp_path, write_tif, numbers, dtype, store, scale, offset):
    numbers = numbers // 2 * 2
    declare(write_tif(tmp_path / "a.tif", numbers), scales=(1e-4,) * 3, offsets=(0.0,) * 3)
    other = write_tif(tmp_path / "b.tif", store(numbers).astype(dtype))
    declare(other, scales=(scale,) * 3, offsets=(offset,) * 3)
    reader = SceneReader(discover(tmp_path), None, use_dsm=False)
    first, second = (reader.read(Window(i, -3, 5, SIDE, SIDE)) for i in range(2))
    assert first.image.dtype == second.image.dtype == np.float32
    np.testing.assert_allclose(first.image, second.image, atol=0.01)
    assert np.array_equal(first.valid, second.valid)
    statistics = compute_normalisation(reader, scene_chips(reader.scenes, SIDE, "shift"))
    assert statistics.std[0] == pytest.approx(numbers[0].std(), rel=0.02)


def test_equal_declarations_change_no_bit(tmp_path, write_tif, numbers):
    for name in "ab":
        declare(write_tif(tmp_path / f"{name}.tif", numbers), scales=(1e-4,) * 3, offsets=(-0.1,) * 3)
    patch = SceneReader(discover(tmp_path), None, use_dsm=False).read(Window(1, 0, 0, SIDE, SIDE))
    assert patch.image.dtype == np.uint16
    assert np.array_equal(patch.image, numbers)


@pytest.mark.parametrize("declared", ["a", "b"])
def test_declarations_in_some_scenes_only_are_refused(tmp_path, write_tif, numbers, declared):
    for name in "ab":
        write_tif(tmp_path / f"{name}.tif", numbers)
    declare(tmp_path / f"{declared}.tif", scales=(1e-4,) * 3, offsets=(-0.1,) * 3)
    with pytest.raises(RasterError, match=r"b\.tif: band 1 declares scale .* expected a declaration in all"):
        SceneReader(discover(tmp_path), None, use_dsm=False)


def test_a_model_reads_new_scenes_in_the_numbers_that_it_learnt(tmp_path, write_tif, numbers):
    declare(write_tif(tmp_path / "a.tif", numbers), scales=(1e-4,) * 3, offsets=(0.0,) * 3)
    trained = read_scene(tmp_path / "a.tif").radiometry
    declare(write_tif(tmp_path / "b.tif", numbers + 1000), scales=(1e-4,) * 3, offsets=(-0.1,) * 3)
    reader = SceneReader([read_scene(tmp_path / "b.tif")], None, use_dsm=False, reference=trained)
    np.testing.assert_allclose(reader.read(Window(0, 0, 0, SIDE, SIDE)).image, numbers, atol=0.01)


def test_declarations_survive_the_workspace_file(tmp_path, write_tif, numbers):
    path = declare(write_tif(tmp_path / "a.tif", numbers, nodata=0), scales=(0.1,) * 3, units=("K",) * 3)
    found = read_scene(path).radiometry
    assert Radiometry.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("dtype", "opaque"),
    [("uint16", 255), ("uint16", 4095), ("uint16", 65535), ("uint8", 255), ("uint8", 1), ("float32", 1.0)],
)
def test_alpha_is_opaque_at_its_own_maximum(tmp_path, write_tif, random_image, dtype, opaque):
    alpha = np.full((1, SIDE, SIDE), opaque, dtype)
    alpha[:, :, :20] = 0
    path = write_tif(tmp_path / "a.tif", np.concatenate([random_image((3, SIDE, SIDE), dtype), alpha]))
    scene = read_scene(declare(path, colorinterp=(C.red, C.green, C.blue, C.alpha)))
    assert scene.alpha == 4
    valid = SceneReader([scene], None, use_dsm=False).read(Window(0, 0, 0, SIDE, SIDE)).valid
    assert np.array_equal(valid, alpha[0] > 0)


def test_alpha_with_soft_edges_is_alpha(tmp_path, write_tif, random_image):
    alpha = np.clip(np.arange(SIDE) * 8, 0, 255).astype(np.uint8)
    both = np.concatenate([random_image((3, SIDE, SIDE)), np.broadcast_to(alpha, (1, SIDE, SIDE))])
    path = declare(write_tif(tmp_path / "a.tif", both), colorinterp=(C.red, C.green, C.blue, C.alpha))
    assert read_scene(path).alpha == 4
    soft = np.linspace(0, 255, SIDE).astype(np.uint8)
    grey = np.concatenate([both[:1], np.broadcast_to(soft, (1, SIDE, SIDE))])
    assert read_scene(declare(write_tif(tmp_path / "b.tif", grey), colorinterp=(C.gray, C.alpha))).alpha == 2


@pytest.mark.parametrize(
    ("nodata", "invalid"), [((0, 9), "both"), ((0, None), "first"), ((None, None), "none")]
)
def test_each_band_has_its_own_nodata(tmp_path, write_tif, nodata, invalid):
    image = np.full((2, 8, 8), 5, np.uint8)
    image[0, :3], image[1, 2:4] = 0, 9
    write_tif(tmp_path / "parts" / "a.tif", image)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}">'
        + ("" if value is None else f"<NoDataValue>{value}</NoDataValue>")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">parts/a.tif</SourceFilename>'
        f"<SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>"
        for i, value in enumerate(nodata, 1)
    )
    (tmp_path / "m.vrt").write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{bands}</VRTDataset>')
    scene = read_scene(tmp_path / "m.vrt")
    valid = SceneReader([scene], None, use_dsm=False).read(Window(0, 0, 0, 8, 8)).valid
    expected = {"both": (image[0] == 0) & (image[1] == 9), "first": image[0] == 0, "none": image[0] < 0}
    assert np.array_equal(~valid, expected[invalid])


@pytest.mark.parametrize(
    ("unit", "factor"), [("ft", 0.3048), ("us-ft", 1200 / 3937), ("cm", 0.01), ("dm", 0.1), ("mm", 1e-3)]
)
@pytest.mark.parametrize("way", ["unit", "scale"])
def test_heights_are_metres_whatever_their_unit(tmp_path, write_tif, unit, factor, way):
    grid = from_origin(5e5, 5.4e6, 0.5, 0.5)
    metres = 1200.0 + np.zeros((200, 200))
    metres[80:110, 80:110] += 10.0
    image = read_scene(write_tif(tmp_path / "a.tif", np.ones((3, 200, 200), np.uint8), transform=grid))
    plain = write_tif(tmp_path / "m.tif", metres.astype(np.float32), transform=grid)
    other = write_tif(tmp_path / "u.tif", (metres / factor).astype(np.float32), transform=grid)
    declare(other, **({"units": (unit,)} if way == "unit" else {"scales": (factor,)}))
    window = rasterio.windows.Window(0, 0, 200, 200)
    heights = [HeightModel(image.grid, path, FileHandles()).read(window) for path in (plain, other)]
    np.testing.assert_allclose(heights[1], heights[0], atol=0.01)
    assert heights[1].max() > 8


def test_heights_in_an_unknown_unit_and_undeclared_centimetres_are_refused(tmp_path, write_tif):
    image = read_scene(write_tif(tmp_path / "a.tif", np.ones((3, 50, 50), np.uint8)))
    window = rasterio.windows.Window(0, 0, 50, 50)
    furlongs = declare(write_tif(tmp_path / "f.tif", np.ones((50, 50), np.float32)), units=("furlong",))
    with pytest.raises(RasterError, match=r"f\.tif has heights in 'furlong'"):
        HeightModel(image.grid, furlongs, FileHandles())
    centimetres = write_tif(tmp_path / "c.tif", np.full((50, 50), 45_000.0, np.float32))
    with pytest.raises(RasterError, match="no place on Earth has in metres; declare their unit"):
        HeightModel(image.grid, centimetres, FileHandles()).read(window)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"colorinterp": (C.blue, C.green, C.red)}, "blue, green, red"),
        (
            {"descriptions": ("B04", "B03", "B02"), "colorinterp": (C.gray, C.undefined, C.undefined)},
            "b04, b03, b02",
        ),
        ({"units": ("K", "K", "K")}, "band 1 is in K"),
        ({"transform": from_origin(5e5, 5.4e6, 0.9, 0.9)}, "pixels are 0.9 m"),
    ],
)
def test_scenes_that_differ_are_told_apart_once(tmp_path, write_tif, random_image, values, word):
    image = random_image((3, 8, 8))
    descriptions = ("B02", "B03", "B04") if "descriptions" in values else (None,) * 3
    kinds = values.get("colorinterp", (C.red,)) if "descriptions" in values else (C.red, C.green, C.blue)
    first = write_tif(tmp_path / "a.tif", image)
    declare(first, descriptions=descriptions, colorinterp=kinds, units=("C",) * 3)
    for name in "bc":
        path = write_tif(tmp_path / f"{name}.tif", image)
        declare(path, **{"colorinterp": kinds, "units": ("C",) * 3} | values)
    same = write_tif(tmp_path / "d.tif", image)
    declare(same, descriptions=descriptions, colorinterp=kinds, units=("C",) * 3)
    scenes = discover(tmp_path)
    lines = differences(scenes, scenes[0], None)
    assert len(lines) == 1
    assert "b.tif" in lines[0] and word in lines[0] and "1 more scenes" in lines[0]
    assert differences([scenes[3]], scenes[0], None) == []
