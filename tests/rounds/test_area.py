"""A workspace with an area of interest: queries, labels, maps and a second call keep to it."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from tests.helpers.loop_case import CLASSES, write_scenes
from tsfal_geo.cli.export import command as export
from tsfal_geo.cli.query import command as query
from tsfal_geo.cli.train import command as train
from tsfal_geo.errors import LabelError
from tsfal_geo.workspace.folder import WorkspaceFolder

SETTINGS = {
    "model.encoder": "tu-mobilenetv2_035",
    "model.weights": "null",
    "model.scales": "[1]",
    "data.chip_size": "64",
    "export.window": "256",
    "active.oracle_answers": "mixed",
    "classes": json.dumps(CLASSES),
}
SHAPE = shapely.Polygon([(500010, 5399990), (500085, 5399970), (500040, 5399930)])


def run(command, *words):
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("area")
    folder = write_scenes(root / "scenes")
    frame = geopandas.GeoDataFrame(geometry=[SHAPE.segmentize(5)], crs=25832)
    frame.to_crs(25833).to_file(root / "area.gpkg")
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    run(
        train, "--raster", folder, "--workspace", root / "ws", "--method", "instant", "--labelled", 0,
        "--answers", 20, "--rounds", 1, "--oracle", "--aoi", root / "area.gpkg", *words,
    )  # fmt: skip
    return root


def outside(path):
    with rasterio.open(path) as file:
        values, transform = file.read(1), file.transform
    rows, columns = np.indices(values.shape)
    x, y = transform * (columns.ravel() + 0.5, rows.ravel() + 0.5)
    # A metre aside: the projections there and back are not exact to the pixel's centre.
    far = ~shapely.contains_xy(SHAPE.buffer(0.5), x, y).reshape(values.shape)
    near = shapely.contains_xy(SHAPE.buffer(-0.5), x, y).reshape(values.shape)
    return values, far, near


def test_queries_and_budget_keep_to_the_area(made):
    workspace = WorkspaceFolder.open(made / "ws")
    assert [scene.name for scene in workspace.scenes] == ["s0"]
    queries = [each for number in range(2) for each in workspace.store().read_queries(number)]
    assert queries and all(SHAPE.buffer(0.5).contains(each.geometry) for each in queries)
    pixels = workspace.metrics(0)["valid_pixels"]
    assert pixels == pytest.approx(SHAPE.area / 0.25, rel=0.02)


def test_the_map_has_no_data_outside(made):
    run(export, "--workspace", made / "ws", "--out", made / "maps")
    assert [path.name for path in sorted((made / "maps").glob("*.tif"))] == ["s0.tif"]
    values, far, near = outside(made / "maps" / "s0.tif")
    assert (values[far] == 255).all() and (values[near] != 255).all()


def test_another_area_for_a_map_alone(made):
    whole = geopandas.GeoDataFrame(geometry=[shapely.box(500000, 5399920, 500101, 5400001)], crs=25832)
    whole.to_file(made / "whole.geojson", driver="GeoJSON")
    run(export, "--workspace", made / "ws", "--out", made / "whole", "--aoi", made / "whole.geojson")
    values, far, _ = outside(made / "whole" / "s0.tif")
    assert (values[far] != 255).any()


def test_a_second_call_keeps_the_area_also_without_its_file(made):
    (made / "area.gpkg").rename(made / "elsewhere.gpkg")
    run(query, "--workspace", made / "ws", "--answers", 30)
    workspace = WorkspaceFolder.open(made / "ws")
    asked = workspace.store().read_queries(workspace.current_round)
    assert asked and all(SHAPE.buffer(0.5).contains(each.geometry) for each in asked)


def test_a_missing_area_is_told(made):
    result = CliRunner().invoke(
        train,
        ["--raster", str(made / "scenes"), "--workspace", str(made / "b"), "--aoi", str(made / "no.gpkg")],
    )
    assert isinstance(result.exception, LabelError)
    assert "no such file, expected the area of interest" in str(result.exception)
