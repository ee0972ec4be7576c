import numpy as np
import pytest

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import Normalisation, compute_normalisation


def statistics(path, dsm=None, size=64):
    reader = SceneReader([read_scene(path, dsm)], None, use_dsm=dsm is not None)
    return compute_normalisation(reader, scene_chips(reader.scenes, size, "shift"))


def test_8_bit_mean_and_std_are_those_of_the_valid_pixels(tmp_path, write_tif, random_image):
    image = random_image((3, 128, 128))
    image[1] //= 2
    valid = np.ones((128, 128), bool)
    valid[:, 30:70] = False
    image[:, ~valid] = 0
    found = statistics(write_tif(tmp_path / "a.tif", image, nodata=0))
    np.testing.assert_allclose(found.mean, image[:, valid].mean(1), rtol=1e-12)
    np.testing.assert_allclose(found.std, image[:, valid].std(1), rtol=1e-12)
    assert found.low == (0, 0, 0)
    assert found.high == (255, 255, 255)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_glaring_pixels_do_not_squeeze_the_rest(tmp_path, write_tif, dtype):
    image = np.random.default_rng(0).normal(1000, 100, (1, 256, 256)).astype(dtype)
    calm = statistics(write_tif(tmp_path / "a.tif", image))
    image[0, 3, :20] = 60_000
    found = statistics(write_tif(tmp_path / "b.tif", image))
    assert found.high[0] < 1500
    np.testing.assert_allclose(found.std, calm.std, rtol=0.05)


def test_nan_does_not_reach_the_statistics(tmp_path, write_tif):
    image = np.random.default_rng(0).normal(5, 1, (2, 128, 128)).astype(np.float32)
    image[0, :, :50] = np.nan
    found = statistics(write_tif(tmp_path / "a.tif", image))
    np.testing.assert_allclose(found.mean, 5, atol=0.1)


def test_height_is_the_last_channel_and_clipped(tmp_path, write_tif, random_image):
    image = write_tif(tmp_path / "a.tif", random_image((3, 200, 200)))
    surface = np.random.default_rng(0).uniform(300, 310, (200, 200)).astype(np.float32)
    surface[5, 5:9] = 4000
    found = statistics(image, write_tif(tmp_path / "d.tif", surface))
    assert len(found.mean) == 4
    assert 5 < found.high[3] < 20


def test_a_constant_band_does_not_divide_by_zero(tmp_path, write_tif):
    assert statistics(write_tif(tmp_path / "a.tif", np.full((1, 64, 64), 9, np.uint8))).std == (1,)


def test_an_all_nodata_scene_is_named(tmp_path, write_tif):
    with pytest.raises(RasterError, match=r"a\.tif holds nothing but nodata"):
        statistics(write_tif(tmp_path / "a.tif", np.zeros((3, 100, 100), np.uint8), nodata=0))


def test_a_scene_with_few_valid_pixels_is_used(tmp_path, write_tif):
    image = np.zeros((1, 1000, 1000), np.uint8)
    image[0, 640:650, 700:720] = 7
    assert statistics(write_tif(tmp_path / "a.tif", image, nodata=0), size=32).mean == (7,)


def test_the_sample_of_many_chips_is_deterministic_and_close(tmp_path, write_tif):
    gradient = np.linspace(0, 255, 640 * 640).reshape(1, 640, 640).astype(np.uint8)
    path = write_tif(tmp_path / "a.tif", gradient)
    first, second = statistics(path, size=32), statistics(path, size=32)
    assert first == second
    np.testing.assert_allclose(first.mean, gradient.mean(), atol=3)


def test_json_round_trip():
    values = Normalisation((0.0, 1.5), (2.0, 3.0), (1.0, 2.0), (0.5, 0.25))
    assert Normalisation.from_dict(values.to_dict()) == values
