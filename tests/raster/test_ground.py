"""Sizes of pixels on the ground, against geodesic areas and known lengths."""

from itertools import pairwise

import numpy as np
import pyproj
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.raster.ground import metres_per_pixel, pixel_area, pixel_areas

WGS84 = pyproj.Geod(ellps="WGS84")


def grid_at(crs, longitude, latitude, size, rotation=0.0):
    """A grid of 40 x 60 pixels of ``size`` units, whose middle lies at a place."""
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
    around = Affine.translation(x, y) * Affine.rotation(rotation) * Affine.scale(size, -size)
    return GeoBox((40, 60), around * Affine.translation(-30, -20), crs)


def geodesic_area(grid):
    """Area of the grid on the ellipsoid, over its number of pixels."""
    steps = np.linspace(0, 1, 50)
    corners = [(0, 0), (60, 0), (60, 40), (0, 40), (0, 0)]
    edge = [
        grid.affine * (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
        for a, b in pairwise(corners)
        for t in steps[:-1]
    ]
    way = pyproj.Transformer.from_crs(grid.crs.proj, 4326, always_xy=True)
    return abs(WGS84.polygon_area_perimeter(*way.transform(*np.transpose(edge)))[0]) / 2400


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude", "size"),
    [
        ("EPSG:3857", 13.4, 52.5, 0.5),
        ("EPSG:3857", -70.0, -69.0, 10.0),
        ("EPSG:4326", 13.4, 52.5, 1e-5),
        ("EPSG:4326", 13.4, 79.0, 1e-4),
        ("EPSG:25832", 9.0, 48.0, 0.09),
        ("EPSG:2263", -74.0, 40.7, 1.0),
        ("EPSG:3035", 30.0, 65.0, 2.0),
        ("EPSG:3413", -45.0, 85.0, 10.0),
        ("EPSG:27700", -1.5, 53.0, 1.0),
    ],
)
@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_areas_are_those_of_the_ellipsoid(crs, longitude, latitude, size, rotation):
    grid = grid_at(crs, longitude, latitude, size, rotation)
    assert pixel_area(grid) == pytest.approx(geodesic_area(grid), rel=2e-4)
    assert metres_per_pixel(grid) ** 2 == pytest.approx(pixel_area(grid))


def test_pixels_of_one_grid_shrink_towards_the_pole():
    grid = GeoBox((1800, 10), Affine(0.1, 0, 0, 0, -0.1, 90), "EPSG:4326")
    areas = pixel_areas(grid, np.full(3, 5.0), np.array([900.0, 450.0, 300.0]))
    assert areas[1] / areas[0] == pytest.approx(np.cos(np.radians(45)), rel=0.01)
    assert areas[2] / areas[0] == pytest.approx(np.cos(np.radians(60)), rel=0.02)


LOCAL = (
    'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["foot",0.3048]]'
)


@pytest.mark.parametrize(
    ("transform", "crs", "area"),
    [
        (Affine(0.5, 0, 10, 0, -0.5, 20), None, 0.25),
        (Affine.identity(), None, 1.0),
        (Affine(2, 0, 0, 0, -2, 0), LOCAL, 4 * 0.3048**2),
    ],
)
def test_grids_without_a_place_on_earth_count_their_own_units(transform, crs, area):
    grid = GeoBox((4, 6), transform, crs)
    assert pixel_area(grid) == pytest.approx(area)
    assert (metres_per_pixel(grid) is None) == (crs is None and transform.is_identity)


def test_a_pixel_across_the_date_line_is_as_large_as_its_neighbours():
    grid = GeoBox((2, 9), Affine(0.01, 0, 179.955, 0, -0.01, 10), "EPSG:4326")
    areas = pixel_areas(grid, np.array([0.5, 4.5, 8.5]), np.full(3, 1.0))
    assert np.ptp(areas) < 1e-3 * areas[0]
