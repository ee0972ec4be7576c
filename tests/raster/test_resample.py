import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.warp import calculate_default_transform, reproject
from rasterio.windows import Window

from tsfal_geo.raster.resample import PixelMap, bilinear

TARGET = GeoBox((120, 150), from_origin(500_000.0, 5_400_000.0, 0.5, 0.5), "EPSG:25832")


def hills(shape):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (300 + 20 * np.sin(rows / 9) + 15 * np.cos(cols / 7)).astype(np.float32)


def sampled(values, source, window, target=TARGET):
    read = lambda part: values[part.toslices()]  # noqa: E731
    return bilinear(read, values.shape, *PixelMap(target, source).window(window))


FULL = Window(0, 0, 150, 120)
SOURCES = {
    "coarser": GeoBox((60, 60), from_origin(499_990.0, 5_400_010.0, 2.0, 2.0), "EPSG:25832"),
    "finer": GeoBox((400, 400), from_origin(499_995.0, 5_400_003.0, 0.33, 0.33), "EPSG:25832"),
    "south-up": GeoBox((60, 60), Affine(2, 0, 499_990, 0, 2, 5_399_900), "EPSG:25832"),
    "rotated": GeoBox(
        (90, 90),
        Affine.translation(499_960, 5_400_010) * Affine.rotation(-20) * Affine.scale(2, -2),
        "EPSG:25832",
    ),
}


def in_zone_33():
    transform, width, height = calculate_default_transform(
        "EPSG:25832", "EPSG:25833", 150, 120, *TARGET.boundingbox.bbox
    )
    return GeoBox((height, width), transform, "EPSG:25833")


@pytest.mark.parametrize("name", SOURCES)
def test_it_agrees_with_gdals_warper(name):
    source = SOURCES[name]
    values = hills(source.shape)
    expected = np.zeros(TARGET.shape, np.float32)
    reproject(
        values, expected, src_transform=source.affine, src_crs="EPSG:25832", dst_transform=TARGET.affine,
        dst_crs="EPSG:25832", resampling=Resampling.bilinear, tolerance=0, init_dest_nodata=True,
        dst_nodata=np.nan, XSCALE=1, YSCALE=1,
    )  # fmt: skip
    ours = sampled(values, source, FULL)
    both = np.isfinite(expected) & np.isfinite(ours)
    assert both.mean() > 0.6
    np.testing.assert_allclose(ours[both], expected[both], atol=2e-3)


def test_between_crs_the_lattice_is_exact_enough():
    source = in_zone_33()
    rows, cols = PixelMap(TARGET, source).window(FULL)
    exact_rows, exact_cols = PixelMap(TARGET, source).exact(np.arange(120.0)[:, None], np.arange(150.0)[None])
    assert np.abs(rows - exact_rows).max() < 1e-3
    assert np.abs(cols - exact_cols).max() < 1e-3


@pytest.mark.parametrize("name", [*SOURCES, "other CRS"])
def test_windows_do_not_change_the_result(name):
    source = SOURCES.get(name) or in_zone_33()
    values = hills(source.shape)
    full = sampled(values, source, FULL)
    assert np.isfinite(full).mean() > 0.5
    for y, x, height, width in [(0, 0, 64, 64), (31, 17, 64, 99), (119, 149, 1, 1), (64, 96, 33, 7)]:
        part = sampled(values, source, Window(x, y, width, height))
        assert part.tobytes() == full[y : y + height, x : x + width].tobytes()


def test_nodata_does_not_bleed():
    source = SOURCES["coarser"]
    values = np.full(source.shape, 100, np.float32)
    values[20:30, 20:30] = np.nan
    result = sampled(values, source, FULL)
    assert np.isnan(result).any()
    assert set(np.unique(result[np.isfinite(result)])) == {100}


def test_outside_there_is_nothing():
    far = GeoBox((60, 60), from_origin(600_000.0, 5_400_010.0, 2.0, 2.0), "EPSG:25832")
    assert np.isnan(sampled(hills((60, 60)), far, FULL)).all()
    assert sampled(hills((60, 60)), far, FULL).shape == (120, 150)
