import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.header import read_scene


def test_the_grid_is_the_files_own_to_the_last_digit(tmp_path, write_tif, random_image):
    transform = Affine(-0.143, -0.5767, 337_934.483635, -0.57677, 0.14299987, 7_840_518.464866)
    path = write_tif(tmp_path / "a.tif", random_image(), transform=transform, crs="EPSG:32759", nodata=3)
    scene = read_scene(path)
    assert scene.grid.affine == transform
    assert scene.grid.crs.epsg == 32759
    assert (scene.bands, scene.dtype, scene.nodata, scene.shape) == (3, "uint8", 3.0, (300, 400))
    assert scene.georeferenced


def test_a_picture_without_georeference_is_a_scene(tmp_path, write_tif, random_image):
    scene = read_scene(write_tif(tmp_path / "a.tif", random_image(), transform=None, crs=None))
    assert not scene.georeferenced
    assert scene.grid.affine.is_identity


def _declare_alpha(path):
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    return path


def test_near_infrared_declared_as_alpha_is_a_band(tmp_path, write_tif, random_image):
    image = random_image((4, 300, 400))
    image[3, :, :200] = 0  # water is black in near infrared
    image[3, 0, 0] = 255
    scene = read_scene(_declare_alpha(write_tif(tmp_path / "a.tif", image)))
    assert scene.alpha is None
    assert scene.spectral == (1, 2, 3, 4)


def test_real_alpha_is_no_band(tmp_path, write_tif, random_image):
    image = random_image((4, 300, 400))
    image[3] = 255
    image[3, :, :150] = 0
    image[3, :, 150] = 128  # a soft edge
    scene = read_scene(_declare_alpha(write_tif(tmp_path / "a.tif", image)))
    assert scene.alpha == 4
    assert scene.spectral == (1, 2, 3)


def test_ground_control_points_alone_are_refused_with_the_remedy(tmp_path, random_image):
    points = [GroundControlPoint(r, c, c * 1.0, -r * 1.0) for r in (0, 9) for c in (0, 9)]
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=9, height=9, count=1, dtype="uint8"
    ) as dataset:
        dataset.gcps = points, rasterio.CRS.from_epsg(25832)
    with pytest.raises(RasterError, match=r"gdalwarp -t_srs EPSG:25832"):
        read_scene(tmp_path / "a.tif")


def test_a_header_that_declares_the_absurd_is_refused(tmp_path):
    path = tmp_path / "bomb.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "sparse_ok": True, "bigtiff": "yes"}
    with rasterio.open(
        path, "w", width=300_000, height=300_000, tiled=True, blockxsize=4096, blockysize=4096, **profile
    ):
        pass
    with pytest.raises(RasterError, match="damaged, or empty"):
        read_scene(path)


@pytest.mark.parametrize(("dtype", "what"), [("complex64", "complex64"), ("uint64", "uint64")])
def test_types_that_cannot_be_trained_on_are_refused(tmp_path, write_tif, dtype, what):
    with pytest.raises(RasterError, match=what):
        read_scene(write_tif(tmp_path / "a.tif", np.zeros((1, 4, 4), dtype)))


def test_palette_pictures_are_refused(tmp_path, write_tif):
    path = write_tif(tmp_path / "a.tif", np.zeros((4, 4), np.uint8), colormap={0: (1, 2, 3, 255)})
    with pytest.raises(RasterError, match="expand rgb"):
        read_scene(path)


def test_real_odd_rasters(real_data):
    folder = real_data / "odd_rasters"
    assert read_scene(folder / "naip_nir_declared_alpha.tif").alpha is None
    assert read_scene(folder / "rgba_2cm.tif").alpha == 4
    assert read_scene(folder / "mars_crs.tif").georeferenced
    with pytest.raises(RasterError, match="ground control points"):
        read_scene(folder / "gcps_only.tif")
    with pytest.raises(RasterError, match="gdalwarp -rpc"):
        read_scene(folder / "rpcs_only.tif")
