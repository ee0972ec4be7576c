import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.reader import SceneReader

PIXEL = 0.5
GROUND = from_origin(500_000.0, 5_400_000.0, PIXEL, PIXEL)


@pytest.fixture
def town(tmp_path, write_tif):
    """A slope of 5 % down and 5 % across from 300 m on, with a house of 8 m and a tree of 5 m."""
    rows, cols = np.mgrid[:400, :500]
    slope = (300 + 0.05 * PIXEL * (rows + cols)).astype(np.float32)
    above = np.zeros_like(slope)
    above[150:190, 200:250] = 8
    above[300:310, 100:110] = 5
    image = write_tif(tmp_path / "a.tif", np.ones((3, 400, 500), np.uint8), transform=GROUND)

    def make(**options):
        surface = slope + above
        dsm = write_tif(tmp_path / "dsm.tif", surface, transform=GROUND, **options)
        return image, dsm, above

    return make


def heights(image, dsm, corner=(0, 0), shape=(400, 500)):
    window = Window(0, *corner, *shape)
    return SceneReader([read_scene(image, dsm)], None, use_dsm=True).read(window).height[0]


def test_heights_are_above_local_ground_on_a_slope(town):
    image, dsm, above = town()
    found = heights(image, dsm)
    assert found.dtype == np.float32
    inner = np.s_[70:-70, 70:-70]  # near the edge half of the neighbourhood is missing
    assert np.abs(found - above)[inner].max() < 0.6
    assert np.median(np.abs(found - above)) < 0.2


def test_absolute_elevation_does_not_matter(town, tmp_path, write_tif):
    image, dsm, _ = town()
    with rasterio.open(dsm) as dataset:
        raised = write_tif(tmp_path / "b.tif", dataset.read(1) + 500, transform=GROUND)
    np.testing.assert_allclose(heights(image, dsm), heights(image, raised), atol=1e-3)


def test_windows_do_not_change_heights(town, tmp_path, write_tif):
    image, dsm, _ = town()
    coarse = write_tif(
        tmp_path / "c.tif",
        np.random.default_rng(0).normal(300, 5, (130, 170)).astype(np.float32),
        transform=from_origin(499_990.0, 5_400_010.0, 1.7, 1.7),
    )
    for surface in (dsm, coarse):
        full = heights(image, surface)
        for y, x, height, width in [(0, 0, 64, 64), (133, 201, 100, 177)]:
            part = heights(image, surface, (y, x), (height, width))
            assert part.tobytes() == full[y : y + height, x : x + width].tobytes()


@pytest.mark.parametrize("nodata", [-9999.0, None])
def test_nodata_has_no_height_and_digs_no_hole(town, tmp_path, write_tif, nodata):
    image, dsm, above = town()
    with rasterio.open(dsm) as dataset:
        surface = dataset.read(1)
    surface[220:240, 300:400] = -9999
    holey = write_tif(tmp_path / "h.tif", surface, transform=GROUND, nodata=nodata)
    found = heights(image, holey)
    assert (found[220:240, 300:400] == 0).all()
    assert np.abs(found - above)[100:-100, 100:-100].max() < 0.6


def test_outside_the_scene_height_is_zero(town):
    image, dsm, _ = town()
    patch = SceneReader([read_scene(image, dsm)], None, use_dsm=True).read(Window(0, -10, 480, 40, 40))
    assert patch.height.shape == (1, 40, 40)
    assert (patch.height[0, :10] == 0).all()
    assert (patch.height[0, :, 20:] == 0).all()


def test_a_dsm_elsewhere_is_refused(town, tmp_path, write_tif):
    image, _, above = town()
    far = write_tif(tmp_path / "f.tif", above, transform=from_origin(600_000.0, 5_400_000.0, 0.5, 0.5))
    with pytest.raises(RasterError, match="covers 0% of its scene"):
        heights(image, far)


def test_a_dsm_of_several_bands_or_of_nodata_is_refused(town, tmp_path, write_tif):
    image, _, above = town()
    with pytest.raises(RasterError, match="2 bands, expected a DSM"):
        heights(image, write_tif(tmp_path / "d2.tif", np.stack([above, above]), transform=GROUND))
    empty = write_tif(tmp_path / "d3.tif", np.full_like(above, -9999), transform=GROUND, nodata=-9999)
    with pytest.raises(RasterError, match="no elevation"):
        heights(image, empty)


def test_without_georeference_the_size_must_agree(town, tmp_path, write_tif):
    image, _, above = town()
    assert heights(image, write_tif(tmp_path / "n.tif", above, transform=None, crs=None)).shape == (400, 500)
    small = write_tif(tmp_path / "s.tif", above[:50], transform=None, crs=None)
    with pytest.raises(RasterError, match="same size"):
        heights(image, small)


def test_a_missing_dsm_is_an_error(town):
    image, _, _ = town()
    with pytest.raises(RasterError, match="has no DSM"):
        SceneReader([read_scene(image)], None, use_dsm=True)


def test_real_heights_agree_with_the_published_normalised_model(real_data):
    folder = real_data / "ortho_dsm"
    with rasterio.open(folder / "ndsm.tif") as dataset:
        reference = dataset.read(1)
    present = reference > -1000
    with rasterio.open(folder / "rgb.tif") as dataset:
        shape = dataset.shape
    found = heights(folder / "rgb.tif", folder / "dsm.tif", shape=shape)
    assert np.corrcoef(found[present], reference[present])[0, 1] > 0.95
    assert abs(np.median(found[present] - reference[present])) < 0.2
