"""A class map with awkward names, and small scenes of several kinds."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.labels.model import Label, Query
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.raster.scene import Scene

CLASSES = ClassMap(
    (
        ClassInfo(3, "water", (0, 0, 255)),
        ClassInfo(0, '"; DROP TABLE labels; --', (255, 0, 0)),
        ClassInfo(7, "<b>x</b>", (0, 255, 0)),
    )
)


def make_scene(name="town", shape=(60, 80), affine=None, crs="EPSG:25832"):
    affine = affine or Affine(0.09, 0, 497_000.01, 0, -0.09, 5_419_000.07)
    return Scene(name, Path(f"{name}.tif"), GeoBox(shape, affine, crs), 3, "uint8")


def square(scene, y, x, size=10):
    """The polygon of ``size`` x ``size`` pixels at (y, x)."""
    return region_polygon(np.ones((size, size), bool), scene.grid, y, x)


def on_ground(scene, shape):
    """A geometry in pixel coordinates, in those of its scene."""
    a, b, c, d, e, f = tuple(scene.grid.affine)[:6]

    def move(points):
        x, y = points.T
        return np.column_stack((a * x + b * y + c, d * x + e * y + f))

    return shapely.transform(shape, move)


def make_label(scene, y, x, size=10, class_id=3, **more):
    return Label(scene.name, class_id, square(scene, y, x, size), **more)


def make_query(scene, qid, rank=1, y=0, x=0, size=10, number=0):
    return Query(
        qid,
        number,
        scene.name,
        "r0c0",
        rank,
        1.0 / rank,
        "low confidence",
        3,
        size**2,
        square(scene, y, x, size),
    )


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture
def town():
    return make_scene()
