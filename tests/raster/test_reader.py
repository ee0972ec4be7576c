import multiprocessing
import pickle

import numpy as np
import pytest
import rasterio
from rasterio import windows
from rasterio.enums import ColorInterp

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import FileHandles
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.reader import SceneReader, valid_pixels


def reader_of(*paths, bands=None):
    return SceneReader([read_scene(path) for path in paths], bands, use_dsm=False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_bytes_are_those_of_rasterio(tmp_path, write_tif, random_image, dtype):
    path = write_tif(tmp_path / "a.tif", random_image(dtype=dtype), tiled=True, blockxsize=64, blockysize=64)
    patch = reader_of(path).read(Window(0, 33, 57, 128, 200))
    with rasterio.open(path) as dataset:
        expected = dataset.read(window=windows.Window(57, 33, 200, 128))
    assert patch.image.dtype == np.dtype(dtype)
    assert patch.image.tobytes() == expected.tobytes()
    assert patch.valid.all()
    assert patch.height is None


def test_bands_come_in_the_requested_order(tmp_path, write_tif, random_image):
    image = random_image((4, 60, 70))
    reader = reader_of(write_tif(tmp_path / "a.tif", image), bands=(4, 1, 2))
    assert np.array_equal(reader.read(Window(0, 0, 0, 60, 70)).image, image[[3, 0, 1]])
    assert reader.channels == 3


@pytest.mark.parametrize("corner", [(-10, -20), (250, 350), (-10, 350), (-500, -500), (300, 0), (290, -5)])
def test_windows_over_the_edge_are_padded_and_invalid_there(tmp_path, write_tif, random_image, corner):
    image = random_image()
    y, x = corner
    patch = reader_of(write_tif(tmp_path / "a.tif", image)).read(Window(0, y, x, 64, 96))
    big = np.pad(image, ((0, 0), (600, 600), (600, 600)))
    inside = np.pad(np.ones(image.shape[1:], bool), 600)
    assert np.array_equal(patch.image, big[:, y + 600 : y + 664, x + 600 : x + 696])
    assert np.array_equal(patch.valid, inside[y + 600 : y + 664, x + 600 : x + 696])


def test_a_scene_smaller_than_the_window(tmp_path, write_tif, random_image):
    image = random_image((3, 20, 30))
    patch = reader_of(write_tif(tmp_path / "a.tif", image)).read(Window(0, 0, 0, 512, 512))
    assert patch.image.shape == (3, 512, 512)
    assert patch.valid.sum() == 600


def test_integer_nodata_is_where_all_bands_have_it():
    image = np.array([[[0, 0, 5]], [[0, 7, 0]]], np.uint8)
    assert valid_pixels(image, 0).tolist() == [[False, True, True]]
    assert valid_pixels(image, None).all()
    assert valid_pixels(image, -9999).all()


def test_float_nodata_is_where_any_band_has_it():
    image = np.array([[[1, np.nan, np.inf, -9999, 2]], [[1, 1, 1, 1, 3]]], np.float32)
    assert valid_pixels(image, -9999).tolist() == [[True, False, False, False, True]]
    assert valid_pixels(image, float("nan")).tolist() == [[True, False, False, True, True]]


def test_an_internal_mask_masks(tmp_path, write_tif, random_image):
    path = write_tif(tmp_path / "a.tif", random_image())
    mask = np.full((300, 400), 255, np.uint8)
    mask[40:90, 50:60] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert np.array_equal(reader_of(path).read(Window(0, 0, 0, 300, 400)).valid, mask > 0)


def test_alpha_masks_unless_it_is_requested_as_a_band(tmp_path, write_tif, random_image):
    image = random_image((4, 300, 400))
    image[3] = 255
    image[3, 100:200] = 0
    path = write_tif(tmp_path / "a.tif", image)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    patch = reader_of(path).read(Window(0, 0, 0, 300, 400))
    assert len(patch.image) == 3
    assert np.array_equal(patch.valid, image[3] > 0)
    assert reader_of(path, bands=(4, 1)).read(Window(0, 0, 0, 300, 400)).valid.all()


def test_scenes_that_do_not_fit_together_are_refused(tmp_path, write_tif, random_image):
    three = write_tif(tmp_path / "a.tif", random_image())
    four = write_tif(tmp_path / "b.tif", random_image((4, 30, 30)))
    wide = write_tif(tmp_path / "c.tif", random_image(dtype="uint16"))
    with pytest.raises(RasterError, match="choose bands"):
        reader_of(three, four)
    assert reader_of(three, four, bands=(1, 2)).channels == 2
    with pytest.raises(RasterError, match="bring all scenes to one type"):
        reader_of(three, wide)
    with pytest.raises(RasterError, match="band 5 was asked for"):
        reader_of(four, bands=(5,))


def test_scenes_may_have_other_grids_and_crs(tmp_path, write_tif, random_image):
    first, second = random_image(seed=1), random_image((3, 50, 60), seed=2)
    reader = reader_of(
        write_tif(tmp_path / "a.tif", first), write_tif(tmp_path / "b.tif", second, crs="EPSG:32633")
    )
    assert np.array_equal(reader.read(Window(1, 0, 0, 50, 60)).image, second)
    assert np.array_equal(reader.read(Window(0, 0, 0, 300, 400)).image, first)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_readers_travel_to_other_processes(tmp_path, write_tif, random_image, method):
    image = random_image()
    reader = reader_of(write_tif(tmp_path / "a.tif", image))
    reader.read(Window(0, 0, 0, 10, 10))
    with multiprocessing.get_context(method).Pool(1) as pool:
        patch = pool.apply(reader.read, (Window(0, 5, 6, 30, 40),))
    assert np.array_equal(patch.image, image[:, 5:35, 6:46])
    assert np.array_equal(reader.read(Window(0, 5, 6, 30, 40)).image, patch.image)


def test_pickling_carries_no_open_file(tmp_path, write_tif, random_image):
    reader = reader_of(write_tif(tmp_path / "a.tif", random_image()))
    reader.read(Window(0, 0, 0, 10, 10))
    copy = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(copy.read(Window(0, 0, 0, 9, 9)).image, reader.read(Window(0, 0, 0, 9, 9)).image)


def test_a_forked_process_opens_files_of_its_own(tmp_path, write_tif, random_image, monkeypatch):
    path = write_tif(tmp_path / "a.tif", random_image())
    handles = FileHandles()
    parents = handles.get(path)
    assert handles.get(path) is parents
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert handles.get(path) is not parents
    assert not parents.closed


def test_only_so_many_files_stay_open(tmp_path, write_tif, random_image):
    paths = [write_tif(tmp_path / f"{i}.tif", random_image((1, 4, 4))) for i in range(3)]
    handles = FileHandles(limit=2)
    first, second = handles.get(paths[0]), handles.get(paths[1])
    handles.get(paths[0])
    handles.get(paths[2])
    assert second.closed
    assert not first.closed


def test_a_truncated_tiff_is_named(tmp_path, write_tif, random_image):
    path = write_tif(tmp_path / "a.tif", random_image((3, 600, 600)), tiled=True, compress="deflate")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterError, match=r"a\.tif.*damaged or cut off"):
        reader_of(path).read(Window(0, 0, 0, 600, 600))


def test_a_truncated_jpeg_is_named(tmp_path, random_image):
    path = tmp_path / "a.jpg"
    with rasterio.open(path, "w", driver="JPEG", width=400, height=300, count=3, dtype="uint8") as dataset:
        dataset.write(random_image())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterError, match=r"a\.jpg.*damaged or cut off"):
        reader_of(path).read(Window(0, 0, 0, 300, 400))


def test_the_real_corrupt_block(real_data):
    reader = reader_of(real_data / "odd_rasters" / "corrupt_block.tif")
    assert reader.read(Window(0, 0, 0, 512, 512)).valid.all()
    with pytest.raises(RasterError, match=r"corrupt_block\.tif"):
        reader.read(Window(0, 600, 600, 64, 64))


def test_real_near_infrared_masks_nothing(real_data):
    reader = reader_of(real_data / "odd_rasters" / "naip_nir_declared_alpha.tif")
    patch = reader.read(Window(0, 0, 0, 204, 266))
    assert patch.valid.all()
    assert len(patch.image) == 4
