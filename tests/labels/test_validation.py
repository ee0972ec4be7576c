"""Rows as annotators leave them: nothing is dropped without a report."""

from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from tests.labels.conftest import CLASSES, make_scene, square
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.labels.validation import EPOCH, ValidationContext, in_order, parse_time, resolve_labels
from tsfal_geo.raster.layer_crs import flip_y

UTM = pyproj.CRS.from_epsg(25832)


def resolve(scenes, geometry, crs=UTM, queries=None, **columns):
    count = len(geometry)
    columns = {"class_id": [3] * count, "created": ["2024-01-01T00:00:00Z"] * count} | columns
    rows = LayerRows("labels", crs, [10 + n for n in range(count)], np.array(geometry, dtype=object), columns)
    context = ValidationContext({scene.name: scene for scene in scenes}, CLASSES, (queries or {}).get, "anna")
    issues = Issues("anna.gpkg")
    return resolve_labels(rows, context, issues), issues


def reasons(issues):
    return {issue.reason: issue.fids for issue in issues}


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (None, "no geometry"),
        (shapely.Point(1, 1), "outside every scene"),
        (shapely.LineString([(1, 1), (2, 2)]), "outside every scene"),
        (
            shapely.Polygon([(497_001, 5_418_999), (497_002, 5_418_999), (497_003, 5_418_999)]),
            "beyond repair",
        ),
        (shapely.box(497_001, 5_418_990, np.inf, 5_418_999), "not numbers"),
        (shapely.box(0, 0, 10, 10), "outside every scene"),
    ],
)
def test_a_geometry_that_cannot_be_used_is_refused_with_its_row(town, geometry, reason):
    labels, issues = resolve([town], [square(town, 0, 0), geometry])
    assert len(labels) == 1
    ((found, fids),) = reasons(issues.rejected).items()
    assert reason in found
    assert fids == (11,)


@pytest.mark.parametrize("value", [99, None, "water", 255, 3.5, float("nan"), b"\0"])
def test_a_class_that_is_unknown_or_missing_is_refused(town, value):
    labels, issues = resolve([town], [square(town, 0, 0)], class_id=[value])
    assert labels == []
    assert list(reasons(issues.rejected).values()) == [(10,)]


def test_a_bow_tie_is_repaired_to_the_area_it_covers(town):
    inside = square(town, 10, 10, 20)
    (x0, y0, x1, y1) = inside.bounds
    bow_tie = shapely.Polygon([(x0, y0), (x1, y1), (x1, y0), (x0, y1)])
    labels, issues = resolve([town], [bow_tie])
    assert "repaired" in next(iter(reasons(issues.notes)))
    assert labels[0].geometry.is_valid
    assert labels[0].geometry.area == pytest.approx(inside.area / 2)


def test_a_collection_gives_its_polygons(town):
    mixed = shapely.GeometryCollection([square(town, 0, 0), shapely.Point(497_001, 5_418_999)])
    labels, issues = resolve([town], [mixed])
    assert PolygonLabels(labels, [town], CLASSES).pixels().sum() == 100
    assert not issues.rejected


def test_another_crs_is_reprojected_and_reported(town):
    wgs84 = pyproj.CRS.from_epsg(4326)
    move = pyproj.Transformer.from_crs(UTM, wgs84, always_xy=True)
    degrees = shapely.transform(
        square(town, 10, 10, 20), lambda p: np.column_stack(move.transform(p[:, 0], p[:, 1]))
    )
    labels, issues = resolve([town], [degrees], crs=wgs84)
    assert PolygonLabels(labels, [town], CLASSES).pixels().tolist() == [400, 0, 0]
    # PROJ gives the change from ETRS89 to WGS 84 an accuracy of 1 m.
    told = {"in another CRS, reprojected to an accuracy of 1 m (11 pixels)": (10,)}
    assert reasons(issues.notes) == told


def test_a_label_without_scene_holds_on_every_scene_below_it():
    west = make_scene("west")
    over = make_scene("over", affine=west.grid.translate_pix(40, 0).affine)
    far = make_scene("far", affine=west.grid.translate_pix(4000, 0).affine)
    labels, issues = resolve([west, over, far], [square(west, 10, 30, 20)])
    counts = [PolygonLabels(labels, [scene], CLASSES).pixels().sum() for scene in (west, over, far)]
    assert counts == [400, 200, 0]
    assert not issues.rejected


def test_a_named_scene_or_that_of_the_query_is_the_only_one():
    west = make_scene("west")
    over = make_scene("over", affine=west.grid.translate_pix(40, 0).affine)
    shape = square(west, 10, 30, 20)
    named, _ = resolve([west, over], [shape], scene=["over"])
    by_query, _ = resolve([west, over], [shape], qid=["q7"], queries={"q7": "west"})
    assert [label.scene for label in named + by_query] == ["over", "west"]


def test_an_unknown_scene_is_refused(town):
    labels, issues = resolve([town], [square(town, 0, 0)], scene=["village"])
    assert labels == []
    assert reasons(issues.rejected) == {"unknown scene 'village'": (10,)}


def test_without_a_crs_rows_are_turned_and_a_scene_must_be_clear():
    flat = make_scene("flat", affine=Affine.identity(), crs=None)
    other = make_scene("other", affine=Affine.identity(), crs=None)
    as_qgis_shows_it = flip_y(square(flat, 10, 20))
    assert as_qgis_shows_it.bounds == (20, -20, 30, -10)
    labels, _ = resolve([flat], [as_qgis_shows_it], crs=None)
    assert labels[0].geometry.bounds == (20, 10, 30, 20)
    labels, issues = resolve([flat, other], [as_qgis_shows_it], crs=None)
    assert labels == []
    assert "several have no CRS" in next(iter(reasons(issues.rejected)))


def test_a_layer_without_crs_over_scenes_that_have_one_is_refused(town):
    labels, issues = resolve([town], [square(town, 0, 0)], crs=None)
    assert labels == []
    assert reasons(issues.rejected) == {"the layer has no CRS": (10,)}


def test_a_row_without_a_time_is_the_oldest(town):
    shapes = [square(town, 0, 0)] * 3
    times = ["2024-05-01T00:00:00Z", None, "yesterday"]
    labels, issues = resolve([town], shapes, created=times, class_id=[3, 7, 0])
    assert [label.class_id for label in in_order(labels)] == [7, 0, 3]
    assert reasons(issues.notes) == {"no time; counts as the oldest": (11, 12)}
    assert sorted(label.created for label in labels)[0] == EPOCH


def test_a_sliver_between_the_pixels_centres_is_reported(town):
    x0, y0, x1, _ = square(town, 10, 10).bounds
    labels, issues = resolve([town], [shapely.box(x0, y0, x1, y0 + 0.02)])
    assert len(labels) == 1
    assert reasons(issues.notes) == {"covers no pixel's centre": (10,)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T07:08:09.123Z", datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)),
        ("2024-05-06T09:08:09.123456+02:00", datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)),
        ("2024-05-06 07:08:09", datetime(2024, 5, 6, 7, 8, 9, 0, UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_times_are_read_in_utc(text, expected):
    assert parse_time(text) == expected


def test_other_planets_cannot_be_reached(town):
    mars = pyproj.CRS.from_wkt(
        'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190,169.89]],'
        'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
    )
    labels, issues = resolve([town], [shapely.box(8.9, 48.9, 9, 49)], crs=mars)
    assert labels == []
    assert issues.rejected
